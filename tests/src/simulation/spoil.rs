//! Commands that are wrong in themselves.

use burrow_core::{
    Command, MAX_SPAN_MS, NewMessage, QueueName, Settings, SettleAction, Settlement, Update,
};

use super::generate::{Generator, Text};
use super::profile::pick;

impl Generator<'_> {
    /// Makes the command wrong in itself.
    pub(super) fn spoil(&mut self, command: &mut Command<'static>) {
        let long: Text = "y".repeat(256).into();
        let bad_id = pick(self.rng, &[Text::from(""), long]).clone();
        let too_late = Some(*pick(self.rng, &[MAX_SPAN_MS + 1, u64::MAX]));
        match command {
            Command::ListAccounts { page } | Command::DeleteAccounts { page } => {
                page.limit = Some(0)
            }
            Command::ListQueues { account, .. } | Command::DeleteQueues { account, .. } => {
                *account = bad_id
            }
            Command::ListMessages { selection, .. } | Command::DeleteMessages { selection, .. } => {
                selection.limit = Some(0);
            }
            Command::UpdateMessages {
                wait_ms, update, ..
            } => {
                if self.rng.bool() {
                    *wait_ms = self.profile.config.limits.max_wait_ms + 1;
                } else {
                    update.ttl_ms = too_late;
                }
            }
            Command::Put { message, .. } => self.spoil_message(message, bad_id, too_late),
            Command::PutBatch { messages, .. } => match self.rng.choice(&mut *messages) {
                Some(message) => self.spoil_message(message, bad_id, too_late),
                None => messages.resize(self.too_many(), NewMessage::default()),
            },
            Command::GetMessage { id, .. } | Command::DeleteMessage { id, .. } => *id = bad_id,
            Command::UpdateMessage { update, .. } => update.hide_ms = too_late,
            Command::Settle { settlements, .. } => match settlements.last_mut() {
                Some(settlement) if self.rng.bool() => settlement.id = bad_id,
                Some(settlement) => {
                    settlement.action = SettleAction::Update(Update {
                        ttl_ms: too_late,
                        ..Update::default()
                    });
                }
                None => {
                    let action = SettleAction::Delete;
                    let settlement = Settlement {
                        id: "m0".into(),
                        claim: None,
                        action,
                    };
                    settlements.resize(self.too_many(), settlement);
                }
            },
            Command::GetStats { queue }
            | Command::GetSettings { queue }
            | Command::ClearSettings { queue }
            | Command::Export { queue, .. }
            | Command::Import { queue, .. } => queue.queue = bad_id,
            Command::PutSettings { queue, settings } => self.spoil_settings(queue, settings),
        }
    }

    fn too_many(&self) -> usize {
        self.profile.config.limits.max_batch_messages as usize + 1
    }

    fn spoil_message(
        &mut self,
        message: &mut NewMessage<'static>,
        bad_id: Text,
        too_late: Option<u64>,
    ) {
        match self.rng.u32(0..5) {
            0 => message.id = Some(bad_id),
            1 => message.ttl_ms = too_late,
            2 => message.hide_ms = too_late,
            3 => message.content_type = Some("z".repeat(256).into()),
            _ => {
                message.body =
                    vec![0; self.profile.config.limits.max_body_bytes as usize + 1].into()
            }
        }
    }

    fn spoil_settings(&mut self, queue: &QueueName<'static>, settings: &mut Settings) {
        match self.rng.u32(0..8) {
            0 => (settings.max_attempts, settings.dead_letter) = (Some(1), None),
            1 => (settings.max_attempts, settings.dead_letter) = (None, Some("other".into())),
            2 => {
                (settings.max_attempts, settings.dead_letter) =
                    (Some(1), Some((&*queue.queue).into()))
            }
            3 => (settings.max_attempts, settings.dead_letter) = (Some(0), Some("other".into())),
            4 => settings.max_messages = Some(0),
            5 => settings.max_bytes = Some(0),
            6 => settings.default_hide_ms = Some(MAX_SPAN_MS + 1),
            _ => settings.marker_retention_ms = Some(MAX_SPAN_MS + 1),
        }
    }
}
