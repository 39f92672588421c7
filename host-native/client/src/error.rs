//! Why a call came to nothing.

use burrow_core::Refusal;

/// Why a call came to nothing. The variants tell what the caller can do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such account, queue or message, or none that matches, also after waiting.
    #[error("{0}")]
    NotFound(String),
    /// Somebody else has claimed or replaced the message since: drop the work.
    #[error("Claim is not current")]
    ClaimLost,
    /// The call itself is wrong, however often it is repeated.
    #[error("{0}")]
    Invalid(String),
    /// What answers at the address is no server, or speaks another protocol or version: the URL
    /// is to be mended.
    #[error("{0}")]
    Foreign(String),
    /// A quota is used up; later there may be room.
    #[error("{0}")]
    Exhausted(String),
    /// Nothing was changed, and the call may be tried again later.
    #[error("{0}")]
    NotDone(String),
    /// The change may have been made or not.
    #[error("{0}; the change may have been made or not")]
    OutcomeUnknown(String),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::AccountNotFound | Refusal::QueueNotFound | Refusal::MessageNotFound => {
                Self::NotFound(text)
            }
            Refusal::ClaimLost => Self::ClaimLost,
            Refusal::Invalid { .. } | Refusal::TooLarge { .. } => Self::Invalid(text),
            Refusal::Exhausted { .. } => Self::Exhausted(text),
        }
    }
}
