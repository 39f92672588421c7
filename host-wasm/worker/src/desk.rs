//! The node of one object: its own queue, and messages on their way to dead-letter queues,
//! which are other objects.

use std::borrow::Cow;
use std::collections::VecDeque;

use burrow_core::journal::{Batch, Load, RestoreError};
use burrow_core::rest::{Plan, Request, Response, Routed, route};
use burrow_core::{
    Command, Detail, LimitName, Node, Page, QueueName, Refusal, Reply, Selection, Ticket, Timestamp,
};

use crate::config::Settings;

/// What names a request until it is answered; never 0.
pub type Number = u32;

/// See the [module](self).
#[derive(Debug)]
pub struct Desk {
    node: Node,
    settings: Settings,
    account: Box<str>,
    queue: Box<str>,
    last_number: Number,
    /// Few enough to be searched: an object takes some thousand requests at a time.
    pending: Vec<Pending>,
    /// Outcomes that came while something else was asked.
    polled: VecDeque<(Ticket, Outcome)>,
    /// Outcomes that say that the account does not exist, as far as this node can tell.
    doubtful: Vec<(Number, Form, Outcome)>,
}

#[derive(Debug)]
struct Pending {
    number: Number,
    ticket: Ticket,
    form: Form,
}

/// How it is told what became of a request.
#[derive(Debug)]
enum Form {
    Response(Plan),
    Reply,
    /// Another object asks only whether it was done.
    Done,
}

impl Form {
    fn next(self, number: Number, outcome: Outcome) -> Next {
        match self {
            Self::Response(plan) => Next::Respond(number, plan.respond(outcome)),
            Self::Reply => Next::Reply(number, outcome),
            Self::Done => Next::Done(number, outcome.is_ok()),
        }
    }
}

/// What became of a command.
pub type Outcome = Result<Reply, Refusal>;

/// Something is not stored yet: until it is, the node does not tell what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstored;

/// Messages that belong to another object.
#[derive(Debug)]
pub struct Letters {
    pub queue: Box<str>,
    pub piece: Vec<u8>,
}

/// For what there is memory left.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// For messages that come.
    pub stores: bool,
    /// For answers with bodies.
    pub shows: bool,
}

/// What became of a request.
#[derive(Debug)]
pub enum Handled {
    Answered(Response),
    Pending {
        number: Number,
        /// What it asks for may not be there yet.
        waits: bool,
    },
}

/// What can be said of a request now.
#[derive(Debug)]
pub enum Next {
    /// It is answered.
    Respond(Number, Response),
    /// The same for a command that came without one.
    Reply(Number, Outcome),
    /// What another object asked for was done, or not.
    Done(Number, bool),
    /// Ask the account's directory for other queues, then call [`Desk::decide`].
    AskAccount(Number),
}

impl Desk {
    /// The node as it is stored.
    ///
    /// # Errors
    /// See [`Node::restore`].
    pub fn restore(
        settings: Settings,
        queue: QueueName<'_>,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<Self, RestoreError> {
        let (node, _) = Node::restore(settings.node.clone(), now, load)?;
        Ok(Self {
            node,
            settings,
            account: queue.account.into(),
            queue: queue.queue.into(),
            last_number: 0,
            pending: Vec::new(),
            polled: VecDeque::new(),
            doubtful: Vec::new(),
        })
    }

    /// Takes a request to the queue, or refuses what there is no room for.
    pub fn handle(&mut self, now: Timestamp, request: &Request<'_>, room: Room) -> Handled {
        match route(request, &self.settings.rest) {
            Routed::Respond(response) => Handled::Answered(response),
            Routed::Clock(request) => {
                let waiters = self.node.stats().waiters;
                Handled::Answered(request.respond(self.node.now(), self.node.digest(), waiters))
            }
            Routed::Submit(command, plan)
                if !room.stores && stores(&command) || !room.shows && shows(&command) =>
            {
                Handled::Answered(plan.respond(Err(self.no_room())))
            }
            Routed::Submit(command, plan) => {
                let waits = command.wait_ms() > 0;
                let number = self.submit(now, command, Form::Response(plan));
                Handled::Pending { number, waits }
            }
        }
    }

    /// Takes a command to the queue, as [`handle`](Self::handle) takes a request.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn carry_out(
        &mut self,
        now: Timestamp,
        command: Command<'_>,
        room: Room,
    ) -> Result<Number, Refusal> {
        if !room.stores && stores(&command) || !room.shows && shows(&command) {
            return Err(self.no_room());
        }
        Ok(self.submit(now, command, Form::Reply))
    }

    /// Takes messages that another object has given up as dead letters.
    pub fn import(&mut self, now: Timestamp, piece: &[u8]) -> Number {
        let (account, queue) = (self.account.clone(), self.queue.clone());
        let command = Command::Import {
            queue: name(&account, &queue),
            piece: Cow::Borrowed(piece),
        };
        self.submit(now, command, Form::Done)
    }

    fn no_room(&self) -> Refusal {
        Refusal::Exhausted {
            limit: LimitName::NodeBytes,
            maximum: self.node.stats().bytes,
        }
    }

    fn submit(&mut self, now: Timestamp, command: Command<'_>, form: Form) -> Number {
        self.last_number = self.last_number.wrapping_add(1).max(1);
        let ticket = self.node.submit(now, command);
        self.pending.push(Pending {
            number: self.last_number,
            ticket,
            form,
        });
        self.last_number
    }

    /// The next thing that can be said.
    pub fn poll(&mut self) -> Option<Next> {
        loop {
            let polled = self.polled.pop_front();
            let (ticket, outcome) = polled.or_else(|| self.node.poll_reply())?;
            let place = self.pending.iter().position(|own| own.ticket == ticket);
            let Some(Pending { number, form, .. }) =
                place.map(|place| self.pending.swap_remove(place))
            else {
                continue;
            };
            if is_doubtful(&outcome) && !matches!(form, Form::Done) {
                self.doubtful.push((number, form, outcome));
                return Some(Next::AskAccount(number));
            }
            return Some(form.next(number, outcome));
        }
    }

    /// Answers a request of which the node could not tell whether there is an account.
    pub fn decide(&mut self, number: Number, account_exists: bool) -> Option<Next> {
        let place = self.doubtful.iter().position(|own| own.0 == number)?;
        let (_, form, outcome) = self.doubtful.swap_remove(place);
        let correct = |refusal| match refusal {
            Refusal::AccountNotFound if account_exists => Refusal::QueueNotFound,
            other => other,
        };
        let outcome = match outcome {
            Ok(Reply::Settled(results)) => Ok(Reply::Settled(
                results
                    .into_iter()
                    .map(|one| one.map_err(correct))
                    .collect(),
            )),
            other => other.map_err(correct),
        };
        Some(form.next(number, outcome))
    }

    /// The client went away, or takes its request back. False if the request has an outcome already, which
    /// stands.
    pub fn cancel(&mut self, number: Number) -> bool {
        let mut doubtful = self.doubtful.extract_if(.., |own| own.0 == number);
        if doubtful.next().is_some() {
            return true;
        }
        drop(doubtful);
        let is_decided = |own: &Pending| self.polled.iter().any(|told| told.0 == own.ticket);
        let is_it = |own: &Pending| own.number == number && !is_decided(own);
        let Some(place) = self.pending.iter().position(is_it) else {
            return false;
        };
        let ticket = self.pending.swap_remove(place).ticket;
        self.node.cancel(ticket);
        true
    }

    pub fn node(&self) -> &Node {
        &self.node
    }

    pub fn poll_batch(&mut self) -> Option<Batch> {
        self.node.poll_batch()
    }

    pub fn handle_durable(&mut self, sequence: u64) {
        self.node.handle_durable(sequence);
    }

    /// Lets what has become due happen.
    pub fn handle_deadline(&mut self, now: Timestamp) {
        self.node.handle_deadline(now);
    }

    /// Moves a clock that stands still on.
    pub fn advance_to(&mut self, until: Timestamp) {
        self.node.advance_to(until);
    }

    /// True if the object's own queue exists.
    ///
    /// # Errors
    /// If something is not stored.
    pub fn exists(&mut self, now: Timestamp) -> Result<bool, Unstored> {
        let (account, queue) = (self.account.clone(), self.queue.clone());
        let queue = name(&account, &queue);
        Ok(self.ask(now, Command::GetSettings { queue })?.is_ok())
    }

    /// True if messages are here that belong to other objects.
    ///
    /// # Errors
    /// If something is not stored.
    pub fn has_dead_letters(&mut self, now: Timestamp) -> Result<bool, Unstored> {
        if self.node.stats().queues == 0 {
            return Ok(false);
        }
        let own = self.account.clone();
        Ok(self.others_of(now, &own)?.is_some() || self.others_of(now, aside(&own))?.is_some())
    }

    /// What is to be sent to another object next. It is set aside, so that
    /// it stays as it is until [`drop_sent`](Self::drop_sent), whatever is given up meanwhile.
    ///
    /// # Errors
    /// If something is not stored.
    pub fn next_letters(
        &mut self,
        now: Timestamp,
        max_bytes: u64,
    ) -> Result<Option<Letters>, Unstored> {
        let own = self.account.clone();
        let aside = aside(&own);
        if let Some(queue) = self.others_of(now, aside)? {
            let piece = self.export(now, name(aside, &queue), u64::MAX)?;
            return Ok(piece.map(|piece| Letters { queue, piece }));
        }
        let Some(queue) = self.others_of(now, &own)? else {
            return Ok(None);
        };
        let mut max_bytes = max_bytes;
        loop {
            let Some(piece) = self.export(now, name(&own, &queue), max_bytes)? else {
                return Ok(None);
            };
            let before = self.node.stats().messages;
            let copy = Command::Import {
                queue: name(aside, &queue),
                piece: Cow::Borrowed(&piece),
            };
            self.node.submit(now, copy);
            let moved = self.node.stats().messages.saturating_sub(before);
            if moved > 0 {
                self.delete(now, name(&own, &queue), Some(moved));
                return Ok(Some(Letters { queue, piece }));
            }
            // Refused, and nothing has changed: it is more than goes in one step.
            if max_bytes == 0 {
                return Ok(None);
            }
            max_bytes /= 8;
        }
    }

    /// Drops what was set aside for a queue: it has arrived there.
    pub fn drop_sent(&mut self, now: Timestamp, queue: &str) {
        let account = self.account.clone();
        self.delete(now, name(aside(&account), queue), None);
    }

    /// Removes the object's own queue with all its messages and settings. False if there is none.
    ///
    /// # Errors
    /// If something is not stored: nothing was done.
    pub fn remove(&mut self, now: Timestamp) -> Result<bool, Unstored> {
        let existed = self.exists(now)?;
        let (account, queue) = (self.account.clone(), self.queue.clone());
        let queue = name(&account, &queue);
        // In this order it is gone for good, and its waiters get nothing in between.
        self.delete(now, queue.clone(), None);
        self.node.submit(now, Command::ClearSettings { queue });
        Ok(existed)
    }

    /// A queue of an account that is not the object's own, if there is one.
    fn others_of(&mut self, now: Timestamp, account: &str) -> Result<Option<Box<str>>, Unstored> {
        let command = Command::ListQueues {
            account: Cow::Borrowed(account),
            page: Page::default(),
        };
        let Ok(Reply::Names(names)) = self.ask(now, command)? else {
            return Ok(None);
        };
        let is_own = |queue: &str| *account == *self.account && *queue == *self.queue;
        Ok(names.into_iter().find(|queue| !is_own(queue)))
    }

    fn export(
        &mut self,
        now: Timestamp,
        queue: QueueName<'_>,
        max_bytes: u64,
    ) -> Result<Option<Vec<u8>>, Unstored> {
        let command = Command::Export {
            queue,
            after: None,
            max_bytes,
        };
        match self.ask(now, command)? {
            Ok(Reply::Exported { piece, .. }) => Ok(Some(piece)),
            _ => Ok(None),
        }
    }

    /// Deletes messages of a queue, the first ones if there is a limit.
    fn delete(&mut self, now: Timestamp, queue: QueueName<'_>, limit: Option<u64>) {
        let selection = Selection {
            match_hidden: true,
            limit,
            ..Selection::default()
        };
        let command = Command::DeleteMessages {
            queue,
            selection,
            wait_ms: 0,
            detail: Detail::None,
        };
        self.node.submit(now, command);
    }

    /// Asks the node something that changes nothing.
    fn ask(&mut self, now: Timestamp, command: Command<'_>) -> Result<Outcome, Unstored> {
        let asked = self.node.submit(now, command);
        while let Some((ticket, outcome)) = self.node.poll_reply() {
            if ticket == asked {
                return Ok(outcome);
            }
            self.polled.push_back((ticket, outcome));
        }
        self.node.cancel(asked);
        Err(Unstored)
    }
}

/// The account under which messages are set aside while they are sent: one that is not the object's own.
fn aside(own: &str) -> &'static str {
    match own {
        "sent" => "sending",
        _ => "sent",
    }
}

fn name<'a>(account: &'a str, queue: &'a str) -> QueueName<'a> {
    QueueName {
        account: Cow::Borrowed(account),
        queue: Cow::Borrowed(queue),
    }
}

fn stores(command: &Command<'_>) -> bool {
    matches!(
        command,
        Command::Put { .. } | Command::PutBatch { .. } | Command::Import { .. }
    )
}

fn shows(command: &Command<'_>) -> bool {
    match command {
        Command::ListMessages { detail, .. }
        | Command::UpdateMessages { detail, .. }
        | Command::DeleteMessages { detail, .. } => detail.has_body(),
        Command::Export { .. } => true,
        _ => false,
    }
}

/// How many messages a command may show at once. Where it waits, most often there is none yet.
pub fn shown_at_once(command: &Command<'_>) -> u64 {
    match command {
        Command::ListMessages {
            selection,
            wait_ms: 0,
            ..
        }
        | Command::UpdateMessages {
            selection,
            wait_ms: 0,
            ..
        }
        | Command::DeleteMessages {
            selection,
            wait_ms: 0,
            ..
        } if shows(command) => selection.limit.unwrap_or(u64::MAX),
        Command::Export { .. } => u64::MAX,
        _ => 0,
    }
}

fn is_doubtful(outcome: &Outcome) -> bool {
    let doubtful = |refusal: &Refusal| *refusal == Refusal::AccountNotFound;
    match outcome {
        Ok(Reply::Settled(results)) => results
            .iter()
            .any(|result| result.as_ref().err().is_some_and(doubtful)),
        Ok(_) => false,
        Err(refusal) => doubtful(refusal),
    }
}

#[cfg(test)]
mod tests;
