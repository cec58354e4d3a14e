//! What a sandbox leaves in its directory for the other commands.

use std::path::{Path, PathBuf};

use sandbox::back_office::{BackOffice, BackOfficeClient};
use sandbox::fcm::PushService;
use sandbox::kind::Kind;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::init::{BackOfficeAnswer, CardAnswer, CardAuthorityAnswer, PushAnswer};
use crate::installation::read_file;

/// The file's name.
const FILE_NAME: &str = "sandbox.json";
/// Where the token lies that the push service wants to see.
const PUSH_TOKEN_FILE: &str = "push.token";

/// How to reach a sandbox's back office and its push service. Their tokens lie beside, in `back-office.token` and `push.token`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SandboxFiles {
    /// The HTTPS listener.
    pub(crate) url: String,
    /// The card CA's status service.
    pub(crate) status_url: String,
    /// The push service, if the sandbox has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) push: Option<PushPlace>,
    /// The directory.
    #[serde(skip)]
    directory: PathBuf,
}

/// Where a push service is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PushPlace {
    /// Its listener.
    pub(crate) url: String,
    /// The project's id.
    pub(crate) project: String,
}

impl SandboxFiles {
    /// Writes what `back_office` and `push` are reached by.
    pub(crate) fn write(back_office: &BackOffice, push: &PushService, directory: &Path) -> Result<(), Failure> {
        back_office.write_files(directory).map_err(failed)?;
        push.write_access_token(&directory.join(PUSH_TOKEN_FILE)).map_err(failed)?;
        let files = Self {
            url: back_office.url().to_owned(),
            status_url: back_office.status_url().to_owned(),
            push: Some(PushPlace { url: push.url().to_owned(), project: push.project().to_owned() }),
            directory: directory.to_owned(),
        };
        let text = serde_json::to_vec_pretty(&files).map_err(failed)?;
        std::fs::write(directory.join(FILE_NAME), text).map_err(failed)
    }

    /// The token that a push service of this directory wanted to see, if there was one: installations know it.
    pub(crate) fn push_token(directory: &Path) -> Option<String> {
        let token = std::fs::read_to_string(directory.join(PUSH_TOKEN_FILE)).ok()?;
        Some(token.trim().to_owned()).filter(|token| !token.is_empty())
    }

    /// Reads what a sandbox back office wrote.
    pub(crate) fn read(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(FILE_NAME);
        if !path.is_file() {
            return Err(Failure::not_found(format!(
                "no sandbox at {}: start one with `tsunagi sandbox back-office`, or name it with --sandbox",
                directory.display()
            )));
        }
        let mut files: Self =
            serde_json::from_slice(&read_file(&path)?).map_err(|error| Failure::settings(format!("{}: {error}", path.display())))?;
        directory.clone_into(&mut files.directory);
        Ok(files)
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Result<BackOfficeClient, Failure> {
        let answer = self.back_office()?;
        BackOfficeClient::new(&answer.url, &answer.ca_certificate, &answer.token).map_err(failed)
    }

    /// What an installation needs to know of it.
    pub(crate) fn answers(&self) -> Result<(BackOfficeAnswer, CardAnswer), Failure> {
        let card = CardAnswer { signature: self.authority(Kind::Signature)?, authentication: self.authority(Kind::Authentication)? };
        Ok((self.back_office()?, card))
    }

    /// What an installation needs to know of the push service, if there is one.
    pub(crate) fn push(&self) -> Result<Option<PushAnswer>, Failure> {
        let Some(PushPlace { url, project }) = self.push.clone() else { return Ok(None) };
        Ok(Some(PushAnswer { url, project, token: self.text(PUSH_TOKEN_FILE)?.trim().to_owned() }))
    }

    fn back_office(&self) -> Result<BackOfficeAnswer, Failure> {
        Ok(BackOfficeAnswer {
            url: self.url.clone(),
            ca_certificate: self.text("back-office-tls-ca.pem")?,
            token: self.text("back-office.token")?.trim().to_owned(),
        })
    }

    fn text(&self, name: &str) -> Result<String, Failure> {
        String::from_utf8(read_file(&self.directory.join(name))?).map_err(|_| Failure::settings(format!("{name}: not text")))
    }

    fn authority(&self, kind: Kind) -> Result<CardAuthorityAnswer, Failure> {
        let mut certificates = Vec::new();
        for generation in 1..=8 {
            let path = self.directory.join(format!("card-ca-{kind}-{generation}.pem"));
            if path.exists() {
                certificates.push(read_file(&path)?);
            }
        }
        Ok(CardAuthorityAnswer {
            certificates,
            ocsp_url: format!("{}/ocsp/{kind}", self.status_url),
            crl_url: format!("{}/crl/{kind}/{{distribution_point}}.crl", self.status_url),
        })
    }
}

fn failed(fault: impl std::fmt::Display) -> Failure {
    Failure::other(format!("sandbox: {fault}"))
}
