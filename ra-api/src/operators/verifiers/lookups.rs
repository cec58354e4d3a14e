//! `POST /v1/verifier/lookups`

use actix_web::HttpRequest;
use actix_web::web::{Data, Json, Payload, ReqData};
use ca_core::card::identity::{CardIdentity, KeyIdentifier};
use ca_core::instruction::operator::OperatorIdentity;
use ca_core::kind::CertificateKind;
use ca_core::serial::SerialNumber;
use schema::certificate::CertificateSummary;
use schema::lookup::Relation;
use schema::{Reader, StoreFault};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{check_purpose, read_serials, record};
use crate::edge::read_question;
use crate::operators::OperatorState;
use crate::problem::{Problem, QuestionProblems};
use crate::store;

/// What is asked about certificates.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupsQuestion {
    /// Why it is asked, for the record.
    #[schema(min_length = 1, max_length = 256)]
    pub purpose: String,
    /// What is asked.
    pub about: About,
    /// Serial numbers in hexadecimal: of smartphone certificates; about `smartphone`, of card certificates.
    #[schema(min_items = 1, max_items = 100)]
    pub serials: Vec<String>,
    /// About `smartphone`, and only there: the key identifier of the card CA's key, in hexadecimal.
    #[schema(pattern = "^([0-9a-fA-F]{2}){1,64}$")]
    pub issuer_key_id: Option<String>,
}

/// What is asked about a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum About {
    /// The certificate of the other kind of the same person: the one issued with it, else the one that stands, else the newest.
    OtherKind,
    /// The next certificate of the same kind of the same person.
    Successor,
    /// The one before.
    Predecessor,
    /// The card certificate on which it hangs.
    Card,
    /// The smartphone certificate that hangs on a card certificate: the one that stands, else the newest.
    Smartphone,
}

/// The answers, in the order of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LookupsAnswer {
    /// One for each serial number asked about.
    pub answers: Vec<LookupAnswer>,
}

/// What there is about one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LookupAnswer {
    /// The serial number asked about.
    pub serial: String,
    /// What was found. Not there if there is nothing, or if the certificate asked about is not one of ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<FoundCertificate>,
}

/// A certificate that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct FoundCertificate {
    /// `signature` or `authentication`.
    #[schema(example = "authentication")]
    pub kind: &'static str,
    /// The serial number in hexadecimal.
    #[schema(pattern = "^[0-9A-F]{2,40}$")]
    pub serial: String,
    /// Of a card certificate: the key identifier of the card CA's key, in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_key_id: Option<String>,
}

/// Tells which certificates belong together. The question is on record when it is answered.
#[utoipa::path(
    post,
    path = "/v1/verifier/lookups",
    tag = "operators",
    operation_id = "lookUp",
    security(("operator" = ["administrator", "verifier"])),
    request_body = LookupsQuestion,
    responses((status = 200, description = "The answers.", body = LookupsAnswer), QuestionProblems)
)]
pub(crate) async fn look_up(
    request: HttpRequest,
    payload: Payload,
    verifier: ReqData<OperatorIdentity>,
    state: Data<OperatorState>,
) -> Result<Json<LookupsAnswer>, Problem> {
    let question: LookupsQuestion = read_question(&request, payload, state.question_octets, state.body_timeout).await?;
    check_purpose(&question.purpose)?;
    let (subject, serials) = (Subject::read(&question)?, read_serials(&question.serials)?);
    let reader = state.reader.clone();
    let answers: Vec<LookupAnswer> = store::look("looking up certificates", move || {
        let answer = |serial: SerialNumber| Ok(LookupAnswer { found: subject.find(&reader, &serial)?, serial: serial.to_string() });
        serials.into_iter().map(answer).collect()
    })
    .await?;
    let found = answers.iter().filter(|answer| answer.found.is_some()).count();
    let asked = json!({ "about": question.about, "serials": question.serials, "issuer_key_id": question.issuer_key_id });
    record(&state, &verifier, question.purpose, asked, found).await?;
    Ok(Json(LookupsAnswer { answers }))
}

/// What is asked, and about which sort of certificate.
enum Subject {
    /// Of a smartphone certificate, another of the same person.
    Related(Relation),
    /// Of a smartphone certificate, the card's.
    CardOf,
    /// Of a certificate of this card CA's key, the smartphone's.
    Cards(KeyIdentifier),
}

impl Subject {
    fn read(question: &LookupsQuestion) -> Result<Self, Problem> {
        let wrong = |detail: &'static str| Problem::new("question_invalid", detail);
        match (question.about, &question.issuer_key_id) {
            (About::Smartphone, None) => Err(wrong("issuer_key_id is missing: card certificates are named with their issuer's key.")),
            (About::Smartphone, Some(issuer)) => {
                let issuer = KeyIdentifier::from_hex(issuer);
                issuer.map(Self::Cards).ok_or_else(|| wrong("issuer_key_id must be 1 to 64 octets in hexadecimal."))
            }
            (About::OtherKind, None) => Ok(Self::Related(Relation::OtherKind)),
            (About::Successor, None) => Ok(Self::Related(Relation::Successor)),
            (About::Predecessor, None) => Ok(Self::Related(Relation::Predecessor)),
            (About::Card, None) => Ok(Self::CardOf),
            (_, Some(_)) => Err(wrong("issuer_key_id belongs to card certificates only.")),
        }
    }

    fn find(&self, reader: &Reader, serial: &SerialNumber) -> Result<Option<FoundCertificate>, StoreFault> {
        let related = |relation| reader.related_certificate(None, serial, relation);
        let found = match self {
            Self::Cards(issuer) => reader.certificate_of_card(issuer, serial)?,
            Self::Related(relation) => related(*relation)?,
            Self::CardOf => {
                let (card, own) = (reader.card_of_certificate(None, serial)?, related(Relation::Itself)?);
                return Ok(card.zip(own).map(|(card, own)| FoundCertificate::card(&card, own.kind)));
            }
        };
        Ok(found.as_ref().map(FoundCertificate::from))
    }
}

impl FoundCertificate {
    fn card(card: &CardIdentity, kind: CertificateKind) -> Self {
        let issuer_key_id = Some(card.issuer_key_id.to_string());
        Self { kind: kind.as_str(), serial: card.serial.to_string(), issuer_key_id }
    }
}

impl From<&CertificateSummary> for FoundCertificate {
    fn from(certificate: &CertificateSummary) -> Self {
        Self { kind: certificate.kind.as_str(), serial: certificate.serial.to_string(), issuer_key_id: None }
    }
}
