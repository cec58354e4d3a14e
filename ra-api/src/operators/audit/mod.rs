//! The auditor's interface: exports of the log as they are prepared, their files, and searching.

mod body;
mod exports;
mod files;
mod search;

pub(crate) use exports::{
    __path_list_exports, __path_show_export, ExportAnswer, ExportFileView, ExportPartView, ExportsAnswer, list_exports, show_export,
};
pub(crate) use files::{__path_fetch_export_file, fetch_export_file};
pub(crate) use search::{__path_search_log, CertificateQuestion, FoundEvent, SearchAnswer, SearchBody, search_log};
