//! Keys that are used for two purposes at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;

use crate::application::challenge::{Beacon, Challenge};
use crate::application::refusal::ApplicationRefusal;
use crate::application::verified::{AuthenticationEvidence, Evidence, StatusEvidence};
use crate::application::verifier::{ApplicationVerifier, UnverifiedApplication};
use crate::instruction::HOLDER_CONTENT_TYPE;
use crate::refusal::Refusal as _;
use crate::workshop::{AUDIENCE, Workshop, application_verifier, challenge};

struct Scene {
    workshop: Workshop,
    verifier: ApplicationVerifier,
    challenge: Challenge,
}

impl Scene {
    fn set() -> Self {
        let workshop = Workshop::new();
        let verifier = application_verifier(workshop.card(), &[]);
        for phone in ["phone-1", "phone-2"] {
            workshop.key(phone, "P-256");
        }
        Self { workshop, verifier, challenge: challenge(5) }
    }

    /// An application that the card signs, with requests by the keys of these names, for signature and authentication.
    fn application(&self, keys: [&str; 2]) -> UnverifiedApplication {
        self.application_as(super::APPLICATION_CONTENT_TYPE.to_string().as_str(), keys)
    }

    fn application_as(&self, content_type: &str, keys: [&str; 2]) -> UnverifiedApplication {
        let challenge = self.challenge.to_base64();
        let requests = ["signature", "authentication"].into_iter().zip(keys).map(|(kind, key)| {
            let pkcs10 = STANDARD.encode(self.workshop.pkcs10(key, "phone", Some(&challenge)));
            format!(r#"{{"kind":"{kind}","pkcs10":"{pkcs10}"}}"#)
        });
        let requests = requests.collect::<Vec<_>>().join(",");
        let statement = format!(
            r#"{{"type":"tsunagi.application.v1","audience":"{AUDIENCE}","challenge":"{challenge}","replaces":"any",
            "device":{{"platform":"other","model":"x","key_storage":"software"}},"requests":[{requests}]}}"#
        );
        UnverifiedApplication::from_bytes(self.workshop.sign("card-signature", "sha256", content_type, &statement)).unwrap()
    }

    /// What the card CA says of a half of the card: an OCSP answer that openssl makes.
    fn status(&self, half: &str) -> StatusEvidence {
        self.workshop.write("index.txt", "V\t400101000000Z\t\t0A0B0C\tunknown\t/CN=card\n");
        self.workshop.openssl(&format!(
            "ocsp -index index.txt -CA card-ca.pem -rsigner card-ca.pem -rkey card-ca.key.pem -issuer card-ca.pem \
             -cert {half}.pem -no_nonce -noverify -respout status.der"
        ));
        StatusEvidence::Ocsp(self.workshop.read("status.der"))
    }

    /// Verifies all of it, with the evidence that the RA would have.
    fn verify(&self, keys: [&str; 2]) -> Result<(), ApplicationRefusal> {
        let now = Utc::now();
        let beacon = Beacon { value: [5; 32], drawn_at: now };
        let signed = self.verifier.verify_signature(self.application(keys), now)?;
        let evidence = Evidence {
            signature_status: self.status("card-signature"),
            holder_id: "holder".to_owned(),
            authentication: Some(AuthenticationEvidence {
                certificate: self.workshop.der("card-authentication"),
                status: self.status("card-authentication"),
            }),
        };
        self.verifier.verify(signed, evidence, &[beacon], now).map(|verified| assert_eq!(verified.device().model, "x"))
    }
}

#[test]
fn no_key_of_the_card_and_no_key_twice_can_be_certified() {
    let scene = Scene::set();
    assert_eq!(scene.verify(["phone-1", "phone-2"]), Ok(()));
    for keys in [
        ["phone-1", "phone-1"],
        ["card-signature", "phone-1"],
        ["phone-1", "card-signature"],
        // Found out only when the back office has named the card's authentication certificate.
        ["card-authentication", "phone-1"],
        ["phone-1", "card-authentication"],
    ] {
        let refusal = scene.verify(keys).unwrap_err();
        assert_eq!(refusal.code(), "key_reused", "{keys:?}");
        assert!(refusal.is_after_card_signature());
    }
}

#[test]
fn an_application_under_another_content_type_is_none() {
    let scene = Scene::set();
    let other = scene.application_as(&HOLDER_CONTENT_TYPE.to_string(), ["phone-1", "phone-2"]);
    let refusal = scene.verifier.verify_signature(other, Utc::now()).unwrap_err();
    assert_eq!(refusal.code(), "cms_content_type");
    assert!(!refusal.is_after_card_signature());
}
