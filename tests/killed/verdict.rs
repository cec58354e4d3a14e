//! What must be true after all that.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use sandbox::back_office::KeptNotice;
use sandbox::kind::Kind;
use sandbox::relying_party::{Status, fetch_crl, verify_crl};
use schema::certificate::{CertificateFilter, CertificateState, CertificateSummary};
use schema::device_command::CommandState;
use schema::instruction::InstructionState;
use schema::testing::{replayed, stored};
use schema::{EventKind, EventPosition, Reader};

use crate::ledger::{Issued, Must, locked};
use crate::never::{NEVER, NEVER_UNDER_JPKI};
use crate::processes::Processes;
use crate::support::until_within;
use crate::town::Town;

/// How long it may take until nothing is left to do.
const DRAINED_WITHIN: Duration = Duration::from_secs(120);

/// So long nothing may be left to do until it is believed.
const QUIET: Duration = Duration::from_secs(3);

/// What must be over when nobody asks for anything any more, and how much of it there is.
const QUEUES: &[(&str, &str)] = &[
    ("applications accepted", "SELECT count(*) FROM application WHERE state = 1"),
    ("instructions waiting", "SELECT count(*) FROM instruction WHERE state = 1"),
    ("card events not applied", "SELECT count(*) FROM card_event_inbox WHERE applied_at IS NULL"),
    ("batches running", "SELECT count(*) FROM batch WHERE state = 1"),
    ("notices not told", "SELECT count(*) FROM notice WHERE state = 1"),
    ("results not judged", "SELECT count(*) FROM device_command_result WHERE taken_at IS NULL"),
    ("commands never sent", "SELECT count(*) FROM device_command WHERE state = 1"),
    ("second looks", "SELECT count(*) FROM link WHERE second_look_at IS NOT NULL"),
    ("events without a leaf", "SELECT c.position - h.position FROM event_counter AS c CROSS JOIN log_head AS h"),
    ("leaves under no note", "SELECT size - note_size FROM log_head"),
    ("followers behind", "SELECT 2 - count(*) FROM follower JOIN event_counter ON follower.position = event_counter.position"),
];

/// What the store must be at any moment.
#[track_caller]
pub(crate) fn nothing_half_done(reader: &Reader) {
    for (what, query) in NEVER.iter().chain(NEVER_UNDER_JPKI) {
        let found = reader.count_for_test(query).unwrap();
        assert_eq!(found, 0, "after a kill: {what}");
    }
}

pub(crate) fn pass(town: &Town, processes: &Processes<'_>) {
    let reader = town.installation.reader();
    let drained = everything_drains(&reader);
    nothing_half_done(&reader);
    assert_eq!(replayed(&reader), stored(&reader), "the events tell another story than the tables");
    let certificates = certificates(&reader);
    promises_are_kept(town, &reader, &certificates);
    relying_parties_see_it(town, &certificates);
    town.log.pass(town);
    let notices = town.installation.back_office.notices();
    holders_were_told(&notices, &reader, &certificates);
    let (middle, longest) = processes.recovery();
    eprintln!(
        "{} certificates, {} events, {} notices ({} of them told more than once), {} push messages; all queues empty after {drained:.1?};\n\
         something done again after {middle:.1?}, the longest {longest:.1?}\n{}",
        certificates.len(),
        reader.position().unwrap().0,
        notices.len(),
        notices.iter().filter(|kept| kept.deliveries > 1).count(),
        town.push.messages().len(),
        town.ledger.told()
    );
}

/// What the back office still has to tell, by push or in the feed, may begin something new: empty once is not empty.
fn everything_drains(reader: &Reader) -> Duration {
    let began = Instant::now();
    let mut empty_since: Option<Instant> = None;
    loop {
        let counts = QUEUES.iter().map(|(what, query)| (what, reader.count_for_test(query).unwrap()));
        let left: Vec<_> = counts.filter(|(_, count)| *count != 0).collect();
        assert!(left.is_empty() || began.elapsed() < DRAINED_WITHIN, "nobody asks for anything any more, and there are {left:?}");
        match (left.is_empty(), empty_since) {
            (false, _) => empty_since = None,
            (true, None) => empty_since = Some(Instant::now()),
            (true, Some(since)) if since.elapsed() >= QUIET => return since - began,
            (true, Some(_)) => {}
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn certificates(reader: &Reader) -> BTreeMap<(String, String), CertificateSummary> {
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let page = reader.list_certificates(&CertificateFilter::default(), after, 1_000).unwrap();
        let Some(last) = page.last() else { return all };
        after = Some(last.id);
        all.extend(page.into_iter().map(|one| ((one.kind.as_str().to_owned(), one.serial.to_string().to_lowercase()), one)));
    }
}

fn key(issued: &Issued) -> (String, String) {
    (issued.kind.as_str().to_owned(), issued.serial.to_lowercase())
}

/// What each state is called in the ledger.
fn is_as_promised(must: Must, state: CertificateState) -> bool {
    match must {
        Must::Live => state == CertificateState::Live,
        Must::Held => state == CertificateState::Held,
        Must::Revoked => state == CertificateState::Revoked,
        Must::Anything => true,
    }
}

fn promises_are_kept(town: &Town, reader: &Reader, certificates: &BTreeMap<(String, String), CertificateSummary>) {
    for issued in town.ledger.certificates() {
        let found = certificates.get(&key(&issued));
        let found = found.unwrap_or_else(|| panic!("{} {} was handed out, and is not there", issued.kind, issued.serial));
        assert!(
            is_as_promised(issued.must, found.state),
            "{} {} must be {:?}, and is {:?}",
            issued.kind,
            issued.serial,
            issued.must,
            found.state
        );
        let kind: CertificateKind = found.kind;
        let detail = reader.certificate_detail(Some(kind), &found.serial).unwrap().unwrap();
        assert!(detail.der == issued.der, "{} {} is another certificate than was handed out", issued.kind, issued.serial);
    }
    for id in locked(&town.ledger.instructions).iter() {
        let record = reader.instruction(&Sha256Digest::from_hex(id).unwrap()).unwrap();
        assert!(record.is_some_and(|record| matches!(record.state, InstructionState::Done { .. })), "{id} was done, and is not");
    }
    for id in locked(&town.ledger.confirmations).iter() {
        let command = reader.device_command(id).unwrap().expect("a command that was obeyed");
        assert_eq!(command.state, CommandState::Confirmed, "the command {id}");
    }
    let received = reader.count_for_test("SELECT count(*) FROM card_event_inbox WHERE event_id LIKE 'town-%'").unwrap();
    assert_eq!(usize::try_from(received).unwrap(), town.ledger.card_events.load(std::sync::atomic::Ordering::Relaxed));
}

/// OCSP and CRLs say the same as the store, of everything.
fn relying_parties_see_it(town: &Town, certificates: &BTreeMap<(String, String), CertificateSummary>) {
    for issued in town.ledger.certificates() {
        let state = certificates[&key(&issued)].state;
        let agrees = || {
            let status = town.status(&issued)?;
            let agrees = match state {
                CertificateState::Live => status == Status::Good,
                CertificateState::Held => status.is_on_hold(),
                CertificateState::Revoked => matches!(status, Status::Revoked { .. }) && !status.is_on_hold(),
                CertificateState::Expired => false,
            };
            agrees.then_some(())
        };
        until_within(Duration::from_secs(10), &format!("OCSP says of {} {} that it is {state:?}", issued.kind, issued.serial), agrees);
    }
    for kind in Kind::ALL {
        let of_kind: Vec<Issued> = town.ledger.certificates().into_iter().filter(|issued| issued.kind == kind).collect();
        let ended = |state: CertificateState| matches!(state, CertificateState::Held | CertificateState::Revoked);
        let listed = certificates.values().filter(|one| one.kind.as_str() == kind.as_str() && ended(one.state)).count();
        let Some(any) = of_kind.first() else { continue };
        let crl = until_within(Duration::from_secs(30), &format!("the CRL lists all {listed} of {kind}"), || {
            fetch_crl(&any.der, town.authority(kind)).ok().filter(|crl| crl.entries == listed)
        });
        // Reading it once for each takes a while where there are many: the newest and a sample are enough.
        for issued in of_kind.iter().rev().take(20).chain(of_kind.iter().step_by(of_kind.len() / 20 + 1)) {
            let entry = verify_crl(&crl.der, &issued.der, town.authority(kind)).unwrap().entry;
            assert_eq!(entry.is_some(), ended(certificates[&key(issued)].state), "{kind} {} on the CRL: {entry:?}", issued.serial);
        }
    }
}

/// Each event that calls for a notice was told at least once, and always in the same words; nothing else was. Nobody holds test
/// certificates.
fn holders_were_told(kept: &[KeptNotice], reader: &Reader, certificates: &BTreeMap<(String, String), CertificateSummary>) {
    let tests: BTreeSet<i64> = certificates.values().filter(|one| one.is_test).map(|one| one.id.0).collect();
    let mut expected = BTreeSet::new();
    let mut after = EventPosition(0);
    loop {
        let events = reader.events_after(after, 1_000).unwrap();
        let Some(last) = events.last() else { break };
        after = last.position;
        let told = events.iter().filter(|event| {
            matches!(
                event.kind,
                EventKind::CertificateIssued
                    | EventKind::CertificateHeld
                    | EventKind::CertificateHoldAdded
                    | EventKind::CertificateHoldLifted
                    | EventKind::CertificateReleased
                    | EventKind::CertificateRevoked
            ) && event.certificate.is_none_or(|id| !tests.contains(&id.0))
        });
        expected.extend(told.map(|event| format!("n-{}", event.position.0)));
    }
    assert!(kept.iter().all(|kept| !kept.contradicted), "a notice was told twice with different words");
    let told: BTreeSet<String> = kept.iter().map(|kept| kept.notice.notice_id.clone()).collect();
    assert_eq!(told, expected);
}
