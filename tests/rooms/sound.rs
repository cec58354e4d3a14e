//! What must hold in every store at every moment, whatever was killed or tried.

use std::fmt::Write as _;

use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;

use super::Rooms;

/// What must never be, and how many of it there are.
const NEVER: &[(&str, &str)] = &[
    ("certificate_without_body", "SELECT count(*) FROM certificate WHERE id NOT IN (SELECT certificate_id FROM certificate_body)"),
    ("certificate_without_link", "SELECT count(*) FROM certificate WHERE id NOT IN (SELECT certificate_id FROM link)"),
    (
        "certificate_without_intent",
        "SELECT count(*) FROM certificate AS c WHERE NOT EXISTS \
         (SELECT 1 FROM issuance_intent AS i WHERE i.kind = c.kind AND i.serial = c.serial AND i.ca_key_id = c.ca_key_id)",
    ),
    (
        "certificate_of_an_application_not_issued",
        "SELECT count(*) FROM certificate_body AS b JOIN application AS a ON a.id = b.application_id WHERE a.state <> 2",
    ),
    (
        "issued_application_without_certificate",
        "SELECT count(*) FROM application WHERE state = 2 AND id NOT IN (SELECT application_id FROM certificate_body)",
    ),
    (
        "holder_with_two_live_certificates",
        "SELECT count(*) FROM (SELECT 1 FROM certificate WHERE state IN (1, 2) GROUP BY holder, kind HAVING count(*) > 1) AS doubled",
    ),
    (
        "certificate_not_announced_once",
        "SELECT count(*) FROM certificate AS c WHERE \
         (SELECT count(*) FROM event AS e WHERE e.certificate_id = c.id AND e.kind = 'certificate.issued') <> 1",
    ),
    (
        "revocation_not_announced_once",
        "SELECT count(*) FROM certificate AS c WHERE \
         (SELECT count(*) FROM event AS e WHERE e.certificate_id = c.id AND e.kind = 'certificate.revoked') \
         <> CASE WHEN c.state = 3 THEN 1 ELSE 0 END",
    ),
    (
        "gap_among_the_events",
        "SELECT count(*) FROM event_counter AS c WHERE c.position <> (SELECT count(*) FROM event) \
         OR c.position <> (SELECT coalesce(max(position), 0) FROM event)",
    ),
    (
        "certificate_held_without_cause_or_with_one_and_not_held",
        "SELECT count(*) FROM certificate AS c WHERE (c.state = 2) <> EXISTS (SELECT 1 FROM hold AS h WHERE h.certificate_id = c.id)",
    ),
    (
        "challenge_not_spent",
        "SELECT CASE WHEN (SELECT count(*) FROM spent_challenge) < (SELECT count(*) FROM application WHERE state = 2) THEN 1 ELSE 0 END",
    ),
    ("certificate_without_phone", "SELECT count(*) FROM application WHERE state = 2 AND device_id IS NULL"),
    ("key_not_certified_once", "SELECT abs((SELECT count(*) FROM certified_key) - (SELECT count(*) FROM certificate))"),
];

/// What must never be where certificates follow their cards, as they do under JPKI's rules of life.
const NEVER_UNDER_JPKI: &[(&str, &str)] = &[
    (
        "live_certificate_on_a_revoked_card",
        "SELECT count(*) FROM certificate AS c JOIN link AS l ON l.certificate_id = c.id JOIN card_state AS s ON s.id = l.card_id \
         WHERE c.state IN (1, 2) AND s.state = 2",
    ),
    (
        "live_certificate_on_a_held_card",
        "SELECT count(*) FROM certificate AS c JOIN link AS l ON l.certificate_id = c.id JOIN card_state AS s ON s.id = l.card_id \
         WHERE c.state = 1 AND s.state = 3",
    ),
];

/// Intents that no certificate followed; here there are no responders' certificates.
const CAME_TO_NOTHING: &str = "SELECT i.serial FROM issuance_intent AS i WHERE NOT EXISTS \
     (SELECT 1 FROM certificate AS c WHERE c.kind = i.kind AND c.serial = i.serial) ORDER BY i.serial";

impl Rooms<'_> {
    /// Holds the store to all of it; gives the serial numbers whose intents came to nothing.
    #[track_caller]
    pub fn sound(&self) -> Vec<SerialNumber> {
        self.hold_to(NEVER_UNDER_JPKI);
        self.sound_under_any_policy()
    }

    /// The same, but for what only JPKI's rules of life promise.
    #[track_caller]
    pub fn sound_under_any_policy(&self) -> Vec<SerialNumber> {
        self.hold_to(NEVER);
        let serials = self.reader.octets_for_test(CAME_TO_NOTHING).unwrap();
        let serials: Vec<_> = serials.iter().map(|octets| SerialNumber::from_magnitude(octets).unwrap()).collect();
        for serial in &serials {
            for ca_key in self.reader.ca_keys().unwrap() {
                let status = self.reader.certificate_status(ca_key.id(), serial).unwrap();
                assert!(status.is_none(), "a serial number whose certificate was never stored has a status: {status:?}");
            }
            assert_eq!(self.reader.certificate_detail(None, serial).unwrap(), None);
        }
        serials
    }

    #[track_caller]
    fn hold_to(&self, never: &[(&str, &str)]) {
        let mut statements = String::new();
        for (what, count) in never {
            // The database itself complains, and by the constraint's name says of what.
            write!(statements, "CREATE TEMP TABLE {what} (found BIGINT, CONSTRAINT {what} CHECK (found = 0)); INSERT INTO {what} {count};")
                .unwrap();
        }
        if let Err(fault) = self.store.execute(&statements) {
            panic!("the store is not sound: {fault}");
        }
    }
}
