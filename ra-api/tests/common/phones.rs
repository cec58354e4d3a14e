//! CA keys of our own, and phones with certificates that they really issued.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca_core::application::ApplicationId;
use ca_core::digest::Sha256Digest;
use ca_core::issuer::{CaKeyId, CaUrls};
use ca_core::kind::CertificateKind;
use chrono::Utc;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, SerialNumber};
use sandbox::instruction::Signer;
use sandbox::keys::Key;
use sandbox::phone::{HolderAction, build_instruction};
use schema::StoreFault;
use schema::application::{Acceptance, NewApplication};
use schema::authority::NewCaKey;
use schema::device::NewDevice;
use schema::testing::{Sample, jpki};

use super::{AUDIENCE, Store, challenge_key};

/// Our CA keys, in the store: signature, authentication. To be made before listeners are.
pub struct OwnCas {
    issuers: [CertifiedIssuer<'static, KeyPair>; 2],
    pub ids: [CaKeyId; 2],
}

/// A phone with both certificates.
pub struct Phone {
    pub sample: Sample,
    pub device: String,
    pub application: Sha256Digest,
    pub token: String,
    pub command_key: Key,
    certificates: [(Vec<u8>, Key); 2],
}

impl OwnCas {
    pub fn new(store: &Store) -> Self {
        let issuers = CertificateKind::ALL.map(|kind| {
            let mut params = CertificateParams::default();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, format!("our CA for {kind}"));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        });
        let mut ids = [CaKeyId(0); 2];
        for ((kind, issuer), id) in CertificateKind::ALL.into_iter().zip(&issuers).zip(&mut ids) {
            let url = |what: &str| format!("http://status.example/{what}/{kind}-1");
            let urls = CaUrls { crl: url("crl"), ocsp: url("ocsp"), certificate: url("ca") };
            let new = NewCaKey { kind, generation: 1, certificate: issuer.der().to_vec(), urls };
            *id = store.database.writer().write(move |tx| tx.add_ca_key(&new, Utc::now())).unwrap();
        }
        Self { issuers, ids }
    }

    /// A phone of the holder `holder_id`, issued to in the store; an earlier one's certificates are superseded.
    pub fn issue(&self, store: &Store, number: u32, holder_id: &str) -> Phone {
        self.issue_to(store, number, holder_id, true)
    }

    /// The same; a phone that does not `sign` what it says of commands has told us no key for it.
    pub fn issue_to(&self, store: &Store, number: u32, holder_id: &str, signs: bool) -> Phone {
        let command_key = Key::from_pkcs8(KeyPair::generate().unwrap().serialize_der()).unwrap();
        let (sample, device) = self.sample(number, holder_id, signs.then_some(&command_key));
        let certificates = [0, 1].map(|index| {
            let mut params = CertificateParams::default();
            params.serial_number = Some(SerialNumber::from_slice(sample.serial(CertificateKind::ALL[index]).as_bytes()));
            params.use_authority_key_identifier_extension = true;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &self.issuers[index]).unwrap();
            (certificate.der().to_vec(), Key::from_pkcs8(key.serialize_der()).unwrap())
        });
        let application = sample.digest();
        let ticket = challenge_key().derive("token", application.as_bytes());
        let new = NewApplication::from_parts(sample.cms(), sample.challenge(), sample.evidence(), Sha256Digest::of(&ticket));
        let writer = store.database.writer();
        let accepted = writer.write(move |tx| tx.accept_application(&new, Utc::now())).unwrap();
        let (Acceptance::Accepted(id) | Acceptance::Existing(id)) = accepted;
        self.issue_on(store, &sample, id, Some(&certificates));
        Phone { device, application, token: URL_SAFE_NO_PAD.encode(ticket), command_key, certificates, sample }
    }

    /// What is issued to a phone, and what the phone is called.
    pub fn sample(&self, number: u32, holder_id: &str, command_key: Option<&Key>) -> (Sample, String) {
        let device = format!("{number:032x}");
        let new = NewDevice {
            public_id: device.clone(),
            platform: "android".to_owned(),
            model: "Example 1".to_owned(),
            key_storage: "strongbox".to_owned(),
            push_token: Some("push-token".to_owned()),
            command_key: command_key.map(|key| key.public_key_info().to_vec()),
        };
        let sample = Sample { holder_id: holder_id.to_owned(), device: Some(new), ..Sample::new(number, self.ids) };
        (sample, device)
    }

    /// Issues on an application, as the CA role would.
    pub fn issue_on(&self, store: &Store, sample: &Sample, application: ApplicationId, certificates: Option<&[(Vec<u8>, Key); 2]>) {
        let writer = store.database.writer();
        let intents = sample.intents(Some(application));
        writer.write(move |tx| -> Result<(), StoreFault> { tx.record_intents(&intents, Utc::now()) }).unwrap();
        let mut issuance = sample.issuance(application);
        for (row, (_, key)) in issuance.certificates.iter_mut().zip(certificates.into_iter().flatten()) {
            row.public_key_sha256 = Sha256Digest::of(key.public_key_info());
        }
        writer.write(move |tx| tx.issue(&issuance, &jpki(), Utc::now())).unwrap();
    }
}

impl Phone {
    pub fn serial(&self, kind: CertificateKind) -> String {
        self.sample.serial(kind).to_string()
    }

    pub fn key(&self, kind: CertificateKind) -> &Key {
        &self.certificates[index(kind)].1
    }

    pub fn sign(&self, kind: CertificateKind, challenge: &str, action: &HolderAction) -> Vec<u8> {
        let (certificate, key) = &self.certificates[index(kind)];
        build_instruction(AUDIENCE, challenge, Signer { certificate, key }, action).unwrap()
    }
}

fn index(kind: CertificateKind) -> usize {
    CertificateKind::ALL.into_iter().position(|one| one == kind).unwrap()
}
