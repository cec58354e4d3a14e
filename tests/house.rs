//! The rules of the house that no compiler keeps: which room may look at which, what may not come in from outside, how long a
//! file may get, and that what is written down leads somewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Each room and the rooms that it may look at. A new room needs a line here, and a word in ARCHITECTURE.md.
const ARROWS: &[(&str, &[&str])] = &[
    ("policies", &[]),
    ("ca-core", &["policies"]),
    ("schema", &["ca-core", "policies"]),
    ("back-office", &[]),
    ("push", &[]),
    ("audit-log", &[]),
    ("ra-api", &["audit-log", "back-office", "ca-core", "policies", "schema"]),
    ("ca-service", &["audit-log", "back-office", "ca-core", "policies", "push", "schema"]),
    ("ocsp", &["ca-core", "policies", "schema"]),
    ("crl-publisher", &["ca-core", "policies", "schema"]),
    ("sandbox", &[]),
    (
        "tsunagi",
        &["audit-log", "back-office", "ca-core", "ca-service", "crl-publisher", "ocsp", "policies", "push", "ra-api", "sandbox", "schema"],
    ),
];

/// Libraries and the only rooms that may use them: what a room must not do, it cannot reach.
const RESERVED: &[(&str, &[&str])] = &[
    // SQL
    ("diesel", &["schema"]),
    ("diesel_migrations", &["schema"]),
    ("libsqlite3-sys", &["schema"]),
    // Listeners. The CA role has none, and the domain knows nothing of HTTP.
    ("actix-web", &["ra-api", "ocsp", "crl-publisher", "sandbox", "tsunagi"]),
    ("actix-http", &["ocsp"]),
    ("actix-server", &["ocsp"]),
    ("actix-tls", &["ra-api", "tsunagi"]),
    // Calls to the outside
    ("ureq", &["back-office", "ca-service", "crl-publisher", "push", "sandbox", "tsunagi"]),
    // ASN.1
    ("cms", &["ca-core", "sandbox"]),
    ("der", &["policies", "ca-core", "ocsp", "crl-publisher", "sandbox"]),
    ("x509-cert", &["policies", "ca-core", "ocsp", "crl-publisher", "sandbox"]),
    // RUSTSEC-2023-0071: nothing is done with private keys but to generate them (docs/decisions/0009).
    ("rsa", &["ca-core", "sandbox"]),
    // Keys
    ("cryptoki", &["ca-core"]),
    ("p256", &["ca-core"]),
    ("p384", &["ca-core"]),
    // The log, and those who judge it from outside
    ("signed_note", &["audit-log", "sandbox"]),
    ("tlog_tiles", &["audit-log", "sandbox"]),
    ("age", &["audit-log"]),
];

/// Never, not even under a feature.
const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "aws-lc-fips-sys", "openssl", "openssl-sys", "native-tls", "actix-governor"];

/// Only under a feature: they need libraries of the system (docs/decisions/0008).
const BANNED_BY_DEFAULT: &[&str] = &["pq-sys", "mysqlclient-sys", "cryptoki", "cryptoki-sys"];

/// A longer file is asking to be cut along a concept.
const LINES: usize = 450;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One package of the resolved workspace.
struct Package {
    name: String,
    license: String,
    is_member: bool,
    /// Names of the packages it needs to run or to be built; what only its tests need does not count.
    needs: BTreeSet<String>,
}

fn packages(more: &[&str]) -> Vec<Package> {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .args(more)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();

    let members: BTreeSet<&str> = array(&metadata["workspace_members"]).iter().map(text).collect();
    let described: BTreeMap<&str, &Value> = array(&metadata["packages"]).iter().map(|package| (text(&package["id"]), package)).collect();
    let nodes: BTreeMap<&str, &Value> = array(&metadata["resolve"]["nodes"]).iter().map(|node| (text(&node["id"]), node)).collect();
    let needs = |id: &str| {
        let needed = array(&nodes[id]["deps"]).iter().filter(|need| array(&need["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev"));
        needed.map(|need| text(&need["pkg"])).collect::<Vec<_>>()
    };

    // What only tests need is resolved as well: only what can be reached without them counts.
    let mut reached: BTreeSet<&str> = members.clone();
    let mut ahead: Vec<&str> = members.iter().copied().collect();
    while let Some(id) = ahead.pop() {
        ahead.extend(needs(id).into_iter().filter(|need| reached.insert(need)));
    }
    reached
        .iter()
        .map(|id| Package {
            name: text(&described[id]["name"]).to_owned(),
            license: described[id]["license"].as_str().unwrap_or_default().to_owned(),
            is_member: members.contains(id),
            needs: needs(id).into_iter().map(|need| text(&described[need]["name"]).to_owned()).collect(),
        })
        .collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The files under version control; outside of a checkout, all but what is built.
fn files() -> Vec<PathBuf> {
    let listed = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output();
    let files: Vec<PathBuf> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8(output.stdout).unwrap().split_terminator('\0').map(|name| root().join(name)).collect()
        }
        _ => walk(root()),
    };
    files.into_iter().filter(|path| path.is_file()).collect()
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let wanted = entries.filter(|path| !["target", ".git"].iter().any(|name| path.ends_with(name)));
    wanted.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn no_room_looks_where_it_may_not() {
    let packages = packages(&["--all-features"]);
    let rooms: BTreeSet<&str> = packages.iter().filter(|package| package.is_member).map(|package| package.name.as_str()).collect();
    for package in packages.iter().filter(|package| package.is_member) {
        let (_, allowed) = ARROWS
            .iter()
            .find(|(room, _)| *room == package.name)
            .unwrap_or_else(|| panic!("{} has no place in the house: give it a line among the arrows", package.name));
        for need in package.needs.iter().filter(|need| rooms.contains(need.as_str())) {
            assert!(allowed.contains(&need.as_str()), "{} must not look at {need}", package.name);
        }
    }
}

#[test]
fn what_a_room_must_not_do_it_cannot_reach() {
    for package in packages(&["--all-features"]).iter().filter(|package| package.is_member) {
        for (library, rooms) in RESERVED.iter().filter(|(library, _)| package.needs.contains(*library)) {
            assert!(rooms.contains(&package.name.as_str()), "{} must not use {library}; only {rooms:?} may", package.name);
        }
    }
}

#[test]
fn the_default_build_needs_no_library_of_the_system() {
    for package in packages(&[]) {
        assert!(!BANNED_BY_DEFAULT.contains(&package.name.as_str()), "{} must come in by a feature only", package.name);
    }
}

#[test]
fn nothing_comes_in_that_is_banned_or_under_the_gpl() {
    for package in packages(&["--all-features"]) {
        assert!(!BANNED.contains(&package.name.as_str()), "{} must not come in", package.name);
        // Of licences joined by OR, one is chosen.
        let chosen = package.license.split(" OR ").any(|choice| !choice.contains("GPL"));
        assert!(chosen, "{} is under {}", package.name, package.license);
    }
}

#[test]
fn no_source_file_is_too_long() {
    for path in files().iter().filter(|path| path.extension().is_some_and(|extension| extension == "rs")) {
        let lines = std::fs::read_to_string(path).unwrap().lines().count();
        assert!(lines <= LINES, "{} has {lines} lines: cut it along a concept", name(path));
    }
}

#[test]
fn nothing_names_the_paths_of_one_machine() {
    // Put together here, so that this file does not find itself.
    let paths = ["root", "home", "Users", "work"].map(|directory| format!("/{directory}/"));
    for path in files() {
        // What is no text names no paths that anybody reads.
        let Ok(content) = std::fs::read_to_string(&path) else { continue };
        for (number, line) in content.lines().enumerate() {
            let found = paths.iter().find(|wanted| names_path(line, wanted));
            assert!(found.is_none(), "{}:{} names a path of one machine: {line}", name(&path), number + 1);
        }
    }
}

/// Whether `path` stands in `line` as the beginning of a path, not in the middle of one.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-/}*".contains(before)))
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    for path in files().iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")) {
        let content = std::fs::read_to_string(path).unwrap();
        for link in content.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if link.is_empty() || link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            assert!(path.parent().unwrap().join(link).exists(), "{} leads to {link}, which is not there", name(path));
        }
    }
}

#[test]
fn every_setting_is_described() {
    let sources = [
        "src/settings/topics.rs",
        "ra-api/src/settings.rs",
        "ocsp/src/settings.rs",
        "crl-publisher/src/settings.rs",
        "back-office/src/settings.rs",
        "ca-service/src/exports/settings.rs",
        "ca-service/src/log/settings.rs",
        "ca-service/src/settings.rs",
        "push/src/settings.rs",
    ];
    let page = std::fs::read_to_string(root().join("docs/settings.md")).unwrap();
    for source in sources {
        let content = std::fs::read_to_string(root().join(source)).unwrap();
        for field in content.lines().filter_map(field_of_settings) {
            // What another room hands over in memory is no key in the file.
            let in_memory = match source {
                "back-office/src/settings.rs" => &["token", "answer_octets"][..],
                "ca-service/src/settings.rs" => {
                    &["batch", "feed_interval", "card_crl_interval", "responder_life", "log_max_lag", "clock_max_offset", "topics"]
                }
                _ => &[],
            };
            if in_memory.contains(&field) {
                continue;
            }
            let described = page.contains(&format!("`{field}`")) || page.contains(&format!(".{field}`"));
            assert!(described, "docs/settings.md does not tell of {field} ({source})");
        }
    }
}

/// The name of the public field that is declared in this line, unless it is a group of settings.
fn field_of_settings(line: &str) -> Option<&str> {
    let line = line.trim();
    let (field, kind) = line.strip_prefix("pub(crate) ").or_else(|| line.strip_prefix("pub "))?.split_once(": ")?;
    if ["Topic,", "Settings,", "Limits,", "Backoff,"].iter().any(|group| kind.ends_with(group)) {
        return None;
    }
    field.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_').then_some(field)
}

#[test]
fn every_metric_is_described() {
    let page = std::fs::read_to_string(root().join("docs/operators.md")).unwrap();
    let rooms = ["back-office", "ca-service", "crl-publisher", "ocsp", "push", "ra-api", "schema", "src"];
    let mut found = 0;
    for file in files().iter().filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
        if !rooms.iter().any(|room| file.starts_with(root().join(room))) {
            continue;
        }
        let content = std::fs::read_to_string(file).unwrap();
        for call in content.split("metrics::").skip(1) {
            let Some(metric) = call.split('"').nth(1).filter(|name| name.starts_with("tsunagi_")) else { continue };
            found += 1;
            let described = page.split('`').any(|code| code.split('{').next() == Some(metric));
            assert!(described, "docs/operators.md does not tell of {metric} ({})", name(file));
        }
    }
    assert!(found > 40, "the metrics are counted in another way now");
}

#[test]
fn every_decision_is_in_the_list_of_decisions() {
    let directory = root().join("docs/decisions");
    let list = std::fs::read_to_string(directory.join("README.md")).unwrap();
    for entry in std::fs::read_dir(directory).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        assert!(file == "README.md" || list.contains(&file), "{file} is not in the list");
    }
}
