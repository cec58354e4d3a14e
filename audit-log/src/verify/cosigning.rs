//! Whether each witness that was named has cosigned. A witness cosigns only what extends all that it saw, so the cosignature of a later tree covers
//! an earlier one that it was not asked about.

use chrono::SecondsFormat;

use crate::note::{SignedCheckpoint, WitnessVerifier};

use super::finding::{Findings, Place, Rule};
use super::verdict::Statement;

/// The witnesses that were named, and what they have not cosigned.
pub(super) struct Cosigning<'a> {
    witnesses: &'a [WitnessVerifier],
    missing: Vec<Missing<'a>>,
}

/// A tree that a witness has not cosigned.
struct Missing<'a> {
    witness: &'a WitnessVerifier,
    place: Place,
    size: u64,
    /// The later export whose tree, as large or larger, the witness has cosigned.
    later: Option<String>,
}

impl<'a> Cosigning<'a> {
    pub(super) fn new(witnesses: &'a [WitnessVerifier]) -> Self {
        Self { witnesses, missing: Vec::new() }
    }

    /// Who cosigned the tree of an export, and when. A cosignature that is wrong is found at once.
    pub(super) fn cosigned(&mut self, tree: &SignedCheckpoint, place: &Place, findings: &mut Findings) -> Vec<String> {
        let mut cosigned = Vec::new();
        for witness in self.witnesses {
            match tree.cosigned_by(witness) {
                Ok(Some(cosignature)) => {
                    cosigned.push(format!("{} at {}", witness.name(), cosignature.at().to_rfc3339_opts(SecondsFormat::Secs, true)));
                    let open = self.missing.iter_mut().filter(|missing| missing.later.is_none());
                    for missing in open.filter(|missing| std::ptr::eq(missing.witness, witness) && missing.size <= tree.size()) {
                        missing.later = Some(place.directory.clone());
                    }
                }
                Ok(None) => self.missing.push(Missing { witness, place: place.clone(), size: tree.size(), later: None }),
                Err(refusal) => findings.add(Rule::Witness, place, format!("the cosignature of {}: {refusal}", witness.name())),
            }
        }
        cosigned
    }

    /// All exports were read: what no later cosignature covers is found, the rest told. Each tree has to extend those before it, which is found
    /// elsewhere; where that is not shown, a later cosignature covers nothing.
    pub(super) fn end(&mut self, findings: &mut Findings) -> Vec<Statement> {
        let is_extended = !findings.counts().contains_key(&Rule::Earlier);
        let mut told = Vec::new();
        for Missing { witness, place, later, .. } in self.missing.drain(..) {
            match later.filter(|_| is_extended) {
                Some(later) => told.push(Statement::new(
                    format!("that the tree of {} was shown to everybody when it was taken", place.directory),
                    format!("{} did not cosign it then; it has cosigned that of {later}, which extends it", witness.name()),
                )),
                None => findings.add(Rule::Witness, &place, format!("the checkpoint has no cosignature of {}", witness.name())),
            }
        }
        told
    }
}
