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
    /// An application, when it arrives or when the CA decides on it.
    Application,
    /// Asking after an application.
    Status,
    /// The operators' listener.
    Operator,
    /// A delivery of card events.
    CardEvents,
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
    entry(Group::Application, "cms_malformed", 400, "Not a CMS SignedData"),
    entry(Group::Application, "cms_content_type", 400, "Not an application's content type"),
    entry(Group::Application, "cms_detached", 400, "Detached signature"),
    entry(Group::Application, "cms_signers", 400, "Not exactly one signer"),
    entry(Group::Application, "cms_signed_attributes", 400, "Signed attributes missing or repeated"),
    entry(Group::Application, "cms_unsigned_attributes", 400, "Unsigned attributes"),
    entry(Group::Application, "cms_algorithm", 422, "Signature algorithm not accepted"),
    entry(Group::Application, "cms_digest", 422, "Digest does not match"),
    entry(Group::Application, "cms_no_certificate", 400, "Signer's certificate missing"),
    entry(Group::Application, "cms_signature", 422, "Signature wrong"),
    // The card.
    entry(Group::Application, "card_certificate_too_large", 413, "Card certificate too large"),
    entry(Group::Application, "card_certificate_malformed", 400, "Card certificate malformed"),
    entry(Group::Application, "card_certificate_critical_extension", 422, "Card certificate not understood"),
    entry(Group::Application, "card_certificate_issuer_unidentified", 422, "Card certificate's issuer not identified"),
    entry(Group::Application, "card_certificate_key_unsupported", 422, "Card certificate's key not supported"),
    entry(Group::Application, "card_certificate_signature", 422, "Card certificate's signature wrong"),
    entry(Group::Application, "card_is_smartphone_certificate", 422, "Signed with a smartphone certificate"),
    entry(Group::Application, "card_is_ca", 422, "Signed with a CA certificate"),
    entry(Group::Application, "card_issuer_unknown", 422, "Card CA not trusted"),
    entry(Group::Application, "card_issuer_name", 422, "Card CA's name does not fit its key"),
    entry(Group::Application, "card_issuer_not_valid", 422, "Card CA's certificate not valid now"),
    entry(Group::Application, "card_not_yet_valid", 422, "Card certificate not yet valid"),
    entry(Group::Application, "card_expired", 422, "Card certificate expired"),
    entry(Group::Application, "card_key_usage", 422, "Card certificate not for this use"),
    entry(Group::Application, "card_policy", 422, "Card certificate's policy not accepted"),
    entry(Group::Application, "card_revoked", 422, "Card certificate revoked"),
    entry(Group::Application, "card_on_hold", 422, "Card certificate on hold"),
    entry(Group::Application, "card_unknown", 422, "Card certificate unknown to its CA"),
    entry(Group::Application, "holder_unknown", 422, "No holder of the card known"),
    entry(Group::Application, "card_without_authentication", 422, "No authentication certificate in the card"),
    // What others say of the card: when they fail, the applicant may try again.
    entry(Group::Application, "evidence_unreadable", 500, "Stored evidence cannot be read"),
    entry(Group::Application, "card_status_malformed", 503, "Card status cannot be read"),
    entry(Group::Application, "card_status_signature", 503, "Card status not signed by the card CA"),
    entry(Group::Application, "card_status_not_covered", 503, "Card status about another certificate"),
    entry(Group::Application, "card_status_stale", 503, "Card status too old"),
    entry(Group::Application, "card_status_unavailable", 503, "Card status cannot be had now"),
    entry(Group::Application, "back_office_unavailable", 503, "Back office cannot be asked now"),
    // The statement.
    entry(Group::Application, "statement_malformed", 400, "Statement malformed"),
    entry(Group::Application, "statement_type", 400, "Statement of another type"),
    entry(Group::Application, "statement_requests", 400, "Requests missing or repeated"),
    entry(Group::Application, "statement_audience", 422, "Made for another registration authority"),
    entry(Group::Application, "challenge_malformed", 400, "Challenge malformed"),
    entry(Group::Application, "challenge_not_ours", 422, "Challenge not ours"),
    entry(Group::Application, "challenge_expired", 422, "Challenge expired"),
    entry(Group::Application, "challenge_spent", 409, "Challenge used before"),
    // The requests and their keys.
    entry(Group::Application, "request_malformed", 400, "Certification request malformed"),
    entry(Group::Application, "request_without_challenge", 422, "Certification request without challenge"),
    entry(Group::Application, "request_challenge", 422, "Certification request with another challenge"),
    entry(Group::Application, "request_possession", 422, "No proof of possession"),
    entry(Group::Application, "key_not_allowed", 422, "Sort of key not allowed"),
    entry(Group::Application, "key_rsa_size", 422, "RSA key's size not allowed"),
    entry(Group::Application, "key_rsa_exponent", 422, "RSA key's exponent not allowed"),
    entry(Group::Application, "key_rsa_weak", 422, "RSA key weak"),
    entry(Group::Application, "key_rsa_close_primes", 422, "RSA key weak: primes too close"),
    entry(Group::Application, "key_reused", 422, "One key for two purposes"),
    entry(Group::Application, "key_already_certified", 409, "Key certified before"),
    // The decision.
    entry(Group::Application, "holder_has_live_certificate", 409, "Holder has a live certificate"),
    entry(Group::Application, "already_decided", 409, "Application decided before"),
    entry(Group::Application, "kind_not_issued", 422, "Kind of certificate not issued here"),
    entry(Group::Application, "certificate_lint", 422, "Certificate would break a rule"),
    entry(Group::Status, "application_unknown", 404, "No such application"),
    entry(Group::Operator, "role_unknown", 403, "Certificate without a role here"),
    entry(Group::Operator, "role_not_allowed", 403, "Not for this role"),
    entry(Group::CardEvents, "card_events_malformed", 400, "Card events malformed"),
    entry(Group::CardEvents, "card_events_too_many", 413, "Too many card events"),
    entry(Group::CardEvents, "card_event_invalid", 422, "A card event is invalid"),
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

    fn sources(room: &str) -> Vec<String> {
        let mut sources = Vec::new();
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(room).join("src")];
        while let Some(folder) = folders.pop() {
            for item in std::fs::read_dir(folder).unwrap() {
                let path = item.unwrap().path();
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

    #[test]
    fn every_refusal_that_can_reach_a_holder_is_in_the_catalogue() {
        let codes = codes_of_room("ca-core");
        assert!(codes.iter().any(|code| code == "cms_signature"), "the codes were not found in the sources");
        let of_the_ca = sources("ca-service").into_iter().flat_map(|text| {
            let codes = text.split("Refusal { code: \"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
            codes.collect::<Vec<_>>()
        });
        for code in codes.into_iter().chain(codes_of_room("schema")).chain(of_the_ca) {
            assert!(find(&code).is_some(), "{code} has no status");
        }
    }
}
