//! What a command is about.

use burrow_core::{Command, QueueName};

/// The queue that the command is about, if it is about one.
pub(crate) fn queue_of<'c, 'a>(command: &'c Command<'a>) -> Option<&'c QueueName<'a>> {
    command.queue()
}
