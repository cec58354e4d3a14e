//! What stands outside the product, mocked with real cryptography: the card CA and its status service, the back office (J-LIS),
//! cards, phones and the push service that reaches them, operators, a load generator, a relying party and a witness of logs.
//!
//! Nothing here imports a room of the product. What both sides have to agree on (DER, JSON, HTTP) is written a second time on
//! purpose: when the wire changes, this side notices. Encoding is done by a small DER writer ([`asn1`]), reading by other
//! people's decoders.
//!
//! All persons are invented. Keys made here protect nothing.

pub mod asn1;
pub mod back_office;
pub mod card;
pub mod card_ca;
pub mod card_status;
pub mod fcm;
pub mod http;
pub mod instruction;
pub mod jws;
pub mod keys;
pub mod kind;
pub mod load;
pub mod names;
pub mod oids;
pub mod operator;
pub mod pem;
pub mod phone;
pub mod reason;
pub mod relying_party;
mod resolver;
pub mod signed;
pub mod witness;
