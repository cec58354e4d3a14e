//! Certificates to begin with: many holders apply, and what comes of it is remembered.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::{LoadFault, LoadSettings, Phase, Progress};
use crate::back_office::BulkRequest;
use crate::card::{Card, CardFault, CardSide};
use crate::kind::Kind;
use crate::phone::{Enrolment, RaClient, build_application, submit_and_wait};

/// Cards fetched in one request.
const BULK: u32 = 500;

/// A certificate in a phone, and the card certificate that it hangs on.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    /// Its kind, which is the card certificate's, too.
    pub(super) kind: Kind,
    /// The certificate, DER.
    pub(super) certificate: Vec<u8>,
    /// What the back office calls the card.
    pub(super) card_id: String,
    /// Key identifier of the card CA's key, hex.
    pub(super) issuer_key_id: String,
    /// The card certificate's serial number, hex.
    pub(super) card_serial: String,
}

/// Has so many holders issued to, each with a card and a phone of its own, by `clients` at once; every certificate that came of it.
pub(super) fn issue(
    settings: &LoadSettings,
    holders: u32,
    clients: u32,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<Vec<Issued>, LoadFault> {
    let done = AtomicU32::new(0);
    let mut issued = Vec::with_capacity(holders as usize * settings.kinds.len());
    while done.load(Ordering::Relaxed) < holders {
        let missing = holders - done.load(Ordering::Relaxed);
        let wish = BulkRequest { count: missing.min(BULK), presign: settings.presign.clone() };
        let cards = Card::from_bulk(&settings.back_office.new_cards(&wish)?)?;
        let next = AtomicUsize::new(0);
        let client = || {
            let ra = RaClient::new(&settings.ra)?;
            let mut issued = Vec::new();
            while let Some(card) = cards.get(next.fetch_add(1, Ordering::Relaxed)) {
                issued.extend(issue_to(settings, &ra, card)?);
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                progress(Progress { phase: Phase::Issuing, clients, done, total: holders });
            }
            Ok::<_, LoadFault>(issued)
        };
        let some = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
            threads.into_iter().map(|thread| thread.join().map_err(|_| LoadFault::Thread)?).collect::<Result<Vec<_>, _>>()
        })?;
        issued.extend(some.into_iter().flatten());
    }
    Ok(issued)
}

/// One holder applies.
pub(super) fn issue_to(settings: &LoadSettings, ra: &RaClient, card: &Card) -> Result<Vec<Issued>, LoadFault> {
    let wish = settings.wish();
    let application = build_application(card, &wish, &ra.challenge()?.challenge)?;
    let answers = submit_and_wait(ra, &application.cms, wish.patience)?;
    let enrolment = Enrolment::read(application, answers)?;
    let card_id = card.card_id.clone().unwrap_or_default();
    let linked = |kind: Kind| card.sides().find(|(side, _)| *side == kind).map(|(_, side)| name(side));
    let issued = enrolment.certificates.into_iter().map(|enrolled| {
        let missing = || CardFault::Content("the card has no such half".to_owned());
        let (issuer_key_id, card_serial) = linked(enrolled.kind).ok_or_else(missing)??;
        let (kind, certificate) = (enrolled.kind, enrolled.certificate);
        Ok(Issued { kind, certificate, card_id: card_id.clone(), issuer_key_id, card_serial })
    });
    issued.collect()
}

/// Key identifier of the issuer's key and serial number, hex.
fn name(side: &CardSide) -> Result<(String, String), CardFault> {
    let serial = side.decoded()?.tbs_certificate().serial_number().as_bytes().to_vec();
    Ok((side.scope()?.issuer_key_id, hex::encode(serial)))
}
