//! The administrator's orders: what becomes of cards, and what the product is told of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{back_office, card, pooled};
use sandbox::back_office::{
    BackOffice, BackOfficeSettings, BatchOrder, CardChanged, CardEvent, CardEventType, CardOrder, CardReference, FeedEvent, OrderDetail,
    RevocationRequest, StateQuestion,
};
use sandbox::card::{Card, CardSide};
use sandbox::http::{HttpClient, HttpSettings};
use sandbox::keys::sha256;
use sandbox::kind::Kind;
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspWish, Status, ask_ocsp};

fn order(office: &BackOffice, card: &Card, order: CardOrder, detail: OrderDetail) -> CardChanged {
    office.order(card.card_id.as_ref().unwrap(), order, &OrderDetail { pooled_keys: true, ..detail }).unwrap()
}

fn plainly(office: &BackOffice, card: &Card, what: CardOrder) -> Vec<CardEvent> {
    order(office, card, what, OrderDetail::default()).events
}

fn types(events: &[CardEvent]) -> Vec<&str> {
    events.iter().map(|event| event.event_type.as_str()).collect()
}

fn ca(office: &BackOffice, kind: Kind) -> Vec<u8> {
    office.card_ca(kind, 1).unwrap().certificate().to_vec()
}

fn side(card: &Card, kind: Kind) -> &CardSide {
    card.sides().find(|(own, _)| *own == kind).unwrap().1
}

fn status(office: &BackOffice, card: &Card, kind: Kind) -> Status {
    ask_ocsp(&side(card, kind).certificate, &ca(office, kind), &OcspWish::default()).unwrap().status
}

fn reason(office: &BackOffice, card: &Card, kind: Kind) -> Option<Reason> {
    match status(office, card, kind) {
        Status::Good => None,
        Status::Revoked { reason, .. } => Some(reason),
        Status::NeverIssued | Status::Unknown => panic!("unknown"),
    }
}

fn crl_reason(office: &BackOffice, card: &Card, kind: Kind) -> Option<Reason> {
    let point = office.scope(card.card_id.as_ref().unwrap(), kind).unwrap().distribution_point_sha256.unwrap();
    let url = office.crl_url_template(kind).replace("{distribution_point}", &point);
    let crl = HttpClient::new(&HttpSettings::default()).unwrap().get(&url, &[]).unwrap().body;
    let text = revoked_in(&crl, side(card, kind));
    verify_crl_signature(office, kind, &crl);
    text
}

/// The entry of a certificate, read by the x509-cert crate.
fn revoked_in(crl: &[u8], side: &CardSide) -> Option<Reason> {
    use der::Decode as _;
    let list = x509_cert::crl::CertificateList::from_der(crl).unwrap();
    let serial = side.decoded().unwrap().tbs_certificate().serial_number().clone();
    let entries = list.tbs_cert_list.revoked_certificates.unwrap_or_default();
    let entry = entries.iter().find(|entry| entry.serial_number == serial)?;
    let code = entry.crl_entry_extensions.iter().flatten().find(|extension| extension.extn_id == sandbox::oids::REASON_CODE);
    Some(code.map_or(Reason::Unspecified, |code| Reason::from_code(code.extn_value.as_bytes()[2]).unwrap()))
}

fn verify_crl_signature(office: &BackOffice, kind: Kind, crl: &[u8]) {
    let ca = side_key(&ca(office, kind));
    sandbox::signed::verify(&sandbox::signed::split(crl).unwrap(), &ca).unwrap();
}

fn side_key(certificate: &[u8]) -> spki::SubjectPublicKeyInfoOwned {
    use der::Decode as _;
    x509_cert::Certificate::from_der(certificate).unwrap().tbs_certificate().subject_public_key_info().clone()
}

fn question(event: &CardEvent) -> StateQuestion {
    StateQuestion { issuer_key_id: event.issuer_key_id.clone(), serial: event.serial.clone() }
}

#[test]
fn a_hold_shows_everywhere_and_is_gone_after_its_release() {
    let office = back_office(1);
    let card = card(&office);
    let held = plainly(&office, &card, CardOrder::Hold);
    assert_eq!(types(&held), ["held", "held"]);
    assert!(held.iter().all(|event| event.reason.is_none() && event.sequence == 1));
    assert!(plainly(&office, &card, CardOrder::Hold).is_empty(), "it is on hold");
    for kind in Kind::ALL {
        assert_eq!(reason(&office, &card, kind), Some(Reason::CertificateHold));
        assert_eq!(crl_reason(&office, &card, kind), Some(Reason::CertificateHold));
    }
    let states = office.client().unwrap().states(&[question(&held[0])]).unwrap();
    assert_eq!((states[0].state.as_deref(), states[0].since), (Some("held"), Some(held[0].occurred_at)));
    let only = OrderDetail { kinds: Some(vec![Kind::Signature]), ..OrderDetail::default() };
    assert_eq!(types(&order(&office, &card, CardOrder::Release, only).events), ["released"]);
    assert_eq!((reason(&office, &card, Kind::Signature), crl_reason(&office, &card, Kind::Signature)), (None, None));
    assert_eq!(reason(&office, &card, Kind::Authentication), Some(Reason::CertificateHold));
}

#[test]
fn a_hold_made_permanent_keeps_its_date() {
    let office = back_office(1);
    let card = card(&office);
    let at = chrono::Utc::now() - chrono::Duration::hours(1);
    order(&office, &card, CardOrder::Hold, OrderDetail { at: Some(at), ..OrderDetail::default() });
    let request = RevocationRequest { kinds: Kind::ALL.to_vec(), reason: Reason::KeyCompromise, at: None };
    assert_eq!(office.revoke(card.card_id.as_ref().unwrap(), &request).unwrap().len(), 2);
    let Status::Revoked { at: since, reason } = status(&office, &card, Kind::Signature) else { panic!() };
    assert_eq!((since.timestamp(), reason), (at.timestamp(), Reason::KeyCompromise));
    assert!(plainly(&office, &card, CardOrder::Release).is_empty(), "what has ended is not released");
}

#[test]
fn orders_end_what_they_say() {
    let office = back_office(1);
    let expected = [
        (CardOrder::Expire, "expired", [None, None]),
        (CardOrder::RecordChange, "record_changed", [Some(Reason::AffiliationChanged), None]),
        (CardOrder::Death, "died", [Some(Reason::CessationOfOperation); 2]),
        (CardOrder::Emigration, "emigrated", [Some(Reason::CessationOfOperation); 2]),
        (CardOrder::RecordError, "record_error", [Some(Reason::Unspecified); 2]),
        (CardOrder::Renew, "renewed", [Some(Reason::Superseded); 2]),
        (CardOrder::Transfer, "revoked", [Some(Reason::Superseded); 2]),
    ];
    for (what, event_type, reasons) in expected {
        let card = card(&office);
        let events = plainly(&office, &card, what);
        assert_eq!(types(&events), [event_type, event_type], "{what}");
        assert!(events.iter().all(|event| event.reason.is_some() == (event_type == "revoked")), "{what}");
        assert_eq!(Kind::ALL.map(|kind| reason(&office, &card, kind)), reasons, "{what}");
    }
    let told = office.client().unwrap().card_events("", 100).unwrap();
    assert_eq!(told.events, office.events());
}

#[test]
fn a_renewed_card_has_new_certificates_and_keeps_its_holder() {
    let office = back_office(1);
    let client = office.client().unwrap();
    let old = card(&office);
    for what in [CardOrder::Renew, CardOrder::Transfer] {
        let file = order(&office, &old, what, OrderDetail::default()).card.unwrap();
        let new = old.renewed(&file).unwrap();
        assert_eq!(new.holder_id, old.holder_id);
        assert_eq!(new.card_id == old.card_id, what == CardOrder::Renew);
        for kind in Kind::ALL {
            assert_ne!(side(&new, kind).certificate, side(&old, kind).certificate);
            assert_eq!(reason(&office, &new, kind), None);
        }
        let found = client.look_up(&[reference(&new.signature)]).unwrap().remove(0);
        use base64::Engine as _;
        let authentication = base64::engine::general_purpose::STANDARD.encode(&side(&new, Kind::Authentication).certificate);
        assert_eq!((found.holder_id, found.authentication_certificate), (old.holder_id.clone(), Some(Some(authentication))));
    }
}

#[test]
fn who_moves_house_gets_a_new_signature_certificate_with_the_new_address() {
    let office = back_office(1);
    let old = card(&office);
    let detail = OrderDetail { address: Some("架空県新居町1番".to_owned()), new_signature: true, ..OrderDetail::default() };
    let changed = order(&office, &old, CardOrder::RecordChange, detail);
    let new = old.renewed(&changed.card.unwrap()).unwrap();
    assert_eq!(reason(&office, &old, Kind::Signature), Some(Reason::AffiliationChanged));
    assert_eq!(reason(&office, &new, Kind::Signature), None);
    assert_eq!(side(&new, Kind::Authentication).certificate, side(&old, Kind::Authentication).certificate);
    assert!(String::from_utf8_lossy(&new.signature.certificate).contains("架空県新居町1番"));
    let found = office.client().unwrap().look_up(&[reference(&new.signature)]).unwrap().remove(0);
    assert_eq!(found.holder_id, old.holder_id);
}

#[test]
fn a_batch_changes_every_card_in_its_scope_and_is_one_event() {
    let office = back_office(1);
    let client = office.client().unwrap();
    let wish =
        |city: &str| sandbox::back_office::NewCard { prefecture: Some("Tokyo-to".to_owned()), city: Some(city.to_owned()), ..pooled() };
    let made = |city: &str| Card::from_file(&office.new_card(&wish(city)).unwrap()).unwrap();
    let (first, second, elsewhere) = (made("Mitaka-shi"), made("Mitaka-shi"), made("Chiyoda-ku"));
    let scope = office.scope(first.card_id.as_ref().unwrap(), Kind::Signature).unwrap();
    assert_eq!(first.signature.scope().unwrap(), scope);
    let hold = BatchOrder { scope: scope.clone(), event_type: CardEventType::Held, reason: None, at: None };
    assert_eq!(client.order_batch(&hold).unwrap().certificates, 2);
    for (card, expected) in [(&first, Some(Reason::CertificateHold)), (&second, Some(Reason::CertificateHold)), (&elsewhere, None)] {
        assert_eq!(reason(&office, card, Kind::Signature), expected);
        assert_eq!(reason(&office, card, Kind::Authentication), None);
    }
    let whole_key = sandbox::back_office::EventScope { distribution_point_sha256: None, ..scope };
    let end = BatchOrder { scope: whole_key, event_type: CardEventType::Revoked, reason: Some(Reason::CaCompromise), at: None };
    assert_eq!(client.order_batch(&end).unwrap().certificates, 3);
    assert_eq!(reason(&office, &elsewhere, Kind::Signature), Some(Reason::CaCompromise));
    let page = client.card_events("", 10).unwrap();
    assert_eq!(page.events.len(), 2);
    let FeedEvent::Batch(batch) = &page.events[1] else { panic!("not a batch") };
    assert_eq!(
        (batch.event_type.as_str(), batch.reason, &batch.scope.distribution_point_sha256),
        ("revoked", Some(Reason::CaCompromise), &None)
    );
    assert!(office.events().is_empty(), "no card has an event of its own");
    assert!(client.order_batch(&BatchOrder { reason: None, ..end }).is_err());
}

#[test]
fn states_tell_what_feed_and_push_did_not() {
    let office = back_office(1);
    let client = office.client().unwrap();
    client.set_faults(sandbox::back_office::Faults { drop_from_both: 2, ..Default::default() }).unwrap();
    let card = card(&office);
    let events = plainly(&office, &card, CardOrder::Death);
    assert!(client.card_events("", 10).unwrap().events.is_empty());
    let mut asked: Vec<_> = events.iter().map(question).collect();
    asked.push(StateQuestion { issuer_key_id: "00".repeat(20), serial: "01".to_owned() });
    let states = client.states(&asked).unwrap();
    assert_eq!(
        (states[0].state.as_deref(), states[0].reason, states[0].sequence),
        (Some("revoked"), Some(Reason::CessationOfOperation), 1)
    );
    assert!(!states[2].known);
    assert_eq!(crl_reason(&office, &card, Kind::Signature), Some(Reason::CessationOfOperation));
    assert_eq!(office.faults(), sandbox::back_office::Faults::default(), "used up");
}

#[test]
fn an_order_that_makes_no_sense_is_refused() {
    let office = back_office(1);
    let card = card(&office);
    let id = card.card_id.as_ref().unwrap();
    let wrong = [
        (CardOrder::Death, OrderDetail { kinds: Some(vec![Kind::Signature]), ..OrderDetail::default() }),
        (CardOrder::Hold, OrderDetail { address: Some("x".to_owned()), ..OrderDetail::default() }),
        (CardOrder::Renew, OrderDetail { reason: Some(Reason::KeyCompromise), ..OrderDetail::default() }),
        (CardOrder::Transfer, OrderDetail { reason: Some(Reason::CertificateHold), ..OrderDetail::default() }),
    ];
    for (what, detail) in wrong {
        assert!(office.order(id, what, &detail).is_err(), "{what}");
        assert!(office.client().unwrap().order(id, what, &detail).is_err(), "{what}");
    }
    assert!(office.order("card-0", CardOrder::Hold, &OrderDetail::default()).is_err());
    assert!(office.events().is_empty());
}

#[test]
fn a_restarted_back_office_remembers_holds_and_people() {
    let directory = tempfile::tempdir().unwrap();
    // The address of the status service stands in the certificates: here it is not asked.
    let settings = BackOfficeSettings { directory: Some(directory.path().to_owned()), ..BackOfficeSettings::default() };
    let office = BackOffice::start(&settings).unwrap();
    let card = card(&office);
    let held = plainly(&office, &card, CardOrder::Hold);
    office.stop();
    let office = BackOffice::start(&settings).unwrap();
    let states = office.client().unwrap().states(&[question(&held[0])]).unwrap();
    assert_eq!(states[0].state.as_deref(), Some("held"));
    assert_eq!(types(&plainly(&office, &card, CardOrder::Release)), ["released", "released"]);
    assert_eq!(office.events().last().unwrap().sequence, 2);
    let renewed = order(&office, &card, CardOrder::Renew, OrderDetail::default()).card.unwrap();
    assert_eq!(Some(renewed.holder_id), card.holder_id);
}

fn reference(side: &CardSide) -> CardReference {
    let certificate = side.decoded().unwrap();
    let tbs = certificate.tbs_certificate();
    let aki = tbs.get_extension::<x509_cert::ext::pkix::AuthorityKeyIdentifier>().unwrap().unwrap().1;
    CardReference {
        issuer_key_id: hex::encode(aki.key_identifier.unwrap().as_bytes()),
        serial: hex::encode(tbs.serial_number().as_bytes()),
        sha256: hex::encode(sha256(&side.certificate)),
    }
}
