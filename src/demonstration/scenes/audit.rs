//! An auditor takes the log away and verifies it, then somebody changes one octet of a copy. Played with this very program, as the auditor would.

use std::path::Path;
use std::process::Command;

use sandbox::kind::Kind;
use sandbox::phone::Enrolment;
use serde_json::Value;

use super::Set;
use crate::demonstration::checks::{demand, failed};
use crate::failure::Failure;

/// The exit code of evidence that does not hold.
const DISPROVED: i32 = 10;

/// Plays it; the log has the issuances of `enrolment`.
pub(super) fn play(set: &mut Set<'_>, enrolment: &Enrolment) -> Result<(), Failure> {
    let (place, export) = (set.artifacts.directory().to_owned(), set.artifacts.directory().join("export"));
    let settings = set.stage.settings.directory.display().to_string();
    let (code, told) = tsunagi(&["audit", "export", "--to-dir", &text(&export), "--settings", &settings])?;
    demand(code == 0, &format!("the export ended with code {code}"))?;
    set.claim(format!("an auditor signed for an export and took it away: {} records, {} files", told["records"], told["files"]));

    let key = text(&place.join("log-key.vkey"));
    let (code, verdict) = tsunagi(&["audit", "verify", &text(&export), "--log-key", &key])?;
    demand(code == 0 && verdict["clean"] == true, &format!("the export does not verify: {}", verdict["first"]))?;
    set.claim("verified offline: the signature, every hash from record to root, and what the records say by the rules");

    let copy = place.join("export-changed");
    let (leaf, file) = copy_with_one_octet_changed(&export, &copy, enrolment)?;
    let (code, verdict) = tsunagi(&["audit", "verify", &text(&copy), "--log-key", &key])?;
    let first = &verdict["first"];
    demand(code == DISPROVED, &format!("one octet was changed, and the command ended with code {code}"))?;
    demand(first["leaf"] == leaf && first["file"] == file.as_str(), &format!("leaf {leaf} in {file} was changed, and found is {first}"))?;
    set.claim(format!("one octet changed in a copy, of a serial number: found, and named: leaf {leaf} in {file}"));
    set.play.show(&[first["words"].as_str().unwrap_or_default()]);
    Ok(())
}

/// Copies an export and changes a digit of a serial number in the record of its issuance. Tells the leaf and the file.
fn copy_with_one_octet_changed(export: &Path, copy: &Path, enrolment: &Enrolment) -> Result<(u64, String), Failure> {
    std::fs::create_dir(copy).map_err(failed)?;
    for entry in std::fs::read_dir(export).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        std::fs::copy(&path, copy.join(path.file_name().unwrap_or_default())).map_err(failed)?;
    }
    let enrolled = enrolment.of(Kind::Signature).ok_or_else(|| Failure::other("no signature certificate came back"))?;
    let file = "records-00000000.jsonl";
    let records = std::fs::read_to_string(copy.join(file)).map_err(failed)?;
    let is_its =
        |record: &Value| record["content"]["kind"] == "certificate.issued" && record["content"]["data"]["serial"] == enrolled.serial;
    let record = records.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(is_its);
    let leaf = record.and_then(|record| record["leaf"].as_u64()).ok_or_else(|| Failure::other("the export lacks the issuance"))?;
    let digit = if enrolled.serial.ends_with('0') { "1" } else { "0" };
    let other = format!("{}{digit}", &enrolled.serial[..enrolled.serial.len() - 1]);
    let line = records.lines().find(|line| line.contains(&enrolled.serial) && line.contains("certificate.issued")).unwrap_or_default();
    let changed = records.replacen(line, &line.replacen(&enrolled.serial, &other, 1), 1);
    demand(changed != records && changed.len() == records.len(), "nothing was changed")?;
    std::fs::write(copy.join(file), changed).map_err(failed)?;
    Ok((leaf, file.to_owned()))
}

/// Runs this program; its exit code and what it printed.
fn tsunagi(arguments: &[&str]) -> Result<(i32, Value), Failure> {
    let program = std::env::current_exe().map_err(failed)?;
    let output = Command::new(program).args(arguments).args(["--output", "json"]).output().map_err(failed)?;
    let code = output.status.code().unwrap_or(-1);
    let told = serde_json::from_slice(&output.stdout);
    told.map(|told| (code, told)).map_err(|_| Failure::other(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()))
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
