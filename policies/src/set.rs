//! A whole set of policies, read together and checked against each other.

use std::path::Path;
use std::sync::Arc;

use crate::application::ApplicationPolicy;
use crate::authority::AuthorityProfile;
use crate::document::{PolicyFault, contradiction, require};
use crate::lifecycle::LifecyclePolicy;
use crate::profile::{Profile, ProfileKind};
use crate::responder::ResponderProfile;

/// The practice statement, which the lints cite: Markdown with numbered sections.
pub const PRACTICE_STATEMENT: &str = include_str!("../practice-statement.md");

const SIGNATURE: &str = "profiles/signature.toml";
const AUTHENTICATION: &str = "profiles/authentication.toml";
const AUTHORITY: &str = "profiles/authority.toml";
const RESPONDER: &str = "profiles/responder.toml";
/// An installation follows one application policy; which one is its directory's to say.
const APPLICATION: &str = "applications/jpki.toml";
/// The life cycle unless the directory chooses another, as [`CHOSEN_LIFECYCLE`].
const LIFECYCLE: &str = "lifecycle/jpki.toml";
const CHOSEN_LIFECYCLE: &str = "lifecycle.toml";

/// All policies of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    /// Smartphone certificates for digital signature.
    pub signature: Arc<Profile>,
    /// Smartphone certificates for user authentication.
    pub authentication: Arc<Profile>,
    /// The CAs' own certificates.
    pub authority: Arc<AuthorityProfile>,
    /// OCSP responders' certificates.
    pub responder: Arc<ResponderProfile>,
    /// Applications.
    pub application: Arc<ApplicationPolicy>,
    /// How a certificate's life runs.
    pub lifecycle: Arc<LifecyclePolicy>,
}

/// The policies shipped inside the program: [`Policies::shipped`].
pub fn shipped() -> Result<Policies, PolicyFault> {
    Policies::shipped()
}

impl Policies {
    /// The policies shipped inside the program.
    pub fn shipped() -> Result<Self, PolicyFault> {
        Self::assemble(LIFECYCLE, |wanted| {
            let text = Self::SHIPPED_DOCUMENTS.iter().find(|(document, _)| *document == wanted).map(|(_, text)| (*text).to_owned());
            text.ok_or_else(|| contradiction(wanted, "not shipped"))
        })
    }

    /// Reads the policies from a directory that has the files which the shipped ones have. If it has a `lifecycle.toml` as well,
    /// that one holds in place of `lifecycle/jpki.toml`: the way to choose derived-piv, or rules of one's own.
    pub fn load(directory: &Path) -> Result<Self, PolicyFault> {
        let lifecycle = if directory.join(CHOSEN_LIFECYCLE).exists() { CHOSEN_LIFECYCLE } else { LIFECYCLE };
        Self::assemble(lifecycle, |document| {
            let path = directory.join(document);
            std::fs::read_to_string(&path).map_err(|source| PolicyFault::Unreadable { path: path.display().to_string(), source })
        })
    }

    /// Each document of the shipped set by its path inside a policy directory, to write one out as a start of one's own.
    pub const SHIPPED_DOCUMENTS: [(&'static str, &'static str); 6] = [
        (SIGNATURE, include_str!("../profiles/signature.toml")),
        (AUTHENTICATION, include_str!("../profiles/authentication.toml")),
        (AUTHORITY, include_str!("../profiles/authority.toml")),
        (RESPONDER, include_str!("../profiles/responder.toml")),
        (APPLICATION, include_str!("../applications/jpki.toml")),
        (LIFECYCLE, include_str!("../lifecycle/jpki.toml")),
    ];

    /// The profile of a kind.
    pub fn profile(&self, kind: ProfileKind) -> &Arc<Profile> {
        match kind {
            ProfileKind::Signature => &self.signature,
            ProfileKind::Authentication => &self.authentication,
        }
    }

    fn assemble(lifecycle: &str, read: impl Fn(&str) -> Result<String, PolicyFault>) -> Result<Self, PolicyFault> {
        let set = Self {
            signature: Arc::new(Profile::parse(SIGNATURE, &read(SIGNATURE)?)?),
            authentication: Arc::new(Profile::parse(AUTHENTICATION, &read(AUTHENTICATION)?)?),
            authority: Arc::new(AuthorityProfile::parse(AUTHORITY, &read(AUTHORITY)?)?),
            responder: Arc::new(ResponderProfile::parse(RESPONDER, &read(RESPONDER)?)?),
            application: Arc::new(ApplicationPolicy::parse(APPLICATION, &read(APPLICATION)?)?),
            lifecycle: Arc::new(LifecyclePolicy::parse(lifecycle, &read(lifecycle)?)?),
        };
        set.check()?;
        Ok(set)
    }

    /// What no document can know alone.
    fn check(&self) -> Result<(), PolicyFault> {
        require(SIGNATURE, self.signature.kind == ProfileKind::Signature, "kind is not \"signature\"")?;
        require(AUTHENTICATION, self.authentication.kind == ProfileKind::Authentication, "kind is not \"authentication\"")?;
        // Serial numbers are unique within one issuer name.
        require(AUTHENTICATION, self.signature.issuer_name != self.authentication.issuer_name, "issuer_name is the signature profile's")?;
        require(AUTHENTICATION, self.signature.policy.oid != self.authentication.policy.oid, "the policy is the signature profile's")?;
        let cards = [&self.application.card_signature, &self.application.card_authentication];
        for (document, profile) in [(SIGNATURE, &self.signature), (AUTHENTICATION, &self.authentication)] {
            for policy in cards.iter().flat_map(|card| &card.policy_oids) {
                // A smartphone certificate with a card's policy could be used to apply for another.
                require(
                    document,
                    profile.policy.never.contains(policy),
                    "certificate_policy.never lacks a card policy of the application policy",
                )?;
            }
            require(
                document,
                profile.subject_keys.covers(&self.application.keys),
                "subject_keys refuses keys that the application policy accepts",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
