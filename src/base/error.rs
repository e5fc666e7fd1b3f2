//! One error for the whole program: a kind, a sentence for the person, a cause for the log.

use crate::excerpt;
use crate::ids::JobId;
use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

/// `Result` with the program's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, coarsely. `web::problem` holds the only table from kind to status code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The input is not valid; `fields` may say where.
    Invalid,
    /// Nobody is signed in, or the credential is not (or no longer) good.
    Unauthenticated,
    /// Signed in, but not allowed.
    Forbidden,
    /// It is not there, or not there for this actor.
    NotFound,
    /// It conflicts with the current state (name taken, changed in the meantime, wrong state).
    Conflict,
    /// Too many attempts; `retry_after` says how many seconds to wait.
    TooMany,
    /// Something outside (Proxmox, the network) is unreachable or refuses.
    Unavailable,
    /// The disk is full. Nothing was written; reading goes on.
    Storage,
    /// A fault of ours. The person sees a general sentence; the cause goes to the log.
    Internal,
}

/// An error with what the person reads (`message`, `fields`) apart from what the log keeps (`cause`).
pub struct Error {
    kind: Kind,
    message: String,
    fields: BTreeMap<String, String>,
    retry_after: Option<u64>,
    job: Option<JobId>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// `message` is shown to people: a full sentence that says what to do, with nothing internal in it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = excerpt::error(message);
        Self { kind, message, fields: BTreeMap::new(), retry_after: None, job: None, cause: None }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// An invalid input whose sentence belongs next to the form field `field`.
    pub fn field(field: &str, message: impl Into<String>) -> Self {
        Self::invalid("Please correct the marked fields.").with_field(field, message)
    }

    /// An invalid input with a sentence for each wrong field; `Ok` when there is none.
    ///
    /// # Errors
    /// `Invalid` with these fields.
    pub fn of_fields<F: AsRef<str>, M: Into<String>>(wrong: impl IntoIterator<Item = (F, M)>) -> Result<()> {
        let mut wrong = wrong.into_iter().peekable();
        if wrong.peek().is_none() {
            return Ok(());
        }
        let start = Self::invalid("Please correct the marked fields.");
        Err(wrong.fold(start, |e, (field, text)| e.with_field(field.as_ref(), text)))
    }

    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::new(Kind::Unauthenticated, message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// Too many attempts; try again after `seconds`.
    pub fn too_many(message: impl Into<String>, seconds: u64) -> Self {
        let mut e = Self::new(Kind::TooMany, message);
        e.retry_after = Some(seconds);
        e
    }

    /// A fault of ours: the cause goes to the log, the person reads a general sentence.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, "Something went wrong inside Steward. The log of the service says what.")
            .with_cause(cause)
    }

    #[must_use]
    pub fn with_field(mut self, field: &str, message: impl Into<String>) -> Self {
        self.fields.insert(field.to_owned(), excerpt::error(message));
        self
    }

    /// With its sentences beside other fields: `rename` says where.
    #[must_use]
    pub fn rename_fields(mut self, rename: impl Fn(&str) -> String) -> Self {
        self.fields = self.fields.into_iter().map(|(name, text)| (rename(&name), text)).collect();
        self
    }

    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The job that tells the rest.
    #[must_use]
    pub fn with_job(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The sentence for the person.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Sentences by form field.
    pub fn fields(&self) -> &BTreeMap<String, String> {
        &self.fields
    }

    /// The job that tells the rest.
    pub fn job(&self) -> Option<JobId> {
        self.job
    }

    /// Seconds until another try makes sense.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after
    }

    /// The chain on one line, for the log only.
    pub fn chain(&self) -> String {
        let mut out = self.message.clone();
        for (field, why) in &self.fields {
            out.push_str(&format!(" [{field}: {why}]"));
        }
        let mut next: Option<&(dyn StdError + 'static)> = self.cause.as_ref().map(|c| &**c as _);
        while let Some(cause) = next {
            out.push_str(": ");
            out.push_str(&cause.to_string());
            next = cause.source();
        }
        excerpt::error(out)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.chain())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_ref().map(|c| &**c as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_in_the_log_line_and_not_in_what_people_read() {
        let e = Error::internal(std::io::Error::other("row 7 is torn"));
        assert!(e.chain().contains("row 7 is torn"));
        assert!(!e.to_string().contains("row 7"));
    }
}
