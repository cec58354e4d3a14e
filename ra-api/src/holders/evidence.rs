//! Collecting what an application rests on besides its own bytes: the card certificates' status, signed by the card CA, and
//! what the back office knows of the card.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use back_office::{BackOffice, BackOfficeFault, CardHolder, CardReference, CardStatusClient, CrlUrlTemplate};
use ca_core::application::refusal::ApplicationRefusal;
use ca_core::application::verified::{AuthenticationEvidence, Evidence, StatusEvidence};
use ca_core::application::verifier::{ApplicationVerifier, CardSignedApplication};
use ca_core::card::identity::CardIdentity;
use ca_core::card::path::ValidCardCertificate;
use ca_core::card::status::{CardCrl, ocsp_request};
use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use chrono::{DateTime, TimeDelta, Utc};

/// An OCSPResponse this short has no responseBytes: tryLater, internalError and their like (RFC 6960 section 4.2.1).
const UNSIGNED_OCSP_OCTETS: usize = 32;
/// Octets of CRLs that are kept at most.
const KEPT_CRL_OCTETS: usize = 256 << 20;

/// Where evidence comes from. Blocks; bounded in time by the clients' settings.
pub trait EvidenceSource: Send + Sync {
    /// Everything that `verifier` will want to see for `application`.
    fn collect(
        &self,
        verifier: &ApplicationVerifier,
        application: &CardSignedApplication<'_>,
        now: DateTime<Utc>,
    ) -> Result<Evidence, EvidenceFailure>;

    /// The back office's name for the holder of a card, by its signature certificate.
    fn holder_id(&self, card: &CardIdentity) -> Result<String, EvidenceFailure>;
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceFailure {
    /// What was learnt refuses the application.
    #[error(transparent)]
    Refused(#[from] ApplicationRefusal),
    /// The back office gives no answer.
    #[error("the back office: {0}")]
    BackOffice(BackOfficeFault),
    /// The card CA's status service gives no answer.
    #[error("the status of the card's {kind} certificate: {fault}")]
    CardStatus {
        /// Which of the card's certificates.
        kind: CertificateKind,
        /// Why the last source asked gave none.
        fault: BackOfficeFault,
    },
}

/// Which evidence of a card certificate's status is asked for first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusSource {
    /// The card CA's OCSP responder.
    Ocsp,
    /// The CRL of the certificate's distribution point.
    Crl,
}

/// Where the card CA answers for one kind of card certificate.
#[derive(Debug, Clone)]
pub struct CardStatusPlaces {
    /// The OCSP responder.
    pub ocsp_url: String,
    /// The CRLs.
    pub crl_url: CrlUrlTemplate,
}

/// How evidence is collected.
#[derive(Debug, Clone)]
pub struct EvidencePlan {
    /// For the card's signature certificate.
    pub signature: CardStatusPlaces,
    /// For its authentication certificate.
    pub authentication: CardStatusPlaces,
    /// What is asked first and, where it gives no answer, next. At least one.
    pub order: Vec<StatusSource>,
    /// How long a CRL that has not ended is used before it is fetched again; policy has the last word on its age.
    pub crl_refresh: TimeDelta,
}

/// Evidence from the back office and the card CA, over the network.
pub struct NetworkEvidence {
    back_office: Arc<dyn BackOffice>,
    status: CardStatusClient,
    plan: EvidencePlan,
    crls: CrlShelf,
}

impl NetworkEvidence {
    /// Asks these two, by this plan.
    pub fn new(back_office: Arc<dyn BackOffice>, status: CardStatusClient, plan: EvidencePlan) -> Self {
        Self { back_office, status, plan, crls: CrlShelf::default() }
    }

    fn holder(&self, card: &CardIdentity) -> Result<CardHolder, EvidenceFailure> {
        let reference = CardReference {
            issuer_key_id: card.issuer_key_id.as_bytes().to_vec(),
            serial: card.serial.as_bytes().to_vec(),
            sha256: card.sha256.0,
        };
        let holders = self.back_office.look_up(std::slice::from_ref(&reference)).map_err(EvidenceFailure::BackOffice)?;
        holders.into_iter().next().flatten().ok_or(EvidenceFailure::Refused(ApplicationRefusal::HolderUnknown))
    }

    fn status(
        &self,
        kind: CertificateKind,
        card: &ValidCardCertificate<'_>,
        now: DateTime<Utc>,
    ) -> Result<StatusEvidence, EvidenceFailure> {
        let places = match kind {
            CertificateKind::Signature => &self.plan.signature,
            CertificateKind::Authentication => &self.plan.authentication,
        };
        let mut last = BackOfficeFault::Settings("no source of card status is set".into());
        for source in &self.plan.order {
            let answer = match source {
                StatusSource::Ocsp => self.ocsp(places, card),
                StatusSource::Crl => self.crl(places, card, now),
            };
            match answer {
                Ok(evidence) => return Ok(evidence),
                Err(fault) => {
                    metrics::counter!("tsunagi_card_status_failures_total", "kind" => kind.as_str(), "source" => source.as_str())
                        .increment(1);
                    tracing::warn!(%kind, source = source.as_str(), %fault, "no card status from this source");
                    last = fault;
                }
            }
        }
        Err(EvidenceFailure::CardStatus { kind, fault: last })
    }

    fn ocsp(&self, places: &CardStatusPlaces, card: &ValidCardCertificate<'_>) -> Result<StatusEvidence, BackOfficeFault> {
        let request = ocsp_request(card).map_err(|_| BackOfficeFault::Malformed("no OCSP request can be made"))?;
        let answer = self.status.fetch_ocsp(&places.ocsp_url, &request)?;
        if answer.len() < UNSIGNED_OCSP_OCTETS {
            return Err(BackOfficeFault::Malformed("the OCSP responder answered without a status"));
        }
        Ok(StatusEvidence::Ocsp(answer))
    }

    fn crl(
        &self,
        places: &CardStatusPlaces,
        card: &ValidCardCertificate<'_>,
        now: DateTime<Utc>,
    ) -> Result<StatusEvidence, BackOfficeFault> {
        let point = card.certificate().distribution_point();
        let point = point.ok_or(BackOfficeFault::Malformed("the card certificate names no distribution point"))?;
        let url = places.crl_url.url(&Sha256Digest::of(point).0);
        let der = self.crls.take(&url, now, || {
            let der = self.status.fetch_crl(&url)?;
            let crl =
                CardCrl::verify(&der, card.authority()).map_err(|_| BackOfficeFault::Malformed("the CRL is not one of the card CA"))?;
            let refresh = now + self.plan.crl_refresh;
            Ok((der, crl.next_update().map_or(refresh, |next| next.min(refresh))))
        })?;
        Ok(StatusEvidence::Crl(der.as_ref().clone()))
    }
}

impl EvidenceSource for NetworkEvidence {
    fn collect(
        &self,
        verifier: &ApplicationVerifier,
        application: &CardSignedApplication<'_>,
        now: DateTime<Utc>,
    ) -> Result<Evidence, EvidenceFailure> {
        let signature_status = self.status(CertificateKind::Signature, application.card(), now)?;
        let holder = self.holder(application.card().identity())?;
        let authentication = if application.asks_for(CertificateKind::Authentication) {
            let certificate = holder.authentication_certificate.ok_or(ApplicationRefusal::NoAuthenticationCard)?;
            let card = verifier.validate_authentication_card(&certificate, now)?;
            let status = self.status(CertificateKind::Authentication, &card, now)?;
            Some(AuthenticationEvidence { certificate, status })
        } else {
            None
        };
        Ok(Evidence { signature_status, holder_id: holder.holder_id, authentication })
    }

    fn holder_id(&self, card: &CardIdentity) -> Result<String, EvidenceFailure> {
        self.holder(card).map(|holder| holder.holder_id)
    }
}

impl StatusSource {
    /// The word in settings, logs and counters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ocsp => "ocsp",
            Self::Crl => "crl",
        }
    }
}

/// CRLs that were fetched and have not ended, by URL.
#[derive(Default)]
struct CrlShelf(Mutex<HashMap<String, Place>>);

/// Whoever fetches holds the place, so that a hundred applications from one municipality fetch its CRL once.
type Place = Arc<Mutex<Option<KeptCrl>>>;

struct KeptCrl {
    der: Arc<Vec<u8>>,
    until: DateTime<Utc>,
}

impl CrlShelf {
    /// The CRL at `url`: the kept one, else the one that `fetch` gives with the moment until which it may be kept.
    fn take(
        &self,
        url: &str,
        now: DateTime<Utc>,
        fetch: impl FnOnce() -> Result<(Vec<u8>, DateTime<Utc>), BackOfficeFault>,
    ) -> Result<Arc<Vec<u8>>, BackOfficeFault> {
        let place = Arc::clone(lock(&self.0).entry(url.to_owned()).or_default());
        let mut kept = lock(&place);
        if let Some(crl) = kept.as_ref().filter(|crl| now < crl.until) {
            return Ok(Arc::clone(&crl.der));
        }
        *kept = None;
        let (der, until) = fetch()?;
        let der = Arc::new(der);
        *kept = Some(KeptCrl { der: Arc::clone(&der), until });
        drop(kept);
        self.bound(url);
        Ok(der)
    }

    /// Clears the shelf, but for `newest`, when there is more on it than allowed. Places in use are passed over.
    fn bound(&self, newest: &str) {
        let mut places = lock(&self.0);
        let octets = |place: &Place| place.try_lock().map_or(0, |kept| kept.as_ref().map_or(0, |crl| crl.der.len()));
        if places.values().map(octets).sum::<usize>() > KEPT_CRL_OCTETS {
            places.retain(|url, place| url == newest || place.try_lock().is_err());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_crl_is_fetched_once_while_it_lasts_even_by_many_at_once() {
        let (shelf, fetched, now) = (CrlShelf::default(), AtomicUsize::new(0), Utc::now());
        let until = now + TimeDelta::seconds(60);
        let fetch = || {
            fetched.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok((vec![1, 2, 3], until))
        };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(*shelf.take("http://a", now, fetch).unwrap(), [1, 2, 3]));
            }
        });
        assert_eq!(fetched.load(Ordering::SeqCst), 1);
        shelf.take("http://b", now, fetch).unwrap();
        assert_eq!(fetched.load(Ordering::SeqCst), 2);
        shelf.take("http://a", until, fetch).unwrap();
        assert_eq!(fetched.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn a_failed_fetch_keeps_nothing() {
        let (shelf, now) = (CrlShelf::default(), Utc::now());
        assert!(shelf.take("http://a", now, || Err(BackOfficeFault::TimedOut)).is_err());
        assert_eq!(*shelf.take("http://a", now, || Ok((vec![9], now))).unwrap(), [9]);
    }
}
