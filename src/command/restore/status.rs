//! `tsunagi restore status`

use serde_json::{Value, json};

use super::Status;
use crate::failure::Failure;
use crate::high_water::{Found, Mark};
use crate::installation::Installation;
use crate::log_standing::LogStanding;
use crate::output::{Output, pairs, time};
use crate::role::Role;

pub(super) fn run(arguments: &Status, output: Output) -> Result<(), Failure> {
    let installation = Installation::open(arguments.settings.load()?)?;
    let reader = installation.database.reader();
    // Files first: what stands in them was in the store before.
    let files: Vec<_> = [Role::Ca, Role::Status]
        .into_iter()
        .flat_map(|role| {
            let files = installation.high_water_files(&[role]);
            files.look().into_iter().map(|(path, found)| (path.to_owned(), found, role)).collect::<Vec<_>>()
        })
        // A status service that has no machine of its own has no files of its own.
        .filter(|(_, found, role)| *role == Role::Ca || *found != Found::Missing)
        .map(|(path, found, _)| (path, found))
        .collect();
    let mark = Mark::of_store(&reader, chrono::Utc::now()).map_err(Failure::store)?;
    let since = reader.store_state().map_err(Failure::store)?.reconciling_since;
    let told: Vec<(String, &'static str, Option<String>, Value)> = files
        .iter()
        .map(|(path, found)| {
            let (word, complaint, content) = match found {
                Found::Missing => ("missing", None, Value::Null),
                Found::Foreign(instance) => ("another store's", Some(instance.clone()), Value::Null),
                Found::Unreadable(complaint) => ("unreadable", Some(complaint.clone()), Value::Null),
                Found::Sound(found) => match mark.below(&found.mark) {
                    Some(why) => ("the store went back", Some(why), json!(found)),
                    None => ("sound", None, json!(found)),
                },
            };
            (path.display().to_string(), word, complaint, content)
        })
        .collect();
    let standing = LogStanding::look(&installation.settings, &installation.database)?;
    let went_back = told.iter().any(|(_, word, _, _)| *word == "the store went back");
    let result = json!({
        "epoch": mark.epoch,
        "position": mark.position,
        "crl_numbers": mark.crl_numbers,
        "reconciling_since": since.map(time),
        "went_back": went_back,
        "log_disputes": standing.disputes,
        "log_not_known": standing.unknown,
        "high_water": told.iter().map(|(path, word, complaint, content)| json!({"file": path, "state": word, "complaint": complaint, "content": content})).collect::<Vec<_>>(),
    });
    output.print(&result, |_| {
        let mut facts = vec![("epoch".to_owned(), mark.epoch.to_string()), ("last event".to_owned(), mark.position.to_string())];
        facts.extend(mark.crl_numbers.iter().map(|(label, number)| (format!("last CRL of {label}"), number.to_string())));
        facts.extend(told.iter().map(|(path, word, complaint, _)| {
            (path.clone(), complaint.as_ref().map_or_else(|| (*word).to_owned(), |complaint| format!("{word}: {complaint}")))
        }));
        let facts: Vec<(&str, String)> = facts.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let verdict = match (since, went_back) {
            (Some(since), _) => format!("Restored, and not reconciled since {}: run `tsunagi restore reconcile`.", time(since)),
            (None, true) => "The store went back, and no new epoch has begun: the CA role begins one when it starts.".to_owned(),
            (None, false) if standing.disputes.is_empty() => "Nothing is to be reconciled.".to_owned(),
            (None, false) => "No high-water file says that the store went back, and its log is disputed: if it was restored, `tsunagi restore begin` says so.".to_owned(),
        };
        let paragraphs = [Some(pairs(&facts)), standing.text(), Some(verdict)];
        paragraphs.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
    })
}
