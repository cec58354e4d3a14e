//! `tsunagi restore begin`

use serde_json::json;

use super::Begin;
use crate::failure::Failure;
use crate::high_water::{Found, HighWater, Mark, begin_epoch};
use crate::installation::Installation;
use crate::output::{Output, pairs};
use crate::role::Role;

pub(super) fn run(arguments: &Begin, output: Output) -> Result<(), Failure> {
    let installation = Installation::open(arguments.settings.load()?)?;
    let (reader, writer) = (installation.database.reader(), installation.database.writer());
    let files = installation.high_water_files(&[Role::Ca]);
    let mut reached: Option<HighWater> = None;
    let own = files.look().into_iter().map(|(path, found)| (path.to_owned(), found, false));
    let given = arguments.high_water.iter().map(|path| (path.clone(), files.look_at(path), true));
    for (path, found, must_be_sound) in own.chain(given) {
        match found {
            Found::Sound(found) => {
                reached = Some(match reached.take() {
                    Some(reached) => reached.highest(found),
                    None => found,
                })
            }
            Found::Foreign(instance) => {
                return Err(Failure::settings(format!("{} is the high-water file of another store, {instance}", path.display()))
                    .with_code("high_water_foreign"));
            }
            Found::Missing if must_be_sound => return Err(Failure::not_found(format!("{}: there is no such file", path.display()))),
            Found::Unreadable(complaint) if must_be_sound => {
                return Err(Failure::settings(format!("{}: {complaint}", path.display())).with_code("high_water_unreadable"));
            }
            Found::Missing | Found::Unreadable(_) => {}
        }
    }
    let store = Mark::of_store(&reader, chrono::Utc::now()).map_err(Failure::store)?;
    let epoch = begin_epoch(&reader, &writer, reached.as_ref().map(|reached| &reached.mark)).map_err(Failure::store)?;
    let mark = Mark::of_store(&reader, chrono::Utc::now()).map_err(Failure::store)?;
    // Files that came from the same backup as the store know of nothing that it has forgotten.
    let known = reached.as_ref().map(|reached| &reached.mark).filter(|known| store.below(known).is_some()).cloned();
    let known = match (known, reached.and_then(|reached| reached.before)) {
        (Some(known), Some(before)) => Some(known.highest(before)),
        (known, before) => known.or(before),
    };
    let failures = files.write(&mark, known.as_ref());
    for (path, error) in &failures {
        eprintln!("tsunagi: {} cannot be written: {error}", path.display());
    }
    let result = json!({ "epoch": epoch, "reached": known, "position": mark.position });
    output.print(&result, |_| {
        let facts = pairs(&[
            ("epoch", epoch.to_string()),
            ("last event", mark.position.to_string()),
            (
                "had been reached",
                known.map_or_else(|| "not known".to_owned(), |known| format!("event {} of epoch {}", known.position, known.epoch)),
            ),
        ]);
        format!("{facts}\n\nOCSP answers tryLater and nothing is issued until `tsunagi restore reconcile`.")
    })
}
