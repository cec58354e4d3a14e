//! Applications, sent to a running installation: what is wrong is refused with a code of its own and changes nothing, what is
//! right is issued on once, and there is never more than one live certificate of a kind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod card_evidence;
mod replacing;
mod wrong_messages;

#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sandbox::card::{Card, CardSide, SignedMessage, sign};
use sandbox::http::HttpClient;
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::kind::Kind;
use sandbox::phone::{Device, Pkcs10, RaClient, Replaces, StatedRequest, Statement, pkcs10};
use schema::{EventKind, EventPosition, Reader};
use support::{Installation, Store, expect_problem};

/// An installation, a card that is in order, and who looks on.
struct Scene {
    installation: Installation,
    reader: Reader,
    phone: RaClient,
    http: HttpClient,
    card: Card,
}

/// Who decides on an application that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusing {
    /// The RA: nothing of it is kept.
    Ra,
    /// The CA: it was accepted, and its refusal is kept.
    Ca,
}

impl Scene {
    fn set(store: Store) -> Self {
        let mut installation = Installation::prepare(store);
        // Every event after the first is then an application's doing.
        installation.set("ca.test_certificates.enabled", "false");
        installation.serve();
        let (reader, phone, http, card) = (installation.reader(), installation.phone(), installation.stranger(), installation.card());
        Self { installation, reader, phone, http, card }
    }

    fn challenge(&self) -> String {
        self.phone.challenge().unwrap().challenge
    }

    /// What `card` signs when it applies with these keys.
    fn application(&self, card: &Card, challenge: &str, replaces: Replaces, keys: &[(Kind, &Key)]) -> Vec<u8> {
        let requests = keys.iter().map(|(kind, key)| (*kind, pkcs10(&Pkcs10::new(key, challenge)).unwrap()));
        self.application_of(&card.signature, challenge, replaces, requests)
    }

    /// What `side` of a card signs when it applies with these certification requests.
    fn application_of(
        &self,
        side: &CardSide,
        challenge: &str,
        replaces: Replaces,
        requests: impl IntoIterator<Item = (Kind, Vec<u8>)>,
    ) -> Vec<u8> {
        let requests = requests.into_iter().map(|(kind, der)| StatedRequest { kind, pkcs10: STANDARD.encode(der) });
        let statement = Statement {
            statement_type: "tsunagi.application.v1".to_owned(),
            audience: self.installation.wish().audience,
            challenge: challenge.to_owned(),
            device: Device::default(),
            replaces,
            requests: requests.collect(),
        };
        sign(&SignedMessage::new(statement.to_json()), &[(side, side)]).unwrap()
    }

    /// An application in order, but for what `side` is.
    fn ordinary_application_of(&self, side: &CardSide) -> Vec<u8> {
        let (challenge, keys) = (self.challenge(), [phone_key(), phone_key()]);
        let requests = Kind::ALL.into_iter().zip(&keys).map(|(kind, key)| (kind, pkcs10(&Pkcs10::new(key, &challenge)).unwrap()));
        self.application_of(side, &challenge, Replaces::Any, requests)
    }

    /// Sends it, twice: it is refused with this code both times, and nothing changes.
    fn refused(&self, about: &str, code: &str, refusing: Refusing, octets: &[u8]) {
        self.refused_as(about, code, refusing, "application/cms", octets);
    }

    fn refused_as(&self, about: &str, code: &str, refusing: Refusing, content_type: &str, octets: &[u8]) {
        let before = self.reader.position().unwrap();
        let url = format!("https://{}/v1/applications", self.installation.ra);
        let first = self.http.post(&url, &[], content_type, octets).unwrap();
        let document = expect_problem(about, &first, code);
        let second = self.http.post(&url, &[], content_type, octets).unwrap();
        let again = expect_problem(&format!("{about}, again"), &second, code);
        assert_eq!(document["detail"], again["detail"], "{about}: the same application was told something else");
        assert_ne!(document["correlation_id"], again["correlation_id"], "{about}");
        self.nothing_changed(about, refusing, before);
    }

    /// No event but those of refusals: every change of state leaves one.
    fn nothing_changed(&self, about: &str, refusing: Refusing, since: EventPosition) {
        for event in self.reader.events_after(since, 1_000).unwrap() {
            let harmless = match event.kind {
                EventKind::ApplicationRejected | EventKind::CrlPublished => true,
                // What happens to cards is not the application's doing.
                EventKind::CardEventReceived | EventKind::CardRevoked => true,
                // Nor what phones are told of that happened before.
                EventKind::DeviceCommandCreated | EventKind::DeviceCommandSent => true,
                // Nor what the CA role tells of itself.
                EventKind::LogBegan | EventKind::SettingsChanged | EventKind::ClockChecked => true,
                EventKind::ApplicationAccepted | EventKind::ApplicationRefused => refusing == Refusing::Ca,
                _ => false,
            };
            assert!(harmless, "{about}: there is an event {}", event.kind.as_str());
        }
        assert!(self.reader.accepted_applications(10).unwrap().is_empty(), "{about}: an application waits");
    }
}

/// A key such as phones make.
fn phone_key() -> Key {
    Key::generate(KeyAlgorithm::P256).unwrap()
}

/// The half of a card that has this certificate and a copy of this key.
fn side(certificate: &[u8], key: &Key) -> CardSide {
    CardSide { certificate: certificate.to_vec(), key: Arc::new(Key::from_pkcs8(key.pkcs8().to_vec()).unwrap()) }
}

support::on_each_database! {
    fn every_wrong_application_has_its_own_refusal_and_changes_nothing(store) {
        let scene = Scene::set(store);
        let before = scene.installation.certificates();
        wrong_messages::are_refused(&scene);
        assert_eq!(scene.installation.certificates(), before);
        // And the same card still gets its certificates.
        scene.installation.apply(&scene.card);
        assert_eq!(scene.installation.certificates().len(), before.len() + 2);
    }

    fn the_status_of_the_card_decides_and_must_be_proved(store) {
        let mut scene = Scene::set(store);
        let before = scene.installation.certificates();
        card_evidence::must_be_good(&mut scene);
        assert_eq!(scene.installation.certificates(), before);
        card_evidence::may_come_from_a_crl(&scene);
        card_evidence::is_needed(&mut scene);
    }

    fn a_holder_has_one_live_certificate_of_each_kind_whatever_is_applied_for(store) {
        let scene = Scene::set(store);
        replacing::is_atomic_and_asked_for(&scene);
        replacing::never_reuses_anything(&scene);
        replacing::works_with_every_sort_of_key_and_card(&scene);
    }
}
