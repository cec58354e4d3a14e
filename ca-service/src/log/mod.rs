//! The issuance log: each committed event becomes a leaf, in the order of positions, exactly once, by whoever leads.

mod settings;

pub use self::settings::{LogSettings, LogSettingsRefusal, WitnessSettings, is_origin};
