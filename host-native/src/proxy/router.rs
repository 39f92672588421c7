//! Where a command goes.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use burrow_client::placement;
use burrow_core::{Command, QueueName, Reply, Update};
use tokio::sync::oneshot;

use super::letters::Letters;
use super::link::Link;
use super::task::{self, Ending, Kept};
use crate::desk::{Failure, Health, Outcome, Recipient, Submitted, Waiting};

pub(super) struct Router {
    /// In order of name, which is the same for all proxies.
    links: Vec<Arc<Link>>,
    /// The queues that all servers have a part of, in order.
    spread: Vec<QueueName<'static>>,
    pub(super) letters: Letters,
    /// Counts those who take from spread queues, so that each begins with another server.
    pub(super) turn: AtomicUsize,
}

enum Route<'r> {
    /// All of it is the affair of this server.
    One(&'r Arc<Link>),
    Many,
}

impl Router {
    pub(super) fn new(mut links: Vec<Arc<Link>>, mut spread: Vec<QueueName<'static>>) -> Self {
        links.sort_by(|one, other| one.spec.name.cmp(&other.spec.name));
        spread.sort_by(|one, other| names(one).cmp(&names(other)));
        Self {
            links,
            spread,
            letters: Letters::default(),
            turn: AtomicUsize::default(),
        }
    }

    pub(super) fn links(&self) -> &[Arc<Link>] {
        &self.links
    }

    pub(super) fn health(&self) -> Health {
        match self.links.iter().any(|link| link.is_up()) {
            true => Health::Serving,
            false => Health::NotStoring {
                reason: "no server can be reached".to_owned(),
            },
        }
    }

    pub(super) fn release_waiters(&self) {
        self.links.iter().for_each(|link| link.release_waiters());
    }

    pub(super) fn submit(
        self: &Arc<Self>,
        command: Command<'_>,
        recipient: &mut dyn FnMut() -> Recipient,
    ) -> Submitted {
        let submitted = match self.route(&command) {
            Ok(Route::One(link)) => {
                let watched = || self.watched(&command, link, recipient());
                link.submit(&command, watched).map(Submitted::Waiting)
            }
            Ok(Route::Many) => Kept::new(&command).map(|kept| {
                let (router, recipient) = (Arc::clone(self), recipient());
                task::start(|ending| router.run(kept, ending, recipient))
            }),
            Err(failure) => Err(failure),
        };
        submitted.unwrap_or_else(|failure| Submitted::Answered(Err(failure)))
    }

    /// Submits commands in this order. Those that come one behind the other for one server go to
    /// its lane together.
    pub(super) fn submit_all(
        self: &Arc<Self>,
        commands: Vec<(u64, Command<'_>)>,
        recipient: &mut dyn FnMut(u64) -> Recipient,
        told: &mut dyn FnMut(u64, Submitted),
    ) {
        let mut commands = commands.into_iter().peekable();
        while let Some((_, first)) = commands.peek() {
            let link = match self.route(first) {
                Ok(Route::One(link)) if first.wait_ms() == 0 => Some(link),
                _ => None,
            };
            let Some((link, lane)) = link.and_then(|link| Some((link, link.main_lane()?))) else {
                if let Some((tag, command)) = commands.next() {
                    told(tag, self.submit(command, &mut || recipient(tag)));
                }
                continue;
            };
            let is_for_it = |(_, command): &(u64, Command<'_>)| {
                let route = self.route(command);
                command.wait_ms() == 0
                    && matches!(route, Ok(Route::One(own)) if Arc::ptr_eq(own, link))
            };
            let mut turn = lane.turn();
            while let Some((tag, command)) = commands.next_if(is_for_it) {
                let watched = || self.watched(&command, link, recipient(tag));
                told(
                    tag,
                    match turn.submit(&command, watched) {
                        Ok(place) => Submitted::Waiting(place),
                        Err(failure) => Submitted::Answered(Err(failure)),
                    },
                );
            }
        }
    }

    fn route(&self, command: &Command<'_>) -> Result<Route<'_>, Failure> {
        if let [only] = &*self.links {
            return Ok(Route::One(only));
        }
        let Some(queue) = command.queue() else {
            return Ok(Route::Many);
        };
        if matches!(
            command,
            Command::PutSettings { .. } | Command::ClearSettings { .. }
        ) {
            self.letters.forget(queue);
        }
        if self.is_spread(queue) || (is_claim(command) && self.letters.may_leave(queue)) {
            return Ok(Route::Many);
        }
        self.home(queue).map(Route::One)
    }

    async fn run(self: Arc<Self>, mut kept: Kept, ending: Arc<Ending>, recipient: Recipient) {
        let command = match kept.take() {
            Ok(command) => command,
            Err(failure) => return recipient.tell(Err(failure)),
        };
        let claimed_from = command.queue().filter(|_| is_claim(&command)).cloned();
        let outcome = tokio::select! {
            biased;
            outcome = self.carry_out(command, &ending) => outcome,
            () = ending.may_drop() => return,
        };
        if ending.is_mine() {
            return recipient.tell(outcome);
        }
        if let (Some(queue), Ok(Reply::Messages(list))) = (claimed_from, outcome) {
            self.give_back(&queue, &list).await;
        }
    }

    async fn carry_out(self: &Arc<Self>, command: Command<'_>, ending: &Ending) -> Outcome {
        match command.queue() {
            None => self.carry_out_everywhere(command).await,
            Some(queue) if self.is_spread(queue) => self.carry_out_spread(command, ending).await,
            Some(queue) => {
                let home = self.home(queue)?;
                let dead_letter = self.dead_letter(queue, home).await;
                // It may wait, and be taken back meanwhile.
                let (sender, receiver) = oneshot::channel();
                let watched = || self.watched(&command, home, Recipient::One(sender));
                let place = home.submit(&command, watched)?;
                let outcome = Waiting::new(place, receiver).await;
                if let Some(dead_letter) = dead_letter {
                    let _busy = ending.busy();
                    self.forward(home, &dead_letter).await;
                }
                outcome
            }
        }
    }

    pub(super) fn is_spread(&self, queue: &QueueName<'_>) -> bool {
        let place = self
            .spread
            .binary_search_by(|own| names(own).cmp(&names(queue)));
        place.is_ok()
    }

    /// The server that the queue lives on.
    pub(super) fn home(&self, queue: &QueueName<'_>) -> Result<&Arc<Link>, Failure> {
        let thing = [&*queue.account, &*queue.queue];
        let home = placement::home(self.placed(), &thing);
        home.and_then(|number| self.links.get(number))
            .ok_or(Failure::Unreachable)
    }

    /// The number of the server that a message of a spread queue is put on.
    pub(super) fn place(&self, queue: &QueueName<'_>, id: &str) -> usize {
        let thing = [&*queue.account, &*queue.queue, id];
        placement::home(self.placed(), &thing).unwrap_or_default()
    }

    /// All servers, by number, the one that a message of a spread queue is put on first.
    pub(super) fn preference(&self, queue: &QueueName<'_>, id: &str) -> Vec<usize> {
        let thing = [&*queue.account, &*queue.queue, id];
        placement::preference(self.placed(), &thing)
    }

    fn placed(&self) -> impl Iterator<Item = (&str, u32)> {
        let specs = self.links.iter().map(|link| &link.spec);
        specs.map(|spec| (&*spec.name, spec.weight))
    }
}

/// Whether the command counts attempts, and so may give messages up.
pub(super) fn is_claim(command: &Command<'_>) -> bool {
    matches!(
        command,
        Command::UpdateMessages {
            update: Update {
                hide_ms: Some(1..),
                ..
            },
            ..
        }
    )
}

fn names<'n>(queue: &'n QueueName<'_>) -> (&'n str, &'n str) {
    (&queue.account, &queue.queue)
}
