//! Commands that come together.

use super::Node;
use crate::command::{Command, QueueName};
use crate::state::Aim;

impl Node {
    /// These commands are about to be submitted: has what they will look for fetched into the
    /// cache, for all of them at once. One after the other each would wait for it by itself.
    ///
    /// Changes nothing, and it need not be true.
    pub fn expect<'c, 'a: 'c>(&self, commands: impl Iterator<Item = &'c Command<'a>> + Clone) {
        let is_removal = |command: &&Command<'_>| matches!(command, Command::DeleteMessage { .. });
        self.state
            .expect_removals(commands.clone().filter(is_removal).count());
        let aims = commands.filter_map(aim);
        let puts = aims.clone().filter_map(|(queue, aim)| match aim {
            Aim::Put(id) => Some((queue, id)),
            _ => None,
        });
        self.state.expect_puts(self.in_places(puts));
        let messages = aims.filter_map(|(queue, aim)| match aim {
            Aim::Message(id) => Some((queue, id)),
            _ => None,
        });
        self.state.expect_ids(self.in_places(messages));
    }

    /// The places of those queues that are there.
    fn in_places<'c, 'a: 'c>(
        &self,
        ids: impl Iterator<Item = (&'c QueueName<'a>, &'c str)>,
    ) -> impl Iterator<Item = (u32, &'c str)> {
        let mut last: Option<(&QueueName<'a>, Option<u32>)> = None;
        ids.filter_map(move |(queue, id)| {
            // Most are about the same queue as the one before.
            let place = match last {
                Some((name, place)) if name == queue => place,
                _ => self.state.find_queue(&queue.account, &queue.queue),
            };
            last = Some((queue, place));
            Some((place?, id))
        })
    }

    /// This command is about to be carried out.
    pub(super) fn expect_one(&self, command: &Command<'_>) {
        if let Some((queue, aim)) = aim(command) {
            self.state.expect_one(&queue.account, &queue.queue, aim);
        }
    }
}

/// What a command is about, if that is one queue.
fn aim<'c, 'a>(command: &'c Command<'a>) -> Option<(&'c QueueName<'a>, Aim<'c>)> {
    match command {
        Command::Put { queue, message } => Some((queue, Aim::Put(message.id.as_deref()?))),
        Command::GetMessage { queue, id, .. }
        | Command::UpdateMessage { queue, id, .. }
        | Command::DeleteMessage { queue, id, .. } => Some((queue, Aim::Message(id))),
        Command::ListMessages { queue, .. }
        | Command::UpdateMessages { queue, .. }
        | Command::DeleteMessages { queue, .. } => Some((queue, Aim::Search)),
        _ => None,
    }
}
