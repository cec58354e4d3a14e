//! The desk: hands out cards and answers whose they are.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Duration, SubsecRound as _, Utc};
use der::asn1::ObjectIdentifier;

use super::registry::{IssuedCard, IssuedCertificate, Registry, Standing};
use super::status::presign;
use super::wire::{BulkCard, BulkCards, BulkRequest, BulkSide, CardFile, CardReference, CardSideFile, LookupResult, NewCard};
use super::{BackOfficeFault, LARGEST_BULK, kept};
use crate::card_ca::{CardCa, CardCertificate, Municipality, Person, fifth_birthday};
use crate::card_status::CertIdHash;
use crate::keys::{Key, KeyAlgorithm, random, random_below, sha256};
use crate::kind::Kind;
use crate::pem;

/// How many keys bulk cards share.
const POOL: usize = 8;

/// A card CA certificate, for the product to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardAuthority {
    /// Kind.
    pub kind: Kind,
    /// Key generation, from 1.
    pub generation: u32,
    /// SHA-1 of the public key's bits.
    pub key_identifier: [u8; 20],
    /// DER.
    pub der: Vec<u8>,
    /// PEM.
    pub pem: String,
}

/// State and rules; shared by all listeners.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) authorities: Vec<CardCa>,
    pub(crate) registry: Mutex<Registry>,
    pub(crate) changed: Condvar,
    pub(crate) status_url: String,
    pub(crate) kept_at: Option<PathBuf>,
    pool: Mutex<Vec<Arc<Key>>>,
}

impl Desk {
    pub(crate) fn new(authorities: Vec<CardCa>, registry: Registry, status_url: String, kept_at: Option<PathBuf>) -> Self {
        Self { authorities, registry: Mutex::new(registry), changed: Condvar::new(), status_url, kept_at, pool: Mutex::default() }
    }

    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn authority(&self, kind: Kind, generation: Option<u32>) -> Option<&CardCa> {
        let of_kind = self.authorities.iter().filter(|authority| authority.kind() == kind);
        match generation {
            Some(generation) => of_kind.into_iter().find(|authority| authority.generation() == generation),
            None => of_kind.max_by_key(|authority| authority.generation()),
        }
    }

    /// Hands out a card.
    pub(crate) fn hand_out(&self, wish: &NewCard) -> Result<CardFile, BackOfficeFault> {
        let person = invent(wish)?;
        let keys = self.make_keys(kinds(wish), wish.pooled_keys)?;
        let card = self.certify(wish, &person, &keys)?;
        let file = card_file(&card.card_id, &card.holder_id, &card.certificates, &keys)?;
        self.registry().add(card);
        self.keep()?;
        Ok(file)
    }

    /// Hands out many cards on all processors.
    pub(crate) fn hand_out_many(&self, wish: &BulkRequest) -> Result<BulkCards, BackOfficeFault> {
        if wish.count == 0 || wish.count > LARGEST_BULK {
            return Err(BackOfficeFault::Refused(format!("count is 1 to {LARGEST_BULK}")));
        }
        let hashes = wish.presign.iter().map(|word| match word.as_str() {
            "sha1" => Ok(CertIdHash::Sha1),
            "sha256" => Ok(CertIdHash::Sha256),
            _ => Err(BackOfficeFault::Refused("presign knows sha1 and sha256".to_owned())),
        });
        let hashes = hashes.collect::<Result<Vec<_>, _>>()?;
        let pool = self.filled_pool()?;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        let shares = (0..threads).map(|thread| (thread..wish.count as usize).step_by(threads).collect::<Vec<_>>());
        let made = std::thread::scope(|scope| {
            let workers: Vec<_> = shares.map(|share| scope.spawn(|| self.certify_share(share, &pool, &hashes))).collect();
            let finished = workers.into_iter().map(|worker| worker.join());
            finished.map(|share| share.map_err(|_| BackOfficeFault::Refused("a worker failed".to_owned()))?).collect::<Result<Vec<_>, _>>()
        })?;
        let mut cards = Vec::with_capacity(wish.count as usize);
        let mut registry = self.registry();
        for (card, entry) in made.into_iter().flatten() {
            registry.add(card);
            cards.push(entry);
        }
        drop(registry);
        self.keep()?;
        Ok(BulkCards { keys: pool.iter().map(|key| key.to_pem()).collect(), cards })
    }

    /// Whose card it is.
    pub(crate) fn look_up(&self, card: &CardReference) -> LookupResult {
        let unknown = LookupResult { found: false, holder_id: None, authentication_certificate: None };
        let (Ok(issuer), Ok(serial), Ok(hash)) = (hex::decode(&card.issuer_key_id), hex::decode(&card.serial), hex::decode(&card.sha256))
        else {
            return unknown;
        };
        let registry = self.registry();
        let Some((card, certificate)) = registry.certificate(&issuer, &serial) else { return unknown };
        if certificate.sha256 != hash.as_slice() {
            return unknown;
        }
        let authentication = card.current(Kind::Authentication);
        LookupResult {
            found: true,
            holder_id: Some(card.holder_id.clone()),
            authentication_certificate: Some(authentication.map(|certificate| STANDARD.encode(&certificate.der))),
        }
    }

    /// The card CA's certificates.
    pub(crate) fn card_authorities(&self) -> Vec<CardAuthority> {
        let entry = |authority: &CardCa| CardAuthority {
            kind: authority.kind(),
            generation: authority.generation(),
            key_identifier: authority.key_identifier(),
            der: authority.certificate().to_vec(),
            pem: pem::encode(pem::CERTIFICATE, authority.certificate()),
        };
        self.authorities.iter().map(entry).collect()
    }

    /// Writes the state to its file, if it has one.
    pub(crate) fn keep(&self) -> Result<(), BackOfficeFault> {
        match &self.kept_at {
            Some(path) => kept::keep(path, &self.registry()),
            None => Ok(()),
        }
    }

    fn certify_share(
        &self,
        share: Vec<usize>,
        pool: &[Arc<Key>],
        hashes: &[CertIdHash],
    ) -> Result<Vec<(IssuedCard, BulkCard)>, BackOfficeFault> {
        let wish = NewCard::default();
        share
            .into_iter()
            .map(|number| {
                let person = Person::invented(Municipality::any()?)?;
                let indexes = [(2 * number) % pool.len(), (2 * number + 1) % pool.len()];
                let keys = Kind::ALL.into_iter().zip(indexes).map(|(kind, index)| (kind, pool[index].clone())).collect();
                let mut card = self.certify(&wish, &person, &keys)?;
                for certificate in &mut card.certificates {
                    presign(&self.authorities, certificate, hashes)?;
                }
                let side = |place: usize| BulkSide { certificate: STANDARD.encode(&card.certificates[place].der), key: indexes[place] };
                let entry = BulkCard {
                    card_id: card.card_id.clone(),
                    holder_id: card.holder_id.clone(),
                    signature: side(0),
                    authentication: side(1),
                };
                Ok((card, entry))
            })
            .collect()
    }

    /// New keys, one for each kind.
    pub(super) fn make_keys(&self, kinds: Vec<Kind>, pooled: bool) -> Result<HashMap<Kind, Arc<Key>>, BackOfficeFault> {
        let make = |kind| Ok((kind, if pooled { self.pooled()? } else { Arc::new(Key::generate(KeyAlgorithm::Rsa2048)?) }));
        kinds.into_iter().map(make).collect()
    }

    pub(super) fn certify(&self, wish: &NewCard, person: &Person, keys: &HashMap<Kind, Arc<Key>>) -> Result<IssuedCard, BackOfficeFault> {
        let mut certificates = Vec::with_capacity(2);
        for kind in kinds(wish) {
            let ca = self
                .authority(kind, wish.generation)
                .ok_or_else(|| BackOfficeFault::Refused("the card CA has no such key generation".to_owned()))?;
            let key = keys.get(&kind).ok_or_else(|| BackOfficeFault::Refused("no key".to_owned()))?;
            certificates.push(self.certify_side(wish, person, ca, key)?);
        }
        let holder_id = match &wish.holder_id {
            Some(holder_id) => holder_id.clone(),
            None => format!("holder-{}", hex::encode(random::<10>()?)),
        };
        Ok(IssuedCard { card_id: new_card_id()?, holder_id, person: person.clone(), certificates })
    }

    pub(super) fn certify_side(
        &self,
        wish: &NewCard,
        person: &Person,
        ca: &CardCa,
        key: &Key,
    ) -> Result<IssuedCertificate, BackOfficeFault> {
        let kind = ca.kind();
        let not_before = wish.not_before.unwrap_or_else(Utc::now).trunc_subsecs(0);
        let not_after = wish.not_after.unwrap_or_else(|| fifth_birthday(person.birth_date, not_before).min(ca.not_after()));
        let policy = match kind {
            Kind::Signature => &wish.signature_policy,
            Kind::Authentication => &wish.authentication_policy,
        };
        let policy = policy.as_ref().map(|oid| ObjectIdentifier::new(oid)).transpose();
        let policy = policy.map_err(|_| BackOfficeFault::Refused("a policy is an object identifier".to_owned()))?;
        let serial = self.reserve_serial(kind)?;
        let content = CardCertificate {
            serial,
            common_name: &common_name(kind, not_before, person)?,
            person,
            public_key_info: key.public_key_info(),
            key_identifier: key.key_identifier(),
            not_before,
            not_after,
            policy,
            ocsp_url: &format!("{}/ocsp/{kind}", self.status_url),
        };
        let der = content.issue(ca)?;
        Ok(IssuedCertificate {
            kind,
            generation: ca.generation(),
            issuer_key_id: ca.key_identifier(),
            serial,
            sha256: sha256(&der),
            der,
            distribution_point: content.distribution_point(ca),
            sequence: 0,
            standing: Standing::Good,
            answers: Vec::new(),
        })
    }

    fn reserve_serial(&self, kind: Kind) -> Result<[u8; 4], BackOfficeFault> {
        loop {
            let serial = crate::card_ca::four_octets()?;
            if self.registry().reserve(kind, serial) {
                return Ok(serial);
            }
        }
    }

    fn filled_pool(&self) -> Result<Vec<Arc<Key>>, BackOfficeFault> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        while pool.len() < POOL {
            pool.push(Arc::new(Key::generate(KeyAlgorithm::Rsa2048)?));
        }
        Ok(pool.clone())
    }

    /// One of two keys: a card's halves differ most of the time, and only two keys have to be made.
    fn pooled(&self) -> Result<Arc<Key>, BackOfficeFault> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        while pool.len() < 2 {
            pool.push(Arc::new(Key::generate(KeyAlgorithm::Rsa2048)?));
        }
        pool.rotate_left(1);
        Ok(pool[0].clone())
    }
}

/// What the holder carries away: certificates, the last of each kind, with their keys.
pub(super) fn card_file(
    card_id: &str,
    holder_id: &str,
    certificates: &[IssuedCertificate],
    keys: &HashMap<Kind, Arc<Key>>,
) -> Result<CardFile, BackOfficeFault> {
    let side = |kind: Kind| {
        let certificate = certificates.iter().rfind(|certificate| certificate.kind == kind)?;
        Some(CardSideFile {
            certificate: pem::encode(pem::CERTIFICATE, &certificate.der),
            key: keys.get(&kind)?.to_pem(),
            serial: hex::encode(certificate.serial),
            issuer_key_id: hex::encode(certificate.issuer_key_id),
        })
    };
    Ok(CardFile {
        card_id: card_id.to_owned(),
        holder_id: holder_id.to_owned(),
        signature: side(Kind::Signature).ok_or_else(|| BackOfficeFault::Refused("a card has a signature certificate".to_owned()))?,
        authentication: side(Kind::Authentication),
    })
}

/// A name for a card that no card has.
pub(super) fn new_card_id() -> Result<String, BackOfficeFault> {
    Ok(format!("card-{}", hex::encode(random::<8>()?)))
}

fn kinds(wish: &NewCard) -> Vec<Kind> {
    if wish.without_authentication { vec![Kind::Signature] } else { Kind::ALL.to_vec() }
}

fn invent(wish: &NewCard) -> Result<Person, BackOfficeFault> {
    let municipality = match (&wish.prefecture, &wish.city) {
        (None, None) => Municipality::any()?,
        (Some(prefecture), Some(city)) if is_name(prefecture) && is_name(city) => Municipality::named(prefecture, city),
        _ => return Err(BackOfficeFault::Refused("prefecture and city go together, each of 1 to 60 letters and hyphens".to_owned())),
    };
    let mut person = Person::invented(municipality)?;
    person.name = wish.name.clone().unwrap_or(person.name);
    person.birth_date = wish.birth_date.unwrap_or(person.birth_date);
    person.sex = wish.sex.unwrap_or(person.sex);
    person.address = wish.address.clone().unwrap_or(person.address);
    Ok(person)
}

fn is_name(text: &str) -> bool {
    (1..=60).contains(&text.len()) && text.chars().all(|character| character.is_ascii_alphabetic() || character == '-')
}

/// Signature: 14 digits of time, 5 of sequence, the desk. Authentication: 23 characters that say nothing.
fn common_name(kind: Kind, at: DateTime<Utc>, person: &Person) -> Result<String, BackOfficeFault> {
    Ok(match kind {
        Kind::Signature => {
            let local = at + Duration::hours(9);
            format!("{}{:05}{}A", local.format("%Y%m%d%H%M%S"), random_below(100_000)?, person.municipality.code)
        }
        Kind::Authentication => hex::encode_upper(random::<12>()?).chars().take(23).collect(),
    })
}
