//! `GET /v1/audit/exports/{id}/files/{name}`: the files of an export, whole or from a place on.

use actix_web::http::StatusCode;
use actix_web::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, ETAG, RANGE};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use audit_log::export::{ExportFormat, MANIFEST_FILE, PartFile};
use audit_log::hash::sha256;
use schema::audit_export::{self as stored, AuditExport, ExportState};
use schema::{Reader, StoreFault};

use super::body::{ExportBody, Source};
use super::exports::read_part;
use crate::operators::OperatorState;
use crate::problem::{ExportFileProblems, Problem};
use crate::store;

/// Gives a file of an export. It is made again from the log each time, and has the same octets unless records of it were purged since,
/// which is told with 410; `Range: bytes=N-` goes on where an earlier answer broke off (RFC 9110 section 14).
#[utoipa::path(
    get,
    path = "/v1/audit/exports/{id}/files/{name}",
    tag = "operators",
    operation_id = "fetchExportFile",
    security(("operator" = ["administrator", "auditor"])),
    params(
        ("id" = String, Path, description = "What the export is called: 32 hexadecimal digits."),
        ("name" = String, Path, description = "The file's name; `manifest.note` as soon as the export is ready."),
        ("Range" = Option<String>, Header, description = "`bytes=N-` or `bytes=N-M`; any other is passed over.")
    ),
    responses(
        (status = 200, description = "The file.", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = 206, description = "The octets asked for.", body = Vec<u8>, content_type = "application/octet-stream"),
        ExportFileProblems
    )
)]
pub(crate) async fn fetch_export_file(
    request: HttpRequest,
    place: Path<(String, String)>,
    state: Data<OperatorState>,
) -> Result<HttpResponse, Problem> {
    let (id, name) = place.into_inner();
    let reader = state.reader.clone();
    let found = store::look("looking for a file of an export", move || find(&reader, &id, &name)).await?;
    let (file, source) = found?;
    let octets = file.octets;
    let range = request.headers().get(RANGE).and_then(|value| value.to_str().ok()).and_then(|value| requested(value, octets));
    let (status, first, end) = match range {
        None => (StatusCode::OK, 0, octets),
        Some(Some((first, end))) => (StatusCode::PARTIAL_CONTENT, first, end),
        Some(None) => return Err(Problem::new("range_not_satisfiable", format!("The file has {octets} octets."))),
    };
    let mut answer = HttpResponse::build(status);
    answer.insert_header((CONTENT_TYPE, "application/octet-stream"));
    answer.insert_header((ACCEPT_RANGES, "bytes"));
    answer.insert_header((CACHE_CONTROL, "private, no-store"));
    answer.insert_header((ETAG, format!("\"{}\"", hex::encode(file.sha256))));
    if status == StatusCode::PARTIAL_CONTENT {
        answer.insert_header((CONTENT_RANGE, format!("bytes {first}-{}/{octets}", end - 1)));
    }
    Ok(answer.body(ExportBody::new(source, first, end)))
}

/// The octets that a Range header asks for, as first and end; `None` if it asks for nothing that is understood here, and the inner one if
/// there are none of these.
fn requested(header: &str, octets: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let last: u64 = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    if last < first {
        return None;
    }
    Some((first < octets).then(|| (first, octets.min(last.saturating_add(1)))))
}

/// A file by its name, and what it is made of.
fn find(reader: &Reader, id: &str, name: &str) -> Result<Result<(PartFile, Source), Problem>, StoreFault> {
    let nothing = || Problem::new("not_found", "There is no such file, or not yet.");
    let Some(export) = reader.audit_export(id)? else { return Ok(Err(nothing())) };
    match &export.state {
        ExportState::Ready { manifest, .. } if name == MANIFEST_FILE => {
            let octets = manifest.as_bytes();
            let file = PartFile { name: MANIFEST_FILE.to_owned(), octets: octets.len() as u64, sha256: sha256(octets) };
            return Ok(Ok((file, Source::text(manifest))));
        }
        ExportState::Ready { .. } | ExportState::Preparing => {}
        ExportState::Failed { failure, .. } => return Ok(Err(Problem::new("export_failed", format!("The export failed: {failure}.")))),
        ExportState::Expired { .. } => {
            return Ok(Err(Problem::new("export_expired", "The export was ready for as long as it is kept: take a new one.")));
        }
    }
    let Some(number) = number(name) else { return Ok(Err(nothing())) };
    let Some(part) = reader.audit_export_parts(export.id, number, 1)?.pop().filter(|part| part.number == number) else {
        return Ok(Err(nothing()));
    };
    let part = read_part(part.detail)?;
    if name == part.records.name && reader.purged_leaves(part.from, part.to)? != part.purged {
        let detail = "Records of the export were purged since it was prepared: take a new one.";
        return Ok(Err(Problem::new("export_changed", detail)));
    }
    let source = |file: &PartFile| match name {
        _ if file.name == part.records.name => Source::records(reader.clone(), format(&export), part.from, part.to),
        _ if file.name == part.hashes.name => Source::hashes(reader.clone(), part.from, part.to),
        _ => Source::evidence(reader.clone(), export.id, number),
    };
    let file = part.files().find(|file| file.name == name);
    Ok(file.map(|file| (file.clone(), source(file))).ok_or_else(nothing))
}

/// The number of the part that a file of this name belongs to.
fn number(name: &str) -> Option<u64> {
    let digits = name.split_once('-')?.1.split_once('.')?.0;
    digits.bytes().all(|octet| octet.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn format(export: &AuditExport) -> ExportFormat {
    match export.format {
        stored::ExportFormat::Jsonl => ExportFormat::Jsonl,
        stored::ExportFormat::Csv => ExportFormat::Csv,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_far_as_they_are_understood() {
        for (header, wanted) in [
            ("bytes=0-", Some(Some((0, 10)))),
            ("bytes=3-", Some(Some((3, 10)))),
            ("bytes=3-5", Some(Some((3, 6)))),
            ("bytes=3-99", Some(Some((3, 10)))),
            ("bytes=9-18446744073709551615", Some(Some((9, 10)))),
            ("bytes=10-", Some(None)),
            ("bytes=5-3", None),
            ("bytes=-3", None),
            ("bytes=0-1,3-4", None),
            ("octets=0-1", None),
            ("bytes=x-", None),
        ] {
            assert_eq!(requested(header, 10), wanted, "{header}");
        }
        assert_eq!(requested("bytes=0-", 0), Some(None));
    }

    #[test]
    fn a_files_name_tells_its_part() {
        assert_eq!((number("records-00000012.csv"), number("hashes-99999999999.bin")), (Some(12), Some(99_999_999_999)));
        assert_eq!((number("records.csv"), number("records-+1.csv"), number("records-1"), number("..")), (None, None, None, None));
    }
}
