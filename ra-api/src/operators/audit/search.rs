//! `POST /v1/audit/search`: events by certificate, holder, operator and time. Each question goes on record before it is answered.

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload, ReqData};
use ca_core::instruction::operator::OperatorIdentity;
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use schema::lookup::NewLookup;
use schema::search::{SEARCH_LIMIT, SearchFault, SearchHit, SearchQuestion};
use schema::{EventKind, EventPosition, StoreFault};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::edge::read_question;
use crate::operators::OperatorState;
use crate::problem::{Problem, QuestionProblems};
use crate::store;

/// Events in one answer, unless another number is asked for.
const USUAL: u32 = 100;
/// Kinds in one question at most.
const KINDS: usize = 50;
/// What is recorded as purpose where none is stated.
const PURPOSE: &str = "audit";

/// What is searched for: what is not there does not matter, what is there must hold together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchBody {
    /// Why it is asked, for the record.
    #[schema(min_length = 1, max_length = 256)]
    purpose: Option<String>,
    /// Events about this certificate, its application, and the instructions that changed it.
    certificate: Option<CertificateQuestion>,
    /// The same about all certificates of a holder, by the back office's name for the holder. Personal data: in the body, never in the address.
    #[schema(min_length = 1, max_length = 255)]
    holder_id: Option<String>,
    /// Events that the operator of this name is behind.
    #[schema(min_length = 1, max_length = 255)]
    operator: Option<String>,
    /// Events of this time and later.
    #[schema(value_type = Option<String>, format = DateTime)]
    from: Option<DateTime<Utc>>,
    /// Events before this time.
    #[schema(value_type = Option<String>, format = DateTime)]
    to: Option<DateTime<Utc>>,
    /// Events of these kinds, such as `certificate.issued`.
    #[serde(default)]
    #[schema(max_items = 50)]
    kinds: Vec<String>,
    /// Go on from here: the `next` of the answer before.
    after: Option<i64>,
    /// Events at most: 100 unless told, 1000 at most.
    #[schema(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A certificate.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertificateQuestion {
    /// Its serial number in hexadecimal.
    serial: String,
    /// Its kind, should both CAs have used that number.
    #[schema(value_type = Option<String>, example = "signature")]
    kind: Option<CertificateKind>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct SearchAnswer {
    /// In their order.
    pub events: Vec<FoundEvent>,
    /// Where to go on, as `after`; not there at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct FoundEvent {
    /// Its leaf in the log, if it has one yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// Its position.
    pub position: i64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: DateTime<Utc>,
    /// What happened.
    #[schema(example = "certificate.issued")]
    pub kind: &'static str,
    /// Which certificate it is about: its row number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<i64>,
    /// Which application it is about: its row number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<i64>,
    /// What else is told.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// Searches the log. The question is on record when it is answered.
#[utoipa::path(
    post,
    path = "/v1/audit/search",
    tag = "operators",
    operation_id = "searchLog",
    security(("operator" = ["administrator", "auditor"])),
    request_body = SearchBody,
    responses((status = 200, description = "What was found.", body = SearchAnswer), QuestionProblems)
)]
pub(crate) async fn search_log(
    request: HttpRequest,
    payload: Payload,
    auditor: ReqData<OperatorIdentity>,
    state: Data<OperatorState>,
) -> Result<Json<SearchAnswer>, Problem> {
    let body: SearchBody = read_question(&request, payload, state.question_octets, state.body_timeout).await?;
    let question = body.question()?;
    let reader = state.reader.clone();
    let page = store::look("searching the log", move || match reader.search(&question) {
        Ok(page) => Ok(Some(page)),
        Err(SearchFault::NoSuchPlace) => Ok(None),
        Err(SearchFault::Store(fault)) => Err(fault),
    });
    let page = page.await?.ok_or_else(|| Problem::new("question_invalid", "after is not the next of an earlier answer."))?;
    let lookup = NewLookup {
        verifier: auditor.name.clone(),
        purpose: body.purpose.clone().unwrap_or_else(|| PURPOSE.to_owned()),
        question: body.recorded().to_string(),
        found: u32::try_from(page.hits.len()).unwrap_or(u32::MAX),
    };
    let now = state.clock.now();
    let written = state.writer.submit(move |transaction| -> Result<(), StoreFault> { transaction.record_lookup(&lookup, now) });
    written.await.map_err(|fault| store::problem("recording a search", &fault))?;
    let next = page.next.map(|position| position.0);
    Ok(Json(SearchAnswer { events: page.hits.into_iter().map(FoundEvent::from).collect(), next }))
}

impl SearchBody {
    fn question(&self) -> Result<SearchQuestion, Problem> {
        let wrong = |detail: String| Problem::new("question_invalid", detail);
        let limits = [("purpose", &self.purpose, 256), ("holder_id", &self.holder_id, 255), ("operator", &self.operator, 255)];
        for (name, text, most) in limits {
            if text.as_deref().is_some_and(|text| !(1..=most).contains(&text.len()) || text.chars().any(char::is_control)) {
                return Err(wrong(format!("{name} must be 1 to {most} octets, without control characters.")));
            }
        }
        let limit = self.limit.unwrap_or(USUAL);
        if !(1..=SEARCH_LIMIT).contains(&limit) {
            return Err(wrong(format!("limit must be 1 to {SEARCH_LIMIT}.")));
        }
        if self.kinds.len() > KINDS {
            return Err(wrong(format!("kinds must be {KINDS} at most.")));
        }
        let kind = |(index, word): (usize, &String)| {
            let found = EventKind::ALL.into_iter().find(|kind| kind.as_str() == word);
            found.ok_or_else(|| wrong(format!("kinds[{index}] is no kind of event.")))
        };
        let certificate = self.certificate.as_ref().map(|certificate| {
            let serial = SerialNumber::from_hex(&certificate.serial).map_err(|error| wrong(format!("certificate.serial: {error}.")))?;
            Ok((certificate.kind, serial))
        });
        Ok(SearchQuestion {
            certificate: certificate.transpose()?,
            holder_id: self.holder_id.clone(),
            operator: self.operator.clone(),
            from: self.from,
            to: self.to,
            kinds: self.kinds.iter().enumerate().map(kind).collect::<Result<_, _>>()?,
            after: self.after.map(EventPosition),
            limit,
        })
    }

    /// The question as it goes on record.
    fn recorded(&self) -> Value {
        json!({
            "search": {
                "certificate": self.certificate.as_ref().map(|certificate| json!({"serial": certificate.serial, "kind": certificate.kind})),
                "holder_id": self.holder_id, "operator": self.operator, "from": self.from, "to": self.to, "kinds": self.kinds,
                "after": self.after, "limit": self.limit,
            }
        })
    }
}

impl From<SearchHit> for FoundEvent {
    fn from(hit: SearchHit) -> Self {
        let SearchHit { event, leaf } = hit;
        Self {
            leaf,
            position: event.position.0,
            at: event.at,
            kind: event.kind.as_str(),
            certificate: event.certificate.map(|id| id.0),
            application: event.application.map(|id| id.0),
            data: event.data,
        }
    }
}
