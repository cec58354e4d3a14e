//! Octets as the files of an export: the text of a manifest, records as JSON lines and as CSV. Whatever is read is written alike.

#![no_main]

use audit_log::export::{ExportFormat, Manifest, RecordEncoder, RecordReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    if let Ok(text) = std::str::from_utf8(octets)
        && let Ok(manifest) = Manifest::parse(text)
    {
        assert_eq!(manifest.to_text(), text);
    }
    for format in [ExportFormat::Jsonl, ExportFormat::Csv] {
        let encoder = RecordEncoder::new(format);
        let (mut reader, mut again) = (RecordReader::new(format, octets), encoder.header().as_bytes().to_vec());
        loop {
            match reader.next_record() {
                Ok(Some(record)) => encoder.encode(&record, &mut again),
                Ok(None) => break assert_eq!(again, octets),
                Err(fault) => {
                    assert!(fault.octet <= octets.len() as u64 && fault.line > 0);
                    assert!(fault.line == 1 || octets.starts_with(&again));
                    break;
                }
            }
        }
    }
});
