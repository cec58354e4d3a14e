//! Phones, the commands to them, and what they answer.

use ca_core::kind::CertificateKind;
use ca_core::revocation::{Revocation, RevocationReason};
use chrono::TimeDelta;
use schema::device::{DeviceFilter, DeviceSummary, Erasure, NewDevice};
use schema::device_command::{CommandState, DeviceAction, NamedCertificate, NewCommandResult, NewDeviceCommand, Settlement};
use schema::fault::FaultClass;
use schema::testing::{Sample, TestDatabase, add_ca_keys, moment};
use schema::{EventKind, EventPosition, StoreFault, on_each_database};

/// A sample in a phone of its own.
pub(crate) fn with_phone(number: u32, store: &TestDatabase) -> Sample {
    let keys = store.reader().ca_keys().unwrap();
    let keys = if keys.is_empty() { add_ca_keys(&store.writer()) } else { [keys[0].id(), keys[1].id()] };
    let phone = NewDevice {
        public_id: format!("{number:032x}"),
        platform: "android".to_owned(),
        model: "Pixel 9".to_owned(),
        key_storage: "strongbox".to_owned(),
        push_token: Some(format!("token {number}")),
        command_key: Some(vec![9; 91]),
    };
    Sample { device: Some(phone), ..Sample::new(number, keys) }
}

fn phone_of(sample: &Sample) -> String {
    sample.device.as_ref().unwrap().public_id.clone()
}

fn named(sample: &Sample, kind: CertificateKind) -> NamedCertificate {
    NamedCertificate { kind, serial: sample.serial(kind) }
}

/// A command to a sample's phone about its certificates of these kinds.
pub(crate) fn command(number: u32, sample: &Sample, action: DeviceAction, kinds: &[CertificateKind]) -> NewDeviceCommand {
    NewDeviceCommand {
        public_id: format!("{number:032x}"),
        device: phone_of(sample),
        action,
        message: format!("jws {number}"),
        certificates: kinds.iter().map(|kind| named(sample, *kind)).collect(),
        expires_at: moment(10_000),
        event: None,
    }
}

pub(crate) fn create(store: &TestDatabase, command: &NewDeviceCommand) -> bool {
    let command = command.clone();
    store.writer().write(move |tx| tx.create_device_command(&command, moment(100))).unwrap()
}

/// A result arrives and is settled.
pub(crate) fn settle(store: &TestDatabase, command: &NewDeviceCommand, settlement: Settlement) -> bool {
    let result = NewCommandResult {
        command: command.public_id.clone(),
        body: r#"{"result":"done"}"#.to_owned(),
        signed: settlement == Settlement::Confirmed,
    };
    store.writer().write(move |tx| tx.receive_command_result(&result, moment(200))).unwrap();
    let id = store.reader().untaken_results(10).unwrap().pop().unwrap().id;
    store.writer().write(move |tx| tx.settle_command(id, Some(settlement), moment(201))).unwrap()
}

fn revoke(store: &TestDatabase, sample: &Sample, kind: CertificateKind) {
    let key = sample.ca_keys[usize::from(kind == CertificateKind::Authentication)];
    let revocation = Revocation::new(moment(50), RevocationReason::KeyCompromise);
    store.revoke(key, &sample.serial(kind), revocation);
}

fn list(store: &TestDatabase, filter: &DeviceFilter) -> Vec<DeviceSummary> {
    store.reader().list_devices(filter, None, 100).unwrap()
}

fn state(store: &TestDatabase, command: &NewDeviceCommand) -> CommandState {
    store.reader().device_command(&command.public_id).unwrap().unwrap().state
}

fn command_events(store: &TestDatabase) -> Vec<EventKind> {
    let events = store.reader().events_after(EventPosition(0), 100).unwrap();
    events.into_iter().map(|event| event.kind).filter(|kind| kind.as_str().starts_with("device_command")).collect()
}

const BOTH: [CertificateKind; 2] = CertificateKind::ALL;

on_each_database! {
    fn a_phone_is_registered_with_its_certificates_and_found_by_them(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        Sample::new(2, sample.ca_keys).accept_and_issue(&store.writer(), moment(2)).unwrap();
        let detail = store.reader().device(&phone_of(&sample)).unwrap().unwrap();
        let summary = &detail.summary;
        assert_eq!((summary.holder_id.as_str(), summary.platform.as_str(), summary.model.as_str()), ("holder-1", "android", "Pixel 9"));
        assert_eq!((summary.key_storage.as_str(), summary.push_dead, summary.added_at), ("strongbox", false, moment(2)));
        assert_eq!(summary.erasure, Erasure::NotNeeded);
        assert_eq!(detail.certificates.iter().map(|certificate| certificate.kind).collect::<Vec<_>>(), BOTH);
        assert!(detail.commands.is_empty());
        for (kind, key) in BOTH.into_iter().zip(sample.ca_keys) {
            let found = store.reader().device_of_certificate(key, &sample.serial(kind)).unwrap();
            assert_eq!(found.as_ref(), Some(summary));
        }
        let phoneless = Sample::new(2, sample.ca_keys).serial(CertificateKind::Signature);
        assert_eq!(store.reader().device_of_certificate(sample.ca_keys[0], &phoneless).unwrap(), None);
        assert_eq!(store.reader().device("ffffffffffffffffffffffffffffffff").unwrap(), None);
        assert_eq!(store.reader().device_command_key(&phone_of(&sample)).unwrap(), Some(vec![9; 91]));
        let events = store.reader().events_after(EventPosition(0), 100).unwrap();
        let added = events.iter().find(|event| event.kind == EventKind::DeviceAdded).unwrap();
        assert_eq!(added.data, serde_json::json!({"device": phone_of(&sample), "platform": "android"}));
    }

    fn devices_are_listed_by_holder_and_page(store) {
        let samples: Vec<_> = (1..=3).map(|number| with_phone(number, store)).collect();
        samples.iter().for_each(|sample| drop(sample.accept_and_issue(&store.writer(), moment(2)).unwrap()));
        let first = store.reader().list_devices(&DeviceFilter::default(), None, 2).unwrap();
        assert_eq!(first.len(), 2);
        let rest = store.reader().list_devices(&DeviceFilter::default(), Some(first[1].id), 2).unwrap();
        assert_eq!(rest.iter().map(|device| device.public_id.clone()).collect::<Vec<_>>(), [phone_of(&samples[2])]);
        let of_holder = list(store, &DeviceFilter { holder_id: Some("holder-2".to_owned()), ..DeviceFilter::default() });
        assert_eq!(of_holder.iter().map(|device| device.public_id.clone()).collect::<Vec<_>>(), [phone_of(&samples[1])]);
    }

    fn a_revoked_certificate_is_owed_until_an_erasure_of_it_is_claimed_or_confirmed(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let with = |erasure| list(store, &DeviceFilter { erasure: Some(erasure), ..DeviceFilter::default() }).len();
        let erasure = || list(store, &DeviceFilter::default())[0].erasure;
        assert_eq!((erasure(), with(Erasure::NotNeeded), with(Erasure::Owed)), (Erasure::NotNeeded, 1, 0));
        revoke(store, &sample, CertificateKind::Signature);
        revoke(store, &sample, CertificateKind::Authentication);
        assert_eq!((erasure(), with(Erasure::NotNeeded), with(Erasure::Owed)), (Erasure::Owed, 0, 1));

        // Locking is not erasing, and one of two is not both.
        let lock = command(1, &sample, DeviceAction::Lock, &BOTH);
        let one = command(2, &sample, DeviceAction::Erase, &[CertificateKind::Signature]);
        let other = command(3, &sample, DeviceAction::Erase, &[CertificateKind::Authentication]);
        for command in [&lock, &one, &other] {
            assert!(create(store, command));
        }
        settle(store, &lock, Settlement::Confirmed);
        settle(store, &one, Settlement::Confirmed);
        assert_eq!(erasure(), Erasure::Owed);
        settle(store, &other, Settlement::Failed);
        assert_eq!(erasure(), Erasure::Owed);
        settle(store, &other, Settlement::Claimed);
        assert_eq!((erasure(), with(Erasure::Owed), with(Erasure::Claimed)), (Erasure::Claimed, 0, 1));
        settle(store, &other, Settlement::Confirmed);
        assert_eq!((erasure(), with(Erasure::Confirmed)), (Erasure::Confirmed, 1));
    }

    fn what_another_phone_confirms_is_no_more_than_a_claim(store) {
        let [lost, stranger] = [1, 2].map(|number| with_phone(number, store));
        for sample in [&lost, &stranger] {
            sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        }
        BOTH.into_iter().for_each(|kind| revoke(store, &lost, kind));
        // As if it had been left behind in that phone: whoever knows the serial numbers can say so.
        let named = NewDeviceCommand { device: phone_of(&stranger), ..command(1, &lost, DeviceAction::Erase, &BOTH) };
        assert!(create(store, &named));
        settle(store, &named, Settlement::Confirmed);
        let erasure = || list(store, &DeviceFilter::default())[0].erasure;
        assert_eq!(erasure(), Erasure::Claimed);
        let own = command(2, &lost, DeviceAction::Erase, &BOTH);
        assert!(create(store, &own));
        settle(store, &own, Settlement::Confirmed);
        assert_eq!(erasure(), Erasure::Confirmed);
    }

    fn a_command_is_made_once_for_each_device_and_event(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let first = NewDeviceCommand { event: Some(EventPosition(1)), ..command(1, &sample, DeviceAction::Erase, &BOTH) };
        assert!(create(store, &first));
        let again = NewDeviceCommand { public_id: format!("{:032x}", 2), ..first.clone() };
        assert!(!create(store, &again));
        assert_eq!(store.reader().device_command(&again.public_id).unwrap(), None);
        let stored = store.reader().device_command(&first.public_id).unwrap().unwrap();
        assert_eq!((stored.action, stored.state, &stored.message), (DeviceAction::Erase, CommandState::Pending, &first.message));
        assert_eq!(stored.certificates, first.certificates);
        // An operator's commands follow from no event: each is one of its own.
        assert!(create(store, &command(3, &sample, DeviceAction::Lock, &BOTH)));
        assert!(create(store, &command(4, &sample, DeviceAction::Lock, &BOTH)));
        assert_eq!(command_events(store), [EventKind::DeviceCommandCreated; 3]);
        for broken in [
            NewDeviceCommand { device: format!("{:032x}", 77), ..command(5, &sample, DeviceAction::Lock, &BOTH) },
            command(6, &sample, DeviceAction::Lock, &[]),
        ] {
            let fault = store.writer().write(move |tx| tx.create_device_command(&broken, moment(3))).unwrap_err();
            assert!(matches!(fault, StoreFault::Misuse(_)));
        }
    }

    fn a_command_is_due_until_it_was_taken_and_again_when_told_so(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let command = command(1, &sample, DeviceAction::Erase, &BOTH);
        create(store, &command);
        let due = |second| store.reader().due_commands(10, moment(second)).unwrap();
        assert!(due(99).is_empty());
        let found = due(100).pop().unwrap();
        assert_eq!((found.public_id, found.device, found.push_token.as_str()), (command.public_id.clone(), phone_of(&sample), "token 1"));
        assert_eq!((found.message, found.attempts, found.expires_at), (command.message.clone(), 0, command.expires_at));

        let id = command.public_id.clone();
        store.writer().write(move |tx| tx.command_try_later(&id, moment(300))).unwrap();
        assert!(due(299).is_empty());
        assert_eq!(due(300)[0].attempts, 1);
        let id = command.public_id.clone();
        store.writer().write(move |tx| tx.command_sent(&id, Some(moment(500)), moment(301))).unwrap();
        assert!(due(499).is_empty());
        assert_eq!(due(500)[0].attempts, 2);
        let id = command.public_id.clone();
        store.writer().write(move |tx| tx.command_sent(&id, None, moment(501))).unwrap();
        assert!(due(5000).is_empty());
        let stored = store.reader().device_command(&command.public_id).unwrap().unwrap();
        assert_eq!((stored.state, stored.sent_at, stored.attempts), (CommandState::Sent, Some(moment(301)), 3));
        assert_eq!(command_events(store), [EventKind::DeviceCommandCreated, EventKind::DeviceCommandSent], "sent again is no event");
        assert!(store.reader().due_commands(10, command.expires_at).unwrap().is_empty());
    }

    fn commands_to_a_dead_token_wait_for_another_or_for_the_phone_to_ask(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let first = command(1, &sample, DeviceAction::Lock, &BOTH);
        create(store, &first);
        let phone = phone_of(&sample);
        let due = || store.reader().due_commands(10, moment(5000)).unwrap().len();
        let dead = |token: &'static str| { let phone = phone.clone(); store.writer().write(move |tx| tx.mark_push_dead(&phone, token)).unwrap(); };
        dead("an earlier token");
        assert_eq!(due(), 1);
        dead("token 1");
        assert_eq!(due(), 0);
        let second = command(2, &sample, DeviceAction::Erase, &BOTH);
        create(store, &second);
        assert_eq!(due(), 0);
        assert!(store.reader().device(&phone).unwrap().unwrap().summary.push_dead);
        let asked = store.reader().commands_of_application(&sample.digest(), moment(5000)).unwrap();
        assert_eq!(asked.iter().map(|command| &command.public_id).collect::<Vec<_>>(), [&first.public_id, &second.public_id]);
        let renewed = phone.clone();
        assert!(store.writer().write(move |tx| tx.set_push_token(&renewed, "token 2", moment(4000))).unwrap());
        assert_eq!(due(), 2);
        assert!(!store.writer().write(|tx| tx.set_push_token("nobody", "token", moment(1))).unwrap());
        assert!(!store.reader().device(&phone).unwrap().unwrap().summary.push_dead);
    }

    fn a_phone_sees_its_own_open_commands_only_and_asking_changes_nothing(store) {
        let samples = [with_phone(1, store), with_phone(2, store)];
        samples.iter().for_each(|sample| drop(sample.accept_and_issue(&store.writer(), moment(2)).unwrap()));
        let commands = [command(1, &samples[0], DeviceAction::Erase, &BOTH), command(2, &samples[1], DeviceAction::Erase, &BOTH)];
        commands.iter().for_each(|command| assert!(create(store, command)));
        let asked = |second| store.reader().commands_of_application(&samples[0].digest(), moment(second)).unwrap();
        assert_eq!(asked(100).iter().map(|command| &command.public_id).collect::<Vec<_>>(), [&commands[0].public_id]);
        assert_eq!(state(store, &commands[0]), CommandState::Pending);
        assert!(asked(10_000).is_empty(), "past its time");
        settle(store, &commands[0], Settlement::Confirmed);
        assert!(asked(100).is_empty());
        let phoneless = Sample::new(3, samples[0].ca_keys);
        phoneless.accept_and_issue(&store.writer(), moment(2)).unwrap();
        assert!(store.reader().commands_of_application(&phoneless.digest(), moment(100)).unwrap().is_empty());
    }

    fn what_is_better_proved_is_never_undone_by_less(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let command = command(1, &sample, DeviceAction::Erase, &BOTH);
        create(store, &command);
        for (settlement, changes, then) in [
            (Settlement::Failed, true, CommandState::Failed),
            (Settlement::Failed, false, CommandState::Failed),
            (Settlement::Claimed, true, CommandState::Claimed),
            (Settlement::Failed, false, CommandState::Claimed),
            (Settlement::Confirmed, true, CommandState::Confirmed),
            (Settlement::Claimed, false, CommandState::Confirmed),
            (Settlement::Failed, false, CommandState::Confirmed),
        ] {
            assert_eq!(settle(store, &command, settlement), changes, "{settlement:?}");
            assert_eq!(state(store, &command), then);
        }
        assert!(store.reader().untaken_results(10).unwrap().is_empty());
        use EventKind::{DeviceCommandClaimed, DeviceCommandConfirmed, DeviceCommandCreated, DeviceCommandFailed};
        assert_eq!(command_events(store), [DeviceCommandCreated, DeviceCommandFailed, DeviceCommandClaimed, DeviceCommandConfirmed]);
    }

    fn a_result_is_taken_up_once_and_may_prove_nothing(store) {
        let result = NewCommandResult { command: format!("{:032x}", 9), body: "anything".to_owned(), signed: true };
        let received = result.clone();
        store.writer().write(move |tx| tx.receive_command_result(&received, moment(1))).unwrap();
        let stored = store.reader().untaken_results(10).unwrap().pop().unwrap();
        assert_eq!((&stored.result, stored.received_at), (&result, moment(1)));
        let id = stored.id;
        for _ in 0..2 {
            assert!(!store.writer().write(move |tx| tx.settle_command(id, None, moment(2))).unwrap());
        }
        assert!(store.reader().untaken_results(10).unwrap().is_empty());
        let oversized = NewCommandResult { body: "x".repeat(8193), ..result };
        let fault = store.writer().write(move |tx| tx.receive_command_result(&oversized, moment(1))).unwrap_err();
        assert_eq!(fault.class(), Some(FaultClass::Check));
    }

    fn an_open_command_expires_and_can_be_confirmed_late(store) {
        let sample = with_phone(1, store);
        sample.accept_and_issue(&store.writer(), moment(2)).unwrap();
        let commands: Vec<_> = (1..=3).map(|number| command(number, &sample, DeviceAction::Erase, &BOTH)).collect();
        commands.iter().for_each(|command| assert!(create(store, command)));
        settle(store, &commands[2], Settlement::Claimed);
        let expire = |limit, at| store.writer().write(move |tx| tx.expire_commands(limit, at)).unwrap();
        let end = commands[0].expires_at;
        assert_eq!(expire(10, end - TimeDelta::milliseconds(1)), 0);
        assert_eq!((expire(1, end), expire(10, end), expire(10, end)), (1, 1, 0));
        assert_eq!(state(store, &commands[2]), CommandState::Claimed);
        assert_eq!(state(store, &commands[0]), CommandState::Expired);
        assert!(settle(store, &commands[0], Settlement::Confirmed));
        assert_eq!(state(store, &commands[0]), CommandState::Confirmed);
    }
}
