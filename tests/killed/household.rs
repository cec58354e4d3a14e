//! A family: its cards, its phones, and all that can happen to them.

use std::time::Duration;

use chrono::Utc;
use sandbox::back_office::{BatchOrder, CardEvent, CardEventType, CardOrder, NewCard, OrderDetail, RevocationRequest};
use sandbox::card::Card;
use sandbox::keys::{random, random_below};
use sandbox::kind::Kind;
use sandbox::operator::{HoldCause, Operator, OperatorAction, Target};
use sandbox::phone::{CertificatesToEnd, HolderAction, Phone, RaClient, RaSettings, Reply};
use sandbox::reason::Reason;

use crate::ledger::{Must, locked};
use crate::messages::{all_of, application, instructed, key_reported, ordered};
use crate::one_in;
use crate::persistence::{answered, told};
use crate::town::Town;

/// Phones that a family keeps in a drawer, where they still get their commands.
const DRAWER: usize = 3;

struct Household<'t> {
    town: &'t Town,
    ra: RaClient,
    call_centre: Operator,
    administrator: Operator,
    back_office: Operator,
    card: Card,
    old: Vec<Phone>,
}

/// What becomes of a phone.
enum After {
    /// It goes on.
    Keep,
    /// Some of what it has is over: the next one is applied for.
    Replace,
}

/// Lives until the town closes.
pub(crate) fn live(town: &Town, number: usize) {
    let mut household = Household::new(town);
    // Nobody begins at the same time.
    std::thread::sleep(Duration::from_millis(150 * number as u64));
    while !town.is_closing() {
        let Some(mut phone) = household.new_phone() else { continue };
        while !town.is_closing() {
            if let After::Replace = household.something_happens(&mut phone) {
                break;
            }
        }
        household.old.push(phone);
        if household.old.len() > DRAWER {
            household.old.remove(0);
        }
    }
    // What was commanded while the town closed is obeyed as well.
    household.look_into_the_drawer();
}

impl<'t> Household<'t> {
    fn new(town: &'t Town) -> Self {
        let ra = RaClient::new(&RaSettings { timeout: Duration::from_secs(10), ..town.installation.ra_settings() }).unwrap();
        let [call_centre, administrator, back_office] =
            ["call-centre", "administrator", "back-office"].map(|name| town.installation.operator_named(name));
        Self { town, ra, call_centre, administrator, back_office, card: card(town, None), old: Vec::new() }
    }

    /// Applies, and ends whatever there was. Now and then the applicant goes away without an answer, and is not seen again.
    fn new_phone(&mut self) -> Option<Phone> {
        let wanted = application(self.town, &self.ra, &self.card);
        if one_in(25) {
            let hasty = RaSettings { timeout: Duration::from_millis(40), ..self.town.installation.ra_settings() };
            drop(RaClient::new(&hasty).unwrap().submit(&wanted.application.cms));
            self.old.iter().for_each(|phone| all_of(self.town, phone, Must::Anything));
            self.old.clear();
            self.card = card(self.town, None);
            self.town.ledger.count("applicants who went away");
            return None;
        }
        let phone = wanted.issued(self.town, &self.ra)?;
        self.old.iter().for_each(|old| all_of(self.town, old, Must::Revoked));
        Some(phone)
    }

    fn something_happens(&mut self, phone: &mut Phone) -> After {
        match random_below(20).unwrap() {
            0..=3 => return self.look_into_the_drawer(),
            4 => return self.push_token_changes(phone),
            5 | 6 => self.ends_from_the_phone(phone),
            7 => self.ends_with_the_card(phone),
            8 | 9 => self.loses_the_phone(phone),
            10 => self.is_revoked_by_the_administrator(phone),
            11 => {
                key_reported(self.town, &self.ra, &phone.of(Kind::Signature).unwrap().key);
                self.town.ledger.must(Must::Revoked, phone.of(Kind::Signature));
            }
            12 | 13 => self.card_event_is_pushed(phone),
            14 => self.card_is_held(phone),
            15 => self.moves_house(phone),
            16 => self.card_is_renewed(phone),
            17 => self.card_is_revoked(phone),
            18 => self.village_ends(phone),
            _ => self.town.ledger.count("phones replaced"),
        }
        After::Replace
    }

    /// Old phones ask what there is to do, do it, and confirm it.
    fn look_into_the_drawer(&mut self) -> After {
        for phone in &mut self.old {
            for command in told(self.town, "a phone's question for commands", || phone.commands(&self.ra)) {
                let answer = answered(self.town, "a command's result", || {
                    phone.obey(&self.ra, &command, Reply::Signed).map(|answer| answer.expect("something was told"))
                });
                assert!((200..300).contains(&answer.status), "a confirmation is refused: {}", answer.text);
                locked(&self.town.ledger.confirmations).push(command.command);
                self.town.ledger.acknowledged("commands confirmed");
            }
        }
        After::Keep
    }

    fn push_token_changes(&self, phone: &mut Phone) -> After {
        let push_token = format!("push-{}", hex::encode(random::<12>().unwrap()));
        let action = HolderAction::PushToken { push_token: push_token.clone() };
        instructed(self.town, &self.ra, phone.signer(any_kind()).unwrap(), &action, "push tokens changed");
        phone.device.push_token = Some(push_token);
        After::Keep
    }

    fn ends_from_the_phone(&self, phone: &Phone) {
        let action = HolderAction::End { certificates: CertificatesToEnd::ThisPhone, reason: Reason::CessationOfOperation };
        instructed(self.town, &self.ra, phone.signer(any_kind()).unwrap(), &action, "ended with the phone");
        all_of(self.town, phone, Must::Revoked);
    }

    fn ends_with_the_card(&self, phone: &Phone) {
        let action = HolderAction::End { certificates: CertificatesToEnd::All, reason: Reason::KeyCompromise };
        instructed(self.town, &self.ra, (&self.card.signature).into(), &action, "ended with the card");
        all_of(self.town, phone, Must::Revoked);
    }

    fn loses_the_phone(&self, phone: &Phone) {
        let target = Target::device(phone.device_id().unwrap());
        let action = OperatorAction::Hold { target, cause: HoldCause::PhoneLost, ticket: "left in a train".to_owned() };
        ordered(self.town, &self.call_centre, &action, "lost phones held");
        all_of(self.town, phone, Must::Held);
    }

    fn is_revoked_by_the_administrator(&self, phone: &Phone) {
        let enrolled = phone.of(any_kind()).unwrap();
        let target = Target::certificate(&enrolled.serial, enrolled.kind);
        let action =
            OperatorAction::Revoke { target, reason: Reason::PrivilegeWithdrawn, invalid_since: None, ticket: "a mistake".to_owned() };
        ordered(self.town, &self.administrator, &action, "revoked by an administrator");
        self.town.ledger.must(Must::Revoked, [enrolled]);
    }

    /// What stands in no feed: if the inbox loses it, nobody finds it again.
    fn card_event_is_pushed(&mut self, phone: &Phone) {
        let kind = any_kind();
        let side = self.card.sides().find(|(of, _)| *of == kind).unwrap().1;
        let event = CardEvent {
            event_id: format!("town-{}", hex::encode(random::<12>().unwrap())),
            issuer_key_id: side.scope().unwrap().issuer_key_id,
            serial: hex::encode(side.decoded().unwrap().tbs_certificate().serial_number().as_bytes()),
            sequence: 1,
            event_type: CardEventType::Revoked.as_str().to_owned(),
            reason: Some(Reason::AffiliationChanged),
            occurred_at: Utc::now(),
        };
        told(self.town, "a card event", || self.back_office.deliver_card_events(std::slice::from_ref(&event)));
        self.town.ledger.card_events.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.town.ledger.acknowledged("card events pushed and received");
        self.town.ledger.must(Must::Revoked, phone.of(kind));
        self.another_card();
    }

    fn card_is_held(&mut self, phone: &Phone) {
        self.order(CardOrder::Hold);
        all_of(self.town, phone, Must::Held);
        self.another_card();
    }

    fn moves_house(&mut self, phone: &Phone) {
        let detail = OrderDetail { new_signature: true, pooled_keys: true, ..OrderDetail::default() };
        let changed = self.town.installation.back_office.order(self.card_id(), CardOrder::RecordChange, &detail).unwrap();
        self.card = self.card.renewed(&changed.card.unwrap()).unwrap();
        self.town.ledger.must(Must::Revoked, phone.of(Kind::Signature));
        self.town.ledger.count("cards that changed their record");
    }

    fn card_is_renewed(&mut self, phone: &Phone) {
        let card = self.order(CardOrder::Renew);
        self.card = card.unwrap();
        all_of(self.town, phone, Must::Revoked);
    }

    fn card_is_revoked(&mut self, phone: &Phone) {
        let request = RevocationRequest { kinds: Kind::ALL.to_vec(), reason: Reason::CessationOfOperation, at: None };
        self.town.installation.back_office.revoke(self.card_id(), &request).unwrap();
        self.town.ledger.count("cards revoked");
        all_of(self.town, phone, Must::Revoked);
        self.another_card();
    }

    /// All signature certificates of a place that has one card end by one event of the feed. The family applies there first.
    fn village_ends(&mut self, phone: &Phone) {
        let village = random::<12>().unwrap().map(|octet| char::from(b'a' + octet % 26)).iter().collect();
        self.card = card(self.town, Some((self.card.holder_id.clone().unwrap(), Some(village))));
        let Some(next) = application(self.town, &self.ra, &self.card).issued(self.town, &self.ra) else { return };
        all_of(self.town, phone, Must::Revoked);
        let scope = self.card.signature.scope().unwrap();
        let order = BatchOrder { scope, event_type: CardEventType::Revoked, reason: Some(Reason::CaCompromise), at: None };
        self.town.installation.back_office.order_batch(&order).unwrap();
        self.town.ledger.must(Must::Revoked, next.of(Kind::Signature));
        self.town.ledger.count("batches");
        self.old.push(next);
        self.another_card();
    }

    fn order(&self, order: CardOrder) -> Option<Card> {
        let detail = OrderDetail { pooled_keys: true, ..OrderDetail::default() };
        let changed = self.town.installation.back_office.order(self.card_id(), order, &detail).unwrap();
        self.town.ledger.count(&format!("cards: {order}"));
        changed.card.map(|file| self.card.renewed(&file).unwrap())
    }

    fn card_id(&self) -> &str {
        self.card.card_id.as_deref().unwrap()
    }

    /// One more card of the same holder.
    fn another_card(&mut self) {
        self.card = card(self.town, Some((self.card.holder_id.clone().unwrap(), None)));
    }
}

/// A card: of a new holder, or of that one, in some town or in that.
fn card(town: &Town, of: Option<(String, Option<String>)>) -> Card {
    let (holder_id, city) = of.map_or((None, None), |(holder, city)| (Some(holder), city));
    let prefecture = city.as_ref().map(|_| "Hiden".to_owned());
    town.installation.card_with(NewCard { holder_id, prefecture, city, ..NewCard::default() })
}

fn any_kind() -> Kind {
    Kind::ALL[random_below(2).unwrap()]
}
