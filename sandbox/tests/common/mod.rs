//! What the integration tests share: openssl, a back office, and a registration authority that believes everything.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

pub mod believing_ra;

use std::path::Path;
use std::process::Command;

use sandbox::back_office::{BackOffice, BackOfficeSettings, NewCard};
use sandbox::card::Card;

/// Runs openssl; gives standard output and error together. Panics if it fails.
pub fn openssl(directory: &Path, arguments: &[&str]) -> String {
    let (ok, output) = try_openssl(directory, arguments);
    assert!(ok, "openssl {arguments:?} failed:\n{output}");
    output
}

/// Runs openssl; whether it succeeded and what it said.
pub fn try_openssl(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(arguments).current_dir(directory).output().expect("openssl is installed");
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), text)
}

/// A back office in memory with so many key generations of the card CA.
pub fn back_office(generations: u32) -> BackOffice {
    BackOffice::start(&BackOfficeSettings { generations, ..BackOfficeSettings::default() }).unwrap()
}

/// A card with keys from the pool.
pub fn card(back_office: &BackOffice) -> Card {
    Card::from_file(&back_office.new_card(&pooled()).unwrap()).unwrap()
}

/// A wish for a card with pooled keys.
pub fn pooled() -> NewCard {
    NewCard { pooled_keys: true, ..NewCard::default() }
}
