//! Issuance: a template is linted, its intent recorded, then it is signed.
//!
//! Each step consumes what the step before gave out, so what was not linted and recorded cannot be signed: it does not
//! compile. [`Template`] -> [`Linted`] -> [`Recorded`] -> [`SignedCertificate`].

mod certificate;
mod intent;
mod linted;
mod serial;
mod tbs_certificate;
mod template;

pub use certificate::SignedCertificate;
pub(crate) use certificate::assemble;
pub use intent::{Intent, IntentLedger, Recorded, record, record_one};
pub(crate) use linted::judge;
pub use linted::{LintFailure, Linted};
pub use serial::RandomnessFault;
pub(crate) use tbs_certificate::TbsCertificate;
pub use template::{Template, TemplateFault};

#[cfg(test)]
mod tests;
