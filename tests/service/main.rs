//! A running installation, seen from every side: holders, operators, relying parties, whoever watches over it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cascade;
mod life;
mod listeners;
mod log;
mod page;
mod roles;
mod shards;
mod status;
mod watching;

#[path = "../support/mod.rs"]
mod support;

use support::Installation;

support::on_each_database! {
    fn a_revoked_card_ends_its_certificates_whichever_way_the_news_comes(store) {
        let mut installation = Installation::serving(store);
        cascade::comes_by_push(&mut installation);
        cascade::comes_by_the_feed_alone(&mut installation);
        cascade::comes_by_the_card_crl_alone(&mut installation);
    }

    fn relying_parties_get_the_status_right_in_every_byte(store) {
        let installation = Installation::serving(store);
        let phone = status::two_good_certificates(&installation);
        status::ocsp_echoes_what_was_asked(&installation, &phone);
        status::ocsp_never_calls_good_what_was_not_issued(&installation, &phone);
        status::ocsp_refuses_what_it_cannot_answer(&installation, &phone);
        status::downloads_are_cached_by_what_they_are(&installation);
    }

    fn each_certificate_is_on_the_list_that_it_names_with_all_that_is_known(store) {
        let mut installation = Installation::prepare(store);
        installation.set("crl.shards", "4");
        installation.serve();
        shards::each_certificate_is_on_the_list_that_it_names(&installation);
    }

    fn relying_parties_find_what_they_need_on_one_page(store) {
        let installation = Installation::serving(store);
        page::tells_what_there_is(&installation);
        page::is_html_without_a_fault(&installation);
        page::is_in_the_readers_language_and_sent_once(&installation);
        page::test_certificates_are_what_they_are_called(&installation);
        let phone = installation.apply(&installation.card());
        page::revocations_are_timed(&installation, &phone);
    }
}

#[test]
fn where_only_verifiers_may_ask_the_settings_must_say_as_whom_the_ca_asks() {
    let mut installation = Installation::prepare(support::Store::Sqlite);
    installation.set("status.ocsp.requestor_ca", "operators/client-ca.pem");
    let check = installation.command(&["settings", "check"]);
    let said = support::said(&check);
    assert!(!check.status.success() && said.contains("status.witness_certificate"), "{said}");
    installation.set("status.witness_certificate", "operators/verifier.pem");
    let check = installation.command(&["settings", "check"]);
    assert!(!check.status.success() && support::said(&check).contains("both or none"), "{}", support::said(&check));
    installation.set("status.witness_key", "operators/verifier.key.pem");
    let check = installation.command(&["settings", "check"]);
    assert!(check.status.success(), "{}", support::said(&check));
}

#[test]
fn each_listener_lets_in_whom_and_what_it_should_and_nothing_else() {
    let mut installation = Installation::serving(support::Store::Sqlite);
    listeners::holders_are_bounded(&installation);
    listeners::operators_need_a_certificate_with_a_role(&installation);
    listeners::the_description_is_what_is_served(&installation);
    listeners::too_many_requests_are_turned_away(&mut installation);
}

#[test]
fn issuance_stops_where_nothing_is_known_of_cards_and_one_process_serves_a_file() {
    let mut installation = Installation::serving(support::Store::Sqlite);
    life::a_second_process_is_turned_away(&installation);
    life::old_news_of_cards_stop_issuance_and_nothing_else(&mut installation);
}

#[test]
fn a_log_that_cannot_go_on_stops_issuance_and_no_revocation() {
    let mut installation = Installation::serving(support::Store::Sqlite);
    log::stops_issuance_and_no_revocation_and_goes_on_by_itself(&mut installation);
}

#[test]
fn metrics_count_what_happens_and_neither_they_nor_the_logs_tell_of_whom() {
    let mut installation = Installation::prepare(support::Store::Sqlite);
    let push = installation.push_service();
    for (key, value) in [("ca.notices.backoff.first_seconds", "1"), ("ca.schedules.retry_notices", "* * * * * *")] {
        installation.set(key, value);
    }
    installation.serve();
    watching::sees_everything_but_the_person(&installation, &push);
}

#[cfg(feature = "postgres")]
#[test]
fn three_processes_on_one_database_are_one_service_and_a_killed_ca_loses_nothing() {
    roles::work_together_as_processes_of_their_own();
}

#[cfg(feature = "postgres")]
#[test]
fn holds_orders_and_schedules_go_through_several_processes_as_through_one() {
    roles::hold_and_release_as_processes_of_their_own();
}
