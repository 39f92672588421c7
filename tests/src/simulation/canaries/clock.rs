//! Bugs about time.

use burrow_core::journal::{Load, RestoreError, RestoreReport};
use burrow_core::{
    Command, Config, Detail, MAX_SPAN_MS, Node, Page, QueueName, Reply, Selection, Ticket,
    Timestamp, Update,
};

use super::super::subject::Subject;
use super::{Planted, quietly};

/// What has expired goes only when a deadline comes, not when it is looked for.
#[derive(Debug, Default)]
pub struct ExpiryAtDeadlineOnly {
    seen: Timestamp,
    handled: Timestamp,
}

impl Subject for Planted<ExpiryAtDeadlineOnly> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        self.bug.seen = self.bug.seen.max(now);
        let now = if looks(&command) {
            self.bug.handled
        } else {
            now
        };
        self.node.submit(now, command)
    }

    fn handle_deadline(&mut self, now: Timestamp) {
        self.bug.handled = self.bug.seen.max(now);
        self.node.handle_deadline(self.bug.handled);
    }
}

/// Who looks sees what expired just now.
#[derive(Debug, Default)]
pub struct ExpiryLate;

impl Subject for Planted<ExpiryLate> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        let before = Timestamp::from_millis(now.as_millis().saturating_sub(1));
        self.node
            .submit(if looks(&command) { before } else { now }, command)
    }
}

/// Commands that only look. Those that change something would store their own late clock,
/// and give these bugs away by that.
fn looks(command: &Command<'static>) -> bool {
    matches!(
        command,
        Command::ListMessages { wait_ms: 0, .. }
            | Command::GetMessage { .. }
            | Command::ListQueues { .. }
    )
}

/// The host is told a deadline that is a millisecond too late.
#[derive(Debug, Default)]
pub struct DeadlineTooLate;

impl Subject for Planted<DeadlineTooLate> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        self.node.deadline().map(|at| at.after_ms(1))
    }
}

/// What is due when a deadline comes happens only at the next one.
#[derive(Debug, Default)]
pub struct DeadlineLate {
    last: Timestamp,
}

impl Subject for Planted<DeadlineLate> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn handle_deadline(&mut self, now: Timestamp) {
        self.node
            .handle_deadline(std::mem::replace(&mut self.bug.last, now));
    }
}

/// After a restart with a clock that went back, time goes on from the stored floor at
/// once, instead of standing still until the clock has reached it.
#[derive(Debug, Default)]
pub struct ClockRunsOn {
    latest: Timestamp,
    ahead_ms: u64,
}

impl Planted<ClockRunsOn> {
    fn shifted(&mut self, now: Timestamp) -> Timestamp {
        self.bug.latest = self.bug.latest.max(now);
        now.after_ms(self.bug.ahead_ms).min(Timestamp::MAX)
    }
}

impl Subject for Planted<ClockRunsOn> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        self.bug.ahead_ms = self.bug.latest.since_ms(now);
        let (node, report) = Node::restore(config, now, load)?;
        self.node = node;
        Ok(report)
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        let now = self.shifted(now);
        self.node.submit(now, command)
    }

    fn handle_deadline(&mut self, now: Timestamp) {
        let now = self.shifted(now);
        self.node.handle_deadline(now);
    }
}

/// A restart takes the host's clock, also if it shows less than the stored floor: times
/// end later than they should by as much.
#[derive(Debug, Default)]
pub struct FloorForgotten {
    latest: Timestamp,
}

impl Subject for Planted<FloorForgotten> {
    fn node(&mut self) -> &mut Node {
        &mut self.node
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        self.bug.latest = self.bug.latest.max(now);
        self.node.submit(now, command)
    }

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let (mut other, _) = Node::restore(config.clone(), now, load)?;
        let (node, report) = Node::restore(config, now, load)?;
        self.node = node;
        let back_ms = self.bug.latest.since_ms(now);
        if back_ms > 0 {
            for later in all_times_later(&mut other, now, back_ms) {
                quietly(&mut self.node, now, later);
            }
        }
        Ok(report)
    }
}

/// Commands that let every time of a message that is under way end later.
fn all_times_later(node: &mut Node, now: Timestamp, by_ms: u64) -> Vec<Command<'static>> {
    let mut commands = Vec::new();
    for account in names(
        node,
        now,
        Command::ListAccounts {
            page: Page::default(),
        },
    ) {
        let queues = Command::ListQueues {
            account: account.clone().into(),
            page: Page::default(),
        };
        for queue in names(node, now, queues) {
            let queue = QueueName {
                account: account.clone().into(),
                queue: queue.into(),
            };
            let selection = Selection {
                match_hidden: true,
                ..Selection::default()
            };
            let list = Command::ListMessages {
                queue: queue.clone(),
                selection,
                wait_ms: 0,
                detail: Detail::Attributes,
            };
            let Some(Reply::Messages(list)) = ask(node, now, list) else {
                continue;
            };
            commands.extend(list.iter().map(|message| {
                let later = |ms: u64| (ms > 0).then(|| (ms + by_ms).min(MAX_SPAN_MS));
                let update = Update {
                    ttl_ms: later(message.ttl_ms),
                    hide_ms: later(message.hide_ms),
                };
                let id = message.id.to_string().into();
                Command::UpdateMessage {
                    queue: queue.clone(),
                    id,
                    update,
                    claim: None,
                    detail: Detail::None,
                }
            }));
        }
    }
    commands
}

fn names(node: &mut Node, now: Timestamp, list: Command<'static>) -> Vec<String> {
    match ask(node, now, list) {
        Some(Reply::Names(names)) => names.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    }
}

/// The reply, with nothing stored: only for a node that is thrown away.
pub(super) fn ask(node: &mut Node, now: Timestamp, command: Command<'static>) -> Option<Reply> {
    node.submit(now, command);
    while let Some(batch) = node.poll_batch() {
        node.handle_durable(batch.sequence);
    }
    node.poll_reply().and_then(|(_, outcome)| outcome.ok())
}
