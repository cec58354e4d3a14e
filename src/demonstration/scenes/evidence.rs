//! The end: whoever was told all of this need not believe it. A holder verifies a receipt; an auditor an export of the log.

use std::path::Path;

use audit_log::{Checkpoint, LogVerifier, Receipt, tree_root};
use sandbox::http::{HttpClient, HttpSettings};
use sandbox::kind::Kind;
use sandbox::phone::Enrolment;

use super::holder::{new_card, wish};
use super::{Set, audit};
use crate::demonstration::checks::{demand, expect, failed};
use crate::failure::Failure;
use crate::log_key::tile_directory;

/// So long the RA may hold its answer for the receipts.
const RECEIPT_SECONDS: u32 = 10;

pub(super) fn play(set: &mut Set<'_>) -> Result<(), Failure> {
    let log = set.stage.log_verifier()?;
    set.artifacts.write("log-key.vkey", format!("{}\n", log.vkey()).as_bytes())?;
    let enrolment = receive(set)?;
    let size = verify_receipts(set, &log, &enrolment)?;
    recompute_the_tree(set, &log, size, &enrolment)?;
    audit::play(set, &enrolment)
}

/// A phone applies, and gets a receipt of each certificate.
fn receive(set: &mut Set<'_>) -> Result<Enrolment, Failure> {
    let (ra, card) = (set.stage.ra()?, new_card(set.stage)?);
    let mut enrolment = sandbox::phone::apply(&ra, &card, &wish(set.stage, "push-token-of-a-careful-holder")).map_err(failed)?;
    set.claim("a holder who trusts nobody, with a card and a phone");
    enrolment.fetch_receipts(&ra, RECEIPT_SECONDS).map_err(failed)?;
    set.keep_certificates("logged", &enrolment.certificates)?;
    set.artifacts.write("application-logged.cms", &enrolment.cms)?;
    for enrolled in &enrolment.certificates {
        let receipt =
            enrolled.receipt.as_ref().ok_or_else(|| Failure::other(format!("no receipt of the {} certificate", enrolled.kind)))?;
        set.artifacts.write_json(&format!("receipt-{}.json", enrolled.kind), receipt)?;
    }
    set.claim("the log has both issuances, its checkpoint is signed, and the phone has a receipt of each");
    Ok(enrolment)
}

/// With nothing but the log's public key. Tells how large the log was by then.
fn verify_receipts(set: &mut Set<'_>, log: &LogVerifier, enrolment: &Enrolment) -> Result<u64, Failure> {
    let mut largest = 0;
    for enrolled in &enrolment.certificates {
        let text = enrolled.receipt.as_ref().map(ToString::to_string).unwrap_or_default();
        let receipt = Receipt::parse(&text).map_err(failed)?;
        let proved = receipt.verify(log, &[], Some(&enrolled.certificate), Some(&enrolment.cms)).map_err(failed)?;
        demand(proved.serial == enrolled.serial, "the receipt is of another certificate")?;
        let ([accepted, issued], size) = (proved.leaves, proved.checkpoint.size());
        largest = size.max(largest);
        set.claim(format!(
            "{} receipt verified offline: leaves {accepted} and {issued} of {size}, under the log's signature",
            enrolled.kind
        ));
    }
    let enrolled = enrolment.of(Kind::Signature).ok_or_else(|| Failure::other("no signature certificate came back"))?;
    let mut forged = enrolled.receipt.clone().unwrap_or_default();
    let serial = if enrolled.serial.ends_with('0') { '1' } else { '0' };
    let other = format!("{}{serial}", &enrolled.serial[..enrolled.serial.len() - 1]);
    forged["certificate"]["serial"] = other.as_str().into();
    forged["entries"][1]["content"]["data"]["serial"] = other.as_str().into();
    let verdict = Receipt::parse(&forged.to_string()).and_then(|forged| forged.verify(log, &[], None, None));
    let refusal = verdict.err().ok_or_else(|| Failure::other("a claim does not hold: a receipt with another serial number verifies"))?;
    set.claim("the same with another serial number proves nothing");
    set.play.show(&[&refusal.to_string()]);
    Ok(largest)
}

/// What is public, once it has `size` leaves, leads to the signed root, and shows nobody.
fn recompute_the_tree(set: &mut Set<'_>, log: &LogVerifier, size: u64, enrolment: &Enrolment) -> Result<(), Failure> {
    let http = HttpClient::new(&HttpSettings::default()).map_err(failed)?;
    let url = format!("{}/log/checkpoint", set.stage.settings.status.url);
    let checkpoint = expect("a checkpoint over HTTP", || {
        let answer = http.get(&url, &[]).ok().filter(|answer| answer.status == 200)?;
        Checkpoint::verify(std::str::from_utf8(&answer.body).ok()?, log).ok().filter(|checkpoint| checkpoint.size() >= size)
    })?;
    set.artifacts.write("checkpoint", checkpoint.note().as_bytes())?;
    let directory = tile_directory(&set.stage.settings);
    let root = tree_root(&directory, checkpoint.size()).map_err(failed)?;
    demand(root == *checkpoint.root(), "the public tiles lead to another root")?;
    let public = files_below(directory.path());
    demand(!public.is_empty(), "there is no public log")?;
    for enrolled in &enrolment.certificates {
        let serial = hex::decode(&enrolled.serial).map_err(failed)?;
        let is_in = |octets: &[u8]| octets.windows(serial.len()).any(|window| window == serial);
        demand(!public.iter().any(|octets| is_in(octets)), "a serial number is in the public log")?;
    }
    set.claim(format!("the public log: {} leaves lead to the signed root, and no serial number is in it", checkpoint.size()));
    Ok(())
}

/// What is in the files of a directory. Those that vanish meanwhile, as narrow tiles do when there are wider ones, are left out.
fn files_below(directory: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { std::fs::read(path).into_iter().collect() }).collect()
}
