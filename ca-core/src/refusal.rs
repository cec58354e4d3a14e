//! What is common to every refusal.

/// The caller's fault, told plainly: a stable code for programs and a sentence for people, neither with personal data.
///
/// Each module that can refuse has its own enum; the HTTP edge turns any of them into problem details (RFC 9457).
pub trait Refusal: std::error::Error {
    /// The stable code: lower-case words joined by underscores. A code once published never changes its meaning.
    fn code(&self) -> &'static str;
}
