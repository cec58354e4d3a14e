//! Before the clock starts: cards, challenges, signatures.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{LoadFault, LoadSettings, Phase, Progress};
use crate::back_office::BulkRequest;
use crate::card::Card;
use crate::phone::{RaClient, build_application};

/// Cards fetched in one request.
const BULK: u32 = 500;
/// Threads that fetch challenges and sign.
const SIGNERS: usize = 4;

/// Applications ready to be sent: CMS, DER. Each from a holder of its own.
pub(super) fn prepare(settings: &LoadSettings, clients: u32, progress: &(dyn Fn(Progress) + Sync)) -> Result<Vec<Vec<u8>>, LoadFault> {
    let total = settings.applications;
    let tell = |phase: Phase, done: u32| progress(Progress { phase, clients, done, total });
    let mut cards = Vec::with_capacity(total as usize);
    tell(Phase::Cards, 0);
    while cards.len() < total as usize {
        let missing = total - u32::try_from(cards.len()).unwrap_or(total);
        let wish = BulkRequest { count: missing.min(BULK), presign: settings.presign.clone() };
        cards.extend(Card::from_bulk(&settings.back_office.new_cards(&wish)?)?);
        tell(Phase::Cards, u32::try_from(cards.len()).unwrap_or(total));
    }
    let done = AtomicU32::new(0);
    tell(Phase::Signing, 0);
    let shares = cards.chunks(cards.len().div_ceil(SIGNERS));
    let sign_share = |share: &[Card]| {
        let ra = RaClient::new(&settings.ra)?;
        let wish = settings.wish();
        let mut signed = Vec::with_capacity(share.len());
        for card in share {
            let challenge = ra.challenge()?;
            signed.push(build_application(card, &wish, &challenge.challenge)?.cms);
            tell(Phase::Signing, done.fetch_add(1, Ordering::Relaxed) + 1);
        }
        Ok::<_, LoadFault>(signed)
    };
    let sign_share = &sign_share;
    let signed = std::thread::scope(|scope| {
        let signers: Vec<_> = shares.map(|share| scope.spawn(move || sign_share(share))).collect();
        signers.into_iter().map(|signer| signer.join().map_err(|_| LoadFault::Thread)?).collect::<Result<Vec<_>, LoadFault>>()
    })?;
    Ok(signed.into_iter().flatten().collect())
}
