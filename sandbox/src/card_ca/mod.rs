//! The mock card CA: what JPKI is to the product, two kinds, several key generations under one name.

mod authority;
mod card_certificate;
mod certificate;
mod person;

pub use authority::{CardCa, CardCaFault, Responder};
pub(crate) use authority::{KeptCardCa, four_octets};
pub use card_certificate::{CardCertificate, fifth_birthday};
pub use certificate::{Certificate, certificate};
pub use person::{MUNICIPALITIES, Municipality, Person, Sex};
