//! Bugs about what a command does.

use std::collections::{BTreeMap, BTreeSet};

use burrow_core::{
    Command, Detail, NewMessage, Node, QueueName, Refusal, Reply, Selection, Settings, Ticket,
    Timestamp,
};

use super::super::subject::{Outcome, Subject};
use super::{Planted, quietly};

/// Whoever acknowledges a message is believed, with whatever token.
#[derive(Debug, Default)]
pub struct AckIgnoresClaim;

impl Subject for Planted<AckIgnoresClaim> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, mut command: Command<'static>) -> Ticket {
        match &mut command {
            Command::UpdateMessage { claim, .. } | Command::DeleteMessage { claim, .. } => {
                *claim = None
            }
            Command::Settle { settlements, .. } => {
                settlements
                    .iter_mut()
                    .for_each(|settlement| settlement.claim = None);
            }
            _ => {}
        }
        self.node.submit(now, command)
    }
}

/// A batch for which there is no room is stored as far as its first message.
#[derive(Debug, Default)]
pub struct HalfBatch {
    now: Timestamp,
    first: BTreeMap<Ticket, (QueueName<'static>, NewMessage<'static>)>,
}

impl Subject for Planted<HalfBatch> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        self.bug.now = now;
        let first = match &command {
            Command::PutBatch { queue, messages } => messages
                .first()
                .filter(|first| first.id.is_some())
                .map(|first| (queue.clone(), first.clone())),
            _ => None,
        };
        let ticket = self.node.submit(now, command);
        self.bug.first.extend(first.map(|first| (ticket, first)));
        ticket
    }

    fn poll_reply(&mut self) -> Option<(Ticket, Outcome)> {
        let (ticket, outcome) = self.node.poll_reply()?;
        let first = self.bug.first.remove(&ticket);
        if let (Err(Refusal::Exhausted { .. }), Some((queue, message))) = (&outcome, first) {
            quietly(
                &mut self.node,
                self.bug.now,
                Command::Put { queue, message },
            );
        }
        Some((ticket, outcome))
    }
}

/// A message that a batch replaces goes to the end.
#[derive(Debug, Default)]
pub struct ReplaceLosesPlace;

impl Subject for Planted<ReplaceLosesPlace> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        self.node.handle_deadline(now);
        let before = self.node.stats().messages;
        let Command::PutBatch { queue, messages } = &command else {
            return self.node.submit(now, command);
        };
        let (queue, messages) = (queue.clone(), messages.clone());
        let ticket = self.node.submit(now, command);
        let ids: BTreeSet<&str> = messages
            .iter()
            .filter_map(|message| message.id.as_deref())
            .collect();
        let created = self.node.stats().messages.saturating_sub(before);
        // Fewer than the batch had, but not none: it was stored, and some were replaced.
        if ids.len() == messages.len() && 0 < created && created < messages.len() as u64 {
            for message in messages {
                let (queue, put_to) = (queue.clone(), queue.clone());
                let id = message.id.clone().unwrap_or_default();
                let delete = Command::DeleteMessage {
                    queue,
                    id,
                    claim: None,
                    detail: Detail::None,
                };
                quietly(&mut self.node, now, delete);
                quietly(
                    &mut self.node,
                    now,
                    Command::Put {
                        queue: put_to,
                        message,
                    },
                );
            }
        }
        ticket
    }
}

/// A marker whose message is gone counts as none.
#[derive(Debug, Default)]
pub struct MarkerForgotten {
    ids: BTreeMap<Ticket, (QueueName<'static>, String)>,
}

impl Subject for Planted<MarkerForgotten> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, mut command: Command<'static>) -> Ticket {
        let selection = match &mut command {
            Command::ListMessages { selection, .. }
            | Command::UpdateMessages { selection, .. }
            | Command::DeleteMessages { selection, .. } => Some(selection),
            _ => None,
        };
        if let Some(Selection { marker, .. }) = selection
            && marker
                .as_ref()
                .is_some_and(|id| self.bug.ids.values().any(|(_, gone)| **id == **gone))
        {
            *marker = None;
        }
        let deleted = match &command {
            Command::DeleteMessage { queue, id, .. } => Some((queue.clone(), id.to_string())),
            _ => None,
        };
        let ticket = self.node.submit(now, command);
        self.bug
            .ids
            .extend(deleted.map(|deleted| (ticket, deleted)));
        ticket
    }
}

/// A message may be claimed once more than the settings say.
#[derive(Debug, Default)]
pub struct OneAttemptTooMany;

impl Subject for Planted<OneAttemptTooMany> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, mut command: Command<'static>) -> Ticket {
        if let Command::PutSettings { settings, .. } = &mut command {
            settings.max_attempts = settings
                .max_attempts
                .filter(|most| *most > 0)
                .map(|most| most + 1);
        }
        self.node.submit(now, command)
    }

    fn poll_reply(&mut self) -> Option<(Ticket, Outcome)> {
        let (ticket, outcome) = self.node.poll_reply()?;
        let honest = |settings: Settings| Settings {
            max_attempts: settings.max_attempts.map(|most| most - 1),
            ..settings
        };
        let outcome = outcome.map(|reply| match reply {
            Reply::Settings(settings) => Reply::Settings(honest(settings)),
            other => other,
        });
        Some((ticket, outcome))
    }
}
