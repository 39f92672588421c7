//! Why the machine did not carry out a command.

use core::fmt;

/// A command that was not carried out. Nothing changed, unless the variant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such account, or none that matches.
    AccountNotFound,
    /// No such queue, or none that matches.
    QueueNotFound,
    /// No such message, or none that matches, also after waiting.
    MessageNotFound,
    /// The claim token is not that of the message's current claim: somebody else has
    /// claimed or replaced the message since. The caller should drop its work.
    ClaimLost,
    /// The command itself is wrong; it will be refused however often it is repeated.
    Invalid { field: Field, problem: Problem },
    /// A single thing is larger than this node takes; it will not get smaller by waiting.
    TooLarge { limit: LimitName, maximum: u64 },
    /// A quota is used up; the command may succeed later.
    Exhausted { limit: LimitName, maximum: u64 },
}

/// The part of a command that is wrong. `Display` gives the name that clients know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Account,
    Queue,
    Id,
    ContentType,
    Ttl,
    Hide,
    Wait,
    Limit,
    DefaultTtl,
    DefaultHide,
    MaxAttempts,
    DeadLetter,
    MaxMessages,
    MaxBytes,
    Retention,
    /// An exported piece of a queue.
    Piece,
    /// Where an export goes on.
    After,
}

/// What is wrong with a [`Field`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    Missing,
    Empty,
    /// More bytes than `maximum`.
    TooLong {
        maximum: u64,
    },
    /// Outside `minimum` to `maximum`, in the field's own unit (spans: milliseconds).
    OutOfRange {
        minimum: u64,
        maximum: u64,
    },
    /// Of no use without the other field.
    Needs(Field),
    /// Damaged, or not what it should be.
    Unreadable,
    /// A queue cannot be its own dead-letter queue.
    SameQueue,
}

/// A configured limit. `Display` gives the name it has in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitName {
    BodyBytes,
    BatchMessages,
    QueueMessages,
    QueueBytes,
    AccountMessages,
    AccountBytes,
    AccountQueues,
    NodeMessages,
    NodeBytes,
    NodeQueues,
    NodeWaiters,
    QueueWaiters,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::Queue => "queue",
            Self::Id => "id",
            Self::ContentType => "content type",
            Self::Ttl => "ttl",
            Self::Hide => "hide",
            Self::Wait => "wait",
            Self::Limit => "limit",
            Self::DefaultTtl => "default_ttl",
            Self::DefaultHide => "default_hide",
            Self::MaxAttempts => "max_attempts",
            Self::DeadLetter => "dead_letter",
            Self::MaxMessages => "max_messages",
            Self::MaxBytes => "max_bytes",
            Self::Retention => "retention",
            Self::Piece => "piece",
            Self::After => "after",
        })
    }
}

impl fmt::Display for LimitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BodyBytes => "max_body_bytes",
            Self::BatchMessages => "max_batch_messages",
            Self::QueueMessages => "max_queue_messages",
            Self::QueueBytes => "max_queue_bytes",
            Self::AccountMessages => "max_account_messages",
            Self::AccountBytes => "max_account_bytes",
            Self::AccountQueues => "max_account_queues",
            Self::NodeMessages => "max_messages",
            Self::NodeBytes => "max_bytes",
            Self::NodeQueues => "max_queues",
            Self::NodeWaiters => "max_waiters",
            Self::QueueWaiters => "max_queue_waiters",
        })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AccountNotFound => f.write_str("Account not found"),
            Self::QueueNotFound => f.write_str("Queue not found"),
            Self::MessageNotFound => f.write_str("Message not found"),
            Self::ClaimLost => f.write_str("Claim is not current"),
            Self::Invalid { field, problem } => match problem {
                Problem::Missing => write!(f, "{field} is missing"),
                Problem::Empty => write!(f, "{field} is empty"),
                Problem::TooLong { maximum } => write!(f, "{field} is longer than {maximum} bytes"),
                Problem::OutOfRange { minimum, maximum } => {
                    write!(f, "{field} is not in the range {minimum} to {maximum}")
                }
                Problem::Needs(other) => write!(f, "{field} needs {other}"),
                Problem::Unreadable => write!(f, "{field} is damaged or not a piece of a queue"),
                Problem::SameQueue => write!(f, "{field} is the queue itself"),
            },
            Self::TooLarge { limit, maximum } => write!(f, "Larger than {limit} = {maximum}"),
            Self::Exhausted { limit, maximum } => write!(f, "No more room: {limit} = {maximum}"),
        }
    }
}

impl core::error::Error for Refusal {}
