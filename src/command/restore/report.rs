//! What a reconciliation found and did, for people and for programs.

use ca_service::{CardsHeard, PutBack};
use serde_json::{Value, json};

use super::lists::PublishedList;
use crate::output::{pairs, table, time};

/// Serial numbers told one by one at most.
const SERIALS: usize = 1_000;

/// What came of one list.
pub(super) struct ListReport {
    label: String,
    number: u64,
    name: String,
    this_update: String,
    is_newest: bool,
    entries: u64,
    pub(super) came: PutBack,
    /// Holds on a list that is not the newest of its scope: what became of them is on that one.
    pub(super) holds_left: u64,
}

/// What came of the log: leaves of the store's tree, of the largest that was published and found, and of those that were taken up.
pub(super) struct LogReport {
    pub(super) stored: u64,
    pub(super) published: Option<u64>,
    pub(super) adopted: u64,
}

/// The whole of it.
#[derive(Default)]
pub(super) struct Report {
    pub(super) dry_run: bool,
    pub(super) epoch: u64,
    pub(super) lists: Vec<ListReport>,
    /// `None` if the store never had a log.
    pub(super) log: Option<LogReport>,
    pub(super) cards: Option<CardsHeard>,
    /// CA keys and the number above which their next CRLs are.
    pub(super) crl_numbers: Vec<(String, u64)>,
    /// Held here, and not on the last list: label and serial number.
    pub(super) held_unlisted: Vec<(String, String)>,
    pub(super) instructions: u64,
    /// What speaks against ending it.
    pub(super) objections: Vec<String>,
    /// What was overruled, and what else is to be known.
    pub(super) warnings: Vec<String>,
    pub(super) reconciled: bool,
}

impl ListReport {
    pub(super) fn of(list: &PublishedList) -> Self {
        Self {
            label: list.scope.label.clone(),
            number: list.number,
            name: list.name.clone(),
            this_update: time(list.this_update),
            is_newest: list.is_newest,
            entries: list.entries,
            came: PutBack::default(),
            holds_left: 0,
        }
    }

    /// How many it lists.
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    fn json(&self) -> Value {
        json!({
            "crl": self.label,
            "number": self.number,
            "from": self.name,
            "this_update": self.this_update,
            "newest": self.is_newest,
            "entries": self.entries,
            "known": self.came.known,
            "put_back": self.came.put_back,
            "remembered": self.came.remembered,
            "expired": self.came.expired,
            "holds_left_to_newer": self.holds_left,
        })
    }
}

impl Report {
    pub(super) fn json(&self) -> Value {
        let held: Vec<Value> =
            self.held_unlisted.iter().take(SERIALS).map(|(label, serial)| json!({"crl": label, "serial": serial})).collect();
        json!({
            "reconciled": self.reconciled,
            "dry_run": self.dry_run,
            "epoch": self.epoch,
            "lists": self.lists.iter().map(ListReport::json).collect::<Vec<_>>(),
            "log": self.log.as_ref().map(|log| json!({"stored": log.stored, "published": log.published, "adopted": log.adopted})),
            "cards": self.cards.map(|cards| json!({
                "events": cards.events,
                "certificates_changed": cards.changed,
                "found_by_crl": cards.found_by_crl,
                "found_by_comparison": cards.found_by_comparison,
            })),
            "instructions": self.instructions,
            "crl_numbers_above": self.crl_numbers.iter().map(|(label, number)| json!({"ca_key": label, "number": number})).collect::<Vec<_>>(),
            "held_but_not_listed": self.held_unlisted.len(),
            "held_but_not_listed_certificates": held,
            "objections": self.objections,
            "warnings": self.warnings,
        })
    }

    pub(super) fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self
            .lists
            .iter()
            .map(|list| {
                let numbers = [list.entries, list.came.known, list.came.put_back, list.came.remembered];
                [list.label.clone(), list.number.to_string()]
                    .into_iter()
                    .chain(numbers.map(|number| number.to_string()))
                    .chain([list.name.clone()])
                    .collect()
            })
            .collect();
        let mut parts = vec![match rows.is_empty() {
            true => "No published list was found.".to_owned(),
            false => table(&["CRL", "number", "entries", "known", "put back", "unknown, remembered", "from"], &rows),
        }];
        let mut facts = Vec::new();
        if let Some(log) = &self.log {
            let published = log.published.map_or("no tile directory found".to_owned(), |size| format!("{size} published"));
            facts.push(("leaves of the log", format!("{} in the store, {published}", log.stored)));
            facts.push(("lost leaves taken up", log.adopted.to_string()));
        }
        if let Some(cards) = self.cards {
            facts.push(("card events heard again", cards.events.to_string()));
            facts.push(("certificates changed by them", cards.changed.to_string()));
            facts.push(("cards found by card CRL", cards.found_by_crl.to_string()));
            facts.push(("cards found by comparison", cards.found_by_comparison.to_string()));
        }
        if self.instructions > 0 {
            facts.push(("instructions that waited, decided", self.instructions.to_string()));
        }
        for (label, number) in &self.crl_numbers {
            facts.push(("next CRL number above", format!("{number} ({label})")));
        }
        if !facts.is_empty() {
            parts.push(pairs(&facts));
        }
        if !self.held_unlisted.is_empty() {
            let serials: Vec<String> = self.held_unlisted.iter().take(20).map(|(label, serial)| format!("  {serial} ({label})")).collect();
            let more = self.held_unlisted.len().saturating_sub(20);
            let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
            parts.push(format!(
                "On hold here, and not on the last list: perhaps lifted since the backup. They stay on hold until somebody lifts them:\n{}{more}",
                serials.join("\n")
            ));
        }
        parts.extend(self.warnings.iter().map(|warning| format!("Warning: {warning}.")));
        parts.push(match (self.dry_run, self.reconciled) {
            (true, _) => "Nothing was changed.".to_owned(),
            (false, true) => "The store is reconciled: status is told again, and the CA role leads again within seconds.".to_owned(),
            (false, false) => "The store is not reconciled yet.".to_owned(),
        });
        parts.join("\n\n")
    }
}
