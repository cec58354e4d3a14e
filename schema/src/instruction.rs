//! Signed instructions: what people ask for, on its way from the RA to the CA role, and what became of it.
//!
//! The RA writes rows and nothing else; that a row has a form, a time and a digest is all that may be believed of it. Whoever
//! carries an instruction out verifies the message, and that `digest` is its SHA-256.

use ca_core::digest::Sha256Digest;
pub use ca_core::instruction::InstructionForm;
use ca_core::refusal::Refusal;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::card_event::Receipt;
use crate::change::Origin;
use crate::event::{EventKind, NewEvent};
use crate::fault::{StoreFault, WriteError};
use crate::reader::Reader;
use crate::sql::{Fields, sql};
use crate::transaction::Transaction;

/// An instruction to be stored for the CA role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInstruction {
    /// The SHA-256 of the message: what it is called everywhere.
    pub digest: Sha256Digest,
    /// What sort of message it is.
    pub form: InstructionForm,
    /// The message in DER, 65,536 octets at most.
    pub message: Vec<u8>,
}

impl NewInstruction {
    /// An instruction called by its message.
    pub fn new(form: InstructionForm, message: Vec<u8>) -> Self {
        Self { digest: Sha256Digest::of(&message), form, message }
    }
}

/// A stored instruction, to be verified (again) and carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredInstruction {
    /// Its row: from where to go on.
    pub row: i64,
    /// What the RA calls it. Whether it is the message's SHA-256 is for the reader to check.
    pub digest: Sha256Digest,
    /// What sort of message it is, as the RA says.
    pub form: InstructionForm,
    /// The message in DER.
    pub message: Vec<u8>,
    /// When the RA stored it, as it says.
    pub received_at: DateTime<Utc>,
}

/// What became of an instruction.
#[derive(Debug, Clone, PartialEq)]
pub enum InstructionState {
    /// The CA role has not decided yet.
    Waiting,
    /// Carried out.
    Done {
        /// What was done, without personal data.
        outcome: Value,
        /// When.
        at: DateTime<Utc>,
    },
    /// Refused for good.
    Refused {
        /// The refusal's stable code.
        code: String,
        /// A sentence, without personal data.
        detail: String,
        /// When.
        at: DateTime<Utc>,
    },
    /// In order, but so large that another person must approve it.
    AwaitingApproval {
        /// What would be done.
        outcome: Value,
    },
}

/// An instruction as whoever sent it may see it.
#[derive(Debug, Clone, PartialEq)]
pub struct InstructionRecord {
    /// The SHA-256 of its message.
    pub digest: Sha256Digest,
    /// What sort of message it is.
    pub form: InstructionForm,
    /// When the RA stored it.
    pub received_at: DateTime<Utc>,
    /// What became of it.
    pub state: InstructionState,
    /// The instruction by which another person approved it.
    pub approved_by: Option<Sha256Digest>,
}

/// What the CA role decided about an instruction.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Carried out; what was done, without personal data.
    Done(Value),
    /// Refused for good.
    Refused {
        /// The refusal's stable code, 1 to 64 octets.
        code: String,
        /// A sentence, without personal data.
        detail: String,
    },
    /// To be approved by another person first; what would be done.
    AwaitingApproval(Value),
}

/// What an instruction's event tells of the request, as far as a signature says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Who asked.
    pub by: Option<&'a Origin>,
    /// What for: the word in the statement.
    pub action: Option<&'a str>,
}

impl<'a> From<Option<&'a Origin>> for Asked<'a> {
    fn from(by: Option<&'a Origin>) -> Self {
        Self { by, action: None }
    }
}

/// Why an instruction is not carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InstructionRefusal {
    /// It was decided before.
    #[error("the instruction was decided before")]
    AlreadyDecided,
    /// Its challenge was used before.
    #[error("the challenge was used before")]
    ChallengeSpent,
    /// The instruction to be approved does not wait for that.
    #[error("no instruction of this digest waits for an approval")]
    NotAwaitingApproval,
}

impl Refusal for InstructionRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::AlreadyDecided => "already_decided",
            Self::ChallengeSpent => "challenge_spent",
            Self::NotAwaitingApproval => "not_awaiting_approval",
        }
    }
}

type InstructionResult = Result<(), WriteError<InstructionRefusal>>;

const WAITING: i16 = 1;
const DONE: i16 = 2;
const REFUSED: i16 = 3;
const AWAITING_APPROVAL: i16 = 4;

impl Reader {
    /// What became of the instruction with this digest.
    pub fn instruction(&self, digest: &Sha256Digest) -> Result<Option<InstructionRecord>, StoreFault> {
        self.read(|session| {
            sql("SELECT i.digest, i.form, i.received_at, a.digest, i.state, i.decided_at, i.refusal_code, i.refusal_detail, i.outcome \
                 FROM instruction AS i LEFT JOIN instruction AS a ON a.id = i.approved_by WHERE i.digest = ?")
            .bind(digest)
            .optional(session, decode_record)
        })
    }

    /// Instructions that wait for the CA role, oldest first, from beyond the row `after` (0: from the first); `limit` at most.
    pub fn waiting_instructions(&self, after: i64, limit: u32) -> Result<Vec<StoredInstruction>, StoreFault> {
        self.read(|session| {
            sql("SELECT id, digest, form, message, received_at FROM instruction WHERE state = 1 AND id > ? ORDER BY id LIMIT ?")
                .bind(after)
                .bind(i64::from(limit))
                .rows(session, decode_stored)
        })
    }

    /// The message of an instruction, whatever became of it: for those who want to read it once more.
    pub fn stored_instruction(&self, digest: &Sha256Digest) -> Result<Option<StoredInstruction>, StoreFault> {
        self.read(|session| {
            sql("SELECT id, digest, form, message, received_at FROM instruction WHERE digest = ?")
                .bind(digest)
                .optional(session, decode_stored)
        })
    }

    /// The message of an instruction that waits for an approval: to be verified once more by whoever carries it out then.
    pub fn instruction_awaiting_approval(&self, digest: &Sha256Digest) -> Result<Option<StoredInstruction>, StoreFault> {
        self.read(|session| {
            sql("SELECT id, digest, form, message, received_at FROM instruction WHERE state = 4 AND digest = ?")
                .bind(digest)
                .optional(session, decode_stored)
        })
    }
}

impl Transaction<'_> {
    /// Stores an instruction for the CA role, once.
    ///
    /// Errors: a fault of class `Check` for a message of more than 65,536 octets.
    pub fn receive_instruction(&mut self, new: &NewInstruction, now: DateTime<Utc>) -> Result<Receipt, StoreFault> {
        let inserted = sql("INSERT INTO instruction (digest, form, message, received_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING")
            .bind(&new.digest)
            .bind(i16::from(new.form.code()))
            .bind(new.message.as_slice())
            .bind(now)
            .execute(self.session)?;
        Ok(if inserted == 0 { Receipt::Known } else { Receipt::New })
    }

    /// Decides a waiting instruction, and leaves the event of it.
    ///
    /// Belongs into the transaction in which it is carried out. After a refusal the closure must return it.
    pub fn decide_instruction<'a>(
        &mut self,
        digest: &Sha256Digest,
        decision: &Decision,
        asked: impl Into<Asked<'a>>,
        now: DateTime<Utc>,
    ) -> InstructionResult {
        let (state, kind, outcome, code, detail) = match decision {
            Decision::Done(outcome) => (DONE, EventKind::InstructionDone, Some(outcome.to_string()), None, None),
            Decision::Refused { code, detail } => {
                (REFUSED, EventKind::InstructionRefused, None, Some(code.as_str()), Some(detail.as_str()))
            }
            Decision::AwaitingApproval(outcome) => {
                (AWAITING_APPROVAL, EventKind::InstructionAwaitingApproval, Some(outcome.to_string()), None, None)
            }
        };
        let decided = sql("UPDATE instruction SET state = ?, decided_at = ?, outcome = ?, refusal_code = ?, refusal_detail = ? \
             WHERE digest = ? AND state = 1 RETURNING received_at")
        .bind(state)
        .bind((state != AWAITING_APPROVAL).then_some(now))
        .bind(outcome.as_deref())
        .bind(code)
        .bind(detail)
        .bind(digest)
        .optional(self.session, |row| row.time())?;
        let received_at = decided.ok_or(WriteError::Refused(InstructionRefusal::AlreadyDecided))?;
        let mut data = told(digest, asked.into(), received_at);
        if let Some(code) = code {
            data["code"] = json!(code);
        }
        self.emit(NewEvent::new(kind, now, data));
        Ok(())
    }

    /// Notes that the instruction `approved`, which waited for that, was approved by the instruction `approval` and carried out
    /// in this transaction; leaves its event. The approval itself is decided on its own.
    ///
    /// `asked` is what was asked for first, and by whom. That another person approves is for the caller to see to.
    pub fn approve_instruction<'a>(
        &mut self,
        approved: &Sha256Digest,
        approval: &Sha256Digest,
        outcome: &Value,
        asked: impl Into<Asked<'a>>,
        now: DateTime<Utc>,
    ) -> InstructionResult {
        let done = sql("UPDATE instruction SET state = 2, decided_at = ?, outcome = ?, \
             approved_by = (SELECT id FROM instruction WHERE digest = ?) WHERE digest = ? AND state = 4 RETURNING received_at")
        .bind(now)
        .bind(outcome.to_string().as_str())
        .bind(approval)
        .bind(approved)
        .optional(self.session, |row| row.time())?;
        let received_at = done.ok_or(WriteError::Refused(InstructionRefusal::NotAwaitingApproval))?;
        let mut data = told(approved, asked.into(), received_at);
        data["approved_by"] = json!(approval.to_string());
        self.emit(NewEvent::new(EventKind::InstructionDone, now, data));
        Ok(())
    }

    /// Takes a challenge for good, in the memory that the RA cannot write. After the refusal the closure must return it.
    pub fn redeem_challenge(&mut self, challenge: &[u8; 48], now: DateTime<Utc>) -> InstructionResult {
        if self.spend_challenge(challenge, now)? { Ok(()) } else { Err(WriteError::Refused(InstructionRefusal::ChallengeSpent)) }
    }
}

/// An instruction's event data: the digest, when the RA says it came, by whom and what for.
fn told(digest: &Sha256Digest, asked: Asked<'_>, received_at: DateTime<Utc>) -> Value {
    let mut data = json!({"instruction": digest.to_string(), "received_at": received_at});
    if let Some(by) = asked.by {
        data["by"] = json!(by);
    }
    if let Some(action) = asked.action {
        data["action"] = json!(action);
    }
    data
}

fn form(code: i16) -> Result<InstructionForm, StoreFault> {
    u8::try_from(code).ok().and_then(InstructionForm::from_code).ok_or(StoreFault::Corrupt("an instruction's form"))
}

fn decode_stored(row: &mut Fields<'_, '_, '_>) -> Result<StoredInstruction, StoreFault> {
    Ok(StoredInstruction {
        row: row.big()?,
        digest: row.digest()?,
        form: form(row.small()?)?,
        message: row.bytes()?,
        received_at: row.time()?,
    })
}

fn decode_record(row: &mut Fields<'_, '_, '_>) -> Result<InstructionRecord, StoreFault> {
    Ok(InstructionRecord {
        digest: row.digest()?,
        form: form(row.small()?)?,
        received_at: row.time()?,
        approved_by: row.optional_digest()?,
        state: decode_state(row)?,
    })
}

fn decode_state(row: &mut Fields<'_, '_, '_>) -> Result<InstructionState, StoreFault> {
    let (state, at) = (row.small()?, row.optional_time()?);
    let (code, detail, outcome) = (row.optional_text()?, row.optional_text()?, row.optional_json()?);
    match (state, at, code, detail, outcome) {
        (WAITING, None, None, None, None) => Ok(InstructionState::Waiting),
        (DONE, Some(at), None, None, Some(outcome)) => Ok(InstructionState::Done { outcome, at }),
        (REFUSED, Some(at), Some(code), Some(detail), None) => Ok(InstructionState::Refused { code, detail, at }),
        (AWAITING_APPROVAL, None, None, None, Some(outcome)) => Ok(InstructionState::AwaitingApproval { outcome }),
        _ => Err(StoreFault::Corrupt("an instruction's state")),
    }
}
