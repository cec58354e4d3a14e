//! `POST /v1/notices`, on the wire.

use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};

use crate::fault::BackOfficeFault;
use crate::port::{Notice, NoticeText};

#[derive(Serialize)]
struct Question<'a> {
    notices: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct Told<'a> {
    notice_id: &'a str,
    holder_id: &'a str,
    template: &'a str,
    occurred_at: String,
    text: Languages<'a>,
}

#[derive(Serialize)]
struct Languages<'a> {
    ja: Text<'a>,
    en: Text<'a>,
}

#[derive(Serialize)]
struct Text<'a> {
    title: &'a str,
    body: &'a str,
}

impl<'a> From<&'a NoticeText> for Text<'a> {
    fn from(text: &'a NoticeText) -> Self {
        Self { title: &text.title, body: &text.body }
    }
}

#[derive(Deserialize)]
struct Answer {
    accepted: Vec<String>,
}

pub(crate) fn encode(notices: &[Notice]) -> Result<Vec<u8>, BackOfficeFault> {
    let notices = notices
        .iter()
        .map(|notice| Told {
            notice_id: &notice.notice_id,
            holder_id: &notice.holder_id,
            template: &notice.template,
            occurred_at: notice.occurred_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            text: Languages { ja: (&notice.japanese).into(), en: (&notice.english).into() },
        })
        .collect();
    serde_json::to_vec(&Question { notices }).map_err(|_| BackOfficeFault::Malformed("the notices cannot be written"))
}

/// Reads which of `asked` were taken on. An id that was not asked for refuses the answer.
pub(crate) fn decode(answer: &[u8], asked: &[Notice]) -> Result<Vec<String>, BackOfficeFault> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| BackOfficeFault::Malformed("not an answer to notices"))?;
    if answer.accepted.len() > asked.len() || !answer.accepted.iter().all(|id| asked.iter().any(|notice| notice.notice_id == *id)) {
        return Err(BackOfficeFault::Malformed("a notice accepted that was not asked for"));
    }
    Ok(answer.accepted)
}
