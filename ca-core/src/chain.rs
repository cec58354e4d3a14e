//! Telling an error with everything that caused it.

use std::error::Error;
use std::fmt;

/// An error and its sources on one line, the outermost first. Messages of errors never repeat their source; this tells it.
pub struct Chain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the outer")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn sources_follow_their_error() {
        let outer = Outer("x".parse::<u8>().unwrap_err());
        assert_eq!(Chain(&outer).to_string(), "the outer: invalid digit found in string");
    }
}
