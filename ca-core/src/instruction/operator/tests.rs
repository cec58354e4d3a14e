//! What operators may say, and how.

use super::*;
use crate::kind::CertificateKind;
use crate::lifecycle::HoldCause;
use crate::revocation::RevocationReason;

fn read(json: &str) -> Result<OperatorInstruction, serde_json::Error> {
    serde_json::from_str(json)
}

const DEVICE: &str = "00112233445566778899aabbccddeeff";

#[test]
fn each_instruction_is_read() {
    let ticket = Ticket::try_from("t".to_owned()).unwrap();
    let device = DEVICE.to_owned();
    let hold = read(r#"{"action":"hold","target":{"serial":"0a0B","kind":"signature"},"cause":"phone-lost","ticket":"t"}"#).unwrap();
    let OperatorInstruction::Hold { target: Target::Certificate { serial, kind }, cause, .. } = hold else { panic!("{hold:?}") };
    assert_eq!((serial.to_string().as_str(), kind, cause), ("0A0B", Some(CertificateKind::Signature), HoldCause::PhoneLost));
    assert_eq!(
        read(&format!(r#"{{"action":"lift","target":{{"device":"{DEVICE}"}},"cause":"operator","ticket":"t"}}"#)).unwrap(),
        OperatorInstruction::Lift { target: Target::Device(device.clone()), cause: HoldCause::Operator, ticket: ticket.clone() }
    );
    assert_eq!(
        read(r#"{"action":"revoke","target":{"holder_id":"h"},"reason":"cACompromise","ticket":"t"}"#).unwrap(),
        OperatorInstruction::Revoke {
            target: Target::Holder("h".to_owned()),
            reason: RevocationReason::CaCompromise,
            invalid_since: None,
            ticket: ticket.clone()
        }
    );
    let since =
        r#"{"action":"revoke","target":{"serial":"01"},"reason":"keyCompromise","invalid_since":"2026-01-02T12:04:05+09:00","ticket":"t"}"#;
    let OperatorInstruction::Revoke { invalid_since, .. } = read(since).unwrap() else { panic!("not a revocation") };
    assert_eq!(invalid_since, Some("2026-01-02T03:04:05Z".parse().unwrap()));
    assert_eq!(
        read(&format!(r#"{{"action":"erase","device":"{DEVICE}","ticket":"t"}}"#)).unwrap(),
        OperatorInstruction::Erase { device, ticket }
    );
    assert_eq!(read(r#"{"action":"run-schedule","schedule":"second-looks"}"#).unwrap().action(), Action::RunSchedule);
    let digest = Sha256Digest::of(b"x");
    assert_eq!(
        read(&format!(r#"{{"action":"approve","instruction":"{digest}"}}"#)).unwrap(),
        OperatorInstruction::Approve { instruction: digest }
    );
    let mass = read(&format!(
        r#"{{"action":"mass","change":"revoke","reason":"superseded","expected":12,"ticket":"t",
            "scope":{{"issuer_key_id":"0102","distribution_point_sha256":"{digest}"}}}}"#
    ));
    let OperatorInstruction::Mass(mass) = mass.unwrap() else { panic!("not a mass instruction") };
    assert_eq!((mass.change, mass.expected), (MassChange::Revoke(RevocationReason::Superseded), 12));
    assert_eq!(mass.scope.issuer_key_id.as_bytes(), [1, 2]);
    assert_eq!(mass.scope.distribution_point_sha256, Some(digest));
    let held = read(r#"{"action":"mass","change":"hold","scope":{"issuer_key_id":"01"},"expected":0,"ticket":"t"}"#).unwrap();
    assert!(matches!(held, OperatorInstruction::Mass(MassInstruction { change: MassChange::Hold, .. })));
}

#[test]
fn a_stretch_of_the_log_is_bounded_by_leaves_or_times() {
    let recipient = format!("age1{}", "q".repeat(58));
    let text = format!(
        r#"{{"action":"audit-export","from_leaf":7,"to":"2026-11-21T12:00:00+09:00","format":"jsonl","previous_size":7,"recipient":"{recipient}"}}"#
    );
    let whole = OperatorInstruction::AuditExport(AuditExport {
        from: Some(Bound::Leaf(7)),
        to: Some(Bound::Time("2026-11-21T03:00:00Z".parse().unwrap())),
        format: RecordFormat::Jsonl,
        previous_size: Some(7),
        recipient: Some(recipient),
    });
    assert_eq!(read(&text).unwrap(), whole);
    assert_eq!((whole.action(), whole.as_str()), (Action::Audit, "audit-export"));
    let all = AuditExport { from: None, to: None, format: RecordFormat::Csv, previous_size: None, recipient: None };
    assert_eq!(read(r#"{"action":"audit-export","format":"csv"}"#).unwrap(), OperatorInstruction::AuditExport(all));
}

#[test]
fn nothing_else_is_read() {
    let long = "x".repeat(1_001);
    for wrong in [
        r#"{"action":"issue"}"#,
        r#"{"target":{"serial":"01"}}"#,
        r#"{"action":"hold","target":{"serial":"01"},"cause":"card-held","ticket":"t"}"#,
        r#"{"action":"hold","target":{"serial":"01"},"cause":"phone-lost","ticket":""}"#,
        r#"{"action":"hold","target":{"serial":"01"},"cause":"phone-lost","ticket":"a\nb"}"#,
        &format!(r#"{{"action":"hold","target":{{"serial":"01"}},"cause":"phone-lost","ticket":"{long}"}}"#),
        r#"{"action":"hold","target":{"serial":"01"},"cause":"phone-lost"}"#,
        r#"{"action":"hold","target":{"serial":"01"},"cause":"phone-lost","ticket":"t","more":1}"#,
        r#"{"action":"hold","action":"lift","target":{"serial":"01"},"cause":"phone-lost","ticket":"t"}"#,
        r#"{"action":"hold","target":{"serial":"01"},"target":{"serial":"02"},"cause":"phone-lost","ticket":"t"}"#,
        r#"{"action":"hold","target":{},"cause":"phone-lost","ticket":"t"}"#,
        r#"{"action":"hold","target":{"serial":"01","holder_id":"h"},"cause":"phone-lost","ticket":"t"}"#,
        r#"{"action":"hold","target":{"holder_id":"h","kind":"signature"},"cause":"phone-lost","ticket":"t"}"#,
        r#"{"action":"hold","target":{"holder_id":""},"cause":"phone-lost","ticket":"t"}"#,
        r#"{"action":"hold","target":{"serial":"xy"},"cause":"phone-lost","ticket":"t"}"#,
        r#"{"action":"hold","target":{"serial":"01","more":1},"cause":"phone-lost","ticket":"t"}"#,
        r#"{"action":"revoke","target":{"serial":"01"},"reason":"certificateHold","ticket":"t"}"#,
        r#"{"action":"erase","device":"00112233445566778899AABBCCDDEEFF","ticket":"t"}"#,
        r#"{"action":"run-schedule","schedule":"Expire"}"#,
        r#"{"action":"approve","instruction":"00"}"#,
        r#"{"action":"mass","change":"revoke","scope":{"issuer_key_id":"01"},"expected":0,"ticket":"t"}"#,
        r#"{"action":"mass","change":"hold","reason":"superseded","scope":{"issuer_key_id":"01"},"expected":0,"ticket":"t"}"#,
        r#"{"action":"mass","change":"hold","scope":{"issuer_key_id":"01","more":1},"expected":0,"ticket":"t"}"#,
        r#"{"action":"mass","change":"hold","scope":{"issuer_key_id":""},"expected":0,"ticket":"t"}"#,
        r#"{"action":"mass","change":"hold","scope":{"issuer_key_id":"01"},"expected":-1,"ticket":"t"}"#,
        r#"{"action":"mass","change":"hold","scope":{"issuer_key_id":"01"},"expected":0,"ticket":"t","more":1}"#,
        r#"{"action":"audit-export"}"#,
        r#"{"action":"audit-export","format":"xml"}"#,
        r#"{"action":"audit-export","format":"csv","from_leaf":-1}"#,
        r#"{"action":"audit-export","format":"csv","from_leaf":1,"from":"2026-11-21T00:00:00Z"}"#,
        r#"{"action":"audit-export","format":"csv","to":"yesterday"}"#,
        r#"{"action":"audit-export","format":"csv","recipient":"age1short"}"#,
        r#"{"action":"audit-export","format":"csv","more":1}"#,
    ] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_ticket_does_not_show_in_what_is_logged() {
    let hold = read(r#"{"action":"hold","target":{"serial":"01"},"cause":"phone-lost","ticket":"Hanako called"}"#).unwrap();
    assert!(!format!("{hold:?}").contains("Hanako"));
}

#[test]
fn roles_do_what_is_theirs() {
    let allowed = |role: Role| {
        let actions = [
            Action::ReportCardEvents,
            Action::Hold,
            Action::Revoke,
            Action::CommandDevice,
            Action::RunSchedule,
            Action::Mass,
            Action::Read,
            Action::LookUp,
            Action::Audit,
        ];
        actions.into_iter().filter(|action| role.may(*action)).collect::<Vec<_>>()
    };
    assert_eq!(allowed(Role::BackOffice), [Action::ReportCardEvents]);
    assert_eq!(allowed(Role::CallCentre), [Action::Hold, Action::Read]);
    assert_eq!(allowed(Role::Auditor), [Action::Read, Action::Audit]);
    assert_eq!(allowed(Role::Verifier), [Action::LookUp]);
    assert_eq!(allowed(Role::Administrator).len(), 9);
    for role in Role::ALL {
        assert_eq!(role.as_str().parse(), Ok(role));
    }
    assert_eq!("Administrator".parse::<Role>(), Err(UnknownRole));
}
