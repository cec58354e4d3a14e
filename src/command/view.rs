//! What the operators' listener tells, as rows of tables.

use serde_json::Value;

/// Rows of kind, serial number, state, since when it has that state, why, and end.
pub(crate) fn certificate_rows(certificates: &Value) -> Vec<Vec<String>> {
    let members = ["kind", "serial", "state", "revoked_at", "reason", "not_after"];
    list(certificates).map(|one| members.map(|member| word(&one[member])).to_vec()).collect()
}

/// Header and rows of phones.
pub(crate) fn device_rows(devices: &Value) -> ([&'static str; 7], Vec<Vec<String>>) {
    let members = ["device", "platform", "model", "key_storage", "added_at", "erasure"];
    let row = |one: &Value| {
        let mut row = members.map(|member| word(&one[member])).to_vec();
        row.push(if one["push_dead"] == true { "dead" } else { "" }.to_owned());
        row
    };
    (["device", "platform", "model", "keys in", "since", "erasure", "push"], list(devices).map(row).collect())
}

/// Header and rows of commands to phones.
pub(crate) fn command_rows(commands: &Value) -> ([&'static str; 6], Vec<Vec<String>>) {
    let row = |one: &Value| {
        let named: Vec<String> = list(&one["certificates"]).map(|named| word(&named["serial"])).collect();
        let mut row = ["command", "action", "state", "created_at", "settled_at"].map(|member| word(&one[member])).to_vec();
        row.push(named.join(" "));
        row
    };
    (["command", "action", "state", "made", "settled", "certificates"], list(commands).map(row).collect())
}

/// The members of a list; none if it is not there.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A member in words: nothing where it is not there, moments to the second.
pub(crate) fn word(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => match text.parse::<chrono::DateTime<chrono::Utc>>() {
            Ok(at) => crate::output::time(at),
            Err(_) => text.clone(),
        },
        other => other.to_string(),
    }
}
