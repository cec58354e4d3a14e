//! A town: an installation, the back office, the push service, and what its people were promised.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use sandbox::fcm::PushService;
use sandbox::kind::Kind;
use sandbox::relying_party::{OcspWish, Status, ask_ocsp};

use crate::ledger::{Issued, Ledger};
use crate::log::LogWatch;
use crate::support::{Installation, Store};

/// What the RA is called in everything that is signed.
pub(crate) const AUDIENCE: &str = "ra.test";

/// What is done regularly is done all the time here, so that it is killed, too.
const SETTINGS: &[(&str, &str)] = &[
    ("ra.limits.listener.requests_per_second", "0"),
    ("operators.limits.listener.requests_per_second", "0"),
    // Short, so that many are told to ask again.
    ("ra.limits.decision_wait_ms", "1500"),
    ("operators.limits.decision_wait_ms", "1500"),
    ("ca.feed_seconds", "1"),
    ("ca.card_crl_seconds", "20"),
    ("ca.schedules.expire", "*/7 * * * * *"),
    ("ca.schedules.hold_deadlines", "*/7 * * * * *"),
    ("ca.schedules.second_looks", "*/5 * * * * *"),
    ("ca.schedules.compare", "*/11 * * * * *"),
    ("ca.schedules.retry_notices", "*/3 * * * * *"),
    ("ca.schedules.retry_commands", "*/3 * * * * *"),
    ("ca.second_look.after_days", "0"),
    ("ca.notices.backoff.first_seconds", "1"),
    ("ca.notices.backoff.longest_seconds", "4"),
    ("ca.device_commands.backoff.first_seconds", "4"),
];

pub(crate) struct Town {
    pub(crate) store: Store,
    pub(crate) installation: Installation,
    pub(crate) push: PushService,
    pub(crate) ledger: Ledger,
    pub(crate) log: LogWatch,
    /// Set when everybody is to finish what they do, and leave off.
    pub(crate) stop: AtomicBool,
    /// Set where a defect was found: whoever waits for anything need not wait any more.
    pub(crate) lost: AtomicBool,
    authorities: OnceLock<[Vec<u8>; 2]>,
}

impl Town {
    /// An installation; nothing serves yet.
    pub(crate) fn found(store: Store) -> Self {
        let mut installation = Installation::prepare(store);
        let push = installation.push_service();
        SETTINGS.iter().for_each(|(key, value)| installation.set(key, value));
        let log = LogWatch::over(&mut installation);
        let (stop, lost) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { store, installation, push, ledger: Ledger::default(), log, stop, lost, authorities: OnceLock::new() }
    }

    /// Waits until the processes serve, and has the back office push to them.
    pub(crate) fn open(&self) {
        self.installation.await_beacon();
        crate::support::until("the status service answers", || {
            let answer = sandbox::http::HttpClient::new(&Default::default()).unwrap();
            answer.get(&format!("http://{}/ca/signature-1.cer", self.installation.status), &[]).ok().filter(|found| found.status == 200)
        });
        self.authorities.set(Kind::ALL.map(|kind| self.installation.ca(kind))).unwrap();
        self.installation.back_office.set_push(Some(&self.installation.push_target())).unwrap();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Ends whoever asks, if somebody has found a defect.
    pub(crate) fn go_on(&self) {
        assert!(!self.lost.load(Ordering::Relaxed), "somebody else found a defect");
    }

    /// What OCSP says of a certificate, if it answers.
    pub(crate) fn status(&self, issued: &Issued) -> Option<Status> {
        let authority = &self.authority(issued.kind);
        ask_ocsp(&issued.der, authority, &OcspWish::default()).ok().map(|answer| answer.status)
    }

    pub(crate) fn authority(&self, kind: Kind) -> &[u8] {
        &self.authorities.get().expect("the town is open")[usize::from(kind == Kind::Authentication)]
    }

    /// Asks for the status of whatever was issued, all the time: it goes on, and never back.
    pub(crate) fn watch_the_status(&self) {
        let mut seen: BTreeMap<(Kind, String), u8> = BTreeMap::new();
        while !self.is_closing() {
            sleep(Duration::from_millis(20));
            let Some(issued) = self.ledger.any_certificate() else { continue };
            let Some(status) = self.status(&issued) else { continue };
            let now = how_far(&status);
            assert!(now > 0, "{} {} was handed out, and OCSP does not know it", issued.kind, issued.serial);
            let before = seen.insert((issued.kind, issued.serial.clone()), now).unwrap_or(0);
            assert!(now >= before, "{} {} was no longer good, and now is: {status}", issued.kind, issued.serial);
            self.ledger.count("OCSP answers");
        }
    }
}

/// How far a certificate's life has come.
fn how_far(status: &Status) -> u8 {
    match status {
        Status::Good => 1,
        revoked if revoked.is_on_hold() => 2,
        Status::Revoked { .. } => 3,
        Status::NeverIssued | Status::Unknown => 0,
    }
}
