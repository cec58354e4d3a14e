//! What the model and the races stand on: a feed that says what the test wants and when, proofs of any moment, a clock that stands.

use std::sync::{Arc, Mutex};

use back_office::{
    BackOffice, BackOfficeFault, CardChange, CardEvent, CardEventPage, CardHolder, CardName, CardReference, EventSubject, FeedItem,
    HttpBackOffice, Notice, RegisterState,
};
use ca_core::application::ApplicationId;
use ca_core::application::verified::{AuthenticationEvidence, Evidence, StatusEvidence};
use ca_service::LifeSettings;
use chrono::{DateTime, TimeDelta, Utc};
use policies::LifecyclePolicy;
use sandbox::back_office::{CardEventType, EventScope};
use sandbox::card::{Card, CardSide};
use sandbox::card_status::{CardStatus, CertIdHash, answer, cert_id};
use sandbox::kind::Kind;
use sandbox::reason::Reason;
use schema::certificate::CertificateSummary;
use schema::channel::Channel;

use crate::rooms::{Ca, CaWish, Rooms};

/// The sandbox's back office, but for its feed, which is the test's: any event, at any time, as often as it likes.
pub(crate) struct Office {
    real: HttpBackOffice,
    feed: Mutex<Feed>,
}

#[derive(Default)]
struct Feed {
    items: Vec<FeedItem>,
    /// So many pages are still given before the connection breaks.
    breaks_after: Option<usize>,
}

/// Entries of a page of the feed.
pub(crate) const FEED_PAGE: usize = 3;

impl Office {
    pub(crate) fn new(rooms: &Rooms<'_>) -> Arc<Self> {
        Arc::new(Self { real: rooms.outfit.back_office(), feed: Mutex::default() })
    }

    pub(crate) fn tell(&self, item: FeedItem) {
        self.feed.lock().unwrap().items.push(item);
    }

    /// The next reading of the feed is broken off after so many pages.
    pub(crate) fn break_after(&self, pages: usize) {
        self.feed.lock().unwrap().breaks_after = Some(pages);
    }
}

impl BackOffice for Office {
    fn look_up(&self, cards: &[CardReference]) -> Result<Vec<Option<CardHolder>>, BackOfficeFault> {
        self.real.look_up(cards)
    }

    fn card_events(&self, after: &str, _: u32) -> Result<CardEventPage, BackOfficeFault> {
        let mut feed = self.feed.lock().unwrap();
        match feed.breaks_after.take() {
            Some(0) => return Err(BackOfficeFault::TimedOut),
            left => feed.breaks_after = left.map(|pages| pages - 1),
        }
        let start = after.parse().unwrap_or(0);
        let end = feed.items.len().min(start + FEED_PAGE);
        Ok(CardEventPage { items: feed.items[start..end].to_vec(), cursor: end.to_string(), more: end < feed.items.len() })
    }

    fn card_states(&self, cards: &[CardName]) -> Result<Vec<Option<RegisterState>>, BackOfficeFault> {
        self.real.card_states(cards)
    }

    fn notify(&self, notices: &[Notice]) -> Result<Vec<String>, BackOfficeFault> {
        Ok(notices.iter().map(|notice| notice.notice_id.clone()).collect())
    }

    fn clock(&self) -> Result<DateTime<Utc>, BackOfficeFault> {
        self.real.clock()
    }
}

/// Something that happened to a card certificate, as the feed tells it.
pub(crate) fn card_item(side: &CardSide, event_id: &str, (change, reason): (CardEventType, Option<Reason>), sequence: i64) -> FeedItem {
    let (issuer_key_id, serial) = crate::events::identity(side);
    let (issuer_key_id, serial) = (issuer_key_id.as_bytes().to_vec(), serial.as_bytes().to_vec());
    item(event_id, EventSubject::Card { issuer_key_id, serial, sequence }, change, reason)
}

/// Something that happened to all card certificates of a scope, as the feed tells it.
pub(crate) fn batch_item(scope: &EventScope, event_id: &str, reason: Option<Reason>) -> FeedItem {
    let octets = |hex: &String| hex::decode(hex).unwrap();
    let subject = EventSubject::Scope {
        issuer_key_id: octets(&scope.issuer_key_id),
        distribution_point_sha256: scope.distribution_point_sha256.as_ref().map(|point| octets(point).try_into().unwrap()),
    };
    item(event_id, subject, if reason.is_some() { CardEventType::Revoked } else { CardEventType::Held }, reason)
}

fn item(event_id: &str, subject: EventSubject, change: CardEventType, reason: Option<Reason>) -> FeedItem {
    let change = match change {
        CardEventType::Revoked => CardChange::Revoked { reason: reason.unwrap().as_str().to_owned() },
        CardEventType::Held => CardChange::Held,
        CardEventType::Released => CardChange::Released,
        CardEventType::Renewed => CardChange::Renewed,
        CardEventType::Expired => CardChange::Expired,
        CardEventType::RecordChanged => CardChange::RecordChanged,
        CardEventType::Died => CardChange::Died,
        CardEventType::Emigrated => CardChange::Emigrated,
        CardEventType::RecordError => CardChange::RecordError,
    };
    FeedItem::Event(CardEvent { event_id: event_id.to_owned(), subject, change, at: Utc::now() })
}

/// The same event as the RA puts it into the inbox.
pub(crate) fn push(rooms: &Rooms<'_>, side: &CardSide, event_id: &str, (change, reason): (CardEventType, Option<Reason>), sequence: i64) {
    let (issuer_key_id, serial) = crate::events::identity(side);
    let kind = change.as_str().parse::<schema::card_event::CardChangeKind>().unwrap();
    let reason = reason.map(|reason| reason.as_str().parse().unwrap());
    let change = schema::card_event::CardChange::new(kind, reason, Utc::now()).unwrap();
    let source = schema::card_event::CardEventSource::Push;
    let event = schema::card_event::CardEvent { event_id: event_id.to_owned(), issuer_key_id, serial, sequence, change, source };
    crate::events::push(rooms, &event);
}

/// An application for these kinds that the RA has stored, with proofs of `at` that the card stands, whatever is true: it asked just
/// before. The phone's keys come with it.
pub(crate) fn apply(
    rooms: &Rooms<'_>,
    card: &Card,
    kinds: &[Kind],
    replaces: sandbox::phone::Replaces,
    at: DateTime<Utc>,
) -> (ApplicationId, Vec<(Kind, sandbox::keys::Key)>) {
    let application = rooms.application_for(card, replaces, kinds);
    let authentication = kinds.contains(&Kind::Authentication).then(|| {
        let side = card.authentication.as_ref().unwrap();
        AuthenticationEvidence { certificate: side.certificate.clone(), status: good(rooms, side, Kind::Authentication, at) }
    });
    let signature_status = good(rooms, &card.signature, Kind::Signature, at);
    let evidence = Evidence { signature_status, holder_id: card.holder_id.clone().unwrap(), authentication };
    (crate::broken_ra::smuggle(rooms, &application.cms, &evidence), application.keys)
}

/// The card CA's word of a moment that a card certificate is not revoked.
fn good(rooms: &Rooms<'_>, side: &CardSide, kind: Kind, at: DateTime<Utc>) -> StatusEvidence {
    let (issuer_key_id, serial) = crate::events::identity(side);
    let authorities = (1..=8).filter_map(|generation| rooms.back_office.card_ca(kind, generation));
    let ca = authorities.into_iter().find(|ca| ca.key_identifier() == issuer_key_id.as_bytes()).unwrap();
    let id = cert_id(CertIdHash::Sha256, ca.name(), ca.key().public_key(), serial.as_bytes());
    StatusEvidence::Ocsp(answer(ca, &[(id, CardStatus::Good)], None, at, TimeDelta::hours(1)).unwrap())
}

/// A process of the CA that leads at `at`, on a clock that stands. Whoever led is cut short.
pub(crate) fn leader(rooms: &Rooms<'_>, office: &Arc<Office>, policy: &LifecyclePolicy, at: DateTime<Utc>, wish: CaWish) -> Ca {
    rooms.store.execute("UPDATE lease SET expires_at = 0").unwrap();
    fellow(rooms, office, policy, at, wish)
}

/// A process that goes by the same name as the leader, and so leads with it: two that write at the same time.
pub(crate) fn fellow(rooms: &Rooms<'_>, office: &Arc<Office>, policy: &LifecyclePolicy, at: DateTime<Utc>, wish: CaWish) -> Ca {
    let mut life = LifeSettings::default();
    life.evidence.feed_seconds = 2_592_000;
    life.evidence.card_crl_seconds = 2_592_000;
    life.evidence.comparison_seconds = 7_776_000;
    let back_office = Some(Arc::clone(office) as Arc<dyn BackOffice>);
    let ca = rooms.outfit.ca(CaWish { batch: 1, back_office, lifecycle: Arc::new(policy.clone()), life, ..wish });
    ca.clock.stop_at(at);
    let ca = ca.leading();
    let heard = ca.database.writer().write(move |tx| Channel::ALL.into_iter().try_for_each(|channel| tx.touch_channel(channel, at)));
    let _: () = heard.map_err(|fault: schema::StoreFault| fault).unwrap();
    ca
}

/// The certificates that an application was issued on, signature first.
pub(crate) fn issued(rooms: &Rooms<'_>, card: &Card, application: ApplicationId) -> Vec<CertificateSummary> {
    let mut certificates = rooms.certificates(card);
    certificates.retain(|certificate| {
        rooms.reader.certificate_detail(Some(certificate.kind), &certificate.serial).unwrap().unwrap().application == application
    });
    certificates.sort_unstable_by_key(|certificate| certificate.kind);
    certificates
}
