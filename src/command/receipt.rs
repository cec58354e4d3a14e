//! `tsunagi receipt`

use std::path::{Path, PathBuf};

use audit_log::receipt::{MAX_RECEIPT, Receipt, ReceiptRefusal, VerifiedReceipt};
use audit_log::tlog_proof::TlogProofRefusal;
use audit_log::{LogVerifier, NoteRefusal};
use ca_core::digest::Sha256Digest;
use clap::{Args, Subcommand};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::installation::read_named;
use crate::output::{Output, pairs, time};
use crate::verifier_keys::{log_verifier, witness_verifier};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Verify a receipt offline, with nothing but the log's public key
    ///
    /// Proves that the log has the acceptance of the application and the issuance of the certificate that the receipt names, under a
    /// checkpoint that the log's key signed. That the log shows everybody the same is proved by witnesses only: name those you know. Ends
    /// with code 10 if the receipt does not prove it, and says what is wrong with it.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The receipt; - is the standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The log's public key, NAME+ID+KEY, or a file with it. Have it from another place than the receipt
    #[arg(long, value_name = "KEY|FILE")]
    log_key: String,
    /// The certificate that the receipt must be of, PEM or DER
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The application that it must have been issued upon: the CMS as it was sent
    #[arg(long, value_name = "FILE")]
    application: Option<PathBuf>,
    /// A witness that must have cosigned, NAME+ID+KEY, or a file with it; may be named several times
    #[arg(long = "witness", value_name = "KEY|FILE")]
    witnesses: Vec<String>,
}

pub(crate) fn run(command: &Command, output: Output) -> Result<(), Failure> {
    let Command::Verify(arguments) = command;
    let log = log_verifier(&arguments.log_key)?;
    let witnesses = arguments.witnesses.iter().map(|witness| witness_verifier(witness)).collect::<Result<Vec<_>, _>>()?;
    let certificate = arguments.certificate.as_deref().map(read_certificate).transpose()?;
    let application = arguments.application.as_deref().map(read_named).transpose()?;

    let proved = Receipt::parse(&read_receipt(&arguments.file)?).and_then(|receipt| receipt.verify(&log, &witnesses, None, None));
    let proved = proved.map_err(|refusal| Failure::disproved(format!("the receipt does not hold: {refusal}")).with_code(code(&refusal)))?;
    if let (Some(path), Some(der)) = (&arguments.certificate, &certificate) {
        compare(path, der, "certificate", "receipt_certificate", &proved.certificate_sha256)?;
    }
    if let (Some(path), Some(cms)) = (&arguments.application, &application) {
        compare(path, cms, "application", "receipt_application", &proved.application_sha256)?;
    }
    output.print(&result(&proved, &log, certificate.is_some(), application.is_some()), |_| text(&proved, &log, arguments))
}

/// Whether a file is what the receipt names by its digest.
fn compare(path: &Path, octets: &[u8], what: &str, code: &'static str, named: &str) -> Result<(), Failure> {
    let digest = Sha256Digest::of(octets).to_string();
    if digest == named {
        return Ok(());
    }
    let message = format!("the receipt is of another {what} than {}: of {named}, and that is {digest} (SHA-256)", path.display());
    Err(Failure::disproved(message).with_code(code))
}

/// What a script learns of a refusal.
fn code(refusal: &ReceiptRefusal) -> &'static str {
    match refusal {
        ReceiptRefusal::Malformed(_) => "receipt_malformed",
        ReceiptRefusal::Proof { refusal: TlogProofRefusal::Malformed, .. } => "receipt_malformed",
        ReceiptRefusal::Proof { refusal: TlogProofRefusal::Proof(_), .. } => "receipt_proof",
        ReceiptRefusal::Proof { refusal: TlogProofRefusal::Checkpoint(refusal), .. } => match refusal {
            NoteRefusal::Unsigned(_) | NoteRefusal::Origin { .. } => "receipt_log_key",
            NoteRefusal::Signature(_) => "receipt_signature",
            _ => "receipt_malformed",
        },
        ReceiptRefusal::Witness { refusal: NoteRefusal::Unsigned(_), .. } => "receipt_witness_missing",
        ReceiptRefusal::Witness { .. } => "receipt_witness_signature",
        ReceiptRefusal::Mismatch(_) => "receipt_mismatch",
    }
}

fn result(proved: &VerifiedReceipt, log: &LogVerifier, with_certificate: bool, with_application: bool) -> Value {
    let witnesses: Vec<Value> = proved.witnesses.iter().map(|(name, at)| json!({ "name": name, "cosigned_at": time(*at) })).collect();
    json!({
        "holds": true,
        "log": { "origin": log.name(), "key": log.vkey(), "size": proved.checkpoint.size(), "root": hex::encode(proved.checkpoint.root()) },
        "certificate": {
            "kind": proved.kind, "serial": proved.serial, "sha256": proved.certificate_sha256, "issued_at": time(proved.issued_at),
            "leaf": proved.leaves[1], "compared": with_certificate,
        },
        "application": {
            "sha256": proved.application_sha256, "accepted_at": time(proved.accepted_at), "leaf": proved.leaves[0],
            "compared": with_application,
        },
        "witnesses": witnesses,
    })
}

fn text(proved: &VerifiedReceipt, log: &LogVerifier, arguments: &Verify) -> String {
    let against = |path: &Option<PathBuf>| path.as_ref().map_or_else(|| "no file".to_owned(), |path| path.display().to_string());
    let witnesses = match proved.witnesses.as_slice() {
        [] => "none asked for: whether the log shows everybody the same is not proved".to_owned(),
        some => some.iter().map(|(name, at)| format!("{name} at {}", time(*at))).collect::<Vec<_>>().join(", "),
    };
    let lines = pairs(&[
        ("log", format!("{}, {} leaves, root {}", log.name(), proved.checkpoint.size(), hex::encode(proved.checkpoint.root()))),
        ("application", format!("{}, accepted {}, leaf {}", proved.application_sha256, time(proved.accepted_at), proved.leaves[0])),
        ("certificate", format!("{}, issued {}, leaf {}", proved.certificate_sha256, time(proved.issued_at), proved.leaves[1])),
        ("compared with", format!("certificate: {}; application: {}", against(&arguments.certificate), against(&arguments.application))),
        ("witnesses", witnesses),
    ]);
    format!("The receipt holds: the log has that the {} certificate {} was issued.\n\n{lines}", proved.kind, proved.serial)
}

fn read_receipt(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let unreadable = |error: std::io::Error| Failure::other(format!("{}: {error}", path.display()));
    let mut octets = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(MAX_RECEIPT as u64 + 1).read_to_end(&mut octets).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Failure::not_found(format!("{}: {error}", path.display())),
            _ => unreadable(error),
        })?;
        file.take(MAX_RECEIPT as u64 + 1).read_to_end(&mut octets).map_err(unreadable)?;
    }
    let not_text =
        |_| Failure::disproved(format!("{}: no receipt, for it is no text in UTF-8", path.display())).with_code("receipt_malformed");
    String::from_utf8(octets).map_err(not_text)
}

/// A certificate in DER, from PEM or DER.
fn read_certificate(path: &Path) -> Result<Vec<u8>, Failure> {
    let octets = read_named(path)?;
    if octets.first() == Some(&0x30) {
        return Ok(octets);
    }
    let der =
        CertificateDer::from_pem_slice(&octets).map_err(|error| Failure::other(format!("{}: no certificate: {error}", path.display())))?;
    Ok(der.to_vec())
}
