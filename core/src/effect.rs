//! What a command does to the queues, known before it is carried out.

use crate::command::Command;

/// What it means to carry a command out, and to do so again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It only reads.
    None,
    /// It changes something, and a second time does no harm.
    Repeatable,
    /// It changes something that a second time would change further: what a claim or a pop
    /// took would be lost to the caller, and a change by id without a claim could meet a
    /// message that has come since.
    Once,
}

impl Command<'_> {
    /// What the command does, whatever the queues hold.
    pub fn effect(&self) -> Effect {
        let is_repeatable = match self {
            Self::ListAccounts { .. }
            | Self::ListQueues { .. }
            | Self::ListMessages { .. }
            | Self::GetMessage { .. }
            | Self::GetStats { .. }
            | Self::GetSettings { .. }
            | Self::Export { .. } => return Effect::None,
            Self::Put { .. }
            | Self::PutSettings { .. }
            | Self::ClearSettings { .. }
            | Self::Import { .. } => true,
            // A message without an id would come twice.
            Self::PutBatch { messages, .. } => messages.iter().all(|message| message.id.is_some()),
            Self::UpdateMessage { claim, .. } | Self::DeleteMessage { claim, .. } => {
                claim.is_some()
            }
            Self::Settle { settlements, .. } => {
                settlements.iter().all(|settled| settled.claim.is_some())
            }
            Self::DeleteAccounts { .. }
            | Self::DeleteQueues { .. }
            | Self::UpdateMessages { .. }
            | Self::DeleteMessages { .. } => false,
        };
        match is_repeatable {
            true => Effect::Repeatable,
            false => Effect::Once,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClaimToken, Detail, NewMessage, Page, QueueName, Selection, Update};

    fn queue() -> QueueName<'static> {
        QueueName {
            account: "a".into(),
            queue: "q".into(),
        }
    }

    fn batch(ids: &[Option<&'static str>]) -> Command<'static> {
        let message = |id: &Option<&'static str>| NewMessage {
            id: id.map(Into::into),
            ..NewMessage::default()
        };
        Command::PutBatch {
            queue: queue(),
            messages: ids.iter().map(message).collect(),
        }
    }

    fn ack(claim: Option<ClaimToken>) -> Command<'static> {
        Command::DeleteMessage {
            queue: queue(),
            id: "1".into(),
            claim,
            detail: Detail::None,
        }
    }

    #[test]
    fn what_takes_messages_is_done_once() {
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
        assert_eq!(claim.effect(), Effect::Once);
        assert_eq!(pop.effect(), Effect::Once);
    }

    #[test]
    fn what_shows_a_claim_or_has_an_id_is_repeatable() {
        assert_eq!(ack("2a".parse().ok()).effect(), Effect::Repeatable);
        assert_eq!(ack(None).effect(), Effect::Once);
        assert_eq!(batch(&[Some("1"), Some("2")]).effect(), Effect::Repeatable);
        assert_eq!(batch(&[Some("1"), None]).effect(), Effect::Once);
    }

    #[test]
    fn what_lists_changes_nothing() {
        let page = Page::default();
        assert_eq!(Command::ListAccounts { page }.effect(), Effect::None);
        let page = Page::default();
        assert_eq!(Command::DeleteAccounts { page }.effect(), Effect::Once);
    }
}
