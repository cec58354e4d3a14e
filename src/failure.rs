//! How the command ends when it does not succeed: a sentence for people, a code and an exit code for scripts.

use std::borrow::Cow;
use std::process::ExitCode;

use serde_json::{Value, json};

/// Why a command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    class: Class,
    code: Cow<'static, str>,
    message: String,
}

/// The classes of failure, each with its exit code and, where nobody said it better, its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Something went wrong that is none of the others.
    Other,
    /// The command line was wrong: clap's.
    Usage,
    /// Settings, policies or key files.
    Settings,
    /// The store.
    Store,
    /// What was asked for does not exist.
    NotFound,
    /// Another party refused.
    Refused,
    /// Another party gave no answer.
    Unreachable,
    /// Taken, but not decided yet.
    Waiting,
    /// Something is there already that would be overwritten.
    Exists,
    /// Evidence was judged, and does not hold.
    Disproved,
}

impl Class {
    fn exit_code(self) -> u8 {
        match self {
            Self::Other => 1,
            Self::Usage => 2,
            Self::Settings => 3,
            Self::Store => 4,
            Self::NotFound => 5,
            Self::Refused => 6,
            Self::Unreachable => 7,
            Self::Waiting => 8,
            Self::Exists => 9,
            Self::Disproved => 10,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Other => "failed",
            Self::Usage => "usage",
            Self::Settings => "settings",
            Self::Store => "store",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Waiting => "waiting",
            Self::Exists => "exists",
            Self::Disproved => "disproved",
        }
    }
}

impl Failure {
    fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, code: class.word().into(), message: message.into() }
    }

    /// Something that is none of the others.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self::new(Class::Other, message)
    }

    /// The command line was wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Class::Usage, message)
    }

    /// Settings, policies or key files.
    pub(crate) fn settings(message: impl Into<String>) -> Self {
        Self::new(Class::Settings, message)
    }

    /// The store.
    pub(crate) fn store(fault: schema::StoreFault) -> Self {
        Self::new(Class::Store, format!("the store: {fault}"))
    }

    /// What was asked for does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Class::NotFound, message)
    }

    /// Another party refused.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Class::Refused, message)
    }

    /// Another party gave no answer.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self::new(Class::Unreachable, message)
    }

    /// Taken, but not decided yet.
    pub(crate) fn waiting(message: impl Into<String>) -> Self {
        Self::new(Class::Waiting, message)
    }

    /// Something is there already that would be overwritten.
    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new(Class::Exists, message)
    }

    /// Evidence was judged, and does not hold.
    pub(crate) fn disproved(message: impl Into<String>) -> Self {
        Self::new(Class::Disproved, message)
    }

    /// The same, with one more sentence.
    pub(crate) fn and(self, sentence: &str) -> Self {
        Self { message: format!("{}. {sentence}", self.message), ..self }
    }

    /// The same, under the other party's own code for it.
    pub(crate) fn with_code(self, code: impl Into<String>) -> Self {
        Self { code: Cow::Owned(code.into()), ..self }
    }

    /// Whether another party gave no answer, and may give one later.
    pub(crate) fn is_unreachable(&self) -> bool {
        self.class == Class::Unreachable
    }

    /// Whether the other party will say the same whenever it is asked: it refused, or what was asked for is not there.
    pub(crate) fn is_final(&self) -> bool {
        matches!(self.class, Class::Refused | Class::NotFound)
    }

    /// Whether it is under one of these codes.
    pub(crate) fn is_one_of(&self, codes: &[&str]) -> bool {
        codes.contains(&&*self.code)
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.class.exit_code())
    }

    /// For `--output json`.
    pub(crate) fn json(&self) -> Value {
        json!({ "error": self.message, "code": self.code, "exit_code": self.class.exit_code() })
    }
}

/// For `after_help`: what the exit codes mean.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong command line, 3 settings, policies or keys, 4 store, \
                                     5 not found, 6 refused by another party, 7 no answer from another party, 8 taken but not \
                                     decided yet, 9 there already, 10 evidence that does not hold";
