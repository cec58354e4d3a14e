//! Searching the events, by whom and what they are about, and when they happened.

use std::collections::{BTreeMap, BTreeSet};

use ca_core::application::ApplicationId;
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};

use crate::certificate::CertificateId;
use crate::connection::{AnyConnection, Session};
use crate::event::{self, Event, EventKind, EventPosition};
use crate::fault::StoreFault;
use crate::reader::Reader;
use crate::sql::{Fields, Parameter, Statement, few_sizes, placeholders, sql};

/// So many events are found at once at most.
pub const SEARCH_LIMIT: u32 = 1000;

/// So many events are looked at for one answer at most, where more is asked for than an index tells.
const LOOKED_AT: i64 = 10_000;

/// So many certificates of a holder, the newest, are searched for.
const CERTIFICATES: i64 = 1_000;

/// The columns that [`read_head`] and [`read_hit`] take.
const SELECT: &str = "SELECT e.position, e.at, e.kind, e.certificate_id, e.application_id, e.data, l.leaf \
     FROM event AS e LEFT JOIN log_leaf AS l ON l.position = e.position";

/// What is searched for; what is `None` or empty does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchQuestion {
    /// Events about the certificate of this serial number, about its application, and of the instructions that changed it.
    pub certificate: Option<(Option<CertificateKind>, SerialNumber)>,
    /// The same of all certificates of this holder.
    pub holder_id: Option<String>,
    /// Events that an operator of this name is behind.
    pub operator: Option<String>,
    /// Events of this time and later ones.
    pub from: Option<DateTime<Utc>>,
    /// Events before this time.
    pub to: Option<DateTime<Utc>>,
    /// Events of these kinds.
    pub kinds: Vec<EventKind>,
    /// Where an earlier answer says to go on.
    pub after: Option<EventPosition>,
    /// So many at most, up to [`SEARCH_LIMIT`].
    pub limit: u32,
}

/// An event that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchHit {
    /// The event.
    pub event: Event,
    /// Its leaf, if it has one yet.
    pub leaf: Option<u64>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchPage {
    /// In the order of positions; by time, and then in that order, if only a time was asked for.
    pub hits: Vec<SearchHit>,
    /// Where to go on; `None` if that is all. There may be nothing more, and there may be more although nothing was found so far.
    pub next: Option<EventPosition>,
}

/// Why nothing was searched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SearchFault {
    /// Whoever asks is wrong.
    #[error("the event to go on from is not there")]
    NoSuchPlace,
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

impl Reader {
    /// Searches the events. What is asked for together has to hold together.
    pub fn search(&self, question: &SearchQuestion) -> Result<SearchPage, SearchFault> {
        self.read(|session| search(session, question))?.ok_or(SearchFault::NoSuchPlace)
    }
}

impl SearchQuestion {
    /// Whether what is asked for besides whom or what it is about holds.
    fn admits(&self, at: DateTime<Utc>, kind: EventKind) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at < to) && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

/// `None` if the event to go on from is not there.
fn search(session: &mut Session, question: &SearchQuestion) -> Result<Option<SearchPage>, StoreFault> {
    if question.certificate.is_none() && question.holder_id.is_none() {
        return scan(session, question);
    }
    let about = about(session, question)?;
    let is_by = |hit: &SearchHit| {
        let Some(name) = &question.operator else { return true };
        event::operator(&hit.event.data) == event::searched_operator(name)
    };
    let mut hits = about.into_values().filter(|hit| {
        question.after.is_none_or(|after| hit.event.position > after) && question.admits(hit.event.at, hit.event.kind) && is_by(hit)
    });
    let page: Vec<SearchHit> = hits.by_ref().take(limit(question)).collect();
    let next = hits.next().and_then(|_| page.last()).map(|hit| hit.event.position);
    Ok(Some(SearchPage { hits: page, next }))
}

fn limit(question: &SearchQuestion) -> usize {
    question.limit.clamp(1, SEARCH_LIMIT) as usize
}

/// All that is about the certificates, their applications, and the instructions that changed them: it is little.
fn about(session: &mut Session, question: &SearchQuestion) -> Result<BTreeMap<EventPosition, SearchHit>, StoreFault> {
    let certificates = certificates(session, question)?;
    let mut found =
        gather(session, &certificates, |count| format!("e.certificate_id IN ({}) AND e.certificate_id IS NOT NULL", placeholders(count)))?;
    let applications: BTreeSet<i64> = found
        .values()
        .filter(|hit| hit.event.kind == EventKind::CertificateIssued)
        .filter_map(|hit| hit.event.application.map(|id| id.0))
        .collect();
    let instructions: BTreeSet<String> =
        found.values().filter_map(|hit| hit.event.data.get("instruction")?.as_str().map(str::to_owned)).collect();
    found.extend(gather(session, &Vec::from_iter(applications), |count| {
        format!("e.application_id IN ({}) AND e.application_id IS NOT NULL", placeholders(count))
    })?);
    let instruction = match session.connection {
        AnyConnection::Sqlite(_) => "json_extract(e.data, '$.instruction')",
        #[cfg(feature = "postgres")]
        AnyConnection::Postgres(_) => "(e.data::json ->> 'instruction')",
    };
    let instructions: Vec<&str> = instructions.iter().map(String::as_str).collect();
    found.extend(gather(session, &instructions, |count| {
        let of_index = "e.kind IN ('instruction.done', 'instruction.refused', 'instruction.awaiting_approval')";
        format!("{instruction} IN ({}) AND {of_index}", placeholders(count))
    })?);
    Ok(found)
}

/// The certificates that are meant.
fn certificates(session: &mut Session, question: &SearchQuestion) -> Result<Vec<i64>, StoreFault> {
    let mut text = "SELECT c.id FROM certificate AS c WHERE".to_owned();
    let mut parameters: Vec<Parameter<'_>> = Vec::new();
    let mut and = "";
    if let Some((kind, serial)) = &question.certificate {
        text += " c.serial = ?";
        parameters.push(serial.into());
        if let Some(kind) = kind {
            text += " AND c.kind = ?";
            parameters.push((*kind).into());
        }
        and = " AND";
    }
    if let Some(holder_id) = &question.holder_id {
        text += &format!("{and} c.holder = (SELECT h.id FROM holder AS h WHERE h.holder_id = ?)");
        parameters.push(holder_id.as_str().into());
    }
    let statement = sql(text + " ORDER BY c.id DESC LIMIT ?");
    parameters
        .into_iter()
        .fold(statement, |statement, parameter| statement.bind(parameter))
        .bind(CERTIFICATES)
        .rows(session, |row| row.big())
}

/// The events for which a condition on `event AS e`, made for so many parameters, holds; of each few the first ten thousand.
fn gather<'a, T: Copy + Into<Parameter<'a>>>(
    session: &mut Session,
    parameters: &[T],
    condition: impl Fn(usize) -> String,
) -> Result<BTreeMap<EventPosition, SearchHit>, StoreFault> {
    let mut found = BTreeMap::new();
    for some in few_sizes(parameters) {
        let statement = sql(format!("{SELECT} WHERE {} ORDER BY e.position LIMIT ?", condition(some.len())));
        some.iter().fold(statement, |statement, parameter| statement.bind(*parameter)).bind(LOOKED_AT).each(session, |row| {
            let (position, at, kind) = read_head(row)?;
            found.insert(position, read_hit(row, position, at, kind)?);
            Ok(true)
        })?;
    }
    Ok(found)
}

/// Goes through events by operator, by time or by position: what else is asked for is looked for in them.
fn scan(session: &mut Session, question: &SearchQuestion) -> Result<Option<SearchPage>, StoreFault> {
    let limit = limit(question);
    let is_timed = question.from.is_some() || question.to.is_some();
    let is_told_by_index = question.kinds.is_empty() && !(is_timed && question.operator.is_some());
    let looked_at = if is_told_by_index { limit as i64 } else { LOOKED_AT };
    let after = question.after.map_or(0, |after| after.0);
    let statement = match &question.operator {
        Some(name) => sql(format!("{SELECT} WHERE e.operator = ? AND e.position > ? ORDER BY e.position LIMIT ?"))
            .bind(event::searched_operator(name).unwrap_or_default())
            .bind(after),
        None if is_timed => match by_time(session, question)? {
            Some(statement) => statement,
            None => return Ok(None),
        },
        None => sql(format!("{SELECT} WHERE e.position > ? ORDER BY e.position LIMIT ?")).bind(after),
    };
    let (mut hits, mut looked, mut last) = (Vec::new(), 0, None);
    statement.bind(looked_at).each(session, |row| {
        let (position, at, kind) = read_head(row)?;
        (looked, last) = (looked + 1, Some(position));
        if question.admits(at, kind) {
            hits.push(read_hit(row, position, at, kind)?);
        }
        Ok(hits.len() < limit)
    })?;
    let is_all = hits.len() < limit && looked < looked_at;
    Ok(Some(SearchPage { hits, next: last.filter(|_| !is_all) }))
}

/// Events of the times asked for, by time and then by position; `None` if the one to go on from is not there.
fn by_time<'a>(session: &mut Session, question: &SearchQuestion) -> Result<Option<Statement<'a>>, StoreFault> {
    let begin = match question.after {
        None => (question.from.map_or(0, |from| from.timestamp_millis()), 0),
        Some(after) => {
            let at = sql("SELECT at FROM event WHERE position = ?").bind(after.0).optional(session, |row| row.big())?;
            let Some(at) = at else { return Ok(None) };
            (at, after.0)
        }
    };
    let statement = format!("{SELECT} WHERE (e.at, e.position) > (?, ?) AND e.at < ? ORDER BY e.at, e.position LIMIT ?");
    Ok(Some(sql(statement).bind(begin.0).bind(begin.1).bind(question.to.map_or(i64::MAX, |to| to.timestamp_millis()))))
}

/// The first columns of [`SELECT`].
fn read_head(row: &mut Fields<'_, '_, '_>) -> Result<(EventPosition, DateTime<Utc>, EventKind), StoreFault> {
    Ok((EventPosition(row.big()?), row.time()?, EventKind::from_word(&row.text()?)))
}

/// The other columns of [`SELECT`].
fn read_hit(row: &mut Fields<'_, '_, '_>, position: EventPosition, at: DateTime<Utc>, kind: EventKind) -> Result<SearchHit, StoreFault> {
    let certificate = row.optional_big()?.map(CertificateId);
    let application = row.optional_big()?.map(ApplicationId);
    let event = Event { position, at, kind, certificate, application, data: row.json()? };
    let leaf = row.optional_big()?.map(|leaf| u64::try_from(leaf).map_err(|_| StoreFault::Corrupt("a negative number"))).transpose()?;
    Ok(SearchHit { event, leaf })
}
