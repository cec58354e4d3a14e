//! The product's rooms, put together in the test's own process and without its listeners: a real store, CA keys, the sandbox's
//! back office and card CA, an RA that accepts what passes its verification, and as many processes of the CA as a test wants.
#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod ca;
pub mod child;
pub mod desk;
mod never;
mod outfit;
mod ra;
mod sound;

pub use ca::{Ca, CaWish, StepsTaken};
pub use desk::{Operator, OperatorCa, Phone};
pub use outfit::{Outfit, ShiftedClock, card_status_client};
pub use ra::Ra;

use std::sync::Arc;

use ca_core::application::ApplicationId;
use ca_core::issuer::{CaKeyId, CaUrls, create_ca_certificate};
use ca_core::kind::CertificateKind;
use chrono::Utc;
use policies::Policies;
use sandbox::back_office::{BackOffice, BackOfficeSettings, NewCard, RevocationRequest};
use sandbox::card::Card;
use sandbox::keys::{Key, KeyAlgorithm};
use sandbox::kind::Kind;
use sandbox::phone::{Application, ApplyWish, Pkcs10, Replaces, StatedRequest, Statement, build_application, pkcs10};
use sandbox::reason::Reason;
use schema::application::ApplicationState;
use schema::authority::NewCaKey;
use schema::certificate::{CertificateFilter, CertificateState, CertificateSummary};
use schema::testing::TestDatabase;
use schema::{Event, EventPosition, Reader};
use tempfile::TempDir;

use outfit::HookedKey;

/// What the RA is called in statements.
pub const RA_NAME: &str = "ra.test";

/// A house with everything in it but processes of the CA: those are asked for with [`Rooms::ca`] or [`child::kill`].
pub struct Rooms<'s> {
    pub store: &'s TestDatabase,
    pub reader: Reader,
    pub back_office: Arc<BackOffice>,
    pub ra: Ra,
    pub outfit: Outfit,
    pub operators: OperatorCa,
    _directory: TempDir,
}

impl<'s> Rooms<'s> {
    /// Makes CA keys and a back office, and draws the first beacon.
    pub fn furnish(store: &'s TestDatabase) -> Self {
        Self::furnish_beside(store, Arc::new(BackOffice::start(&BackOfficeSettings::default()).unwrap()))
    }

    /// The same, with a back office that is there already: to make its keys takes a second or two.
    pub fn furnish_beside(store: &'s TestDatabase, back_office: Arc<BackOffice>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for kind in CertificateKind::ALL {
            make_ca_key(store, kind, &directory);
        }
        make_command_key(&directory);
        let operators = OperatorCa::new();
        let outfit = Outfit::new(store, &back_office, directory.path(), &operators.pem);
        let ra = outfit.ra();
        let rooms = Self { store, reader: store.reader(), back_office, ra, outfit, operators, _directory: directory };
        rooms.ca("furnisher").leading().stand_down();
        rooms
    }

    /// A process of the CA, in this process; it does not lead yet.
    pub fn ca(&self, name: &str) -> Ca {
        self.outfit.ca(CaWish::named(name))
    }

    /// A process of the CA whose clock is ahead by more than a lead lasts: every lead but its own has run out.
    pub fn successor(&self) -> Ca {
        self.outfit.ca(CaWish { ahead_seconds: 20, ..CaWish::named("successor") }).leading()
    }

    /// A card of a new holder, with keys that others have, too: to make new ones takes its time.
    pub fn card(&self) -> Card {
        self.card_with(NewCard::default())
    }

    /// One more card of a card's holder.
    pub fn card_of_same_holder(&self, card: &Card) -> Card {
        self.card_with(NewCard { holder_id: card.holder_id.clone(), ..NewCard::default() })
    }

    pub fn card_with(&self, wish: NewCard) -> Card {
        Card::from_file(&self.back_office.new_card(&NewCard { pooled_keys: true, ..wish }).unwrap()).unwrap()
    }

    /// What a card signs for a new phone, for both kinds.
    pub fn application(&self, card: &Card, replaces: Replaces) -> Application {
        self.application_for(card, replaces, &Kind::ALL)
    }

    pub fn application_for(&self, card: &Card, replaces: Replaces, kinds: &[Kind]) -> Application {
        let wish = ApplyWish { replaces, kinds: kinds.to_vec(), ..ApplyWish::new(RA_NAME) };
        build_application(card, &wish, &self.ra.challenge().to_base64()).unwrap()
    }

    /// What a card signs for these keys with this challenge.
    pub fn application_with(&self, card: &Card, challenge: &str, keys: &[(Kind, &Key)]) -> Vec<u8> {
        use base64::Engine as _;
        let request = |(kind, key): &(Kind, &Key)| {
            let der = pkcs10(&Pkcs10::new(key, challenge)).unwrap();
            StatedRequest { kind: *kind, pkcs10: base64::engine::general_purpose::STANDARD.encode(der) }
        };
        let statement = Statement {
            statement_type: "tsunagi.application.v1".to_owned(),
            audience: RA_NAME.to_owned(),
            challenge: challenge.to_owned(),
            device: sandbox::phone::Device::default(),
            replaces: Replaces::Any,
            requests: keys.iter().map(request).collect(),
        };
        let message = sandbox::card::SignedMessage::new(statement.to_json());
        sandbox::card::sign(&message, &[(&card.signature, &card.signature)]).unwrap()
    }

    /// Applies for both kinds, ending whatever there is; the CA has yet to decide.
    pub fn apply(&self, card: &Card) -> (ApplicationId, Vec<u8>) {
        let application = self.application(card, Replaces::Any);
        (self.ra.accept(&application.cms), application.cms)
    }

    /// The back office ends a card's certificates of these kinds.
    pub fn revoke_card(&self, card: &Card, kinds: &[Kind]) -> Vec<sandbox::back_office::CardEvent> {
        let request = RevocationRequest { kinds: kinds.to_vec(), reason: Reason::AffiliationChanged, at: None };
        self.back_office.revoke(card.card_id.as_ref().unwrap(), &request).unwrap()
    }

    /// What became of an application.
    pub fn state(&self, application: ApplicationId) -> ApplicationState {
        self.reader.application(application).unwrap().expect("the application is there").state
    }

    /// The code with which the CA refused an application; panics if it did not.
    #[track_caller]
    pub fn refusal(&self, application: ApplicationId) -> String {
        match self.state(application) {
            ApplicationState::Refused { code, .. } => code,
            other => panic!("the application was not refused: {other:?}"),
        }
    }

    pub fn is_issued(&self, application: ApplicationId) -> bool {
        matches!(self.state(application), ApplicationState::Issued { .. })
    }

    /// All certificates of a card's holder, oldest first.
    pub fn certificates(&self, card: &Card) -> Vec<CertificateSummary> {
        let filter = CertificateFilter { holder_id: card.holder_id.clone(), ..CertificateFilter::default() };
        self.reader.list_certificates(&filter, None, 1_000).unwrap()
    }

    /// Those of them that are live.
    pub fn live(&self, card: &Card) -> Vec<CertificateSummary> {
        let mut certificates = self.certificates(card);
        certificates.retain(|certificate| certificate.state == CertificateState::Live);
        certificates
    }

    /// The kinds of the holder's live certificates, signature first.
    pub fn live_kinds(&self, card: &Card) -> Vec<CertificateKind> {
        let mut kinds: Vec<_> = self.live(card).iter().map(|certificate| certificate.kind).collect();
        kinds.sort_unstable();
        kinds
    }

    /// Events after a position.
    pub fn events_after(&self, position: EventPosition) -> Vec<Event> {
        self.reader.events_after(position, 10_000).unwrap()
    }
}

fn make_command_key(directory: &TempDir) {
    std::fs::write(outfit::command_key_file(directory.path()), Key::generate(KeyAlgorithm::P256).unwrap().pkcs8()).unwrap();
}

fn make_ca_key(store: &TestDatabase, kind: CertificateKind, directory: &TempDir) {
    let now = Utc::now();
    let key = Key::generate(KeyAlgorithm::P256).unwrap();
    std::fs::write(outfit::key_file(directory.path(), kind), key.pkcs8()).unwrap();
    let signer = HookedKey::new(key, None);
    let certificate = create_ca_certificate(&Policies::shipped().unwrap(), kind, &signer, now).unwrap();
    let url = |what: &str| format!("http://status.example/{what}/{kind}-1");
    let urls = CaUrls { crl: url("crl"), ocsp: url("ocsp"), certificate: url("ca") };
    let new = NewCaKey { kind, generation: 1, certificate, urls };
    store.writer().write(move |tx| tx.add_ca_key(&new, now)).unwrap();
}
