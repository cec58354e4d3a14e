//! What happens to a certificate can happen in its state: issued once, held before anything is lifted, nothing after its end. The
//! machine of docs/lifecycle.md, written again from that page.

use super::super::event::{CertificateData, Event, milliseconds};
use super::super::finding::Rule;
use super::super::table::Table;
use super::super::unjudged::Why;
use super::{Scene, row};

/// Where a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum State {
    /// Nothing is known of it.
    #[default]
    Unknown,
    Live,
    Held,
    Revoked,
    Expired,
}

impl State {
    /// Whether it counts as its holder's one.
    pub(super) const fn counts(self) -> bool {
        matches!(self, Self::Live | Self::Held)
    }
}

/// What is kept in mind of a certificate: 16 octets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Certificate {
    /// A row number; 0 where it is not known.
    pub(super) holder: u32,
    /// When it ends, in seconds since 1970; 0 where it is not known.
    pub(super) not_after: u32,
    /// Whether it is for authentication.
    pub(super) is_authentication: bool,
    pub(super) state: State,
    /// The causes of its hold, a bit each.
    causes: u8,
}

/// What an event did to a certificate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Transition {
    /// Its row number.
    pub(super) row: u32,
    pub(super) before: State,
    pub(super) certificate: Certificate,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Certificates(Table<Certificate>);

/// A certificate is found on hold in the middle of its life: other causes may stand.
const OTHER_CAUSES: u8 = 1 << 7;

impl Certificates {
    pub(super) fn read(&self, row: u32) -> Certificate {
        self.0.read(row)
    }

    /// A `certificate.*` event; `None` if it does not say what it has to, or names a row that no store gives out.
    pub(super) fn event(&mut self, event: &Event<'_>, data: &CertificateData<'_>, scene: &mut Scene<'_>) -> Option<Transition> {
        let number = event.content.certificate()?;
        let row = row(Some(number))?;
        let is_authentication = match data.kind.as_deref()? {
            "signature" => false,
            "authentication" => true,
            _ => return None,
        };
        if data.holder.is_some() && super::row(data.holder).is_none() {
            return None;
        }
        let mut certificate = self.0.read(row);
        let before = certificate.state;
        if before == State::Unknown {
            certificate.is_authentication = is_authentication;
        } else if certificate.is_authentication != is_authentication {
            scene.find(Rule::State, event, format!("certificate {number} was of the other kind before"));
        }
        if let Some(holder) = data.holder {
            let holder = super::row(Some(holder)).unwrap_or(0);
            if certificate.holder != 0 && certificate.holder != holder {
                scene.find(Rule::State, event, format!("certificate {number} was another holder's before"));
            }
            certificate.holder = holder;
        }
        let cause = data.cause.as_deref().map(cause);
        let impossible = match event.kind() {
            "certificate.issued" => {
                let not_after = data.not_after.as_deref().and_then(milliseconds);
                scene.lacks |= not_after.is_none();
                certificate.not_after = not_after.map_or(0, |at| u32::try_from((at / 1_000).max(1)).unwrap_or(u32::MAX));
                certificate.state = State::Live;
                certificate.causes = 0;
                (before != State::Unknown).then_some("issued a second time")
            }
            "certificate.held" => {
                certificate.state = State::Held;
                certificate.causes = cause?;
                expect(before, &[State::Live], "held")
            }
            "certificate.hold_added" => {
                let (causes, cause) = (certificate.causes, cause?);
                certificate.state = State::Held;
                certificate.causes |= cause | if before == State::Unknown { OTHER_CAUSES } else { 0 };
                let twice = before == State::Held && causes & OTHER_CAUSES == 0 && causes & cause != 0;
                expect(before, &[State::Held], "held for one more cause").or(twice.then_some("held a second time for one cause"))
            }
            "certificate.hold_lifted" => {
                let (causes, cause) = (certificate.causes, cause?);
                let rest = causes & !cause;
                certificate.state = State::Held;
                certificate.causes = if before == State::Held && rest != 0 { rest } else { OTHER_CAUSES };
                let exact = before == State::Held && causes & OTHER_CAUSES == 0;
                let wrong = exact && (causes & cause == 0 || rest == 0);
                expect(before, &[State::Held], "lifted from a hold")
                    .or(wrong.then_some("lifted from a hold for a cause that did not stand, or as one of several where it was the last"))
            }
            "certificate.released" => {
                let (causes, cause) = (certificate.causes, cause?);
                certificate.state = State::Live;
                certificate.causes = 0;
                let wrong = before == State::Held && causes & OTHER_CAUSES == 0 && causes != cause;
                expect(before, &[State::Held], "released").or(wrong.then_some("released while another cause stood"))
            }
            "certificate.revoked" => {
                certificate.state = State::Revoked;
                let found_again = data.by.as_ref().is_some_and(|by| by.reconciliation) && before == State::Expired;
                if found_again { None } else { expect(before, &[State::Live, State::Held], "revoked") }
            }
            "certificate.expired" => {
                certificate.state = State::Expired;
                if certificate.not_after == 0 && before != State::Unknown {
                    scene.unjudged.add(Rule::State, Why::PoorerRecord);
                }
                let early = event.at / 1_000 < i64::from(certificate.not_after);
                expect(before, &[State::Live], "expired").or(early.then_some("expired before its end"))
            }
            _ => return None,
        };
        if before == State::Unknown && event.kind() != "certificate.issued" {
            scene.unknown(Rule::State, event, || format!("something happened to certificate {number}, which was never issued"));
        } else if let Some(impossible) = impossible {
            let stood = match before {
                State::Unknown => "of which nothing was known",
                State::Live => "which was live",
                State::Held => "which was on hold",
                State::Revoked => "which had been revoked",
                State::Expired => "which had expired",
            };
            scene.find(Rule::State, event, format!("certificate {number}, {stood}, is {impossible}"));
        }
        let written = self.0.write(row, certificate, scene.room);
        if written.is_err() {
            scene.unjudged.add(Rule::State, Why::NoRoom);
        }
        Some(Transition { row, before, certificate })
    }
}

/// What the event says of the certificate, unless its state allows it.
fn expect(before: State, allowed: &[State], said: &'static str) -> Option<&'static str> {
    (!allowed.contains(&before)).then_some(said)
}

/// The bit of a cause; those that this program does not know share one.
fn cause(word: &str) -> u8 {
    match word {
        "card-held" => 1,
        "phone-lost" => 2,
        "operator" => 4,
        _ => 8,
    }
}
