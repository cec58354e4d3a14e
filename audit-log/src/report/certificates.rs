//! Certificates issued, by month (UTC), kind and platform. Examples for relying parties have the platform `test`.

use crate::verify::{CertificateData, Event};

use super::{Cell, Counter, Tally};

#[derive(Debug, Default)]
pub(super) struct Certificates(Counter<(String, String, Option<String>), u64>);

impl Tally for Certificates {
    fn count(&mut self, event: &Event<'_>) -> bool {
        if event.kind() != "certificate.issued" {
            return true;
        }
        let Some(data) = event.data::<CertificateData<'_>>() else { return false };
        let month = event.content.at().get(..7).map(str::to_owned);
        let (Some(month), Some(kind)) = (month, data.kind) else { return false };
        let platform = data.test.map(|_| "test".to_owned()).or(data.platform.map(Into::into));
        self.0.at((month, kind.into(), platform)).map(|count| *count += 1).is_some()
    }

    fn columns(&self) -> Vec<&'static str> {
        vec!["month", "kind", "platform", "certificates"]
    }

    fn rows(&self) -> Vec<Vec<Cell>> {
        let row = |((month, kind, platform), count): (&(String, String, Option<String>), &u64)| {
            vec![Cell::text(month), Cell::text(kind), Cell::or_nothing(platform.clone()), Cell::Number(*count)]
        };
        self.0.0.iter().map(row).collect()
    }
}
