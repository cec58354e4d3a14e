//! What outsiders would look at: certificates, keys, answers and CRLs, under plain names.

use std::path::{Path, PathBuf};

use sandbox::kind::Kind;
use sandbox::pem;
use serde_json::Value;

use super::failed;
use super::stage::Stage;
use crate::failure::Failure;

/// The directory of them.
pub(super) struct Artifacts(PathBuf);

impl Artifacts {
    /// Makes the directory and puts the CA certificates there: ours and the card CA's.
    pub(super) fn create(stage: &Stage) -> Result<Self, Failure> {
        let directory = stage.directory().join("artifacts");
        std::fs::create_dir_all(&directory).map_err(failed)?;
        let artifacts = Self(directory);
        for kind in Kind::ALL {
            artifacts.write(&format!("ca-{kind}.pem"), pem::encode(pem::CERTIFICATE, stage.ca(kind)).as_bytes())?;
        }
        for authority in stage.back_office.card_authorities() {
            let name = format!("card-ca-{}-{}.pem", authority.kind, authority.generation);
            artifacts.write(&name, authority.pem.as_bytes())?;
        }
        Ok(artifacts)
    }

    /// Where they are.
    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    /// Writes one.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> Result<(), Failure> {
        std::fs::write(self.0.join(name), content).map_err(|error| Failure::other(format!("{name}: {error}")))
    }

    /// Writes one in JSON.
    pub(super) fn write_json(&self, name: &str, content: &Value) -> Result<(), Failure> {
        self.write(name, &serde_json::to_vec_pretty(content).map_err(failed)?)
    }
}
