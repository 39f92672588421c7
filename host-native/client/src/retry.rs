//! What may be tried again, and when.

use std::time::Duration;

use burrow_core::{Command, Effect, SettleAction};

use crate::error::Error;
use crate::transport::Answer;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// True if the call may be made once more after this error.
pub(crate) fn may_retry(error: &Error, command: &Command<'_>) -> bool {
    match error {
        Error::NotDone(_) => true,
        Error::OutcomeUnknown(_) => command.effect() != Effect::Once,
        Error::NotFound(_)
        | Error::ClaimLost
        | Error::Invalid(_)
        | Error::Foreign(_)
        | Error::Exhausted(_) => false,
    }
}

/// How long to wait before the next try: longer each time, and never all clients at once.
pub(crate) fn pause(attempt: u32) -> Duration {
    let longest = FIRST_PAUSE
        .saturating_mul(1 << attempt.min(10))
        .min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// What the answer means after an earlier try whose outcome is unknown: an acknowledged
/// message that is not there was removed by that try.
pub(crate) fn after_unknown(
    command: &Command<'_>,
    outcome: Result<Answer, Error>,
) -> Result<Answer, Error> {
    match (command, outcome) {
        (Command::DeleteMessage { .. }, Err(Error::NotFound(_))) => Ok(Answer::Done),
        (Command::Settle { settlements, .. }, Ok(Answer::Settled(mut results))) => {
            for (settlement, result) in settlements.iter().zip(&mut results) {
                if settlement.action == SettleAction::Delete
                    && matches!(result, Err(Error::NotFound(_)))
                {
                    *result = Ok(());
                }
            }
            Ok(Answer::Settled(results))
        }
        (_, outcome) => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burrow_core::{Detail, QueueName, Selection, Update};

    fn queue() -> QueueName<'static> {
        QueueName {
            account: "a".into(),
            queue: "q".into(),
        }
    }

    #[test]
    fn what_takes_messages_is_never_repeated_unless_nothing_happened() {
        let claim = Command::UpdateMessages {
            queue: queue(),
            selection: Selection::default(),
            update: Update::default(),
            wait_ms: 0,
            detail: Detail::All,
        };
        let pop = Command::DeleteMessages {
            queue: queue(),
            selection: Selection::default(),
            wait_ms: 0,
            detail: Detail::All,
        };
        for command in [claim, pop] {
            assert!(!may_retry(&Error::OutcomeUnknown(String::new()), &command));
            assert!(may_retry(&Error::NotDone(String::new()), &command));
        }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_differ() {
        assert!(pause(0) <= FIRST_PAUSE);
        assert!(pause(3) > FIRST_PAUSE);
        assert!(pause(u32::MAX) <= LONGEST_PAUSE);
        let pauses: std::collections::BTreeSet<_> = (0..10).map(|_| pause(5)).collect();
        assert!(pauses.len() > 1);
    }
}
