//! What is wrong with a settings file, in the words of whoever wrote it.

use figment::Source;
use figment::error::{Actual, Kind, OneOf};

/// The prefix of the environment variables that set keys.
pub(super) const PREFIX: &str = "TSUNAGI__";

/// Tells every error, a line for each.
pub(super) fn tell(error: figment::Error) -> String {
    let lines: Vec<String> = error.into_iter().map(|error| tell_one(&error)).collect();
    lines.join("\n")
}

/// Tells where and why `text` is no TOML.
pub(super) fn tell_syntax(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    format!("line {line} is no TOML: {}", error.message().trim().replace('\n', "; "))
}

fn tell_one(error: &figment::Error) -> String {
    let place = error.path.join(".");
    let inside = |member: &str| match error.path.last() {
        // The key itself is part of the path in some errors, and only its table in others.
        Some(last) if last == member => place.clone(),
        Some(_) => format!("{place}.{member}"),
        None => member.to_owned(),
    };
    let said = match &error.kind {
        Kind::MissingField(member) => format!("`{}` is missing", inside(member)),
        Kind::UnknownField(member, known) => match known {
            [] => format!("`{}` is no setting", inside(member)),
            _ => format!("`{}` is no setting; here are: {}", inside(member), known.join(", ")),
        },
        Kind::UnknownVariant(value, known) => format!("`{place}` is {value:?}, but must be {}", OneOf(known)),
        Kind::DuplicateField(member) => format!("`{}` is there twice", inside(member)),
        Kind::InvalidType(actual, expected) => format!("`{place}` is {}, but must be {}", thing(actual), wanted(expected)),
        Kind::InvalidValue(actual, expected) => format!("`{place}` is {}, but must be {}", value(actual), wanted(expected)),
        Kind::InvalidLength(length, expected) => format!("`{place}` has {length} members, but must have {expected}"),
        Kind::ISizeOutOfRange(number) => format!("`{place}` is {number}, which is out of bounds"),
        Kind::USizeOutOfRange(number) => format!("`{place}` is {number}, which is out of bounds"),
        Kind::Unsupported(actual) => format!("`{place}` is {}, which no setting is", thing(actual)),
        Kind::UnsupportedKey(actual, _) => format!("`{place}` has a name that is {}, which no setting has", thing(actual)),
        Kind::Message(message) if message == "invalid socket address syntax" => {
            format!("`{place}` is no address and port, as in \"127.0.0.1:8443\"")
        }
        Kind::Message(message) if place.is_empty() => message.clone(),
        Kind::Message(message) => format!("`{place}`: {message}"),
    };
    let from_file = error.metadata.as_ref().is_none_or(|metadata| matches!(metadata.source, Some(Source::File(_))));
    // What is missing or unknown was not set by anybody, or not under this name.
    if from_file || error.path.is_empty() {
        return said;
    }
    let variable = error.path.join("__").to_uppercase();
    format!("{said} (set by the environment variable {PREFIX}{variable})")
}

/// What sort of thing stands there.
fn thing(actual: &Actual) -> String {
    match actual {
        Actual::Bool(value) => format!("{value}"),
        Actual::Unsigned(number) => format!("the number {number}"),
        Actual::Signed(number) => format!("the number {number}"),
        Actual::Float(number) => format!("the number {number}"),
        Actual::Char(text) => format!("the text {text:?}"),
        Actual::Str(text) => format!("the text {text:?}"),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a table".to_owned(),
        Actual::Option | Actual::Unit => "nothing".to_owned(),
        other => other.to_string(),
    }
}

fn value(actual: &Actual) -> String {
    match actual {
        Actual::Str(text) => format!("{text:?}"),
        other => thing(other),
    }
}

/// What Rust's deserializers expect, in the words of a settings file.
fn wanted(expected: &str) -> String {
    match expected {
        "a string" | "a borrowed string" | "path string" => "a text in quotation marks".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list: [ … ]".to_owned(),
        "socket address" => "an address and a port, as in \"127.0.0.1:8443\"".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, not negative".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_toml_is_found_on_its_line() {
        for (text, line) in [("a = 1\n[ra\nb = 2\n", 2), ("a = \n", 1), ("a = 1\n\na = 2\n", 3)] {
            let said = tell_syntax(text, &text.parse::<toml::Table>().unwrap_err());
            assert!(said.starts_with(&format!("line {line} is no TOML: ")), "{text:?}: {said}");
        }
    }
}
