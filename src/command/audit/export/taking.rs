//! Having an export made, and fetching its files as they are prepared.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::thread;
use std::time::{Duration, Instant};

use audit_log::LogVerifier;
use audit_log::export::{MANIFEST_FILE, MANIFEST_OCTETS, Manifest};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;

use super::directory::{Announced, Begun, ExportDirectory};
use crate::failure::Failure;
use crate::operator::{Decision, OperatorClient};
use crate::output::Output;

/// Until it is asked again how far the export is.
const PAUSE: Duration = Duration::from_millis(200);
/// How often a file is gone on with, one attempt after the other, when the connection breaks.
const ATTEMPTS: u32 = 10;
/// Until then.
const AFTER_BREAK: Duration = Duration::from_secs(1);

/// What is to be done where an export goes on no more.
const ANEW: &str = "This export goes on no more: the same command takes another";
/// The server's codes for an export of which nothing becomes any more.
const OVER: &[&str] = &["export_failed", "export_expired", "export_changed", "not_found"];

/// What is needed for it.
pub(super) struct Taking<'a> {
    pub(super) client: &'a OperatorClient,
    pub(super) directory: &'a ExportDirectory,
    pub(super) output: Output,
}

/// How far an export is.
#[derive(Debug, Deserialize)]
struct Progress {
    state: String,
    from_leaf: u64,
    to_leaf: u64,
    prepared: u64,
    failure: Option<String>,
    parts: Vec<PreparedPart>,
    next: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct PreparedPart {
    number: u64,
    to_leaf: u64,
    files: Vec<Announced>,
}

impl Taking<'_> {
    /// Takes what is asked for; what was begun in the directory goes on.
    pub(super) fn take(&self, asked: &Value) -> Result<Manifest, Failure> {
        let begun = match self.directory.begun()? {
            Some(begun) if begun.asked == *asked => self.go_on(&begun)?,
            Some(_) => {
                let message = "something else was begun in this directory: give the same command again, or name another directory";
                return Err(Failure::exists(message));
            }
            None => None,
        };
        let export = begun.map_or_else(|| self.begin(asked), Ok)?;
        let taken = self.fetch_parts(&export).and_then(|fetched| self.finish(&export, &fetched));
        taken.or_else(|failure| {
            let is_over = failure.is_one_of(OVER);
            if is_over {
                // What there is of it is of no use: no manifest will ever be signed for it, or it was taken back.
                self.directory.forget(is_plain)?;
            }
            Err(if is_over { failure.and(ANEW) } else { failure })
        })
    }

    /// The export that was begun here; `None` if nothing will become of it, which is said.
    fn go_on(&self, begun: &Begun) -> Result<Option<String>, Failure> {
        let going_on = match (&begun.export, &begun.instruction) {
            (Some(export), _) => self.progress(export, 0).map(|_| export.clone()),
            (None, Some(instruction)) => self.client.instruction(instruction).and_then(|decision| self.decided(decision, &begun.asked)),
            (None, None) => return Ok(None),
        };
        match going_on {
            Err(failure) if failure.is_final() && (begun.export.is_none() || failure.is_one_of(OVER)) => {
                eprintln!("tsunagi: nothing becomes of what was begun in this directory ({failure}): it is asked for anew");
                self.directory.forget(is_plain).map(|()| None)
            }
            going_on => going_on.map(Some),
        }
    }

    /// Asks for an export. What is asked for is noted as soon as it is taken, so that nothing is asked for twice.
    fn begin(&self, asked: &Value) -> Result<String, Failure> {
        let decision = self.client.send_instruction(asked)?;
        self.directory.begin(&Begun { instruction: Some(decision.id.clone()), export: None, asked: asked.clone() })?;
        let decided = self.decided(decision, asked);
        if decided.as_ref().is_err_and(Failure::is_final) {
            self.directory.forget(is_plain)?;
        }
        decided
    }

    /// Waits for the CA's decision; what the export is called.
    fn decided(&self, decision: Decision, asked: &Value) -> Result<String, Failure> {
        let seconds = self.client.patience().as_secs();
        let decision = self.client.await_decision(decision, |id| {
            format!(
                "the export is asked for, but the CA has not decided in {seconds} seconds: does a CA process run? Give the same command again: it \
                 goes on waiting for instruction {id}, and signs no other"
            )
        })?;
        let export =
            decision.outcome("export").as_str().ok_or_else(|| Failure::other("the server did not say what the export is called"))?;
        self.directory.begin(&Begun { instruction: Some(decision.id.clone()), export: Some(export.to_owned()), asked: asked.clone() })?;
        Ok(export.to_owned())
    }

    /// Fetches part after part, as they are prepared; which files there are in the end.
    fn fetch_parts(&self, export: &str) -> Result<Vec<Announced>, Failure> {
        let bar = if self.output == Output::Text { ProgressBar::new(0) } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{msg:28!} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
        bar.set_style(style.map_err(|error| Failure::other(error.to_string()))?);
        let (mut files, mut next, mut fetched_to, mut heard) = (Vec::new(), 0, None, Instant::now());
        loop {
            let progress = self.progress(export, next)?;
            bar.set_length(progress.to_leaf - progress.from_leaf);
            if progress.parts.is_empty() && heard.elapsed() >= self.client.patience() {
                let message =
                    "the export is not being prepared: does a CA process run? Give the command again later, it goes on with what there is";
                return Err(Failure::waiting(message));
            }
            for part in progress.parts {
                bar.set_message(match progress.to_leaf - progress.prepared {
                    0 => "fetching".to_owned(),
                    left => format!("fetching, {left} to prepare"),
                });
                for file in &part.files {
                    self.fetch(export, file)?;
                }
                bar.set_position(part.to_leaf.saturating_sub(progress.from_leaf));
                (next, fetched_to, heard) = (part.number + 1, Some(part.to_leaf), Instant::now());
                files.extend(part.files);
            }
            if fetched_to == Some(progress.to_leaf) && progress.state == "ready" {
                bar.finish_and_clear();
                return Ok(files);
            }
            if progress.next.is_none() {
                thread::sleep(PAUSE);
            }
        }
    }

    fn progress(&self, export: &str, next: u64) -> Result<Progress, Failure> {
        let answer = self.client.look(&format!("/v1/audit/exports/{export}?from_part={next}"))?;
        let progress: Progress =
            serde_json::from_value(answer).map_err(|_| Failure::other("the server did not say how far the export is"))?;
        match (progress.state.as_str(), &progress.failure) {
            ("preparing" | "ready", _) if progress.from_leaf < progress.to_leaf && progress.prepared <= progress.to_leaf => Ok(progress),
            ("failed", Some(failure)) => Err(Failure::refused(format!("the export failed: {failure}")).with_code("export_failed")),
            ("expired", _) => Err(Failure::refused("the export is kept no more").with_code("export_expired")),
            _ => Err(Failure::other("the server did not say how far the export is")),
        }
    }

    /// Fetches a file, unless it is there; goes on where a connection broke off.
    fn fetch(&self, export: &str, file: &Announced) -> Result<(), Failure> {
        if !is_plain(&file.name) {
            return Err(Failure::other("the server named a file as no file of an export is called"));
        }
        if self.directory.has(file)? {
            return Ok(());
        }
        let path = format!("/v1/audit/exports/{export}/files/{}", file.name);
        let mut partial = self.directory.partial(file)?;
        let mut was_wrong = false;
        let mut breaks = 0;
        loop {
            if partial.is_whole() {
                if partial.is_right() {
                    return self.directory.keep(partial);
                }
                partial.start_again()?;
                if was_wrong {
                    let message = format!("{}: what comes is not what was prepared, as if records were purged since", file.name);
                    return Err(Failure::refused(message).with_code("export_changed"));
                }
                was_wrong = true;
            }
            let before = partial.octets();
            let broken = match self.client.fetch(&path, before) {
                Ok(mut fetched) => {
                    if fetched.from != before {
                        partial.start_again()?;
                    }
                    partial.receive(&mut fetched.octets)?.err().map(|error| Failure::unreachable(format!("{}: {error}", file.name)))
                }
                Err(failure) if failure.is_unreachable() => Some(failure),
                Err(failure) => return Err(failure),
            };
            let Some(failure) = broken else { continue };
            breaks = if partial.octets() > before { 1 } else { breaks + 1 };
            if breaks >= ATTEMPTS {
                return Err(failure.and("Give the command again: it goes on with what there is"));
            }
            thread::sleep(AFTER_BREAK);
        }
    }

    /// Fetches the manifest, which must say of the files what the server said of them.
    fn finish(&self, export: &str, files: &[Announced]) -> Result<Manifest, Failure> {
        let path = format!("/v1/audit/exports/{export}/files/{MANIFEST_FILE}");
        let (fetched, mut note) = (self.client.fetch(&path, 0)?, String::new());
        let read = fetched.octets.take(MANIFEST_OCTETS as u64 + 1).read_to_string(&mut note);
        read.map_err(|error| Failure::unreachable(format!("{MANIFEST_FILE}: {error}")))?;
        let manifest = read_manifest(&note).ok_or_else(|| Failure::other("the server sent no manifest of an export"))?;
        let stated = |file: &audit_log::export::PartFile| (file.name.clone(), file.octets, hex::encode(file.sha256));
        let stated: BTreeSet<_> = manifest.parts.iter().flat_map(|part| part.files()).map(stated).collect();
        let there: BTreeSet<_> = files.iter().map(|file| (file.name.clone(), file.octets, file.sha256.clone())).collect();
        if manifest.export != export || stated != there {
            return Err(Failure::other("the manifest states other files than the server sent").with_code("export_changed"));
        }
        self.directory.finish(&note)?;
        Ok(manifest)
    }
}

/// Reads a manifest under the key that it names itself: that it is whole. Whether that is the log's key, `audit verify` tells.
fn read_manifest(note: &str) -> Option<Manifest> {
    let text = &note[..=note.rfind("\n\n")?];
    let manifest = Manifest::parse(text).ok()?;
    LogVerifier::parse(&manifest.key).ok()?.open(note).ok()?;
    Some(manifest)
}

/// Whether a name leads to nothing but a file in the directory.
fn is_plain(name: &str) -> bool {
    let has_stem = ["records-", "hashes-", "evidence-"].iter().any(|stem| name.starts_with(stem));
    has_stem
        && name.len() <= 64
        && !name.contains("..")
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.'))
}
