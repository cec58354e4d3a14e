//! What phones say became of commands, judged: only what the device's own key signed proves anything.

use ca_core::device_command::{CommandOutcome, CommandResult, CommandResultRefusal};
use ca_core::refusal::Refusal as _;
use schema::device_command::{self as stored, Settlement};
use serde::Deserialize;

use crate::CaFault;
use crate::role::CaRole;

/// Results that are taken up at once.
const PAGE: u32 = 200;

/// A result as a phone sends it.
#[derive(Deserialize)]
struct ResultJson {
    result: CommandOutcome,
    signed: Option<String>,
}

impl CaRole {
    /// Judges the results that the RA received; how many there were.
    pub fn judge_results(&self) -> Result<usize, CaFault> {
        let results = self.reader.untaken_results(PAGE)?;
        let (mut judged, mut failed) = (Vec::with_capacity(results.len()), None);
        for result in &results {
            match self.judge_result(result) {
                Ok(settlement) => judged.push((result.id, settlement)),
                // What one of them fails for keeps no other from being judged.
                Err(fault) => failed = Some(fault),
            }
        }
        if !judged.is_empty() {
            let now = self.clock.now();
            self.write(move |tx| {
                for (id, settlement) in &judged {
                    tx.settle_command(*id, *settlement, now)?;
                }
                Ok(())
            })?;
        }
        failed.map_or(Ok(results.len()), Err)
    }

    fn judge_result(&self, stored: &stored::CommandResult) -> Result<Option<Settlement>, CaFault> {
        let Ok(told) = serde_json::from_str::<ResultJson>(&stored.result.body) else {
            return Ok(passed_over(&stored.result.command, "command_result_malformed"));
        };
        let Some(command) = self.reader.device_command(&stored.result.command)? else {
            return Ok(passed_over(&stored.result.command, "command_unknown"));
        };
        let Some(key) = self.reader.device_command_key(&command.device)? else {
            return Ok(Some(unproved(told.result)));
        };
        // Of a phone that can sign, what is not signed says nothing: whoever has broken into the RA could stop every erasure by it.
        let Some(signed) = &told.signed else {
            return Ok(passed_over(&command.public_id, CommandResultRefusal::Signature.code()));
        };
        match CommandResult::verify(signed, &key, &command.public_id, &command.device) {
            Ok(CommandResult { outcome: CommandOutcome::Done, .. }) => Ok(Some(Settlement::Confirmed)),
            Ok(CommandResult { outcome: CommandOutcome::Failed, .. }) => Ok(Some(Settlement::Failed)),
            Err(refusal) => Ok(passed_over(&command.public_id, refusal.code())),
        }
    }
}

fn unproved(outcome: CommandOutcome) -> Settlement {
    match outcome {
        CommandOutcome::Done => Settlement::Claimed,
        CommandOutcome::Failed => Settlement::Failed,
    }
}

/// A result that proves nothing: the command stays as it is.
fn passed_over(command: &str, code: &'static str) -> Option<Settlement> {
    metrics::counter!("tsunagi_ca_command_results_refused_total", "code" => code).increment(1);
    tracing::warn!(command, code, "what a phone says became of a command does not count");
    None
}
