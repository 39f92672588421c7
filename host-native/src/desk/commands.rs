//! What must be known of a command before it is carried out.

use burrow_core::{Command, QueueName};

/// True if the command may wait for something to come.
pub(crate) fn may_wait(command: &Command<'_>) -> bool {
    match command {
        Command::ListMessages { wait_ms, .. }
        | Command::UpdateMessages { wait_ms, .. }
        | Command::DeleteMessages { wait_ms, .. } => *wait_ms > 0,
        _ => false,
    }
}

/// The queue that the command is about, if it is about one.
pub(crate) fn queue_of<'c, 'a>(command: &'c Command<'a>) -> Option<&'c QueueName<'a>> {
    command.queue()
}
