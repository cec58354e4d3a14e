//! Notices to holders, which the back office passes on by its own channels.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::BackOfficeFault;
use super::desk::Desk;

/// Most notices in one delivery.
pub const LARGEST_DELIVERY: usize = 100;

/// `POST /v1/notices`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeDelivery {
    /// At most [`LARGEST_DELIVERY`].
    pub notices: Vec<Notice>,
}

/// One notice to one holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// The same in every delivery of the same notice.
    pub notice_id: String,
    /// To whom.
    pub holder_id: String,
    /// What sort of notice.
    pub template: String,
    /// When happened what it tells of; RFC 3339.
    pub occurred_at: DateTime<Utc>,
    /// By language: `ja`, `en`.
    pub text: BTreeMap<String, NoticeText>,
}

/// A notice in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoticeText {
    /// The subject.
    pub title: String,
    /// The rest.
    pub body: String,
}

/// The answer to a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticesAccepted {
    /// `notice_id` of each, new or known.
    pub accepted: Vec<String>,
}

/// An entry of `GET /admin/notices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptNotice {
    /// As it first came.
    pub notice: Notice,
    /// How often it was delivered.
    pub deliveries: u32,
    /// Whether a later delivery of the same `notice_id` said something else.
    pub contradicted: bool,
}

/// `GET /admin/notices`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeList {
    /// In the order in which they first came.
    pub notices: Vec<KeptNotice>,
}

/// What becomes of a delivery of notices.
#[derive(Debug)]
pub(crate) enum NoticeOutcome {
    /// Kept, and said so.
    Accepted(NoticesAccepted),
    /// Kept, but the answer does not arrive.
    AnswerLost,
    /// Refused for now; nothing is kept.
    Unavailable,
}

impl Desk {
    /// Keeps notices, each once.
    pub(crate) fn take_notices(&self, delivery: NoticeDelivery) -> Result<NoticeOutcome, BackOfficeFault> {
        if let Some(complaint) = complaint(&delivery) {
            return Err(BackOfficeFault::Refused(complaint.to_owned()));
        }
        let accepted = delivery.notices.iter().map(|notice| notice.notice_id.clone()).collect();
        let mut registry = self.registry();
        let Some(lost) = registry.telling.takes_notices() else { return Ok(NoticeOutcome::Unavailable) };
        for notice in delivery.notices {
            registry.keep_notice(notice);
        }
        drop(registry);
        self.keep()?;
        Ok(if lost { NoticeOutcome::AnswerLost } else { NoticeOutcome::Accepted(NoticesAccepted { accepted }) })
    }
}

/// Checks a delivery: a complaint, or nothing.
fn complaint(delivery: &NoticeDelivery) -> Option<&'static str> {
    if delivery.notices.is_empty() || delivery.notices.len() > LARGEST_DELIVERY {
        return Some("a delivery has 1 to 100 notices");
    }
    let is_identifier = |text: &str| (1..=128).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_graphic());
    let wrong = |notice: &Notice| {
        let spoken = ["ja", "en"]
            .iter()
            .all(|language| notice.text.get(*language).is_some_and(|text| !text.title.trim().is_empty() && !text.body.trim().is_empty()));
        !is_identifier(&notice.notice_id) || !is_identifier(&notice.holder_id) || notice.template.is_empty() || !spoken
    };
    delivery.notices.iter().any(wrong).then_some("a notice names itself, its holder and template, and speaks ja and en")
}
