//! Statements as text with `?` for each parameter, the same for both databases, prepared once and kept.

use std::borrow::Cow;

use ca_core::card::identity::KeyIdentifier;
use ca_core::digest::Sha256Digest;
use ca_core::kind::CertificateKind;
use ca_core::revocation::RevocationReason;
use ca_core::serial::SerialNumber;
use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel::connection::{Connection, LoadConnection};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::row::Row;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, SmallInt, Text, Untyped};

use crate::codes;
use crate::connection::{MultiBackend, MultiRow, Session};
use crate::fault::StoreFault;

/// Begins a statement. Each text is prepared and kept on each connection: a caller makes few texts.
pub(crate) fn sql<'a>(text: impl Into<Cow<'static, str>>) -> Statement<'a> {
    Statement { text: text.into(), parameters: Vec::new() }
}

/// `(?, ?), (?, ?)` and so on: `rows` rows of `columns` parameters each.
pub(crate) fn value_rows(rows: usize, columns: usize) -> String {
    let row = format!("({})", placeholders(columns));
    vec![row; rows].join(", ")
}

/// `?, ?` and so on.
pub(crate) fn placeholders(count: usize) -> String {
    vec!["?"; count].join(", ")
}

/// The items in slices of few sizes, so that few statements are prepared for however many items.
pub(crate) fn few_sizes<T>(items: &[T]) -> impl Iterator<Item = &[T]> {
    let mut left = items;
    std::iter::from_fn(move || {
        let size = [128, 32, 8, 2, 1].into_iter().find(|size| *size <= left.len())?;
        let (some, rest) = left.split_at(size);
        left = rest;
        Some(some)
    })
}

/// A statement with its parameters.
pub(crate) struct Statement<'a> {
    text: Cow<'static, str>,
    parameters: Vec<Parameter<'a>>,
}

/// A parameter's value.
pub(crate) enum Parameter<'a> {
    Small(i16),
    Int(i32),
    Big(i64),
    OptionalBig(Option<i64>),
    Text(&'a str),
    OptionalText(Option<&'a str>),
    Bytes(&'a [u8]),
    OptionalBytes(Option<&'a [u8]>),
}

impl<'a> Statement<'a> {
    /// Adds the next parameter.
    pub(crate) fn bind(mut self, value: impl Into<Parameter<'a>>) -> Self {
        self.parameters.push(value.into());
        self
    }

    /// Runs it; returns the number of rows written.
    pub(crate) fn execute(self, session: &mut Session) -> Result<usize, StoreFault> {
        session.checked(|connection| Ok(connection.execute_returning_count(&self)?))
    }

    /// Runs it and decodes each row.
    pub(crate) fn rows<T>(
        self,
        session: &mut Session,
        mut decode: impl FnMut(&mut Fields<'_, '_, '_>) -> Result<T, StoreFault>,
    ) -> Result<Vec<T>, StoreFault> {
        session.checked(|connection| {
            let mut decoded = Vec::new();
            for row in LoadConnection::load(connection, self)? {
                decoded.push(decode(&mut Fields { row: &row?, next: 0 })?);
            }
            Ok(decoded)
        })
    }

    /// Runs it and hands over each row, as long as `visit` wants to go on.
    pub(crate) fn each(
        self,
        session: &mut Session,
        mut visit: impl FnMut(&mut Fields<'_, '_, '_>) -> Result<bool, StoreFault>,
    ) -> Result<(), StoreFault> {
        session.checked(|connection| {
            for row in LoadConnection::load(connection, self)? {
                if !visit(&mut Fields { row: &row?, next: 0 })? {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Runs it and decodes the first row, if there is one.
    pub(crate) fn optional<T>(
        self,
        session: &mut Session,
        decode: impl FnMut(&mut Fields<'_, '_, '_>) -> Result<T, StoreFault>,
    ) -> Result<Option<T>, StoreFault> {
        Ok(self.rows(session, decode)?.into_iter().next())
    }
}

impl QueryFragment<MultiBackend> for Statement<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, MultiBackend>) -> QueryResult<()> {
        let mut pieces = self.text.split('?');
        out.push_sql(pieces.next().unwrap_or_default());
        for (parameter, piece) in self.parameters.iter().zip(pieces) {
            match parameter {
                Parameter::Small(value) => out.push_bind_param::<SmallInt, i16>(value)?,
                Parameter::Int(value) => out.push_bind_param::<Integer, i32>(value)?,
                Parameter::Big(value) => out.push_bind_param::<BigInt, i64>(value)?,
                Parameter::OptionalBig(value) => out.push_bind_param::<Nullable<BigInt>, Option<i64>>(value)?,
                Parameter::Text(value) => out.push_bind_param::<Text, str>(value)?,
                Parameter::OptionalText(value) => out.push_bind_param::<Nullable<Text>, Option<&str>>(value)?,
                Parameter::Bytes(value) => out.push_bind_param::<Binary, [u8]>(value)?,
                Parameter::OptionalBytes(value) => out.push_bind_param::<Nullable<Binary>, Option<&[u8]>>(value)?,
            }
            out.push_sql(piece);
        }
        Ok(())
    }
}

impl QueryId for Statement<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl Query for Statement<'_> {
    type SqlType = Untyped;
}

/// A row's columns, taken from left to right.
pub(crate) struct Fields<'r, 'c, 'q> {
    row: &'r MultiRow<'c, 'q>,
    next: usize,
}

impl Fields<'_, '_, '_> {
    fn take<ST, T: diesel::deserialize::FromSql<ST, MultiBackend>>(&mut self) -> Result<T, StoreFault> {
        let index = self.next;
        self.next += 1;
        // The cause is dropped: it could quote the value.
        self.row.get_value::<ST, T, usize>(index).map_err(|_| StoreFault::Corrupt("a column's type"))
    }

    pub(crate) fn small(&mut self) -> Result<i16, StoreFault> {
        self.take::<SmallInt, i16>()
    }

    pub(crate) fn int(&mut self) -> Result<i32, StoreFault> {
        self.take::<Integer, i32>()
    }

    pub(crate) fn big(&mut self) -> Result<i64, StoreFault> {
        self.take::<BigInt, i64>()
    }

    pub(crate) fn optional_small(&mut self) -> Result<Option<i16>, StoreFault> {
        self.take::<Nullable<SmallInt>, Option<i16>>()
    }

    pub(crate) fn optional_big(&mut self) -> Result<Option<i64>, StoreFault> {
        self.take::<Nullable<BigInt>, Option<i64>>()
    }

    pub(crate) fn text(&mut self) -> Result<String, StoreFault> {
        self.take::<Text, String>()
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<String>, StoreFault> {
        self.take::<Nullable<Text>, Option<String>>()
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, StoreFault> {
        self.take::<Binary, Vec<u8>>()
    }

    pub(crate) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, StoreFault> {
        self.take::<Nullable<Binary>, Option<Vec<u8>>>()
    }

    /// A count or number that is never negative.
    pub(crate) fn unsigned(&mut self) -> Result<u64, StoreFault> {
        u64::try_from(self.big()?).map_err(|_| StoreFault::Corrupt("a negative number"))
    }

    pub(crate) fn time(&mut self) -> Result<DateTime<Utc>, StoreFault> {
        codes::time(self.big()?)
    }

    pub(crate) fn optional_time(&mut self) -> Result<Option<DateTime<Utc>>, StoreFault> {
        self.optional_big()?.map(codes::time).transpose()
    }

    pub(crate) fn optional_json(&mut self) -> Result<Option<serde_json::Value>, StoreFault> {
        let text = self.optional_text()?;
        text.map(|text| serde_json::from_str(&text).map_err(|_| StoreFault::Corrupt("a JSON text"))).transpose()
    }

    pub(crate) fn json(&mut self) -> Result<serde_json::Value, StoreFault> {
        serde_json::from_str(&self.text()?).map_err(|_| StoreFault::Corrupt("a JSON text"))
    }

    pub(crate) fn optional_digest(&mut self) -> Result<Option<Sha256Digest>, StoreFault> {
        let octets = self.optional_bytes()?;
        octets.map(|octets| Sha256Digest::from_slice(&octets).ok_or(StoreFault::Corrupt("a digest's length"))).transpose()
    }

    pub(crate) fn digest(&mut self) -> Result<Sha256Digest, StoreFault> {
        Sha256Digest::from_slice(&self.bytes()?).ok_or(StoreFault::Corrupt("a digest's length"))
    }

    pub(crate) fn serial(&mut self) -> Result<SerialNumber, StoreFault> {
        SerialNumber::from_magnitude(&self.bytes()?).map_err(|_| StoreFault::Corrupt("a serial number's length"))
    }

    pub(crate) fn key_identifier(&mut self) -> Result<KeyIdentifier, StoreFault> {
        KeyIdentifier::new(self.bytes()?).ok_or(StoreFault::Corrupt("a key identifier's length"))
    }

    pub(crate) fn kind(&mut self) -> Result<CertificateKind, StoreFault> {
        codes::kind(self.small()?)
    }
}

impl From<i16> for Parameter<'_> {
    fn from(value: i16) -> Self {
        Self::Small(value)
    }
}

impl From<i32> for Parameter<'_> {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}

impl From<i64> for Parameter<'_> {
    fn from(value: i64) -> Self {
        Self::Big(value)
    }
}

impl From<Option<i64>> for Parameter<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::OptionalBig(value)
    }
}

impl<'a> From<&'a str> for Parameter<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<Option<&'a str>> for Parameter<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::OptionalText(value)
    }
}

impl<'a> From<&'a [u8]> for Parameter<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a> From<Option<&'a [u8]>> for Parameter<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Self::OptionalBytes(value)
    }
}

impl From<DateTime<Utc>> for Parameter<'_> {
    fn from(value: DateTime<Utc>) -> Self {
        Self::Big(value.timestamp_millis())
    }
}

impl From<Option<DateTime<Utc>>> for Parameter<'_> {
    fn from(value: Option<DateTime<Utc>>) -> Self {
        Self::OptionalBig(value.map(|time| time.timestamp_millis()))
    }
}

impl From<Option<RevocationReason>> for Parameter<'_> {
    fn from(value: Option<RevocationReason>) -> Self {
        Self::OptionalBig(value.map(|reason| reason.code().into()))
    }
}

impl<'a> From<&'a Sha256Digest> for Parameter<'a> {
    fn from(value: &'a Sha256Digest) -> Self {
        Self::Bytes(value.as_bytes())
    }
}

impl<'a> From<Option<&'a Sha256Digest>> for Parameter<'a> {
    fn from(value: Option<&'a Sha256Digest>) -> Self {
        Self::OptionalBytes(value.map(Sha256Digest::as_bytes))
    }
}

impl<'a> From<&'a SerialNumber> for Parameter<'a> {
    fn from(value: &'a SerialNumber) -> Self {
        Self::Bytes(value.as_bytes())
    }
}

impl<'a> From<&'a KeyIdentifier> for Parameter<'a> {
    fn from(value: &'a KeyIdentifier) -> Self {
        Self::Bytes(value.as_bytes())
    }
}

impl From<CertificateKind> for Parameter<'_> {
    fn from(value: CertificateKind) -> Self {
        Self::Small(codes::kind_code(value))
    }
}

impl From<ca_core::application::ApplicationId> for Parameter<'_> {
    fn from(value: ca_core::application::ApplicationId) -> Self {
        Self::Big(value.0)
    }
}
