//! How the command ends when it does not succeed: a sentence for people, an exit code for scripts.

use std::process::ExitCode;

/// Why a command could not do what it was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    class: Class,
    message: String,
}

/// The classes of failure, each with its exit code (2 is clap's: the command line was wrong).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// 1: something went wrong that is none of the others.
    Other,
    /// 3: settings, policies or key files.
    Settings,
    /// 4: the store.
    Store,
    /// 5: what was asked for does not exist.
    NotFound,
    /// 6: another party refused.
    Refused,
}

impl Failure {
    /// Something that is none of the others.
    pub(crate) fn other(message: impl Into<String>) -> Self {
        Self { class: Class::Other, message: message.into() }
    }

    /// Settings, policies or key files.
    pub(crate) fn settings(message: impl Into<String>) -> Self {
        Self { class: Class::Settings, message: message.into() }
    }

    /// The store.
    pub(crate) fn store(fault: schema::StoreFault) -> Self {
        Self { class: Class::Store, message: format!("the store: {fault}") }
    }

    /// What was asked for does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { class: Class::NotFound, message: message.into() }
    }

    /// Another party refused.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { class: Class::Refused, message: message.into() }
    }

    /// The exit code.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.class {
            Class::Other => 1,
            Class::Settings => 3,
            Class::Store => 4,
            Class::NotFound => 5,
            Class::Refused => 6,
        })
    }
}

/// For `after_help`: what the exit codes mean.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong command line, 3 settings, policies or keys, 4 store, \
                                     5 not found, 6 refused by another party";
