//! Certificates with which relying parties try their checks.

use ca_core::revocation::RevocationReason;
use ca_service::{CaRoleRefusal, LifeSettings, ScheduleName, TestCertificateSettings};
use chrono::TimeDelta;
use sandbox::operator::Target;
use schema::certificate::{CertificateFilter, CertificateState, CertificateSummary};
use schema::lookup::Relation;
use schema::on_each_database;
use schema::test_certificate::{TestCertificate, TestStatus};

use crate::instructions::{hold, lifting};
use crate::rooms::{CaWish, Rooms};

fn with(settings: TestCertificateSettings) -> LifeSettings {
    LifeSettings { test_certificates: settings, ..LifeSettings::default() }
}

/// All that were ever made, as certificates.
fn all(rooms: &Rooms<'_>) -> Vec<CertificateSummary> {
    let mut all = rooms.reader.list_certificates(&CertificateFilter::default(), None, 1_000).unwrap();
    all.retain(|certificate| certificate.is_test);
    all
}

fn row(rooms: &Rooms<'_>, test: &TestCertificate) -> CertificateSummary {
    all(rooms).into_iter().find(|certificate| certificate.id == test.id).unwrap()
}

on_each_database! {
    fn there_is_one_of_each_status_and_kind_and_each_is_what_it_is_called(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        assert_eq!(ca.role.renew_test_certificates().unwrap(), 8);
        let tests = rooms.reader.test_certificates().unwrap();
        for ca_key in rooms.reader.ca_keys().unwrap() {
            let own: Vec<_> = tests.iter().filter(|test| test.ca_key == ca_key.id()).collect();
            assert_eq!(own.iter().map(|test| test.status).collect::<Vec<_>>(), TestStatus::ALL);
            for test in own {
                let row = row(&rooms, test);
                let (state, reason) = match test.status {
                    TestStatus::Good => (CertificateState::Live, None),
                    TestStatus::Revoked => (CertificateState::Revoked, Some(RevocationReason::CessationOfOperation)),
                    TestStatus::Held => (CertificateState::Held, Some(RevocationReason::CertificateHold)),
                    TestStatus::Expired => (CertificateState::Expired, None),
                };
                assert_eq!((row.kind, row.state, row.revocation.map(|revocation| revocation.reason)), (ca_key.kind(), state, reason));
                assert_eq!(row.holder_id, format!("tsunagi-test-{}", test.status.as_str()));
                assert_eq!(sandbox::relying_party::crl_url(&test.der).unwrap(), ca_key.distribution_point(0).url);
            }
        }
        assert_eq!(ca.role.renew_test_certificates().unwrap(), 0, "they are there");
    }

    fn nobody_is_told_of_them_and_lookups_and_histories_pass_over_them(store) {
        let rooms = Rooms::furnish(store);
        let ca = rooms.ca("one").leading();
        ca.role.renew_test_certificates().unwrap();
        let told = rooms.reader.position().unwrap();
        while ca.role.follow_notices().unwrap() > 0 {}
        while ca.role.follow_commands().unwrap() > 0 {}
        assert_eq!(rooms.reader.position().unwrap(), told, "no command to a phone was made");
        assert_eq!(rooms.reader.count_for_test("SELECT COUNT(*) FROM notice").unwrap(), 0);
        for test in rooms.reader.test_certificates().unwrap() {
            assert_eq!(rooms.reader.certificate_detail(None, &test.serial).unwrap(), None);
            assert_eq!(rooms.reader.history(None, &test.serial).unwrap(), None);
            for relation in [Relation::Itself, Relation::OtherKind] {
                assert_eq!(rooms.reader.related_certificate(None, &test.serial, relation).unwrap(), None);
            }
        }
        assert!(rooms.reader.holder_histories("tsunagi-test-good").unwrap().is_empty());
    }

    fn they_are_renewed_before_they_end_and_the_earlier_is_superseded(store) {
        let rooms = Rooms::furnish(store);
        let life = with(TestCertificateSettings { life_days: 9, ..TestCertificateSettings::default() });
        let ca = rooms.outfit.ca(CaWish { life, ..CaWish::named("one") }).leading();
        ca.role.renew_test_certificates().unwrap();
        let first = rooms.reader.test_certificates().unwrap();
        assert!(first.iter().filter(|test| test.status != TestStatus::Expired).all(|test| {
            let life = test.not_after - test.made_at;
            life > TimeDelta::days(9) - TimeDelta::minutes(1) && life <= TimeDelta::days(9)
        }));
        ca.clock.set_ahead(5 * 86_400);
        ca.role.lead().unwrap();
        assert_eq!(ca.role.renew_test_certificates().unwrap(), 0);
        ca.clock.set_ahead(6 * 86_400 + 60);
        ca.role.lead().unwrap();
        assert_eq!(ca.role.renew_test_certificates().unwrap(), 6, "an expired certificate stays expired");
        for test in &first {
            let row = row(&rooms, test);
            match test.status {
                TestStatus::Expired => assert_eq!(row.state, CertificateState::Expired),
                TestStatus::Revoked => assert_eq!(row.revocation.unwrap().reason, RevocationReason::CessationOfOperation),
                TestStatus::Good | TestStatus::Held => assert_eq!(row.revocation.unwrap().reason, RevocationReason::Superseded),
            }
        }
        let second = rooms.reader.test_certificates().unwrap();
        assert_eq!((second.len(), all(&rooms).len()), (8, 14));
        assert!(second.iter().all(|test| test.status == TestStatus::Expired || !first.contains(test)));
    }

    fn one_that_is_no_more_what_it_was_is_made_anew_and_holds_of_them_have_no_deadline(store) {
        let rooms = Rooms::furnish(store);
        let ca = lifting(&rooms);
        ca.role.renew_test_certificates().unwrap();
        let tests = rooms.reader.test_certificates().unwrap();
        let good = tests.iter().find(|test| test.status == TestStatus::Good).unwrap();
        let target = Target::Certificate { serial: good.serial.to_string(), kind: None };
        rooms.instruct(&rooms.operators.operator("alice", "call-centre"), &hold(target));
        ca.role.take_instructions().unwrap();
        assert_eq!(row(&rooms, good).state, CertificateState::Held);
        assert_eq!(ca.role.renew_test_certificates().unwrap(), 1);
        let renewed = rooms.reader.test_certificates().unwrap();
        assert!(!renewed.contains(good) && renewed.len() == 8);
        ca.clock.set_ahead(60 * 86_400);
        ca.role.lead().unwrap();
        assert_eq!(ca.role.enforce_hold_deadlines().unwrap(), 0);
    }

    fn where_they_are_not_wanted_there_are_none_and_the_schedule_makes_them_where_they_are(store) {
        let rooms = Rooms::furnish(store);
        let life = with(TestCertificateSettings { enabled: false, ..TestCertificateSettings::default() });
        let ca = rooms.outfit.ca(CaWish { life, ..CaWish::named("one") }).leading();
        assert!(ca.role.run_schedules().unwrap().contains(&ScheduleName::TestCertificates));
        assert!(rooms.reader.test_certificates().unwrap().is_empty());
        ca.stand_down();
        let ca = rooms.outfit.ca(CaWish { ahead_seconds: 7_200, ..CaWish::named("two") }).leading();
        ca.role.run_schedules().unwrap();
        assert_eq!(rooms.reader.test_certificates().unwrap().len(), 8);
    }
}

#[test]
fn a_life_of_no_days_or_of_more_than_a_year_is_refused() {
    for life_days in [0, 366] {
        let refusal = with(TestCertificateSettings { life_days, ..TestCertificateSettings::default() }).check().unwrap_err();
        let refusal = CaRoleRefusal::from(refusal).to_string();
        assert!(refusal.contains("test_certificates.life_days"), "{refusal}");
    }
}
