//! Notices: the holder is told of each binding, hold, lift and revocation, not through the phone but through the back office
//! (SP 800-157r1 section 2.2 asks for that of a binding). Made by a follower of the events, told at least once, and called by the
//! event's position, so that nobody is told twice of one thing.

mod templates;

use std::collections::BTreeMap;
use std::sync::PoisonError;

use back_office::{NOTICES_AT_ONCE, Notice};
use chrono::{DateTime, Utc};
use schema::notice::{DueNotice, NewNotice};
use schema::{Event, EventKind, EventPosition};
use serde_json::{Value, json};

use crate::CaFault;
use crate::role::CaRole;
use crate::told::{ToldCertificate, word};
use templates::NoticeTemplate;
pub use templates::WordingFault;
pub(crate) use templates::Wordings;

/// What the follower is called in the store.
const FOLLOWER: &str = "notices";
/// Positions that are passed in one transaction at most, and events about certificates among them.
const SPAN: u32 = 10_000;
const PAGE: u32 = 500;

impl CaRole {
    /// Makes the notices that follow from new events; how many events were passed. The cursor moves in the same transaction, so
    /// that a crash neither loses nor doubles a notice.
    pub fn follow_notices(&self) -> Result<usize, CaFault> {
        let from = self.reader.follower(FOLLOWER)?;
        let (events, until) = self.reader.certificate_events_after(from, SPAN, PAGE)?;
        if until == from {
            return Ok(0);
        }
        let notices: Vec<NewNotice> = events.iter().filter_map(notice_of).collect();
        let now = self.clock.now();
        self.write(move |tx| {
            for notice in &notices {
                tx.create_notice(notice, now)?;
            }
            tx.advance_follower(FOLLOWER, until)
        })?;
        Ok(passed(from, until))
    }

    /// Gives the back office every notice whose time has come; how many it took. What it does not take is due again later, and
    /// later each time.
    pub fn tell_holders(&self) -> Result<usize, CaFault> {
        let _one_at_a_time = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let until = self.clock.now();
        let mut told = 0;
        loop {
            self.go_on()?;
            let due = self.reader.due_notices(NOTICES_AT_ONCE as u32, until)?;
            if due.is_empty() {
                return Ok(told);
            }
            told += self.tell(&due)?;
        }
    }

    fn tell(&self, due: &[DueNotice]) -> Result<usize, CaFault> {
        let notices: Vec<Notice> = due.iter().filter_map(|due| self.worded(due)).collect();
        let answer = if notices.is_empty() { Ok(Vec::new()) } else { self.back_office.notify(&notices) };
        let accepted = answer.as_deref().unwrap_or_default();
        let (taken, left): (Vec<&DueNotice>, Vec<&DueNotice>) = due.iter().partition(|due| accepted.contains(&notice_id(due.event)));
        self.settle(&taken, &left)?;
        metrics::counter!("tsunagi_ca_notices_told_total").increment(taken.len() as u64);
        metrics::counter!("tsunagi_ca_notices_put_off_total").increment(left.len() as u64);
        answer?;
        Ok(taken.len())
    }

    /// Each waits for a time of its own: those that failed together, of one that the back office cannot take, part company.
    fn settle(&self, taken: &[&DueNotice], left: &[&DueNotice]) -> Result<(), CaFault> {
        let now = self.clock.now();
        let taken: Vec<EventPosition> = taken.iter().map(|due| due.event).collect();
        let backoff = &self.settings.life.notices.backoff;
        let later = left.iter().map(|due| (due.event, now + backoff.after(due.attempts.saturating_add(1))));
        let later: Vec<(EventPosition, DateTime<Utc>)> = later.collect();
        self.write(move |tx| {
            tx.notices_told(&taken, now)?;
            later.iter().try_for_each(|(event, next)| tx.retry_notices(&[*event], *next))
        })
    }

    /// A notice in words; `None`, with an alarm, if there are none for it: it stays, for a program that has them.
    fn worded(&self, due: &DueNotice) -> Option<Notice> {
        let wording = arguments(&due.arguments).map(|arguments| self.wordings.write(&due.template, &arguments));
        match wording {
            Some(Ok(wording)) => Some(Notice {
                notice_id: notice_id(due.event),
                holder_id: due.holder_id.clone(),
                template: due.template.clone(),
                occurred_at: due.occurred_at,
                japanese: wording.japanese,
                english: wording.english,
            }),
            Some(Err(fault)) => {
                tracing::error!(position = due.event.0, %fault, "a notice has no words");
                None
            }
            None => {
                tracing::error!(position = due.event.0, "a notice's arguments are not words");
                None
            }
        }
    }
}

/// How many events lie between two positions.
pub(crate) fn passed(from: EventPosition, until: EventPosition) -> usize {
    usize::try_from(until.0.saturating_sub(from.0)).unwrap_or(usize::MAX)
}

/// What a notice is called outside: the same for each attempt.
fn notice_id(event: EventPosition) -> String {
    format!("n-{}", event.0)
}

/// A notice's arguments by name, as they are stored.
fn arguments(stored: &Value) -> Option<BTreeMap<String, String>> {
    stored.as_object()?.iter().map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// What the holder is told of an event, if anything.
fn notice_of(event: &Event) -> Option<NewNotice> {
    let (template, argument) = match event.kind {
        EventKind::CertificateIssued => (NoticeTemplate::CertificateIssued, None),
        EventKind::CertificateHeld | EventKind::CertificateHoldAdded => (NoticeTemplate::CertificateHeld, Some("cause")),
        EventKind::CertificateHoldLifted => (NoticeTemplate::HoldLifted, Some("cause")),
        EventKind::CertificateReleased => (NoticeTemplate::CertificateReleased, None),
        EventKind::CertificateRevoked if is_by_renewed_card(event) => (NoticeTemplate::CardRenewed, None),
        EventKind::CertificateRevoked => (NoticeTemplate::CertificateRevoked, Some("reason")),
        _ => return None,
    };
    let certificate = ToldCertificate::of(event)?;
    let mut arguments = json!({"kind": certificate.kind});
    if let Some(name) = argument {
        arguments[name] = json!(word(event, name).unwrap_or_default());
    }
    Some(NewNotice { event: event.position, certificate: certificate.id, template: template.as_str().to_owned(), arguments })
}

/// Whether it ended because another card took the place of the one it hung on: then the holder may apply again with that.
fn is_by_renewed_card(event: &Event) -> bool {
    // A card CA's CRL, and the comparison, know of a renewal only that the card certificate was superseded.
    let by_card = event.data.get("by").is_some_and(|by| by.get("card_event").is_some());
    word(event, "card_change") == Some("renewed") || (by_card && word(event, "reason") == Some("superseded"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use schema::certificate::CertificateId;

    fn event(kind: EventKind, more: Value) -> Event {
        let mut data = json!({"kind": "signature", "ca_key": 1, "serial": "0a"});
        for (name, value) in more.as_object().unwrap() {
            data[name] = value.clone();
        }
        let at = Utc::now();
        Event { position: EventPosition(7), at, kind, certificate: Some(CertificateId(3)), application: None, data }
    }

    #[test]
    fn each_change_that_concerns_the_holder_has_its_notice() {
        let notice = |kind, data| notice_of(&event(kind, data)).map(|notice| (notice.template, notice.arguments));
        let told = |template: &str, arguments| Some((template.to_owned(), arguments));
        assert_eq!(notice(EventKind::CertificateIssued, json!({})), told("certificate-issued", json!({"kind": "signature"})));
        assert_eq!(
            notice(EventKind::CertificateHeld, json!({"cause": "phone-lost"})),
            told("certificate-held", json!({"kind": "signature", "cause": "phone-lost"}))
        );
        assert_eq!(
            notice(EventKind::CertificateRevoked, json!({"reason": "superseded", "by": {"issuance": true}})),
            told("certificate-revoked", json!({"kind": "signature", "reason": "superseded"}))
        );
        assert_eq!(
            notice(EventKind::CertificateRevoked, json!({"reason": "superseded", "by": {"card_event": "e1"}})),
            told("card-renewed", json!({"kind": "signature"}))
        );
        assert_eq!(notice(EventKind::CertificateExpired, json!({})), None);
        assert_eq!(notice(EventKind::CardRevoked, json!({})), None);
    }
}
