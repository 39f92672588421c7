//! Random commands that meet each other: few names, few ids, tokens seen before.

use std::borrow::Cow;

use burrow_core::{
    ClaimToken, Command, Detail, MAX_SPAN_MS, NewMessage, Order, Page, QueueName, Selection,
    Settings, SettleAction, Settlement, Update,
};
use fastrand::Rng;

use super::model::{Id, Learned, Name, State};
use super::profile::{Profile, Style, pick};

pub(crate) struct Generator<'a> {
    pub(crate) rng: &'a mut Rng,
    pub(crate) profile: &'a Profile,
    /// As it will be when the command comes.
    pub(crate) state: &'a State,
    pub(crate) learned: &'a Learned,
}

pub(crate) type Text = Cow<'static, str>;

impl Generator<'_> {
    pub(crate) fn command(&mut self) -> Command<'static> {
        let mut command = match self.profile.style {
            Style::Mixed => self.weighted([20, 8, 8, 12, 8, 12, 7, 8, 3]),
            Style::Claims => self.weighted([16, 10, 3, 30, 3, 10, 15, 8, 1]),
            Style::Waiting => self.weighted([22, 5, 10, 25, 15, 8, 4, 5, 2]),
            Style::Big => self.weighted([3, 6, 5, 10, 6, 12, 5, 3, 1]),
        };
        if self.one_in(40) {
            self.spoil(&mut command);
        }
        command
    }

    /// Puts, batches, lists, bulk updates, bulk deletes, by id, settles, settings, names.
    fn weighted(&mut self, weights: [u32; 9]) -> Command<'static> {
        let mut left = self.rng.u32(0..weights.iter().sum());
        let mut chosen = 0;
        while left >= weights[chosen] {
            left -= weights[chosen];
            chosen += 1;
        }
        let queue = self.queue();
        let name = Name::of(&queue);
        match chosen {
            0 => Command::Put {
                queue,
                message: self.message(true),
            },
            1 => Command::PutBatch {
                queue,
                messages: self.batch(&name),
            },
            2 => Command::ListMessages {
                queue,
                selection: self.selection(&name),
                wait_ms: self.wait(),
                detail: self.detail(),
            },
            3 => Command::UpdateMessages {
                queue,
                selection: self.selection(&name),
                update: self.update(),
                wait_ms: self.wait(),
                detail: self.detail(),
            },
            4 => Command::DeleteMessages {
                queue,
                selection: self.selection(&name),
                wait_ms: self.wait(),
                detail: self.detail(),
            },
            5 => self.by_id(queue, &name),
            6 => {
                let count = *pick(self.rng, &[0, 1, 2, 3, 10]);
                let settlements = (0..count).map(|_| self.settlement(&name)).collect();
                Command::Settle { queue, settlements }
            }
            7 => self.settings_command(queue),
            _ => self.names_command(),
        }
    }

    pub(super) fn one_in(&mut self, times: u32) -> bool {
        self.rng.u32(0..times) == 0
    }

    fn text(&mut self, from: &[String]) -> Text {
        pick(self.rng, from).clone().into()
    }

    fn queue(&mut self) -> QueueName<'static> {
        // The first queue is the busy one.
        let busy = self.profile.style == Style::Big && !self.one_in(5);
        if busy {
            let (account, queue) = (
                self.profile.accounts[0].clone(),
                self.profile.queues[0].clone(),
            );
            return QueueName {
                account: account.into(),
                queue: queue.into(),
            };
        }
        QueueName {
            account: self.text(&self.profile.accounts),
            queue: self.text(&self.profile.queues),
        }
    }

    /// The id of some message, often one that is there.
    fn id(&mut self, name: &Name) -> Text {
        if self.rng.bool()
            && let Some(index) = self.state.index(name)
            && let Some(message) = self.rng.choice(&self.state.queues[index].messages)
            && let Some(text) = message.id.text()
        {
            return text.to_string().into();
        }
        self.any_id()
    }

    fn any_id(&mut self) -> Text {
        if self.profile.given_ids && self.one_in(8) && !self.learned.given.is_empty() {
            return self.text(&self.learned.given);
        }
        self.text(&self.profile.ids)
    }

    fn ttl(&mut self) -> Option<u64> {
        match self.rng.u32(0..10) {
            0..4 => None,
            4..6 => Some(0),
            6 => Some(self.rng.u64(1..20)),
            7 => Some(self.rng.u64(1..500)),
            8 => Some(60_000),
            _ => Some(*pick(self.rng, &[1, 1000, 7_200_000, MAX_SPAN_MS])),
        }
    }

    fn hide(&mut self) -> Option<u64> {
        match self.rng.u32(0..10) {
            0..4 => None,
            4 => Some(0),
            5 => Some(self.rng.u64(1..5)),
            6 | 7 => Some(self.rng.u64(1..100)),
            8 => Some(1000),
            _ => Some(*pick(self.rng, &[1, 30_000, MAX_SPAN_MS])),
        }
    }

    fn update(&mut self) -> Update {
        let hide_ms = if self.one_in(3) {
            self.hide()
        } else {
            Some(self.rng.u64(1..60))
        };
        Update {
            ttl_ms: if self.one_in(4) { self.ttl() } else { None },
            hide_ms,
        }
    }

    fn wait(&mut self) -> u64 {
        let often = if self.profile.style == Style::Waiting {
            2
        } else {
            8
        };
        if self.one_in(often) {
            *pick(self.rng, &[1, 20, 100, 1000])
        } else {
            0
        }
    }

    fn detail(&mut self) -> Detail {
        *pick(
            self.rng,
            &[
                Detail::All,
                Detail::All,
                Detail::Attributes,
                Detail::Body,
                Detail::Id,
                Detail::None,
            ],
        )
    }

    fn message(&mut self, with_id: bool) -> NewMessage<'static> {
        let longest = self.profile.config.limits.max_body_bytes.min(60) as usize;
        let id = if with_id || !self.profile.given_ids || self.rng.bool() {
            Some(self.any_id())
        } else {
            None
        };
        let length = self.rng.usize(0..=longest);
        let byte = self.rng.u8(..);
        NewMessage {
            id,
            body: vec![byte; length].into(),
            content_type: if self.one_in(4) {
                Some("text/plain; charset=utf-8".into())
            } else {
                None
            },
            ttl_ms: self.ttl(),
            hide_ms: if self.one_in(3) { self.hide() } else { None },
        }
    }

    fn batch(&mut self, name: &Name) -> Vec<NewMessage<'static>> {
        if self.profile.style == Style::Big && self.rng.bool() {
            return self.run_of_messages();
        }
        let most = self.profile.config.limits.max_batch_messages.min(12) as usize;
        let count = self.rng.usize(0..=most);
        let mut messages: Vec<_> = (0..count).map(|_| self.message(false)).collect();
        if self.one_in(10)
            && let (Some(id), Some(last)) = (self.guessed_id(name), messages.last_mut())
        {
            last.id = Some(id);
        }
        messages
    }

    /// Hundreds of messages whose ids follow each other, so that long runs are replaced.
    fn run_of_messages(&mut self) -> Vec<NewMessage<'static>> {
        let ids = &self.profile.ids;
        let count = self
            .rng
            .usize(1..=self.profile.config.limits.max_batch_messages as usize);
        let first = self.rng.usize(0..ids.len());
        let (ttl_ms, hide_ms) = (self.ttl(), self.hide());
        let mut run = Vec::with_capacity(count);
        for number in first..first + count {
            let id = Some(ids[number % ids.len()].clone().into());
            let body = (number as u64)
                .to_le_bytes()
                .repeat(self.rng.usize(0..4))
                .into();
            let odd = self.one_in(50);
            let ttl_ms = if odd { self.ttl() } else { ttl_ms };
            run.push(NewMessage {
                id,
                body,
                ttl_ms,
                hide_ms,
                ..NewMessage::default()
            });
        }
        run
    }

    /// The id that the machine might give next, if all that it gave are known.
    fn guessed_id(&mut self, name: &Name) -> Option<Text> {
        let all_known = |index: usize| {
            let messages = &self.state.queues[index].messages;
            messages.iter().all(|message| message.id.text().is_some())
        };
        if !self.state.index(name).is_none_or(all_known) {
            return None;
        }
        let last = self.learned.given.last()?;
        let mut bytes = last.clone().into_bytes();
        let digit = bytes
            .last_mut()
            .filter(|byte| byte.is_ascii_alphanumeric())?;
        *digit = match *digit {
            b'9' => b'a',
            b'f' | b'z' | b'Z' => b'0',
            other => other + 1,
        };
        String::from_utf8(bytes).ok().map(Cow::from)
    }

    fn marker(&mut self, name: &Name) -> Option<Text> {
        let often = if self.profile.style == Style::Big {
            2
        } else {
            4
        };
        if !self.one_in(often) {
            return None;
        }
        let id = self.id(name);
        self.state
            .marker_is_certain(name, &id, &self.profile.config.limits)
            .then_some(id)
    }

    fn selection(&mut self, name: &Name) -> Selection<'static> {
        let limit = match self.profile.style {
            Style::Big => *pick(self.rng, &[None, Some(1), Some(10), Some(300), Some(700)]),
            _ => *pick(
                self.rng,
                &[None, Some(1), Some(1), Some(2), Some(5), Some(u64::MAX)],
            ),
        };
        Selection {
            marker: self.marker(name),
            limit,
            match_hidden: self.one_in(4),
        }
    }

    fn by_id(&mut self, queue: QueueName<'static>, name: &Name) -> Command<'static> {
        let detail = self.detail();
        match self.rng.u32(0..10) {
            0..2 => Command::GetMessage {
                queue,
                id: self.id(name),
                detail,
            },
            2..6 => {
                let (id, claim) = self.id_and_claim(name);
                Command::UpdateMessage {
                    queue,
                    id,
                    update: self.update(),
                    claim,
                    detail,
                }
            }
            _ => {
                let (id, claim) = self.id_and_claim(name);
                Command::DeleteMessage {
                    queue,
                    id,
                    claim,
                    detail,
                }
            }
        }
    }

    fn settlement(&mut self, name: &Name) -> Settlement<'static> {
        let (id, claim) = self.id_and_claim(name);
        let action = if self.rng.bool() {
            SettleAction::Delete
        } else {
            SettleAction::Update(self.update())
        };
        Settlement { id, claim, action }
    }

    /// A message with a token that was once given for it, with another, or with none.
    fn id_and_claim(&mut self, name: &Name) -> (Text, Option<ClaimToken>) {
        let tokens = &self.learned.tokens;
        let recent = &tokens[tokens.len().saturating_sub(30)..];
        let here: Vec<&(Name, Id, ClaimToken)> =
            recent.iter().filter(|(of, _, _)| of == name).collect();
        match self.rng.u32(0..10) {
            0..6 => {
                let Some((_, id, token)) = self.rng.choice(here) else {
                    return (self.id(name), None);
                };
                (id.text().unwrap_or("m0").to_string().into(), Some(*token))
            }
            6 => (
                self.id(name),
                self.rng.choice(tokens).map(|(_, _, token)| *token),
            ),
            7 => (self.id(name), self.forged()),
            _ => (self.id(name), None),
        }
    }

    /// A token that was never given, though it ends like one that was.
    fn forged(&mut self) -> Option<ClaimToken> {
        let (_, _, token) = self.rng.choice(&self.learned.tokens)?;
        format!("f{:0>15}", token.to_string()).parse().ok()
    }

    fn settings_command(&mut self, queue: QueueName<'static>) -> Command<'static> {
        match self.rng.u32(0..5) {
            0 => Command::GetSettings { queue },
            1 => Command::ClearSettings { queue },
            2 => Command::GetStats { queue },
            _ => Command::PutSettings {
                settings: self.settings(&queue),
                queue,
            },
        }
    }

    fn settings(&mut self, queue: &QueueName<'static>) -> Settings {
        if self.one_in(10) {
            return Settings::default();
        }
        let others: Vec<&String> = self
            .profile
            .queues
            .iter()
            .filter(|name| **name != queue.queue)
            .collect();
        let with_dead_letters = self.rng.bool() || self.profile.style == Style::Claims;
        let dead_letter = self
            .rng
            .choice(others)
            .filter(|_| with_dead_letters)
            .map(|name| Box::from(&**name));
        let big = self.profile.style == Style::Big;
        let tight = !big && self.one_in(4);
        Settings {
            default_ttl_ms: if self.one_in(3) { self.ttl() } else { None },
            default_hide_ms: if self.one_in(3) { self.hide() } else { None },
            max_attempts: dead_letter.as_ref().map(|_| self.rng.u32(1..=3)),
            dead_letter,
            max_messages: if tight {
                Some(self.rng.u64(1..10))
            } else {
                None
            },
            max_bytes: if tight && !self.profile.given_ids {
                Some(self.rng.u64(1..200))
            } else {
                None
            },
            order: if self.one_in(3) {
                Order::Lifo
            } else {
                Order::Fifo
            },
            marker_retention_ms: *pick(self.rng, &[None, Some(0), Some(1000)]),
        }
    }

    fn page(&mut self, names: &[String]) -> Page<'static> {
        Page {
            marker: if self.one_in(3) {
                Some(self.text(names))
            } else {
                None
            },
            limit: *pick(self.rng, &[None, None, Some(1), Some(2)]),
        }
    }

    fn names_command(&mut self) -> Command<'static> {
        let (accounts, queues) = (&self.profile.accounts, &self.profile.queues);
        match self.rng.u32(0..10) {
            0..4 => Command::ListAccounts {
                page: self.page(accounts),
            },
            4..7 => Command::ListQueues {
                account: self.text(accounts),
                page: self.page(queues),
            },
            7..9 => Command::DeleteQueues {
                account: self.text(accounts),
                page: self.page(queues),
            },
            _ => Command::DeleteAccounts {
                page: self.page(accounts),
            },
        }
    }
}
