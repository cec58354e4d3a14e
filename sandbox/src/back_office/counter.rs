//! The counter: carries out orders about cards, and tells of them.

use std::sync::MutexGuard;

use chrono::{DateTime, SubsecRound as _, Utc};

use super::BackOfficeFault;
use super::desk::{Desk, card_file, new_card_id};
use super::events::{BatchEvent, CardEvent, CardEventType, EventPage, FeedEvent};
use super::orders::{BatchDone, BatchOrder, CardChanged, CardOrder, Faults, OrderDetail};
use super::registry::{Happening, IssuedCard, IssuedCertificate, Registry, Standing};
use super::wire::{CardFile, CardState, NewCard, RevocationRequest, StateQuestion};
use crate::card_ca::Person;
use crate::keys::random;
use crate::kind::Kind;
use crate::reason::Reason;

impl Desk {
    /// Ends certificates of a card. `None`: no such card.
    pub(crate) fn revoke(&self, card_id: &str, request: &RevocationRequest) -> Result<Option<Vec<CardEvent>>, BackOfficeFault> {
        let reason = no_hold(request.reason)?;
        let at = moment(request.at);
        let mut registry = self.registry();
        let Some(card) = registry.place(card_id) else { return Ok(None) };
        let events = registry.change(card, |certificate| {
            request.kinds.contains(&certificate.kind).then(|| ended(certificate, CardEventType::Revoked, reason, at))
        });
        self.tell(registry, events.iter().cloned().map(FeedEvent::Card))?;
        Ok(Some(events))
    }

    /// Carries out an order about a card. `None`: no such card.
    pub(crate) fn carry_out(&self, card_id: &str, order: CardOrder, detail: &OrderDetail) -> Result<Option<CardChanged>, BackOfficeFault> {
        check(order, detail)?;
        let Some((card_id, holder_id, person, kinds)) = self.described(card_id) else { return Ok(None) };
        let person = changed(person, detail);
        // Keys take their time: they are made before anything changes.
        let new = match order {
            CardOrder::Renew => Some(self.certify_anew(&card_id, &holder_id, &person, kinds, detail)?),
            CardOrder::RecordChange if detail.new_signature => {
                Some(self.certify_anew(&card_id, &holder_id, &person, vec![Kind::Signature], detail)?)
            }
            CardOrder::Transfer => Some(self.certify_anew(&new_card_id()?, &holder_id, &person, kinds, detail)?),
            _ => None,
        };
        let mut registry = self.registry();
        let Some(place) = registry.place(&card_id) else { return Ok(None) };
        let at = moment(detail.at);
        let events = registry.change(place, |certificate| happening(order, detail, certificate, at));
        let file = new.map(|(card, file)| {
            if order == CardOrder::Transfer {
                registry.add(card);
            } else {
                for certificate in card.certificates {
                    registry.add_certificate(place, certificate);
                }
            }
            file
        });
        if let Some(card) = registry.cards.get_mut(place) {
            card.person = person;
        }
        self.tell(registry, events.iter().cloned().map(FeedEvent::Card))?;
        Ok(Some(CardChanged { events, card: file }))
    }

    /// Changes every certificate in a scope, and tells of it by one event.
    pub(crate) fn carry_out_batch(&self, order: &BatchOrder) -> Result<BatchDone, BackOfficeFault> {
        let at = moment(order.at);
        let reason = match (order.event_type, order.reason) {
            (CardEventType::Revoked, Some(reason)) => Some(no_hold(reason)?),
            (CardEventType::Held, None) => None,
            _ => return Err(BackOfficeFault::Refused("a batch is revoked with a reason, or held without".to_owned())),
        };
        let event = BatchEvent {
            event_id: format!("batch-{}", hex::encode(random::<12>()?)),
            scope: order.scope.clone(),
            event_type: order.event_type.as_str().to_owned(),
            reason,
            occurred_at: at,
        };
        let mut registry = self.registry();
        let mut certificates = 0;
        for card in 0..registry.cards.len() {
            let changed = registry.change(card, |certificate| {
                let own = certificate.scope();
                let within = own.issuer_key_id.eq_ignore_ascii_case(&order.scope.issuer_key_id)
                    && order
                        .scope
                        .distribution_point_sha256
                        .as_ref()
                        .is_none_or(|point| own.distribution_point_sha256.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(point)));
                match reason {
                    Some(reason) => within.then(|| ended(certificate, CardEventType::Revoked, reason, at)),
                    None => within.then(|| held(certificate, at)).flatten(),
                }
            });
            certificates += changed.len() as u64;
        }
        self.tell(registry, [FeedEvent::Batch(event.clone())])?;
        Ok(BatchDone { event, certificates })
    }

    /// How a card certificate stands.
    pub(crate) fn state(&self, question: &StateQuestion) -> CardState {
        let unknown = CardState { known: false, state: None, reason: None, since: None, sequence: 0 };
        let (Ok(issuer), Ok(serial)) = (hex::decode(&question.issuer_key_id), hex::decode(&question.serial)) else { return unknown };
        let registry = self.registry();
        let Some((_, certificate)) = registry.certificate(&issuer, &serial) else { return unknown };
        let (state, reason, since) = match certificate.standing {
            Standing::Good => ("good", None, None),
            Standing::Held { since } => ("held", None, Some(since)),
            Standing::Ended { at, reason } => ("revoked", Some(reason), Some(at)),
        };
        CardState { known: true, state: Some(state.to_owned()), reason, since, sequence: certificate.sequence }
    }

    /// Events after a cursor; `None` if the cursor is none of ours.
    pub(crate) fn events(&self, after: &str, limit: usize) -> Option<EventPage> {
        let start = if after.is_empty() { 0 } else { usize::try_from(u64::from_str_radix(after.strip_prefix("e-")?, 16).ok()?).ok()? };
        self.registry().telling.page(start, limit)
    }

    /// Changes the faults from now on.
    pub(crate) fn set_faults(&self, faults: Faults) -> Result<(), BackOfficeFault> {
        self.registry().telling.set_faults(faults);
        self.changed.notify_all();
        self.keep()
    }

    /// Tells of events, and keeps what changed.
    fn tell(&self, mut registry: MutexGuard<'_, Registry>, events: impl IntoIterator<Item = FeedEvent>) -> Result<(), BackOfficeFault> {
        for event in events {
            registry.telling.tell(event);
        }
        drop(registry);
        self.changed.notify_all();
        self.keep()
    }

    /// Name, holder, person and kinds of a card.
    fn described(&self, card_id: &str) -> Option<(String, String, Person, Vec<Kind>)> {
        let registry = self.registry();
        let card = registry.cards.get(registry.place(card_id)?)?;
        let kinds = Kind::ALL.into_iter().filter(|kind| card.current(*kind).is_some()).collect();
        Some((card.card_id.clone(), card.holder_id.clone(), card.person.clone(), kinds))
    }

    fn certify_anew(
        &self,
        card_id: &str,
        holder_id: &str,
        person: &Person,
        kinds: Vec<Kind>,
        detail: &OrderDetail,
    ) -> Result<(IssuedCard, CardFile), BackOfficeFault> {
        let keys = self.make_keys(kinds.clone(), detail.pooled_keys)?;
        let mut certificates = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let none = || BackOfficeFault::Refused(format!("no card CA for {kind}"));
            let (ca, key) = (self.authority(kind, None).ok_or_else(none)?, keys.get(&kind).ok_or_else(none)?);
            certificates.push(self.certify_side(&NewCard::default(), person, ca, key)?);
        }
        let file = card_file(card_id, holder_id, &certificates, &keys)?;
        let card = IssuedCard { card_id: card_id.to_owned(), holder_id: holder_id.to_owned(), person: person.clone(), certificates };
        Ok((card, file))
    }
}

/// What an order does to a certificate that has not ended.
fn happening(order: CardOrder, detail: &OrderDetail, certificate: &IssuedCertificate, at: DateTime<Utc>) -> Option<Happening> {
    let event_type = order.event_type();
    let meant = detail.kinds.as_ref().is_none_or(|kinds| kinds.contains(&certificate.kind));
    let untouched = Happening { event_type, reason: None, standing: certificate.standing, at };
    let ended = |reason| Some(Happening { reason: None, ..ended(certificate, event_type, reason, at) });
    match order {
        CardOrder::Hold => meant.then(|| held(certificate, at)).flatten(),
        CardOrder::Release => {
            let is_held = matches!(certificate.standing, Standing::Held { .. });
            (meant && is_held).then_some(Happening { standing: Standing::Good, ..untouched })
        }
        CardOrder::Expire => meant.then_some(untouched),
        CardOrder::Renew => ended(Reason::Superseded),
        CardOrder::RecordChange if certificate.kind == Kind::Signature => ended(Reason::AffiliationChanged),
        CardOrder::RecordChange => Some(untouched),
        CardOrder::Death | CardOrder::Emigration => ended(Reason::CessationOfOperation),
        CardOrder::RecordError => ended(Reason::Unspecified),
        CardOrder::Transfer => Some(self::ended(certificate, event_type, detail.reason.unwrap_or(Reason::Superseded), at)),
    }
}

/// Ended; where a hold becomes permanent, since the hold (X.509 8.5.2.2 keeps its date).
fn ended(certificate: &IssuedCertificate, event_type: CardEventType, reason: Reason, at: DateTime<Utc>) -> Happening {
    let since = match certificate.standing {
        Standing::Held { since } => since.min(at),
        Standing::Good | Standing::Ended { .. } => at,
    };
    Happening { event_type, reason: Some(reason), standing: Standing::Ended { at: since, reason }, at }
}

/// On hold, if it is good.
fn held(certificate: &IssuedCertificate, at: DateTime<Utc>) -> Option<Happening> {
    let happening = Happening { event_type: CardEventType::Held, reason: None, standing: Standing::Held { since: at }, at };
    (certificate.standing == Standing::Good).then_some(happening)
}

fn check(order: CardOrder, detail: &OrderDetail) -> Result<(), BackOfficeFault> {
    let with_kinds = matches!(order, CardOrder::Hold | CardOrder::Release | CardOrder::Expire);
    let of_record = detail.name.is_some() || detail.address.is_some() || detail.birth_date.is_some() || detail.sex.is_some();
    let complaint = if detail.kinds.is_some() && !with_kinds {
        "kinds go with hold, release and expire"
    } else if (of_record || detail.new_signature) && order != CardOrder::RecordChange {
        "what changes in the record goes with record-change"
    } else if detail.reason.is_some() && order != CardOrder::Transfer {
        "a reason goes with transfer"
    } else if detail.reason == Some(Reason::CertificateHold) {
        "a hold is no revocation"
    } else {
        return Ok(());
    };
    Err(BackOfficeFault::Refused(complaint.to_owned()))
}

fn changed(person: Person, detail: &OrderDetail) -> Person {
    Person {
        name: detail.name.clone().unwrap_or(person.name),
        address: detail.address.clone().unwrap_or(person.address),
        birth_date: detail.birth_date.unwrap_or(person.birth_date),
        sex: detail.sex.unwrap_or(person.sex),
        municipality: person.municipality,
    }
}

fn no_hold(reason: Reason) -> Result<Reason, BackOfficeFault> {
    if reason == Reason::CertificateHold { Err(BackOfficeFault::Refused("a hold is no revocation".to_owned())) } else { Ok(reason) }
}

/// In whole seconds, and never in the future.
fn moment(at: Option<DateTime<Utc>>) -> DateTime<Utc> {
    let now = Utc::now().trunc_subsecs(0);
    at.map_or(now, |at| at.trunc_subsecs(0).min(now))
}
