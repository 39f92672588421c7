//! What a client is told when the machine refuses.

use alloc::string::ToString;
use core::fmt;

use super::response::Response;
use super::seconds::Seconds;
use crate::refusal::{Field, Problem, Refusal};

pub(super) fn respond(refusal: &Refusal) -> Response {
    let response = Response::text(status(refusal), ForClients(refusal).to_string());
    match refusal {
        Refusal::Exhausted { .. } => response.retry_later(),
        _ => response,
    }
}

pub(super) fn status(refusal: &Refusal) -> u16 {
    match refusal {
        Refusal::AccountNotFound | Refusal::QueueNotFound | Refusal::MessageNotFound => 404,
        Refusal::ClaimLost => 409,
        Refusal::Invalid { .. } => 400,
        Refusal::TooLarge { .. } => 413,
        Refusal::Exhausted { .. } => 429,
    }
}

/// Shows a refusal in the unit that clients of this front-end use for spans: seconds.
pub(super) struct ForClients<'a>(pub(super) &'a Refusal);

impl fmt::Display for ForClients<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Refusal::Invalid {
                field,
                problem: Problem::OutOfRange { minimum, maximum },
            } if is_span(*field) => {
                write!(
                    f,
                    "{field} is not in the range {} to {}",
                    Seconds(*minimum),
                    Seconds(*maximum)
                )
            }
            other => other.fmt(f),
        }
    }
}

fn is_span(field: Field) -> bool {
    match field {
        Field::Ttl
        | Field::Hide
        | Field::Wait
        | Field::DefaultTtl
        | Field::DefaultHide
        | Field::Retention => true,
        Field::Account
        | Field::Queue
        | Field::Id
        | Field::ContentType
        | Field::Limit
        | Field::MaxAttempts
        | Field::DeadLetter
        | Field::MaxMessages
        | Field::MaxBytes
        | Field::Piece
        | Field::After => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::LimitName;

    #[test]
    fn each_refusal_has_its_status_and_text() {
        let limit = LimitName::QueueMessages;
        let out_of_range = |field| Refusal::Invalid {
            field,
            problem: Problem::OutOfRange {
                minimum: 0,
                maximum: 1_500,
            },
        };
        let cases: [(Refusal, u16, &str); 8] = [
            (Refusal::AccountNotFound, 404, "Account not found"),
            (Refusal::QueueNotFound, 404, "Queue not found"),
            (Refusal::MessageNotFound, 404, "Message not found"),
            (Refusal::ClaimLost, 409, "Claim is not current"),
            (
                out_of_range(Field::Hide),
                400,
                "hide is not in the range 0 to 1.5",
            ),
            (
                out_of_range(Field::MaxAttempts),
                400,
                "max_attempts is not in the range 0 to 1500",
            ),
            (
                Refusal::TooLarge { limit, maximum: 5 },
                413,
                "Larger than max_queue_messages = 5",
            ),
            (
                Refusal::Exhausted { limit, maximum: 5 },
                429,
                "No more room: max_queue_messages = 5",
            ),
        ];
        for (refusal, status, text) in cases {
            let response = respond(&refusal);
            assert_eq!(
                (response.status, response.body.as_slice()),
                (status, text.as_bytes())
            );
            assert_eq!(
                response.header("Retry-After"),
                (status == 429).then_some("1")
            );
        }
    }
}
