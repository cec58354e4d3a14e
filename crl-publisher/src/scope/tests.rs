use ca_core::digest::Sha256Digest;
use ca_core::serial::SerialNumber;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    format!("2026-03-01T{text}Z").parse().unwrap()
}

fn list(text: &str, position: i64, cause: CrlCause) -> PublishedCrl {
    PublishedCrl {
        ca_key: CaKeyId(1),
        shard: 0,
        number: 1,
        this_update: at(text),
        next_update: at(text) + TimeDelta::hours(7),
        entries: 0,
        octets: 300,
        sha256: Sha256Digest([0; 32]),
        event_position: EventPosition(position),
        cause,
    }
}

fn scope(latest: Option<PublishedCrl>) -> Scope {
    Scope::new(CaKeyId(1), 0, "signature-1".to_owned(), latest, EventPosition(0))
}

fn published_at(text: &str) -> Scope {
    scope(Some(list(text, 10, CrlCause::Regular)))
}

fn change(position: i64, kind: StatusChangeKind, reason: RevocationReason) -> StatusChange {
    let serial = SerialNumber::from_hex("0A").unwrap();
    let reason = Some(reason);
    StatusChange {
        position: EventPosition(position),
        at: at("12:00:00"),
        ca_key: CaKeyId(1),
        serial,
        shard: 0,
        kind,
        is_test: false,
        reason,
    }
}

fn revoked(scope: &mut Scope, position: i64, reason: RevocationReason, now: &str) {
    scope.notice(&change(position, StatusChangeKind::Revoked, reason), at(now), AtOnce::Any);
}

fn due(scope: &Scope, now: &str) -> Option<CrlCause> {
    let settings = CrlSettings::default();
    scope.due(at(now), &settings.check().unwrap(), &settings).map(|due| due.cause)
}

const SUPERSEDED: RevocationReason = RevocationReason::Superseded;

#[test]
fn the_first_list_is_due_at_once_and_then_one_each_regular_time() {
    assert_eq!(due(&scope(None), "12:00:00"), Some(CrlCause::First));
    let scope = published_at("12:30:00");
    assert_eq!(due(&scope, "12:59:59"), None);
    assert_eq!(due(&scope, "13:00:00"), Some(CrlCause::Regular));
    assert_eq!(due(&scope, "17:45:00"), Some(CrlCause::Regular));
    assert_eq!(due(&published_at("13:00:00"), "13:00:00"), None);
}

#[test]
fn a_revocation_waits_for_others_but_only_from_the_first_on() {
    let mut scope = published_at("12:30:00");
    revoked(&mut scope, 10, SUPERSEDED, "12:40:00");
    assert_eq!(due(&scope, "12:50:00"), None, "it is on the list already");
    revoked(&mut scope, 11, SUPERSEDED, "12:40:00");
    revoked(&mut scope, 12, SUPERSEDED, "12:40:00.150");
    assert_eq!(due(&scope, "12:40:00.199"), None);
    assert_eq!(due(&scope, "12:40:00.200"), Some(CrlCause::Revocation));
    let settings = CrlSettings::default();
    assert_eq!(scope.next_due(at("12:40:00"), &settings.check().unwrap(), &settings), Some(at("12:40:00.200")));
    scope.published(list("12:40:00", 12, CrlCause::Revocation), at("12:40:00.2"), at("12:40:00.3"), &settings);
    assert_eq!(due(&scope, "12:50:00"), None);
}

#[test]
fn lists_made_at_once_keep_their_interval_and_rest_four_times_as_long_as_the_last_one_took() {
    let settings = CrlSettings::default();
    let mut scope = published_at("12:30:00");
    for (ended, due_from) in [("12:40:00.010", "12:40:01"), ("12:40:00.500", "12:40:02.5"), ("12:40:03", "12:40:15")] {
        scope.published(list("12:40:00", 20, CrlCause::Revocation), at("12:40:00"), at(ended), &settings);
        revoked(&mut scope, 21, RevocationReason::KeyCompromise, ended);
        let due_from = at(due_from);
        let schedule = settings.check().unwrap();
        assert_eq!(scope.due(due_from - TimeDelta::milliseconds(1), &schedule, &settings), None, "{ended}");
        assert_eq!(scope.due(due_from, &schedule, &settings).unwrap().cause, CrlCause::Revocation, "{ended}");
        assert_eq!(scope.next_due(at(ended), &schedule, &settings), Some(due_from));
    }
}

#[test]
fn a_million_urgent_revocations_in_an_hour_are_no_more_lists_than_the_rest_allows() {
    let settings = CrlSettings::default();
    let schedule = settings.check().unwrap();
    let mut scope = published_at("12:00:00");
    let (mut now, mut lists, mut position) = (at("12:00:00"), 0_u32, 10);
    while now < at("13:00:00") {
        // 280 a second, a million in an hour; a list of them takes three seconds.
        for _ in 0..28 {
            position += 1;
            scope.notice(&change(position, StatusChangeKind::Revoked, RevocationReason::KeyCompromise), now, AtOnce::Any);
        }
        now += TimeDelta::milliseconds(100);
        if scope.due(now, &schedule, &settings).is_some() {
            lists += 1;
            let ended = now + TimeDelta::seconds(3);
            let latest = PublishedCrl { this_update: now, ..list("12:00:00", position, CrlCause::Revocation) };
            scope.published(latest, now, ended, &settings);
            now = ended;
        }
    }
    // Three seconds of work and twelve of rest: 240 after the first, and never more.
    assert!((230..=241).contains(&lists), "{lists}");
}

#[test]
fn a_failure_is_repeated_ever_later_but_several_times_within_the_overlap() {
    let settings = CrlSettings::default();
    let schedule = settings.check().unwrap();
    let mut scope = published_at("12:30:00");
    let mut now = at("13:00:00");
    let mut waits = Vec::new();
    for _ in 0..12 {
        scope.failed(now, &settings);
        let next = scope.next_due(now, &schedule, &settings).unwrap();
        assert_eq!(scope.due(next - TimeDelta::milliseconds(1), &schedule, &settings), None);
        assert!(scope.due(next, &schedule, &settings).is_some());
        waits.push((next - now).num_seconds());
        now = next;
    }
    assert_eq!(waits[..4], [10, 20, 40, 80]);
    assert_eq!(waits[11], 600);
    scope.published(list("13:00:00", 10, CrlCause::Regular), now, now, &settings);
    scope.failed(now, &settings);
    assert_eq!(scope.next_due(now, &schedule, &settings), Some(now + TimeDelta::seconds(10)));
}

#[test]
fn with_urgent_only_holds_and_harmless_reasons_wait_for_the_schedule() {
    let settings = CrlSettings { at_once: AtOnce::Urgent, ..CrlSettings::default() };
    let schedule = settings.check().unwrap();
    let mut scope = published_at("12:30:00");
    for kind in [StatusChangeKind::Held, StatusChangeKind::Released] {
        scope.notice(&change(11, kind, RevocationReason::CertificateHold), at("12:31:00"), AtOnce::Urgent);
    }
    scope.notice(&change(12, StatusChangeKind::Revoked, SUPERSEDED), at("12:31:00"), AtOnce::Urgent);
    assert_eq!(scope.due(at("12:50:00"), &schedule, &settings), None);
    scope.notice(&change(13, StatusChangeKind::Revoked, RevocationReason::KeyCompromise), at("12:50:00"), AtOnce::Urgent);
    assert_eq!(scope.due(at("12:51:00"), &schedule, &settings).unwrap().urgency, Urgency::Urgent);
}

#[test]
fn what_is_missing_or_ends_soon_comes_before_what_is_urgent_and_that_before_the_rest() {
    let settings = CrlSettings::default();
    let schedule = settings.check().unwrap();
    let urgency = |scope: &Scope, now: &str| scope.due(at(now), &schedule, &settings).unwrap().urgency;
    assert_eq!(urgency(&scope(None), "12:00:00"), Urgency::Endangered);
    let mut scope = published_at("12:30:00");
    assert_eq!(urgency(&scope, "13:00:00"), Urgency::Other);
    revoked(&mut scope, 11, RevocationReason::KeyCompromise, "13:00:00");
    assert_eq!(urgency(&scope, "13:00:00"), Urgency::Urgent);
    // nextUpdate is 19:30; half of six hours before it:
    assert_eq!(urgency(&scope, "16:30:00"), Urgency::Urgent);
    assert_eq!(urgency(&scope, "16:30:01"), Urgency::Endangered);
}

#[test]
fn the_list_after_a_retirement_is_the_last() {
    let settings = CrlSettings::default();
    let mut scope = published_at("12:30:00");
    scope.retire();
    assert_eq!(due(&scope, "12:30:01"), Some(CrlCause::Final));
    scope.published(list("12:30:01", 12, CrlCause::Final), at("12:30:01"), at("12:30:02"), &settings);
    revoked(&mut scope, 13, RevocationReason::KeyCompromise, "12:40:00");
    assert_eq!(due(&scope, "23:00:00"), None);
    assert_eq!(scope.next_due(at("23:00:00"), &settings.check().unwrap(), &settings), None);
}

#[test]
fn a_revocation_is_counted_once_whether_or_not_its_list_was_recorded() {
    let mut scope = Scope::new(CaKeyId(1), 0, "signature-1".to_owned(), Some(list("12:30:00", 10, CrlCause::Regular)), EventPosition(5));
    assert_eq!(scope.read_from(), Some(EventPosition(5)));
    for position in [5, 6, 10, 11] {
        revoked(&mut scope, position, SUPERSEDED, "12:31:00");
    }
    scope.notice(&change(12, StatusChangeKind::Released, SUPERSEDED), at("12:31:00"), AtOnce::Any);
    let count = |moments: &Moments| moments.as_slice().iter().map(|(_, count)| count).sum::<u64>();
    let (unlisted, listed) = scope.take_moments();
    assert_eq!((count(&unlisted), count(&listed)), (1, 2));
}

#[test]
fn a_test_certificates_revocation_is_listed_at_once_and_not_measured() {
    let mut scope = published_at("12:30:00");
    let test = StatusChange { is_test: true, ..change(11, StatusChangeKind::Revoked, SUPERSEDED) };
    scope.notice(&test, at("12:40:00"), AtOnce::Any);
    assert_eq!(due(&scope, "12:40:01"), Some(CrlCause::Revocation));
    revoked(&mut scope, 12, SUPERSEDED, "12:40:00");
    let (unlisted, listed) = scope.take_moments();
    assert_eq!((unlisted.as_slice().len(), unlisted.as_slice()[0].1, listed.as_slice().len()), (1, 1, 0));
}

#[test]
fn a_list_of_a_time_to_come_is_followed_at_once_and_is_a_danger() {
    let settings = CrlSettings::default();
    let schedule = settings.check().unwrap();
    let ahead = |this_update: DateTime<Utc>, cause| {
        scope(Some(PublishedCrl { this_update, next_update: this_update + TimeDelta::hours(7), ..list("12:00:00", 10, cause) }))
    };
    let now = at("12:30:00");
    let tomorrow = ahead(now + TimeDelta::days(1), CrlCause::Regular);
    let found = tomorrow.due(now, &schedule, &settings).unwrap();
    assert_eq!((found.cause, found.urgency), (CrlCause::Regular, Urgency::Endangered));
    assert!(tomorrow.is_endangered(now, &settings) && tomorrow.next_due(now, &schedule, &settings) == Some(now));
    // A minute is nothing between two machines; and a last list is the last.
    assert_eq!(ahead(now + TimeDelta::minutes(1), CrlCause::Regular).due(now, &schedule, &settings), None);
    assert!(!ahead(now + TimeDelta::days(1), CrlCause::Final).is_endangered(now, &settings));
}

#[test]
fn what_a_clock_that_was_ahead_put_off_is_not_waited_for() {
    let settings = CrlSettings::default();
    let schedule = settings.check().unwrap();
    let (now, tomorrow) = (at("12:40:00"), at("12:40:00") + TimeDelta::days(1));
    let mut failed = published_at("11:30:00");
    failed.failed(tomorrow, &settings);
    assert!(failed.due(now, &schedule, &settings).is_some());
    let mut noticed = published_at("12:30:00");
    noticed.notice(&change(11, StatusChangeKind::Revoked, SUPERSEDED), tomorrow, AtOnce::Any);
    assert_eq!(noticed.due(now, &schedule, &settings).unwrap().cause, CrlCause::Revocation);
    let mut rested = published_at("12:30:00");
    rested.published(list("12:30:00", 10, CrlCause::Revocation), tomorrow, tomorrow + TimeDelta::seconds(1), &settings);
    revoked(&mut rested, 11, SUPERSEDED, "12:39:00");
    assert_eq!(rested.due(now, &schedule, &settings).unwrap().cause, CrlCause::Revocation);
}
