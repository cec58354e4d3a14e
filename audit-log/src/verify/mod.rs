//! Offline verification of exports: from an export, the log's public key and what the auditor has kept, and nothing else.
//!
//! [`Verification::export`] reads an export once: the manifest's signature and the checkpoint's, the subtrees of all parts against the checkpoint's
//! root, each file's hash, the leaf hashes against the subtrees, each record against its leaf hash, and what the records say against the rules.
//! Whatever is wrong is a [`Finding`] with its file and leaf; what could not be judged is counted. Memory is bounded: a part's hashes, a few pieces of a
//! file, and what rules keep in mind of certificates, holders, cards and applications ([`Measures::room`]).

mod cosigning;
mod coverage;
mod earlier;
mod event;
mod evidence;
mod feed;
mod finding;
mod foresight;
mod part;
mod renewal;
mod rules;
mod seen;
mod sequence;
mod settle;
mod table;
mod told;
mod unjudged;
mod verdict;
mod visit;

pub use coverage::{Unread, WhyUnread};
pub use event::{By, CertificateData, Event, Milliseconds, milliseconds};
pub use evidence::{AskedKey, EvidenceCounts, EvidenceJudge, EvidenceMeans};
pub use finding::{Finding, Findings, KEPT_OF_A_RULE, Place, Rule};
pub use rules::{Measures, Outlives};
pub use unjudged::{Unjudged, UnjudgedCount, Why};
pub use verdict::{ExportTold, Statement, Verdict};
pub use visit::{Progress, Unreadable, Verification};
