//! What is acknowledged is on disk: the system calls of a running service, looked at by strace. Before the first octet of the
//! answer to an application leaves, every write to SQLite's log has been followed by a sync of that file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg(target_os = "linux")]

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sandbox::kind::Kind;
use sandbox::phone::Enrolment;
use support::{Installation, Store, program, until};

/// Octets of each buffer that are in the trace: a page of SQLite and more.
const SHOWN: &str = "5000";
/// What is traced: whatever writes to files and sockets, reads from sockets, and syncs.
const TRACED: &str = "write,writev,pwrite64,pwritev,pwritev2,sendto,sendmsg,read,readv,recvfrom,recvmsg,fsync,fdatasync,sync_file_range";
/// The answer to an application brings two certificates in base64; nothing else on that connection is as large.
const LEAST_OCTETS_OF_AN_ANSWER: i64 = 2_000;

/// A service with strace as its parent. Ends, in that order, when it is dropped.
struct Traced {
    strace: Child,
    service: u32,
    trace: PathBuf,
}

impl Traced {
    fn start(installation: &Installation) -> Self {
        strace_works(installation.scratch());
        let (trace, pid) = (installation.scratch().join("trace"), installation.scratch().join("service.pid"));
        let log = std::fs::File::create(installation.scratch().join("traced.log")).unwrap();
        // The shell gives its number away and becomes the service, so that the service can be stopped and not only strace.
        let script = r#"echo $$ > "$1.new" && mv "$1.new" "$1" && shift && exec "$@""#;
        let strace = Command::new("strace")
            .args(["-f", "-yy", "-x", "-s", SHOWN, "-e", &format!("trace={TRACED}"), "-e", "signal=none", "-o"])
            .arg(&trace)
            .args(["sh", "-c", script, "sh"])
            .arg(&pid)
            .args([program(), "serve", "--settings"])
            .arg(installation.place())
            // Other writes than the application's would only stand in the way; the back office's feed can wait.
            .envs([("TSUNAGI__CA__FEED_SECONDS", "3600"), ("TSUNAGI__CA__CARD_CRL_SECONDS", "3600"), ("RUST_LOG", "info")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let service = until("the service is started", || std::fs::read_to_string(&pid).ok()?.trim().parse().ok());
        Self { strace, service, trace }
    }

    /// Stops the service and gives everything that it did.
    fn finish(mut self) -> Vec<Call> {
        self.signal("TERM");
        until("the traced service ends", || self.strace.try_wait().unwrap());
        read_trace(&std::fs::read_to_string(&self.trace).unwrap())
    }

    fn signal(&self, name: &str) {
        let _ = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.service)]).stderr(Stdio::null()).status();
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if self.strace.try_wait().unwrap().is_none() {
            self.signal("KILL");
            let _ = self.strace.wait();
        }
    }
}

/// Says clearly what is wrong where strace is not there or may not trace.
fn strace_works(directory: &Path) {
    let trace = directory.join("attempt");
    let output = Command::new("strace").args(["-f", "-o"]).arg(&trace).args(["-e", "trace=write", "true"]).output();
    let output = output.unwrap_or_else(|error| panic!("strace: {error}; scripts/test installs it"));
    assert!(
        output.status.success(),
        "strace may not trace here (ptrace is not permitted: in a container, add the capability SYS_PTRACE): {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One system call. Calls overlap: each has the lines of the trace where it begins and where it is over.
#[derive(Debug)]
struct Call {
    name: String,
    /// What the descriptor is: a path, or `TCP:[here->there]`.
    target: String,
    /// Everything between the parentheses, as strace writes it.
    arguments: String,
    /// What it returned; `None` if the process ended before.
    result: Option<i64>,
    begins: usize,
    ends: usize,
}

impl Call {
    fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync")
    }

    fn writes(&self) -> bool {
        self.name.contains("write") || self.name.starts_with("send")
    }

    fn reads(&self) -> bool {
        self.name.starts_with("read") || self.name.starts_with("recv")
    }

    fn octets(&self) -> i64 {
        self.result.unwrap_or(0)
    }
}

fn read_trace(trace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    // The call that each thread has begun and not ended.
    let mut open: std::collections::HashMap<&str, usize> = std::collections::HashMap::new();
    for (line_number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some(place) = open.remove(thread) else { continue };
            let (_, more) = resumed.split_once("resumed>").expect("a resumed call");
            let (arguments, result) = end_of(more);
            let call = &mut calls[place];
            call.arguments += arguments;
            (call.result, call.ends) = (result, line_number);
            continue;
        }
        let Some((name, more)) = rest.split_once('(') else { continue };
        if !name.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_') {
            continue;
        }
        let unfinished = more.strip_suffix("<unfinished ...>");
        let (arguments, result) = unfinished.map_or_else(|| end_of(more), |arguments| (arguments, None));
        let ends = if unfinished.is_some() { usize::MAX } else { line_number };
        let target = target_of(arguments).to_owned();
        calls.push(Call { name: name.to_owned(), target, arguments: arguments.to_owned(), result, begins: line_number, ends });
        if unfinished.is_some() {
            open.insert(thread, calls.len() - 1);
        }
    }
    calls
}

/// The arguments and the result of `arguments) = result`.
fn end_of(text: &str) -> (&str, Option<i64>) {
    let Some((arguments, result)) = text.rsplit_once(") = ").or_else(|| text.rsplit_once(')')) else { return (text, None) };
    let result = result.trim_start().trim_start_matches("= ").split(' ').next().unwrap_or_default();
    (arguments, result.parse().ok())
}

/// `7</path>, …` names a path, `7<TCP:[127.0.0.1:1->127.0.0.1:2]>, …` a connection.
fn target_of(arguments: &str) -> &str {
    let Some((_, rest)) = arguments.split_once('<') else { return "" };
    let end = if rest.starts_with("TCP") { rest.find("]>").map(|at| at + 1) } else { rest.find(['>', ',']) };
    &rest[..end.unwrap_or(rest.len())]
}

/// How strace writes octets.
fn as_written(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "\\x{octet:02x}").unwrap();
        text
    })
}

/// The answers to applications: for each, the first write to the connection after the application was read from it.
fn answers<'c>(calls: &'c [Call], ra: &str) -> Vec<&'c Call> {
    let of_ra = format!("TCP:[{ra}->");
    let mut answers: Vec<&Call> = Vec::new();
    for large in calls.iter().filter(|call| call.writes() && call.target.starts_with(&of_ra) && call.octets() >= LEAST_OCTETS_OF_AN_ANSWER)
    {
        let on_it = || calls.iter().filter(|call| call.target == large.target && call.octets() > 0 && call.begins <= large.begins);
        let asked = on_it().rfind(|call| call.reads()).expect("an application was read");
        let first = on_it().filter(|call| call.writes()).find(|call| call.begins > asked.begins).expect("it is there");
        if !answers.iter().any(|known| std::ptr::eq(*known, first)) {
            answers.push(first);
        }
    }
    answers
}

/// The first write to the log before `moment` that no sync, begun after it and ended before `moment`, has followed.
fn unsynced_before<'c>(log: &'c [&Call], moment: usize) -> Option<&'c Call> {
    let followed = |write: &Call| {
        let syncs = log.iter().filter(|call| call.is_sync() && call.result == Some(0));
        syncs.into_iter().any(|sync| sync.begins > write.ends && sync.ends < moment)
    };
    log.iter().copied().find(|call| call.writes() && call.begins < moment && !followed(call))
}

/// The end of a certificate's signature: it exists nowhere before it is signed, and in the log only where it is stored.
fn signature_end(enrolment: &Enrolment, kind: Kind) -> String {
    let certificate = &enrolment.of(kind).unwrap().certificate;
    as_written(&certificate[certificate.len() - 24..])
}

#[test]
fn no_certificate_leaves_before_everything_written_for_it_is_synced() {
    let installation = Installation::prepare(Store::Sqlite);
    let card = installation.card();
    let traced = Traced::start(&installation);
    installation.await_ready(installation.telemetry);
    installation.await_beacon();
    let enrolments: Vec<Enrolment> = (0..3)
        .map(|_| {
            // A phone of its own, so a connection of its own.
            let enrolment = installation.apply(&card);
            assert_eq!(enrolment.answers[0].status, 201, "the answer did not wait for the certificates");
            enrolment
        })
        .collect();
    let calls = traced.finish();

    let log: Vec<&Call> = calls.iter().filter(|call| call.target.ends_with("tsunagi.sqlite-wal")).collect();
    let answers = answers(&calls, &installation.ra.to_string());
    assert_eq!(answers.len(), enrolments.len(), "answers in the trace: {answers:?}");
    let mut at_rest = 0;
    for (enrolment, answer) in enrolments.iter().zip(&answers) {
        for kind in Kind::ALL {
            let stored = signature_end(enrolment, kind);
            let writes: Vec<&&Call> = log.iter().filter(|call| call.writes() && call.arguments.contains(&stored)).collect();
            let first = writes.first().unwrap_or_else(|| panic!("the {kind} certificate was never written to the log"));
            assert!(first.ends < answer.begins, "the {kind} certificate was given away before it was written");
            let synced =
                log.iter().any(|call| call.is_sync() && call.result == Some(0) && call.begins > first.ends && call.ends < answer.begins);
            assert!(synced, "the {kind} certificate was given away before it was synced");
        }
        at_rest += usize::from(unsynced_before(&log, answer.begins).is_none());
    }
    // Nothing else was on its way either. The renewal of the lead, each five seconds, may fall into one such moment.
    assert!(at_rest + 1 >= answers.len(), "writes to the log without a sync, when an answer left: {:?}", shown(&log, &answers));
    // What was found is no accident of the trace: there are writes, and there are syncs.
    assert!(log.iter().filter(|call| call.writes()).count() >= 10 && log.iter().filter(|call| call.is_sync()).count() >= 6);
}

/// The calls that are in the way, without their octets.
fn shown(log: &[&Call], answers: &[&Call]) -> Vec<String> {
    let late = answers.iter().filter_map(|answer| unsynced_before(log, answer.begins).map(|call| (answer.begins, call)));
    late.map(|(answer, call)| format!("{} at line {}, answer at line {answer}", call.name, call.begins)).collect()
}

#[test]
fn the_reader_of_traces_tells_a_write_that_was_synced_from_one_that_was_not() {
    let trace = r#"10 pwrite64(9</tmp/a.sqlite-wal>, "\x01\x02", 2, 0) = 2
11 fdatasync(8</tmp/b.sqlite-wal>) = 0
10 fdatasync(9</tmp/a.sqlite-wal> <unfinished ...>
12 read(15<TCP:[127.0.0.1:1->127.0.0.1:2]>,  <unfinished ...>
10 <... fdatasync resumed>) = 0
12 <... read resumed>"\x17\x03", 4096) = 2
10 pwrite64(9</tmp/a.sqlite-wal>, "\x03", 1, 2 <unfinished ...>
13 fdatasync(7</tmp/a.sqlite-wal>) = 0
10 <... pwrite64 resumed>) = 1
12 writev(15<TCP:[127.0.0.1:1->127.0.0.1:2]>, [{iov_base="\x17\x03) = 9", iov_len=3000}], 1) = 3000
10 fdatasync(9</tmp/a.sqlite-wal>) = -1 EIO (Input/output error)
10 fdatasync(9</tmp/a.sqlite-wal>) = 0
"#;
    let calls = read_trace(trace);
    let log: Vec<&Call> = calls.iter().filter(|call| call.target == "/tmp/a.sqlite-wal").collect();
    assert_eq!(
        log.iter().map(|call| (call.begins, call.ends, call.result)).collect::<Vec<_>>(),
        [(0, 0, Some(2)), (2, 4, Some(0)), (6, 8, Some(1)), (7, 7, Some(0)), (10, 10, Some(-1)), (11, 11, Some(0)),]
    );
    let answers = answers(&calls, "127.0.0.1:1");
    assert_eq!(answers.iter().map(|answer| (answer.begins, answer.result)).collect::<Vec<_>>(), [(9, Some(3_000))]);
    // The sync of line 7 was begun before the write of line 6 was over, so it does not count; nor does one that failed.
    assert_eq!(unsynced_before(&log, 9).map(|call| call.begins), Some(6));
    assert_eq!(unsynced_before(&log, 5).map(|call| call.begins), None);
    assert_eq!(unsynced_before(&log, 11).map(|call| call.begins), Some(6));
    assert_eq!(unsynced_before(&log, 12).map(|call| call.begins), None);
    assert!(calls[0].arguments.contains(&as_written(&[1, 2])));
}
