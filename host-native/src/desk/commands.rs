//! What a command is about.

use burrow_core::{Command, QueueName};

/// The queue that the command is about, if it is about one.
pub(crate) fn queue_of<'c, 'a>(command: &'c Command<'a>) -> Option<&'c QueueName<'a>> {
    match command {
        Command::ListAccounts { .. }
        | Command::DeleteAccounts { .. }
        | Command::ListQueues { .. }
        | Command::DeleteQueues { .. } => None,
        Command::ListMessages { queue, .. }
        | Command::UpdateMessages { queue, .. }
        | Command::DeleteMessages { queue, .. }
        | Command::Put { queue, .. }
        | Command::PutBatch { queue, .. }
        | Command::GetMessage { queue, .. }
        | Command::UpdateMessage { queue, .. }
        | Command::DeleteMessage { queue, .. }
        | Command::Settle { queue, .. }
        | Command::GetSettings { queue }
        | Command::PutSettings { queue, .. }
        | Command::ClearSettings { queue }
        | Command::Export { queue, .. }
        | Command::Import { queue, .. } => Some(queue),
    }
}
