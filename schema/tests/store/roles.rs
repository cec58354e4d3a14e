//! Each role's work, done as its database user on PostgreSQL.

use ca_core::application::challenge::Beacon;
use ca_core::digest::Sha256Digest;
use ca_core::issuer::CaKeyId;
use ca_core::kind::CertificateKind;
use ca_core::lifecycle::{Command, HoldCause};
use ca_core::revocation::{Revocation, RevocationReason};
use chrono::TimeDelta;
use policies::LifecyclePolicy;
use schema::batch::{BatchChange, NewBatch, Scope};
use schema::certificate::CertificateId;
use schema::change::{Order, Origin, Target};
use schema::channel::Channel;
use schema::command_key::CommandKey;
use schema::crl::{CrlCause, CrlRetention, PublishedCrl};
use schema::device::{DeviceFilter, Erasure};
use schema::device_command::{DeviceAction, NewCommandResult, Settlement};
use schema::forgotten::ForgottenRevocation;
use schema::instruction::{Decision, InstructionForm, InstructionRefusal, NewInstruction};
use schema::latency::LatencyStage;
use schema::lookup::{NewLookup, Relation};
use schema::notice::NewNotice;
use schema::test_certificate::{NewTestCertificate, TestStatus};
use schema::testing::{Sample, add_ca_keys, jpki, latest_crl_der, moment};
use schema::{Database, EventKind, EventPosition, StoreFault, WriteError};
use serde_json::json;

use crate::devices::{command, with_phone};
use crate::grants::{CA, RA, STATUS, Users};

const SIGNATURE: CertificateKind = CertificateKind::Signature;

fn write<T: Send + 'static, E: From<StoreFault> + std::fmt::Debug + Send + 'static>(
    database: &Database,
    work: impl FnMut(&mut schema::Transaction<'_>) -> Result<T, E> + Send + 'static,
) -> T {
    database.writer().write(work).expect("the role may do its work")
}

#[test]
fn applications_go_their_way_from_role_to_role() {
    let users = Users::new();
    let keys = add_ca_keys(&users.store.writer());
    let (ra, ca, status) = (users.open_as(RA), users.open_as(CA), users.open_as(STATUS));
    let sample = Sample::new(1, keys);

    let application = sample.accept(&ra.writer());
    assert_eq!(sample.accept(&ra.writer()), application);
    let event = sample.card_revoked(SIGNATURE, 1, RevocationReason::Superseded);
    let received = event.clone();
    write(&ra, move |tx| tx.receive_card_event(&received, moment(1)));
    write(&ra, |tx| tx.leave_rejection(&Sha256Digest::of(b"an application"), "card_revoked", moment(1)));

    let beacon = Beacon { value: [1; 32], drawn_at: moment(0) };
    write(&ca, move |tx| tx.draw_beacon(&beacon));
    assert_eq!(ca.reader().accepted_applications(10).unwrap().len(), 1);
    sample.issue(&ca.writer(), application, moment(2)).unwrap();
    let renewed = Sample { holder_id: sample.holder_id.clone(), card: sample.card, ..Sample::new(2, keys) };
    let second = renewed.accept(&ra.writer());
    renewed.issue(&ca.writer(), second, moment(3)).unwrap();
    assert_eq!(ca.reader().unapplied_card_events(10).unwrap().len(), 1);
    write(&ca, move |tx| tx.apply_card_event(&event, &jpki(), moment(4)));
    assert_eq!(write(&ca, |tx| tx.take_rejections(moment(4))), 1);
    let lease = write(&ca, |tx| tx.acquire_lease("ca", "one", moment(0), TimeDelta::seconds(9))).unwrap();
    let key = keys[0];
    let crl = write(&ca, move |tx| -> Result<_, StoreFault> {
        tx.check_lease(&lease)?;
        tx.set_feed_cursor("feed", "1")?;
        publish(tx, key)
    });
    let third = Sample::new(3, keys).accept(&ra.writer());
    write(&ca, move |tx| tx.refuse_application(third, "code", "detail", moment(5)));

    assert!(ra.reader().application_by_digest(&renewed.digest()).unwrap().is_some());
    assert_eq!(ra.reader().latest_beacon().unwrap(), Some(beacon));
    assert_eq!(ra.reader().ca_keys().unwrap().len(), 2);
    assert!(!ra.reader().events_after(EventPosition(0), 100).unwrap().is_empty());

    let serials = [sample.serial(SIGNATURE), renewed.serial(SIGNATURE)];
    assert_eq!(status.reader().latest_crl_in(key, 0).unwrap(), Some(crl));
    assert_eq!(latest_crl_der(&status.reader(), key, 0).unwrap(), [1]);
    assert!(status.reader().certificate_status(key, &serials[0]).unwrap().is_some());
    assert_eq!(status.reader().certificate_statuses(key, &serials).unwrap().len(), 2);
    let mut listed = 0;
    status.reader().revoked_in_scope(key, 0, moment(0), None, 10, |_| listed += 1).unwrap();
    assert_eq!(listed, 2);
    assert_eq!(status.reader().status_changes_after(EventPosition(0), 100).unwrap().0.len(), 7);
    assert!(status.reader().responders().unwrap().is_empty());
    assert_eq!(status.reader().position().unwrap(), ra.reader().position().unwrap());
}

fn publish(tx: &mut schema::Transaction<'_>, key: CaKeyId) -> Result<PublishedCrl, StoreFault> {
    let number = tx.reserve_crl_number_in(key, 0, moment(4))?;
    let crl = PublishedCrl {
        ca_key: key,
        shard: 0,
        number,
        this_update: moment(4),
        next_update: moment(5),
        entries: 1,
        octets: 1,
        sha256: Sha256Digest::of(&[1]),
        event_position: EventPosition(1),
        cause: CrlCause::First,
    };
    tx.append_crl_chunk(key, number, 0, &[1])?;
    tx.publish_crl_in(&crl, moment(4))?;
    Ok(crl)
}

#[test]
fn what_relying_parties_learn_is_kept_by_the_ca_and_read_by_the_status_role() {
    let users = Users::new();
    let keys = add_ca_keys(&users.store.writer());
    let (ra, ca, status) = (users.open_as(RA), users.open_as(CA), users.open_as(STATUS));
    let sample = Sample::new(1, keys);
    let intents = sample.intents(None);
    let certificate = sample.certificates().remove(0);
    let test = NewTestCertificate {
        status: TestStatus::Good,
        kind: certificate.kind,
        ca_key: keys[0],
        serial: certificate.serial.clone(),
        shard: 1,
        der: certificate.der,
        not_before: moment(0),
        not_after: moment(1000),
    };
    let told = Revocation::new(moment(1), RevocationReason::KeyCompromise);
    let forgotten =
        ForgottenRevocation { ca_key: keys[0], serial: sample.serial(CertificateKind::Authentication), shard: 1, revocation: told };
    let again = forgotten.clone();
    write(&ca, move |tx| -> Result<_, StoreFault> {
        tx.open_crl_shards(keys[0], 2, moment(0))?;
        tx.record_intents(&intents, moment(1))?;
        tx.add_test_certificate(&test, moment(1))?;
        tx.record_latency(LatencyStage::Ocsp, &[(moment(1), TimeDelta::milliseconds(300))])?;
        tx.record_latency(LatencyStage::Ocsp, &[(moment(2), TimeDelta::milliseconds(400))])?;
        tx.begin_epoch(1, &[(keys[0], 5)], moment(2))?;
        tx.remember_forgotten(std::slice::from_ref(&forgotten), moment(3))?;
        tx.end_reconciliation(moment(4))?;
        tx.retire_ca_key(keys[1], moment(5)).map_err(|_| StoreFault::Misuse("not retired"))?;
        publish(tx, keys[0])?;
        tx.prune_crls(&CrlRetention { regular_before: moment(9), at_once_before: moment(9) }, 9, moment(9)).map(drop)
    });
    let snapshot = status.reader().status_at(keys[0], &[certificate.serial, again.serial]).unwrap();
    assert_eq!(snapshot.statuses.iter().map(|status| status.unwrap().revocation).collect::<Vec<_>>(), [None, Some(told)]);
    assert_eq!((snapshot.epoch, snapshot.reconciling), (2, false));
    let reader = status.reader();
    assert_eq!(reader.store_state().unwrap().position, reader.position().unwrap());
    assert_eq!(reader.crl_scopes().unwrap().len(), 3);
    assert_eq!(reader.gate_count(keys[0], 1, moment(0), EventPosition(0)).unwrap().count, 1);
    assert_eq!(reader.test_certificates().unwrap().len(), 1);
    for reader in [reader, ra.reader()] {
        assert_eq!(reader.latency_history(LatencyStage::Ocsp, moment(-60), moment(60)).unwrap()[0].count, 2);
    }
}

#[test]
fn instructions_are_brought_by_the_ra_and_carried_out_by_the_ca() {
    let users = Users::new();
    let sample = with_phone(1, &users.store);
    sample.accept_and_issue(&users.store.writer(), moment(2)).unwrap();
    let (ra, ca) = (users.open_as(RA), users.open_as(CA));
    let [hold, mass, approval] = ["hold", "mass", "approve"].map(|message| {
        let new = NewInstruction::new(InstructionForm::Operator, message.as_bytes().to_vec());
        let digest = new.digest;
        write(&ra, move |tx| tx.receive_instruction(&new, moment(3)));
        digest
    });
    assert_eq!(ca.reader().waiting_instructions(0, 10).unwrap().len(), 3);
    let origin = Origin::Operator { name: "Tanaka".to_owned(), role: "call-centre".to_owned() };
    let order = Order { origin: origin.clone(), instruction: Some(hold) };
    let target = Target::Device(sample.device.as_ref().unwrap().public_id.clone());
    for command in [Command::Hold { cause: HoldCause::PhoneLost }, Command::Lift { cause: HoldCause::PhoneLost }] {
        let (target, order) = (target.clone(), order.clone());
        let policy = LifecyclePolicy::derived_piv().unwrap();
        write(&ca, move |tx| tx.change_certificates(std::slice::from_ref(&target), &command, &policy, &order, moment(4)));
    }
    write(&ca, move |tx| {
        tx.redeem_challenge(&[1; 48], moment(4))?;
        tx.decide_instruction(&hold, &Decision::Done(json!({})), Some(&origin), moment(4))
    });
    write(&ca, move |tx| tx.decide_instruction(&mass, &Decision::AwaitingApproval(json!({})), None, moment(4)));
    let card = sample.card(SIGNATURE);
    let scope = Scope { issuer_key_id: card.issuer_key_id, distribution_point_sha256: None };
    let batch = NewBatch { name: "mass".to_owned(), scope: scope.clone(), change: BatchChange::Hold, order };
    let batch = write(&ca, move |tx| -> Result<_, WriteError<InstructionRefusal>> {
        tx.approve_instruction(&mass, &approval, &json!({}), None, moment(5))?;
        Ok(tx.start_batch(&batch, moment(5))?)
    });
    for _ in 0..2 {
        write(&ca, move |tx| tx.advance_batch(batch, 10, &jpki(), moment(6)));
    }

    let reader = ra.reader();
    assert_eq!(reader.instruction(&mass).unwrap().unwrap().approved_by, Some(approval));
    assert!(reader.batch(batch).unwrap().unwrap().finished_at.is_some());
    assert_eq!(reader.count_scope(&scope).unwrap(), 1);
    let point = Scope { distribution_point_sha256: Some(Sha256Digest::of(b"distribution point")), ..scope };
    assert_eq!(reader.count_scope(&point).unwrap(), 1);
    assert_eq!(reader.history(None, &sample.serial(SIGNATURE)).unwrap().unwrap().holds.len(), 1);
}

#[test]
fn phones_are_commanded_by_the_ca_and_answer_by_the_ra() {
    let users = Users::new();
    let sample = with_phone(1, &users.store);
    let (ra, ca) = (users.open_as(RA), users.open_as(CA));
    let application = sample.accept(&ra.writer());
    sample.issue(&ca.writer(), application, moment(2)).unwrap();
    let phone = sample.device.as_ref().unwrap().public_id.clone();

    let commands = [1, 2].map(|number| command(number, &sample, DeviceAction::Erase, &CertificateKind::ALL));
    for new in commands.clone() {
        write(&ca, move |tx| tx.create_device_command(&new, moment(3)));
    }
    assert_eq!(ca.reader().due_commands(10, moment(3)).unwrap().len(), 2);
    let [first, second] = commands.map(|command| command.public_id);
    let sent = first.clone();
    write(&ca, move |tx| tx.command_sent(&sent, None, moment(4)));
    write(&ca, move |tx| tx.command_try_later(&second, moment(5)));
    let asked = ra.reader().commands_of_application(&sample.digest(), moment(5)).unwrap();
    assert_eq!(asked.len(), 2);
    let result = NewCommandResult { command: first, body: "{}".to_owned(), signed: true };
    write(&ra, move |tx| tx.receive_command_result(&result, moment(6)));
    let result = ca.reader().untaken_results(10).unwrap().pop().unwrap().id;
    assert!(ca.reader().device_command_key(&phone).unwrap().is_some());
    assert!(write(&ca, move |tx| tx.settle_command(result, Some(Settlement::Confirmed), moment(7))));
    let dead = phone.clone();
    write(&ca, move |tx| tx.mark_push_dead(&dead, "token 1"));
    let renewed = phone.clone();
    write(&ca, move |tx| tx.set_push_token(&renewed, "token 2", moment(8)));
    assert_eq!(write(&ca, |tx| tx.expire_commands(10, moment(20_000))), 1);
    let key = CommandKey { key_id: "k".to_owned(), public_key: vec![1] };
    write(&ca, move |tx| tx.add_command_key(&key, moment(8)));

    let reader = ra.reader();
    assert_eq!(reader.command_keys().unwrap().len(), 1);
    assert_eq!(reader.device(&phone).unwrap().unwrap().commands.len(), 2);
    assert_eq!(reader.list_devices(&DeviceFilter { erasure: Some(Erasure::Owed), holder_id: None }, None, 10).unwrap().len(), 0);
    assert_eq!(reader.device_of_certificate(sample.ca_keys[0], &sample.serial(SIGNATURE)).unwrap().unwrap().public_id, phone);
}

#[test]
fn what_runs_by_the_clock_is_the_cas_and_answers_about_holders_are_the_ras() {
    let users = Users::new();
    let sample = with_phone(1, &users.store);
    sample.accept_and_issue(&users.store.writer(), moment(2)).unwrap();
    let (ra, ca) = (users.open_as(RA), users.open_as(CA));
    let events = ca.reader().events_after(EventPosition(0), 100).unwrap();
    let issued = events.into_iter().find(|event| event.kind == EventKind::CertificateIssued).unwrap();
    let (event, certificate) = (issued.position, issued.certificate.unwrap());
    write(&ca, move |tx| -> Result<_, StoreFault> {
        tx.create_notice(&NewNotice { event, certificate, template: "issued".to_owned(), arguments: json!({}) }, moment(3))?;
        tx.advance_follower("notices", event)
    });
    assert_eq!(ca.reader().follower("notices").unwrap(), event);
    assert_eq!(ca.reader().due_notices(10, moment(3)).unwrap().len(), 1);
    write(&ca, move |tx| tx.retry_notices(&[event], moment(4)));
    write(&ca, move |tx| tx.notices_told(&[event], moment(4)));
    for second in 5..7 {
        write(&ca, move |tx| -> Result<_, StoreFault> {
            tx.define_schedule("expire", "0 0 * * * *")?;
            tx.request_schedule("expire", moment(second))?;
            tx.start_schedule("expire", moment(second))?;
            tx.finish_schedule("expire", "", moment(second))?;
            tx.touch_channel(Channel::Feed, moment(second))
        });
    }
    let looks = ca.reader().second_looks_due(10, moment(0) + TimeDelta::days(30)).unwrap();
    let looked: Vec<_> = looks.iter().map(|look| look.certificate).collect();
    assert_eq!(looked.len(), 2);
    write(&ca, move |tx| tx.second_look_done(&looked));
    let order = Order::from(Origin::Schedule { name: "expire".to_owned() });
    let late = sample.not_after + TimeDelta::days(1);
    assert_eq!(write(&ca, move |tx| tx.expire_due(10, &jpki(), &order, late)).len(), 2);

    let reader = ra.reader();
    let all = (CertificateId(1), CertificateId(i64::MAX));
    assert_eq!([ra.reader(), ca.reader()].map(|reader| reader.may_read_evidence().unwrap()), [false, true]);
    let kept = ca.reader().kept_certificates(all.0, all.1, true).unwrap();
    assert!(kept.len() == 2 && kept.iter().all(|kept| kept.evidence_sha256.is_some() && kept.card.is_some()), "{kept:?}");
    assert_eq!(reader.kept_certificates(all.0, all.1, false).unwrap().len(), 2);
    assert_eq!(reader.schedules().unwrap().len(), 1);
    assert_eq!(reader.last_success(Channel::Feed).unwrap(), moment(6));
    reader.last_success(Channel::Comparison).unwrap();
    let holder = reader.holder(&sample.holder_id).unwrap().unwrap();
    assert_eq!((holder.certificates.len(), holder.devices.len()), (2, 1));
    assert_eq!(reader.holder_histories(&sample.holder_id).unwrap().len(), 2);
    assert!(reader.related_certificate(None, &sample.serial(SIGNATURE), Relation::OtherKind).unwrap().is_some());
    let card = reader.card_of_certificate(None, &sample.serial(SIGNATURE)).unwrap().unwrap();
    assert!(reader.certificate_of_card(&card.issuer_key_id, &card.serial).unwrap().is_some());
    assert!(reader.holder_of_card(&card.issuer_key_id, &card.serial).unwrap().is_some());
    assert!(reader.holder_of_certificate(sample.ca_keys[0], &sample.serial(SIGNATURE)).unwrap().is_some());
    let lookup = NewLookup { verifier: "Bank".to_owned(), purpose: "account".to_owned(), question: "other-kind".to_owned(), found: 1 };
    write(&ra, move |tx| tx.record_lookup(&lookup, moment(9)));
}
