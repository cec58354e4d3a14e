//! What the issuance log gives out, seen from outside: tiles over HTTP, and receipts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod receipts;
mod tiles;

#[path = "../support/mod.rs"]
mod support;

use support::{Installation, Store};

support::on_each_database! {
    fn every_issued_certificate_has_a_receipt_that_verifies_and_no_other_does(store) {
        let mut installation = Installation::serving(store);
        let held = receipts::every_certificate_has_one(&installation);
        receipts::come_with_the_answer_to_whoever_prefers_to_wait(&installation);
        receipts::are_of_one_certificate_one_application_and_one_log(&installation, &held);
        receipts::are_the_same_leaves_after_a_restart(&mut installation, &held);
        receipts::are_there_only_for_what_the_log_tells(&mut installation, held);
    }

    fn a_receipt_outlives_what_it_is_of(store) {
        receipts::hold_when_everything_else_was_purged(store);
    }

    fn the_log_is_given_out_as_the_specification_says_and_shows_nobody(store) {
        let installation = Installation::serving(store);
        let shown = tiles::grow(&installation);
        tiles::lead_to_the_root_of_the_checkpoint(&installation);
        tiles::are_cached_by_what_they_are(&installation);
        tiles::have_no_other_paths(&installation);
        tiles::hold_for_a_program_of_the_specifications_alone(&installation);
        tiles::show_nobody(&installation, &shown);
    }
}

#[test]
fn a_receipt_with_any_octet_changed_proves_nothing_else() {
    receipts::withstand_every_change_of_an_octet(&Installation::serving(Store::Sqlite));
}

#[test]
fn while_the_log_lags_receipts_are_waited_for_and_certificates_are_not() {
    receipts::come_later_when_the_log_lags();
}

#[test]
fn a_receipt_shows_which_witnesses_have_seen_the_log() {
    receipts::show_their_witnesses();
}

#[cfg(feature = "postgres")]
#[test]
fn a_status_machine_gives_out_the_log_from_a_directory_of_its_own() {
    tiles::come_through_the_store_to_a_status_machine();
}
