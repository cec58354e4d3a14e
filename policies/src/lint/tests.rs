//! All lints together.

use super::fixture::Fixture;
use super::{RULES, Severity, TbsCertificate, run};
use crate::set::PRACTICE_STATEMENT;

#[test]
fn every_good_fixture_passes_every_lint() {
    for fixture in Fixture::all() {
        assert_eq!(fixture.expect(run), []);
    }
}

#[test]
fn every_cited_section_of_the_practice_statement_exists() {
    for lint in RULES {
        for citation in lint.citation.split(", ") {
            if let Some(section) = citation.strip_prefix("Practice statement ") {
                let heading = format!("### {section} ");
                assert!(PRACTICE_STATEMENT.lines().any(|line| line.starts_with(&heading)), "{} cites {section}", lint.name);
            } else {
                assert!(citation.starts_with("RFC "), "{} cites {citation}", lint.name);
            }
        }
    }
}

#[test]
fn the_names_of_lints_are_distinct() {
    let mut names: Vec<_> = RULES.iter().map(|lint| lint.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), RULES.len());
}

#[test]
fn what_is_no_certificate_is_an_error() {
    let good = Fixture::signature();
    for cut in 0..good.to_der().len() {
        let findings = good.expect(|tbs, expectation| run(&tbs[..cut], expectation));
        assert!(findings.iter().any(|finding| finding.severity == Severity::Error));
    }
}

#[test]
fn any_changed_octet_is_read_without_panic() {
    let good = Fixture::signature();
    let tbs = good.to_der();
    for at in 0..tbs.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = tbs.clone();
            changed[at] = value;
            good.expect(|_, expectation| run(&changed, expectation));
        }
    }
}

#[test]
fn trailing_octets_are_no_der() {
    let tbs = Fixture::signature().to_der();
    assert!(TbsCertificate::parse(&[&tbs[..], &[0]].concat()).is_err());
}
