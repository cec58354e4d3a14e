//! People who do not give up: whoever gets no answer asks again, and sends the same octets again.

use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sandbox::phone::RaAnswer;

use crate::town::Town;

/// How long somebody asks before it is a defect. More than a dead CA's lead lasts, and three kills in a row.
const PATIENCE: Duration = Duration::from_secs(150);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(60);

/// Asks until the RA itself answers, and neither is down nor finds somebody else so.
pub(crate) fn answered<E: Debug>(town: &Town, what: &str, mut ask: impl FnMut() -> Result<RaAnswer, E>) -> RaAnswer {
    let began = Instant::now();
    loop {
        let last = match ask() {
            // 408: it was too slow to read what was sent.
            Ok(answer) if answer.status < 500 && answer.status != 408 => return answer,
            Ok(answer) => {
                town.ledger.count(&format!("answers {} {}", answer.status, answer.code()));
                answer.text
            }
            Err(fault) => format!("{fault:?}"),
        };
        town.go_on();
        assert!(began.elapsed() < PATIENCE, "{what} is not answered: {last}");
        sleep(PAUSE);
    }
}

/// The same for questions whose answers come read already.
pub(crate) fn told<T, E: Debug>(town: &Town, what: &str, mut ask: impl FnMut() -> Result<T, E>) -> T {
    let began = Instant::now();
    loop {
        town.go_on();
        match ask() {
            Ok(answer) => return answer,
            Err(fault) => assert!(began.elapsed() < PATIENCE, "{what} is not answered: {fault:?}"),
        }
        sleep(PAUSE);
    }
}

/// Sends the same octets until what they ask for is decided: the last answer. `ask` asks by the name that the RA gave it.
pub(crate) fn decided<E: Debug>(
    town: &Town,
    what: &str,
    send: impl FnMut() -> Result<RaAnswer, E>,
    mut ask: impl FnMut(&RaAnswer) -> Result<RaAnswer, E>,
) -> RaAnswer {
    let began = Instant::now();
    let first = answered(town, what, send);
    let is_undecided =
        |answer: &RaAnswer| matches!(answer.status, 200..=202) && matches!(answer.text_of("state"), Some("accepted" | "waiting"));
    if !is_undecided(&first) {
        return first;
    }
    loop {
        sleep(PAUSE);
        let answer = answered(town, what, || ask(&first));
        assert_ne!(answer.status, 404, "{what} was accepted, and is not there any more: {}", answer.text);
        if !is_undecided(&answer) {
            return answer;
        }
        town.go_on();
        assert!(began.elapsed() < PATIENCE, "{what} was accepted and is never decided: {}", answer.text);
    }
}
