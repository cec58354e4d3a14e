//! The page as HTML: no scripts, nothing loaded from elsewhere.

use ca_core::kind::CertificateKind;
use crl_publisher::AtOnce;
use maud::{DOCTYPE, Markup, html};
use ocsp::NeverIssued;

use super::content::{CaCertificate, Content, Log, Measured};
use super::words::Words;

const STYLE: &str = "body{font-family:sans-serif;line-height:1.5;max-width:70em;margin:1em auto;padding:0 1em;color:#111;background:#fff}\
                     table{border-collapse:collapse;margin:1em 0}\
                     th,td{border:1px solid #999;padding:.2em .6em;text-align:left;vertical-align:top}\
                     th{background:#eee}code{word-break:break-all}.scroll{overflow-x:auto}";

/// The page in one language.
pub(super) fn page(content: &Content, words: &Words) -> Markup {
    let (other, other_name) = words.other;
    html! {
        (DOCTYPE)
        html lang=(words.language.as_str()) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (words.title) }
                link rel="alternate" hreflang=(other.as_str()) href={ "/?lang=" (other.as_str()) };
                link rel="alternate" type="application/json" href="/index.json";
                style { (STYLE) }
            }
            body {
                p { a href={ "/?lang=" (other.as_str()) } hreflang=(other.as_str()) lang=(other.as_str()) { (other_name) } }
                h1 { (words.title) }
                p { (words.introduction) }
                p { (words.for_programs) " " a href="/index.json" { "/index.json" } }
                h2 { (words.ca_certificates) }
                p { (words.compare) }
                @for ca in &content.ca_certificates { (ca_certificate(ca, words)) }
                h2 { (words.crls) }
                p { (words.crl_scope) }
                (crls(content, words))
                h2 { (words.promises) }
                (promises(content, words))
                h2 { (words.measured) }
                (measured(&content.measured, words))
                h2 { (words.tests) }
                p { (words.about_tests) }
                (tests(content, words))
                @if let Some(log) = &content.log { (issuance_log(log, words)) }
            }
        }
    }
}

fn ca_certificate(ca: &CaCertificate, words: &Words) -> Markup {
    html! {
        h3 { (kind(ca.kind, words)) ", " (words.generation) " " (ca.generation) }
        table {
            tr { th scope="row" { (words.name) } td { (ca.name) } }
            tr { th scope="row" { (words.download) } td { a href=(ca.certificate_url) { (ca.certificate_url) } } }
            tr { th scope="row" { (words.fingerprint) } td { code { (colons(&ca.sha256)) } } }
            tr { th scope="row" { (words.key_identifier) } td { code { (colons(&ca.key_identifier)) } } }
            tr { th scope="row" { (words.validity) } td { (ca.not_before) " – " (ca.not_after) } }
            @if let Some(at) = &ca.retired_at {
                tr { th scope="row" { (words.retired_at) } td { (at) } }
            }
            tr { th scope="row" { (words.policy) } td { code { (ca.policy_oid) } } }
            @if let Some(cps) = &ca.cps_url {
                tr { th scope="row" { (words.practice_statement) } td { a href=(cps) { (cps) } } }
            }
            tr { th scope="row" { (words.responder) } td { code { (ca.ocsp_url) } } }
        }
    }
}

fn issuance_log(log: &Log, words: &Words) -> Markup {
    let checkpoint = format!("{}/checkpoint", log.url);
    html! {
        h2 { (words.log) }
        p { (words.about_log) }
        table {
            tr { th scope="row" { (words.name) } td { code { (log.origin) } } }
            tr { th scope="row" { (words.public_key) } td { code { (log.verifier_key) } } }
            tr { th scope="row" { (words.checkpoint) } td { a href=(checkpoint) { (checkpoint) } } }
        }
    }
}

fn crls(content: &Content, words: &Words) -> Markup {
    if content.crls.is_empty() {
        return html! { p { (words.none_yet) } };
    }
    html! {
        div class="scroll" {
            table {
                tr {
                    @for header in [words.kind, words.generation, words.shard, words.list, words.number, words.this_update,
                        words.next_update, words.entries, words.octets] { th scope="col" { (header) } }
                }
                @for crl in &content.crls {
                    tr {
                        td { (kind(crl.kind, words)) }
                        td { (crl.generation) }
                        td { (crl.shard) }
                        td { a href=(crl.url) { (crl.url) } }
                        td { (crl.number) }
                        td { (crl.this_update) }
                        td { (crl.next_update) }
                        td { (crl.entries) }
                        td { (crl.octets) }
                    }
                }
            }
        }
    }
}

fn promises(content: &Content, words: &Words) -> Markup {
    let (ocsp, crl) = (&content.ocsp, &content.crl);
    let at_once = match crl.at_once {
        AtOnce::Any => words.crl_at_once_any,
        AtOnce::Urgent => words.crl_at_once_urgent,
    };
    let never_issued = match ocsp.never_issued {
        NeverIssued::Revoked => "revoked (RFC 6960, 2.2)",
        NeverIssued::Unknown => "unknown",
    };
    let seconds = |seconds: u32| format!("{seconds} {}", words.seconds);
    let facts = [
        (words.answer_life, seconds(ocsp.answer_life_seconds)),
        (words.cache, seconds(ocsp.cache_seconds)),
        (words.cut_off, seconds(ocsp.cut_off_seconds)),
        (words.never_issued, never_issued.to_owned()),
        (words.crl_schedule, crl.schedule.clone()),
        (words.crl_overlap, seconds(crl.overlap_seconds)),
        (words.crl_at_once, at_once.to_owned()),
        (words.crl_keep, format!("{} {}", crl.keep_days, words.days)),
        (words.crl_cache, seconds(crl.cache_seconds)),
    ];
    html! {
        table {
            @for (what, how) in &facts { tr { th scope="row" { (what) } td { (how) } } }
        }
    }
}

fn measured(stages: &[Measured], words: &Words) -> Markup {
    let milliseconds = |value: Option<u64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value} ms"));
    html! {
        table {
            tr {
                @for header in [words.way, words.count, words.lost, words.half, words.nearly_all, words.longest] {
                    th scope="col" { (header) }
                }
            }
            @for stage in stages {
                tr {
                    td { @if stage.stage == "ocsp" { (words.by_ocsp) } @else { (words.by_crl) } }
                    td { (stage.count) }
                    td { (stage.lost) }
                    td { (milliseconds(stage.p50_ms)) }
                    td { (milliseconds(stage.p99_ms)) }
                    td { (milliseconds(stage.max_ms)) }
                }
            }
        }
    }
}

fn tests(content: &Content, words: &Words) -> Markup {
    if content.test_certificates.is_empty() {
        return html! { p { (words.none_yet) } };
    }
    html! {
        div class="scroll" {
            table {
                tr {
                    @for header in [words.kind, words.status, words.download, words.serial, words.validity] { th scope="col" { (header) } }
                }
                @for test in &content.test_certificates {
                    tr {
                        td { (kind(test.kind, words)) }
                        td { (words.status_of(test.status)) }
                        td { a href=(test.url) { (test.url) } }
                        td { code { (test.serial) } }
                        td { (test.not_before) " – " (test.not_after) }
                    }
                }
            }
        }
    }
}

fn kind(kind: CertificateKind, words: &Words) -> &'static str {
    match kind {
        CertificateKind::Signature => words.signature,
        CertificateKind::Authentication => words.authentication,
    }
}

/// Hexadecimal digits as openssl shows fingerprints.
fn colons(hexadecimal: &str) -> String {
    let digits: Vec<char> = hexadecimal.to_ascii_uppercase().chars().collect();
    digits.chunks(2).map(|pair| pair.iter().collect::<String>()).collect::<Vec<_>>().join(":")
}
