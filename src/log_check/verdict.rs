//! What the examination comes to, for people and for programs.

use audit_log::SignedCheckpoint;
use schema::log::LogHead;
use serde_json::{Value, json};

use super::Findings;
use super::leaves::Tree;
use super::states::Examined;
use crate::output::pairs;

/// Findings told to people.
const TOLD: usize = 20;

pub(crate) struct Report {
    pub(super) head: LogHead,
    pub(super) note: Option<SignedCheckpoint>,
    pub(super) published: Option<SignedCheckpoint>,
    pub(super) tree: Tree,
    pub(super) examined: Examined,
    pub(super) findings: Findings,
}

impl Report {
    /// Whether everything is as it should be.
    pub(crate) fn is_sound(&self) -> bool {
        self.findings.total == 0
    }

    pub(crate) fn findings(&self) -> &Findings {
        &self.findings
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "sound": self.is_sound(),
            "begun": self.head.size > 0,
            "size": self.head.size,
            "root": hex::encode(self.head.root),
            "signed_size": self.note.as_ref().map(SignedCheckpoint::size),
            "published_size": self.published.as_ref().map(SignedCheckpoint::size),
            "leaves": self.tree.records,
            "purged": self.tree.purged,
            "lost": self.tree.lost,
            "waiting": self.tree.waiting,
            "certificates": self.examined.certificates,
            "evidence_examined": self.examined.with_evidence,
            "findings_total": self.findings.total,
            "findings": self.findings.told,
        })
    }

    pub(crate) fn text(&self) -> String {
        let of = |checkpoint: &Option<SignedCheckpoint>| {
            checkpoint.as_ref().map_or("none".to_owned(), |checkpoint| checkpoint.size().to_string())
        };
        let facts = pairs(&[
            ("leaves", self.head.size.to_string()),
            ("of them purged", self.tree.purged.to_string()),
            ("of them lost", self.tree.lost.to_string()),
            ("signed in the store", of(&self.note)),
            ("published in the tile directory", of(&self.published)),
            ("events that wait for a leaf", self.tree.waiting.to_string()),
            ("certificates", self.examined.certificates.to_string()),
            (
                "their card-signed messages",
                if self.examined.with_evidence { "looked at" } else { "not looked at: this database user may not read them" }.to_owned(),
            ),
            ("root (SHA-256)", hex::encode(self.head.root)),
        ]);
        let findings: Vec<String> = self
            .findings
            .told
            .iter()
            .take(TOLD)
            .map(|finding| format!("{} [{}]: {}", finding.place, finding.code, finding.words))
            .collect();
        match self.findings.total {
            0 if self.head.size == 0 => format!(
                "{facts}\n\nNothing was signed yet: the log has no leaf before the CA role first runs, so there is nothing to be held against the store."
            ),
            0 => format!(
                "{facts}\n\nEvery event is what its leaf commits to, the leaves make the tree that was signed, and the certificates are and stand as the events tell."
            ),
            total if total > findings.len() as u64 => {
                format!("{facts}\n\n{}\nand {} more", findings.join("\n"), total - findings.len() as u64)
            }
            _ => format!("{facts}\n\n{}", findings.join("\n")),
        }
    }
}
