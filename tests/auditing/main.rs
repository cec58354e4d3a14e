//! Auditors at a running installation: exports taken, broken off and gone on with, and the log searched.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod exports;
mod interrupted;
mod searching;

#[path = "../support/mod.rs"]
mod support;

use support::{Installation, Store};

support::on_each_database! {
    fn what_is_taken_is_verified_and_the_next_visit_goes_on_there(store) {
        let installation = Installation::serving(store);
        let first = exports::are_taken_with_evidence_and_verified(&installation);
        exports::go_on_where_an_earlier_one_ended(&installation, &first);
        exports::are_fetched_from_any_place_on(&installation, &first);
        exports::are_refused_where_there_is_nothing_to_prove(&installation, &first);
        exports::are_not_judged_with_another_s_key(&installation, &first);
        exports::are_reported_in_order(&installation, &first);
        exports::need_no_settings(&installation);
        exports::are_for_auditors_alone(&installation, &first);
        exports::are_given_out_no_more_when_records_were_purged(&installation, &first);
        exports::name_the_record_that_was_changed(&installation);
    }

    fn the_log_is_searched_and_questions_are_on_record(store) {
        searching::finds_what_belongs_together(&Installation::serving(store));
    }
}

#[test]
fn an_export_that_is_killed_over_and_over_is_whole_in_the_end() {
    interrupted::an_export_that_is_killed_over_and_over_is_whole_in_the_end(Store::Sqlite);
}
