//! `POST /v1/card-certificates/states`, on the wire.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::card_events::is_reason;
use crate::fault::BackOfficeFault;
use crate::port::{CardName, RegisterState, Standing};

#[derive(Serialize)]
struct Question {
    cards: Vec<Card>,
}

#[derive(Serialize)]
struct Card {
    issuer_key_id: String,
    serial: String,
}

#[derive(Deserialize)]
struct Answer {
    states: Vec<State>,
}

#[derive(Deserialize)]
struct State {
    known: bool,
    state: Option<String>,
    reason: Option<String>,
    since: Option<DateTime<Utc>>,
    sequence: Option<i64>,
}

pub(crate) fn encode(cards: &[CardName]) -> Result<Vec<u8>, BackOfficeFault> {
    let cards =
        cards.iter().map(|card| Card { issuer_key_id: hex::encode(&card.issuer_key_id), serial: hex::encode(&card.serial) }).collect();
    serde_json::to_vec(&Question { cards }).map_err(|_| BackOfficeFault::Malformed("the question cannot be written"))
}

/// Reads the answer to a question about `expected` cards. One state out of form refuses the answer: this is the comparison that
/// finds what others lost, and what it cannot read it must not call compared.
pub(crate) fn decode(answer: &[u8], expected: usize) -> Result<Vec<Option<RegisterState>>, BackOfficeFault> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| BackOfficeFault::Malformed("not the states of card certificates"))?;
    if answer.states.len() != expected {
        return Err(BackOfficeFault::Malformed("not one state for each card"));
    }
    answer.states.into_iter().map(|state| if state.known { register_state(state).map(Some) } else { Ok(None) }).collect()
}

fn register_state(state: State) -> Result<RegisterState, BackOfficeFault> {
    let sequence =
        state.sequence.filter(|sequence| *sequence >= 0).ok_or(BackOfficeFault::Malformed("a state without a sequence of 0 or more"))?;
    let standing = match (state.state.as_deref(), state.reason, state.since) {
        // A time since which nothing is wrong may be told, and means nothing to us.
        (Some("good"), None, _) => Standing::Good,
        (Some("held"), None, Some(since)) => Standing::Held { since },
        (Some("revoked"), Some(reason), Some(since)) if is_reason(&reason) => Standing::Revoked { reason, since },
        _ => return Err(BackOfficeFault::Malformed("a state that is neither good, nor held since, nor revoked since with a reason")),
    };
    Ok(RegisterState { standing, sequence })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_one(state: &str) -> Result<Option<RegisterState>, BackOfficeFault> {
        decode(format!(r#"{{"states":[{state}]}}"#).as_bytes(), 1).map(|mut states| states.remove(0))
    }

    #[test]
    fn the_three_states_and_the_unknown_are_told_apart() {
        let since: DateTime<Utc> = "2026-11-20T00:00:00Z".parse().unwrap();
        let state = |standing, sequence| Some(RegisterState { standing, sequence });
        assert_eq!(decode_one(r#"{"known":false}"#).unwrap(), None);
        assert_eq!(decode_one(r#"{"known":true,"state":"good","sequence":0}"#).unwrap(), state(Standing::Good, 0));
        let held = r#"{"known":true,"state":"held","since":"2026-11-20T09:00:00+09:00","sequence":2}"#;
        assert_eq!(decode_one(held).unwrap(), state(Standing::Held { since }, 2));
        let revoked = r#"{"known":true,"state":"revoked","reason":"superseded","since":"2026-11-20T00:00:00Z","sequence":3}"#;
        assert_eq!(decode_one(revoked).unwrap(), state(Standing::Revoked { reason: "superseded".into(), since }, 3));
    }

    #[test]
    fn a_state_out_of_form_refuses_the_answer() {
        for state in [
            r#"{"known":true}"#,
            r#"{"known":true,"state":"good"}"#,
            r#"{"known":true,"state":"good","sequence":-1}"#,
            r#"{"known":true,"state":"good","reason":"superseded","sequence":1}"#,
            r#"{"known":true,"state":"held","sequence":1}"#,
            r#"{"known":true,"state":"revoked","since":"2026-11-20T00:00:00Z","sequence":1}"#,
            r#"{"known":true,"state":"revoked","reason":"superseded","sequence":1}"#,
            r#"{"known":true,"state":"gone","sequence":1}"#,
            r#"{"state":"good","sequence":1}"#,
        ] {
            assert!(matches!(decode_one(state), Err(BackOfficeFault::Malformed(_))), "{state}");
        }
    }

    #[test]
    fn an_answer_about_fewer_cards_is_refused() {
        assert!(decode(br#"{"states":[]}"#, 1).is_err());
    }
}
