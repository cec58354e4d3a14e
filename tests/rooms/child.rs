//! Child processes that are killed in the middle of their work.
//!
//! A child is this very test program, told by an environment variable to run one test only: the one that does the child's part.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Outfit;

/// Holds the outfit and the order, in JSON.
const VARIABLE: &str = "TSUNAGI_TEST_CHILD";

/// Runs `test` of this program in a process of its own with `order`; it must end by SIGKILL.
#[track_caller]
pub fn kill(test: &str, outfit: &Outfit, order: &impl Serialize) {
    let order = serde_json::to_string(&(outfit, order)).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(VARIABLE, &order);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.signal(), Some(9), "the child was not killed: {}\n{}", output.status, said());
}

/// What this process has been told to do, if it is a child.
pub fn order<T: DeserializeOwned>() -> Option<(Outfit, T)> {
    let text = std::env::var(VARIABLE).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// SIGKILL to this process: nothing is tidied up, no destructor runs. Does not return.
pub fn die() {
    let begin = Instant::now();
    let told = Command::new("sh").args(["-c", &format!("kill -KILL {}", std::process::id())]).status();
    while begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("nobody killed this process: {told:?}");
}
