//! Every code of a problem, with its HTTP status and title.

/// A code that was published: it never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The code.
    pub code: &'static str,
    /// The HTTP status it is told with.
    pub status: u16,
    /// What it means, in few words.
    pub title: &'static str,
    /// Which part of the interface tells it.
    pub group: Group,
}

/// Where a problem can come from; an operation's description names the groups that apply to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Any request whatever.
    Edge,
    /// A path or method that does not exist.
    Routing,
    /// A request with a body.
    Body,
    /// Asking for a challenge.
    Challenge,
    /// Anything that somebody signed: an application or an instruction.
    Signed,
    /// A certification request, in an application or as the report of a compromised key.
    Request,
    /// An application, when it arrives or when the CA decides on it.
    Application,
    /// Asking after an application.
    Status,
    /// Asking for receipts.
    Receipt,
    /// An instruction, when it arrives or when the CA decides on it.
    Instruction,
    /// The report of a compromised key.
    KeyCompromise,
    /// Asking after an instruction.
    InstructionStatus,
    /// What a phone says became of a command.
    Command,
    /// The operators' listener.
    Operator,
    /// A delivery of card events.
    CardEvents,
    /// A question in JSON.
    Question,
    /// Something with a name in the path.
    Look,
    /// Fetching a file of an export.
    ExportFile,
    /// The question whether we are ready.
    Readiness,
}

/// All codes, by group.
pub const CATALOGUE: &[Entry] = &[
    entry(Group::Edge, "rate_limited", 429, "Too many requests"),
    entry(Group::Edge, "too_busy", 503, "Too many requests under way"),
    entry(Group::Edge, "request_timed_out", 503, "Not answered in time"),
    entry(Group::Edge, "internal_fault", 500, "A fault on our side"),
    entry(Group::Edge, "http_malformed", 400, "Not an understandable request"),
    entry(Group::Routing, "route_unknown", 404, "Nothing here"),
    entry(Group::Routing, "method_not_allowed", 405, "Method not allowed"),
    entry(Group::Body, "content_type_unsupported", 415, "Content type not supported"),
    entry(Group::Body, "body_too_large", 413, "Body too large"),
    entry(Group::Body, "request_too_slow", 408, "Request too slow"),
    entry(Group::Challenge, "challenge_unavailable", 503, "No challenge can be given now"),
    // The message.
    entry(Group::Application, "application_too_large", 413, "Application too large"),
    entry(Group::Signed, "cms_malformed", 400, "Not a CMS SignedData"),
    entry(Group::Signed, "cms_content_type", 400, "Content of another type"),
    entry(Group::Signed, "cms_detached", 400, "Detached signature"),
    entry(Group::Signed, "cms_signers", 400, "Not exactly one signer"),
    entry(Group::Signed, "cms_signed_attributes", 400, "Signed attributes missing or repeated"),
    entry(Group::Signed, "cms_unsigned_attributes", 400, "Unsigned attributes"),
    entry(Group::Signed, "cms_algorithm", 422, "Signature algorithm not accepted"),
    entry(Group::Signed, "cms_digest", 422, "Digest does not match"),
    entry(Group::Signed, "cms_no_certificate", 400, "Signer's certificate missing"),
    entry(Group::Signed, "cms_signature", 422, "Signature wrong"),
    // The card.
    entry(Group::Signed, "card_certificate_too_large", 413, "Card certificate too large"),
    entry(Group::Signed, "card_certificate_malformed", 400, "Card certificate malformed"),
    entry(Group::Signed, "card_certificate_critical_extension", 422, "Card certificate not understood"),
    entry(Group::Signed, "card_certificate_issuer_unidentified", 422, "Card certificate's issuer not identified"),
    entry(Group::Signed, "card_certificate_key_unsupported", 422, "Card certificate's key not supported"),
    entry(Group::Signed, "card_certificate_signature", 422, "Card certificate's signature wrong"),
    entry(Group::Signed, "card_is_smartphone_certificate", 422, "Signed with a smartphone certificate"),
    entry(Group::Signed, "card_is_ca", 422, "Signed with a CA certificate"),
    entry(Group::Signed, "card_issuer_unknown", 422, "Card CA not trusted"),
    entry(Group::Signed, "card_issuer_name", 422, "Card CA's name does not fit its key"),
    entry(Group::Signed, "card_issuer_not_valid", 422, "Card CA's certificate not valid now"),
    entry(Group::Signed, "card_not_yet_valid", 422, "Card certificate not yet valid"),
    entry(Group::Signed, "card_expired", 422, "Card certificate expired"),
    entry(Group::Signed, "card_key_usage", 422, "Card certificate not for this use"),
    entry(Group::Signed, "card_policy", 422, "Card certificate's policy not accepted"),
    entry(Group::Signed, "card_revoked", 422, "Card certificate revoked"),
    entry(Group::Application, "card_held", 422, "Card certificate held"),
    entry(Group::Application, "card_on_hold", 422, "Card certificate on hold"),
    entry(Group::Application, "card_unknown", 422, "Card certificate unknown to its CA"),
    entry(Group::Signed, "holder_unknown", 422, "No holder of the card known"),
    entry(Group::Application, "card_without_authentication", 422, "No authentication certificate in the card"),
    // What others say of the card: when they fail, the applicant may try again.
    entry(Group::Application, "evidence_unreadable", 500, "Stored evidence cannot be read"),
    entry(Group::Application, "card_status_malformed", 503, "Card status cannot be read"),
    entry(Group::Application, "card_status_signature", 503, "Card status not signed by the card CA"),
    entry(Group::Application, "card_status_not_covered", 503, "Card status about another certificate"),
    entry(Group::Application, "card_status_stale", 503, "Card status too old"),
    entry(Group::Application, "card_status_unavailable", 503, "Card status cannot be had now"),
    entry(Group::Application, "card_evidence_stale", 503, "News of cards too old for issuance"),
    entry(Group::Application, "store_reconciling", 503, "Records restored and not complete yet"),
    entry(Group::Application, "log_unavailable", 503, "Log cannot be written now"),
    entry(Group::Signed, "back_office_unavailable", 503, "Back office cannot be asked now"),
    // The statement.
    entry(Group::Application, "statement_malformed", 400, "Statement malformed"),
    entry(Group::Signed, "statement_type", 400, "Statement of another type"),
    entry(Group::Application, "statement_requests", 400, "Requests missing or repeated"),
    entry(Group::Signed, "statement_audience", 422, "Made for another registration authority"),
    entry(Group::Signed, "challenge_malformed", 400, "Challenge malformed"),
    entry(Group::Signed, "challenge_not_ours", 422, "Challenge not ours"),
    entry(Group::Signed, "challenge_expired", 422, "Challenge expired"),
    entry(Group::Signed, "challenge_spent", 409, "Challenge used before"),
    // The requests and their keys.
    entry(Group::Request, "request_malformed", 400, "Certification request malformed"),
    entry(Group::Application, "request_without_challenge", 422, "Certification request without challenge"),
    entry(Group::Application, "request_challenge", 422, "Certification request with another challenge"),
    entry(Group::Request, "request_possession", 422, "No proof of possession"),
    entry(Group::Request, "key_not_allowed", 422, "Sort of key not allowed"),
    entry(Group::Application, "key_rsa_size", 422, "RSA key's size not allowed"),
    entry(Group::Application, "key_rsa_exponent", 422, "RSA key's exponent not allowed"),
    entry(Group::Application, "key_rsa_weak", 422, "RSA key weak"),
    entry(Group::Application, "key_rsa_close_primes", 422, "RSA key weak: primes too close"),
    entry(Group::Application, "key_reused", 422, "One key for two purposes"),
    entry(Group::Application, "key_already_certified", 409, "Key certified before"),
    // The decision.
    entry(Group::Application, "holder_has_live_certificate", 409, "Holder has a live certificate"),
    entry(Group::Signed, "already_decided", 409, "Decided before"),
    entry(Group::Application, "kind_not_issued", 422, "Kind of certificate not issued here"),
    entry(Group::Application, "certificate_lint", 422, "Certificate would break a rule"),
    entry(Group::Status, "application_unknown", 404, "No such application"),
    entry(Group::Receipt, "receipt_none", 404, "Issued before there was a log"),
    entry(Group::Receipt, "receipt_purged", 410, "Records kept no longer"),
    // Instructions: the signer.
    entry(Group::Instruction, "instruction_too_large", 413, "Instruction too large"),
    entry(Group::Instruction, "signer_malformed", 400, "Signer's certificate malformed"),
    entry(Group::Instruction, "signer_unknown", 422, "Signer's certificate not issued for this"),
    entry(Group::Instruction, "signer_expired", 422, "Signer's certificate not valid now"),
    entry(Group::Instruction, "signer_key_usage", 422, "Signer's certificate not for signing"),
    // What is asked for.
    entry(Group::Instruction, "instruction_malformed", 400, "Instruction malformed"),
    entry(Group::Instruction, "instruction_digest", 422, "Instruction under another's name"),
    entry(Group::Instruction, "instruction_action", 422, "Not for this signer"),
    entry(Group::Instruction, "certificate_ended", 409, "Certificate has ended"),
    entry(Group::Instruction, "hold_not_liftable", 409, "Holds are never lifted here"),
    entry(Group::Instruction, "not_on_hold", 409, "Not on hold for this cause"),
    entry(Group::Instruction, "hold_renewed", 409, "Put on hold again since"),
    entry(Group::Instruction, "hold_of_card", 409, "A hold that follows the card"),
    entry(Group::Instruction, "reason_not_permanent", 422, "A hold is no reason to revoke"),
    entry(Group::Instruction, "invalid_since_in_future", 422, "Invalid since a time to come"),
    entry(Group::Instruction, "certificate_unknown", 422, "Certificate unknown here"),
    entry(Group::Instruction, "target_unknown", 422, "Nothing there to be changed"),
    entry(Group::Instruction, "nothing_to_erase", 409, "Nothing to erase"),
    entry(Group::Instruction, "nothing_to_lock", 409, "Nothing to lock"),
    entry(Group::Instruction, "schedule_unknown", 422, "No such schedule"),
    entry(Group::Instruction, "count_changed", 409, "Another count than expected"),
    entry(Group::Instruction, "not_awaiting_approval", 409, "Nothing to approve"),
    entry(Group::Instruction, "second_person_needed", 409, "Another person must approve"),
    entry(Group::Instruction, "approval_expired", 409, "Too late to approve"),
    entry(Group::Instruction, "log_not_begun", 409, "No checkpoint yet"),
    entry(Group::Instruction, "log_shrunk", 409, "The log is smaller than it was"),
    entry(Group::Instruction, "beyond_checkpoint", 409, "Beyond the last checkpoint"),
    entry(Group::Instruction, "nothing_to_export", 409, "Nothing to export"),
    entry(Group::Instruction, "export_too_large", 422, "Too much for one export"),
    entry(Group::Instruction, "recipient_invalid", 422, "Nobody to encrypt to"),
    entry(Group::Instruction, "recipient_not_allowed", 409, "Not to this key"),
    // Reports of keys.
    entry(Group::KeyCompromise, "key_report_subject", 422, "Not made as a report"),
    entry(Group::KeyCompromise, "key_unknown", 422, "Key never certified here"),
    entry(Group::InstructionStatus, "instruction_unknown", 404, "No such instruction"),
    // Commands to phones.
    entry(Group::Command, "command_unknown", 404, "No such command to this phone"),
    entry(Group::Command, "command_result_malformed", 400, "Signed result malformed"),
    entry(Group::Command, "command_result_signature", 422, "Signed result not signed by the phone"),
    entry(Group::Command, "command_result_other", 422, "Signed result about something else"),
    entry(Group::Operator, "role_unknown", 403, "Certificate without a role here"),
    entry(Group::Operator, "role_not_allowed", 403, "Not for this role"),
    entry(Group::CardEvents, "card_events_malformed", 400, "Card events malformed"),
    entry(Group::CardEvents, "card_events_too_many", 413, "Too many card events"),
    entry(Group::CardEvents, "card_event_invalid", 422, "A card event is invalid"),
    entry(Group::Question, "question_malformed", 400, "Question malformed"),
    entry(Group::Question, "question_invalid", 422, "Question out of bounds"),
    entry(Group::Look, "not_found", 404, "No such thing"),
    entry(Group::ExportFile, "export_failed", 409, "The export failed"),
    entry(Group::ExportFile, "export_expired", 410, "The export is kept no more"),
    entry(Group::ExportFile, "export_changed", 410, "Records were purged since"),
    entry(Group::ExportFile, "range_not_satisfiable", 416, "No such octets in the file"),
    entry(Group::Readiness, "not_ready", 503, "Not ready"),
];

pub(crate) fn find(code: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.code == code)
}

const fn entry(group: Group, code: &'static str, status: u16, title: &'static str) -> Entry {
    Entry { code, status, title, group }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_code_stands_there_twice() {
        let mut seen = HashSet::new();
        for entry in CATALOGUE {
            assert!(seen.insert(entry.code), "{}", entry.code);
            assert!((400..600).contains(&entry.status), "{}", entry.code);
            assert!(entry.code.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'_'), "{}", entry.code);
        }
    }

    /// Whose refusals the RA does not tell: OCSP is the status role's, and CA keys end on the command line.
    const TOLD_ELSEWHERE: [&str; 2] = ["ca-core/src/ocsp", "schema/src/crl/scopes.rs"];

    fn sources(room: &str) -> Vec<String> {
        let mut sources = Vec::new();
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(room).join("src")];
        while let Some(folder) = folders.pop() {
            for item in std::fs::read_dir(folder).unwrap() {
                let path = item.unwrap().path();
                if TOLD_ELSEWHERE.iter().any(|place| path.ends_with(place)) {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    sources.push(std::fs::read_to_string(&path).unwrap());
                }
            }
        }
        sources
    }

    /// The codes in `fn code(&self) -> &'static str { … }` of every `impl Refusal` under a room's `src`.
    fn codes_of_room(room: &str) -> Vec<String> {
        let mut codes = Vec::new();
        for text in sources(room) {
            for body in text.split("fn code(&self) -> &'static str {").skip(1) {
                let body = body.split("\n    }").next().unwrap();
                codes.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
            }
        }
        codes
    }

    /// What stands before a code in the CA role's sources.
    const CA_REFUSALS: [&str; 3] = ["Refusal { code: \"", "Refused { code: \"", "Refused::new(\""];

    fn codes_after(text: &str, before: &str) -> Vec<String> {
        text.split(before).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_refusal_that_can_reach_a_caller_is_in_the_catalogue() {
        let codes = codes_of_room("ca-core");
        assert!(codes.iter().any(|code| code == "cms_signature"), "the codes were not found in the sources");
        let of_the_ca: Vec<String> =
            sources("ca-service").iter().flat_map(|text| CA_REFUSALS.iter().flat_map(|before| codes_after(text, before))).collect();
        assert!(of_the_ca.iter().any(|code| code == "count_changed"), "the codes were not found in the sources");
        for code in codes.into_iter().chain(codes_of_room("schema")).chain(of_the_ca) {
            assert!(find(&code).is_some(), "{code} has no status");
        }
    }
}
