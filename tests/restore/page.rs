//! docs/backup.md, done as it says.

use std::fs;

use crate::story::Story;
use crate::support::{Store, on_each_database, shell, until};
use crate::{installation, open_again, serve};

const PAGE: &str = include_str!("../../docs/backup.md");

/// The blocks to be typed on this database, in their order, for a directory of this name.
fn blocks(is_postgres: bool) -> Vec<String> {
    let dedent = |block: &str| block.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    let all = PAGE.split("```sh\n").skip(1).map(|rest| dedent(rest.split("```").next().unwrap()));
    let is_other = |block: &String| match is_postgres {
        true => block.contains("sqlite3 ") || block.contains(".sqlite-wal"),
        false => block.contains("pg_dump") || block.contains("pg_restore"),
    };
    all.filter(|block| !is_other(block)).map(|block| block.replace("pki", "installation")).collect()
}

on_each_database! {
    fn the_page_on_backups_can_be_followed_as_it_stands(store) {
        let installation = installation(store);
        let is_postgres = installation.store_url().starts_with("postgres");
        let blocks = blocks(is_postgres);
        let [save, keys, bring_back, begin, status, reconcile, from_elsewhere] = blocks.as_slice() else { panic!("{blocks:#?}") };
        let scratch = installation.scratch();
        let saved = scratch.join("saved");
        fs::create_dir(&saved).unwrap();
        let url = installation.store_url();
        let (server, name) = url.rsplit_once('/').unwrap();
        let variables = [("BACKUP", saved.to_str().unwrap()), ("STORE_URL", &url), ("SERVER_URL", &format!("{server}/postgres"))];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let run = |block: &str| {
            let database = format!("--maintenance-db=\"$SERVER_URL\" {name}\n");
            shell(scratch, &variables, &block.replace("--maintenance-db=\"$SERVER_URL\" tsunagi\n", &database))
        };

        let mut process = serve(&installation);
        let mut story = Story::begin(&installation);
        run(save);
        run(keys);
        story.goes_on_after_the_backup(&installation);
        process.stop();
        // Another machine's file, and lists that somebody kept.
        fs::rename(installation.place().join("high-water.json"), scratch.join("high-water-status.json")).unwrap();
        fs::rename(&story.kept, scratch.join("kept-lists")).unwrap();
        run(bring_back);
        run(begin);
        let process = serve(&installation);
        story.everything_is_try_later();
        assert!(run(status).contains("not reconciled since"));
        run(&from_elsewhere.replace("http://status.example", &format!("http://{}", installation.status)));
        story.everything_is_told_as_before();
        // Once more, the other way.
        run(begin);
        let told = run(reconcile);
        assert!(told.contains("Nothing was changed.") && told.contains("The store is reconciled"), "{told}");
        open_again(&installation, &story);
        let tar = fs::metadata(saved.join("installation.tar")).unwrap();
        assert!(tar.len() > 10_000);
        drop(process);
    }
}

#[test]
fn what_the_page_says_of_files_is_what_is_written() {
    let installation = installation(Store::Sqlite);
    let process = serve(&installation);
    let content = until("a file is written, with the log as it was signed", || {
        let text = std::fs::read_to_string(installation.place().join("high-water.json")).ok()?;
        let content: serde_json::Value = serde_json::from_str(&text).unwrap();
        content["high_water"]["mark"]["log"].is_object().then_some(content)
    });
    let shown = PAGE.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let shown: serde_json::Value = serde_json::from_str(shown).unwrap();
    let members = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(members(&content), members(&shown));
    assert_eq!(members(&content["high_water"]), members(&shown["high_water"]));
    assert_eq!(members(&content["high_water"]["mark"]), members(&shown["high_water"]["mark"]));
    assert_eq!(members(&content["high_water"]["mark"]["log"]), members(&shown["high_water"]["mark"]["log"]));
    drop(process);
}
