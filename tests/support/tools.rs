//! Programs: our own command, and others that judge it.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

/// Our command: the one that was built with the tests, unless `TSUNAGI_TEST_PROGRAM` names another.
pub fn program() -> &'static str {
    static PROGRAM: LazyLock<String> =
        LazyLock::new(|| std::env::var("TSUNAGI_TEST_PROGRAM").unwrap_or_else(|_| env!("CARGO_BIN_EXE_tsunagi").to_owned()));
    &PROGRAM
}

/// Runs our command to its end.
pub fn tsunagi(arguments: &[&str]) -> Output {
    Command::new(program()).args(arguments).stdin(Stdio::null()).env_remove("RUST_LOG").output().unwrap()
}

/// Runs a program in a directory; gives standard output and error together. Panics if it fails.
pub fn run(directory: &Path, name: &str, arguments: &[&str]) -> String {
    let (held, said) = try_run(directory, name, arguments);
    assert!(held, "{name} {arguments:?} failed:\n{said}");
    said
}

/// Runs openssl; panics if it fails.
pub fn openssl(directory: &Path, arguments: &[&str]) -> String {
    run(directory, "openssl", arguments)
}

/// Runs openssl; whether it succeeded, and what it said.
pub fn try_openssl(directory: &Path, arguments: &[&str]) -> (bool, String) {
    try_run(directory, "openssl", arguments)
}

fn try_run(directory: &Path, name: &str, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(name).args(arguments).current_dir(directory).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{name}: {error}; scripts/test installs it"));
    (output.status.success(), said(&output))
}

/// Standard output and error together.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a script as `bash -eu -o pipefail` in a directory, with our command in the path; panics if it fails.
pub fn shell(directory: &Path, variables: &[(String, String)], script: &str) -> String {
    let path = format!("{}:{}", Path::new(program()).parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", script])
        .current_dir(directory)
        .stdin(Stdio::null())
        .env("PATH", path)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}\n--- said ---\n{}", script, said(&output));
    said(&output)
}

/// The `sh` blocks of a page in Markdown, in their order, as one script that names each block before it runs it.
pub fn sequence_of_steps(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let steps = blocks.enumerate().map(|(place, block)| format!("echo '=== block {}' >&2\n{block}", place + 1));
    steps.collect::<Vec<_>>().join("\n")
}
