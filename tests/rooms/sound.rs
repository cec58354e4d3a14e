//! What must hold in every store at every moment, whatever was killed or tried.

use std::fmt::Write as _;

use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;

use super::Rooms;
use super::never::{NEVER, NEVER_UNDER_JPKI};

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
