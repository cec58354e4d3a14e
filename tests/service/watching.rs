//! What those who watch over the service see, and what they must not.

use sandbox::back_office::{CardFile, CardOrder, Faults, NewCard, OrderDetail, RevocationRequest};
use sandbox::card::Card;
use sandbox::fcm::{Behaviour, PushService};
use sandbox::http::{HttpClient, HttpSettings};
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, LookupAbout, OperatorAction, Target};
use sandbox::phone::{ApplyWish, CertificatesToEnd, Deviation, Device, HolderAction, Phone, Reply, build_deviating_application, instruct};
use sandbox::reason::Reason;
use sandbox::relying_party::{OcspMethod, OcspWish, Status, ask_ocsp, fetch_crl};
use schema::EventPosition;

use crate::support::{Installation, until};

/// What a day's life leaves in the metrics, with the labels that tell apart.
const METRICS: &[&str] = &[
    "tsunagi_application_step_seconds",
    "tsunagi_ca_applications_issued_total",
    "tsunagi_ca_cascaded_changes_total",
    "tsunagi_ca_commands_sent_total",
    "tsunagi_ca_evidence_age_seconds{channel=\"feed\"}",
    "tsunagi_ca_instructions_done_total",
    "tsunagi_ca_instructions_refused_total{code=\"hold_not_liftable\"}",
    "tsunagi_ca_notices_put_off_total",
    "tsunagi_ca_notices_told_total",
    "tsunagi_ca_schedule_last_run_timestamp_seconds",
    "tsunagi_card_events_received_total{source=\"push\"}",
    "tsunagi_crl_published_total",
    "tsunagi_downloads_total",
    "tsunagi_http_requests_total{",
    "tsunagi_http_problems_total{listener=\"holders\",code=\"cms_signature\"}",
    "tsunagi_ocsp_responses_total",
    "tsunagi_ocsp_statuses_total{status=\"good\"}",
    "tsunagi_ocsp_statuses_total{status=\"revoked\"}",
    "tsunagi_store_commits_total",
];

/// A person, and what nobody may read of them.
struct Person {
    file: CardFile,
    card: Card,
    secrets: Vec<String>,
}

impl Person {
    fn new(installation: &Installation, holder_id: &str) -> Self {
        let wish = NewCard {
            holder_id: Some(holder_id.to_owned()),
            name: Some("秘匿　花子".to_owned()),
            address: Some("東京都三鷹市架空町九丁目".to_owned()),
            pooled_keys: true,
            ..NewCard::default()
        };
        let file = installation.back_office.new_card(&wish).unwrap();
        let card = Card::from_file(&file).unwrap();
        let mut secrets = vec![file.holder_id.clone(), file.card_id.clone(), wish.name.unwrap(), wish.address.unwrap()];
        secrets.extend(["秘匿", "花子", "三鷹", "Mitaka"].map(str::to_owned));
        secrets.push(file.signature.serial.clone());
        secrets.extend(file.authentication.as_ref().map(|side| side.serial.clone()));
        Self { file, card, secrets }
    }
}

/// What happens to a phone, what is asked about it, and what goes wrong on the way.
fn lives_with_a_phone(installation: &Installation, push: &PushService, person: &mut Person) {
    const TOKENS: [&str; 2] = ["push-token-nobody-shall-read", "push-token-of-the-next-phone"];
    const TICKET: &str = "Ticket 4711: left in the tram to Musashi-Koganei";
    const PURPOSE: &str = "a loan over three million yen";
    let ra = installation.phone();
    let wish = |token: &str| ApplyWish {
        device: Device { push_token: Some(token.to_owned()), model: "a rare phone".to_owned(), ..Device::default() },
        ..installation.wish()
    };
    push.set_behaviour(TOKENS[0], Behaviour::TryLater { status: 503, retry_after: Some(1) });
    installation.back_office.set_faults(Faults { refuse_notices: 1, misname: 1, drop_from_push: 1, ..Faults::default() }).unwrap();
    let mut phone = Phone::apply(&ra, &person.card, &wish(TOKENS[0])).unwrap();
    let [call_centre, administrator, auditor, verifier] =
        ["call-centre", "administrator", "auditor", "verifier"].map(|name| installation.operator_named(name));
    let (target, ticket) = (Target::holder(&person.file.holder_id), TICKET.to_owned());
    let hold = OperatorAction::Hold { target: target.clone(), cause: HoldCause::PhoneLost, ticket: ticket.clone() };
    assert_eq!(auditor.instruct(&hold).unwrap_err().code(), Some("role_not_allowed"));
    call_centre.instruct(&hold).unwrap();
    let lift = OperatorAction::Lift { target, cause: HoldCause::PhoneLost, ticket: ticket.clone() };
    assert_eq!(call_centre.instruct(&lift).unwrap_err().code(), Some("hold_not_liftable"));
    let serial = phone.of(Kind::Signature).unwrap().serial.clone();
    auditor.show_holder(&person.file.holder_id).unwrap();
    auditor.history(&serial).unwrap();
    let of_card = LookupAbout::Smartphone { issuer_key_id: person.file.signature.issuer_key_id.clone() };
    verifier.look_up(PURPOSE, &of_card, &[&person.file.signature.serial]).unwrap();
    let pseudonyms = verifier.pseudonyms(PURPOSE, &[&serial]).unwrap();
    // The phone gets its command, says so with a wrong key, and then with its own.
    until("the command to lock the phone is there", || (phone.commands(&ra).unwrap().len() == 2).then_some(()));
    assert!(phone.check_in(&ra, Reply::OtherKey).is_err());
    phone.check_in(&ra, Reply::Signed).unwrap();
    let change = |order, name: Option<&str>| {
        let detail = OrderDetail { name: name.map(str::to_owned), ..OrderDetail::default() };
        installation.back_office.order(&person.file.card_id, order, &detail).unwrap()
    };
    change(CardOrder::Expire, None);
    let mut next = Phone::apply(&ra, &person.card, &wish(TOKENS[1])).unwrap();
    next.change_push_token(&ra, Kind::Authentication, "push-token-of-another-day").unwrap();
    next.list(&ra, Kind::Signature).unwrap();
    next.report_key_compromise(&ra, Kind::Signature).unwrap();
    // A schedule is known from the first time on that its turn was looked for.
    until("the comparison can be asked for", || {
        administrator.instruct(&OperatorAction::RunSchedule { schedule: "compare".to_owned() }).ok()
    });
    let end = HolderAction::End { certificates: CertificatesToEnd::All, reason: Reason::CessationOfOperation };
    instruct(&ra, "ra.test", (&person.card.signature).into(), &end).unwrap();
    change(CardOrder::RecordChange, Some("秘匿　桜子"));
    change(CardOrder::Death, None);
    until("what was put off is told", || {
        let told = installation.back_office.notices();
        (told.iter().filter(|kept| kept.notice.holder_id == person.file.holder_id).count() >= 6).then_some(())
    });
    person.secrets.extend(
        [TICKET, "4711", "Koganei", PURPOSE, "three million", "rare phone", "桜子", "push-token-of-another-day"].map(str::to_owned),
    );
    person.secrets.extend(TOKENS.map(str::to_owned));
    person
        .secrets
        .extend(pseudonyms["pseudonyms"].as_array().unwrap().iter().filter_map(|one| one["pseudonym"].as_str()).map(str::to_owned));
}

pub(crate) fn sees_everything_but_the_person(installation: &Installation, push: &PushService) {
    let mut neighbour = Person::new(installation, "neighbour-who-shall-not-be-named");
    lives_with_a_phone(installation, push, &mut neighbour);
    let Person { file, card, secrets: mut personal } = Person::new(installation, "holder-who-shall-not-be-named");
    personal.append(&mut neighbour.secrets);
    let phone = installation.apply(&card);
    let challenge = installation.phone().challenge().unwrap().challenge;
    let wrong = build_deviating_application(&card, &installation.wish(), &challenge, Deviation::BrokenSignature).unwrap();
    assert_eq!(installation.phone().submit(&wrong).unwrap().code(), "cms_signature");
    let wrong = build_deviating_application(&card, &installation.wish(), &challenge, Deviation::SmallExponent).unwrap();
    assert_eq!(installation.phone().submit(&wrong).unwrap().code(), "key_rsa_exponent");
    let request = RevocationRequest { kinds: Kind::ALL.to_vec(), reason: Reason::AffiliationChanged, at: None };
    let mut secrets = vec![];
    for enrolled in &phone.certificates {
        let ca = installation.ca(enrolled.kind);
        let wish = OcspWish { method: OcspMethod::Get, ..OcspWish::default() };
        assert_eq!(ask_ocsp(&enrolled.certificate, &ca, &wish).unwrap().status, Status::Good);
    }
    installation.back_office.revoke(&file.card_id, &request).unwrap();
    for enrolled in &phone.certificates {
        let ca = installation.ca(enrolled.kind);
        let revoked = || ask_ocsp(&enrolled.certificate, &ca, &OcspWish::default()).ok().filter(|answer| answer.status != Status::Good);
        until("OCSP tells the end", revoked);
        until("the CRL tells the end", || fetch_crl(&enrolled.certificate, &ca).ok().filter(|crl| crl.entry.is_some()));
        secrets.push(enrolled.serial.clone());
    }
    // Something goes wrong as well.
    installation.card_status.rule(|_| crate::support::Reply::Status(500));
    let challenge = installation.phone().challenge().unwrap().challenge;
    let unlucky = sandbox::phone::build_application(&card, &installation.wish(), &challenge).unwrap();
    assert_eq!(installation.phone().submit(&unlucky.cms).unwrap().code(), "card_status_unavailable");

    let metrics = metrics(installation);
    for name in METRICS {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "the metrics have no {name}:\n{metrics}");
    }
    let issued = metrics.lines().find_map(|line| line.strip_prefix("tsunagi_ca_applications_issued_total ")).unwrap();
    assert_eq!(issued, "3");

    let logs = installation.logs();
    assert!(logs.contains("correlation_id=") && logs.contains("card events received"), "{logs}");
    assert!(!logs.contains('\u{1b}'), "there are colours in the log of a process without terminal");
    secrets.push(installation.back_office.token().to_owned());
    secrets.push(installation.text("ca/passphrase").trim().to_owned());
    secrets.push(challenge);
    // The serial numbers of our own certificates stand in the events: that is what they are about.
    let events = events(installation);
    assert!(events.contains("certificate.held") && events.contains("instruction.refused"));
    for (told, unsaid) in [(&logs, &secrets), (&metrics, &secrets), (&logs, &personal), (&metrics, &personal), (&events, &personal)] {
        let lower = told.to_lowercase();
        for secret in unsaid {
            let line = lower.lines().find(|line| line.contains(&secret.to_lowercase()));
            assert!(line.is_none(), "{secret} is told: {line:?}");
        }
    }
}

/// Every event, one in a line.
fn events(installation: &Installation) -> String {
    let events = installation.reader().events_after(EventPosition(0), 10_000).unwrap();
    events.iter().map(|event| format!("{} {}\n", event.kind.as_str(), event.data)).collect()
}

fn metrics(installation: &Installation) -> String {
    let http = HttpClient::new(&HttpSettings::default()).unwrap();
    for (path, status) in [("/health/live", 200), ("/health/ready", 200), ("/nothing", 404)] {
        assert_eq!(http.get(&format!("http://{}{path}", installation.telemetry), &[]).unwrap().status, status, "{path}");
    }
    let answer = http.get(&format!("http://{}/metrics", installation.telemetry), &[]).unwrap();
    assert!(answer.content_type.starts_with("text/plain"), "{}", answer.content_type);
    String::from_utf8(answer.body).unwrap()
}
