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
    Pending(Number),
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
                Handled::Answered(request.respond(self.node.now(), self.node.digest()))
            }
            Routed::Submit(command, plan)
                if !room.stores && stores(&command) || !room.shows && shows(&command) =>
            {
                Handled::Answered(plan.respond(Err(self.no_room())))
            }
            Routed::Submit(command, plan) => {
                Handled::Pending(self.submit(now, command, Form::Response(plan)))
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

    /// The client went away.
    pub fn cancel(&mut self, number: Number) {
        self.doubtful.retain(|own| own.0 != number);
        if let Some(place) = self.pending.iter().position(|own| own.number == number) {
            let ticket = self.pending.swap_remove(place).ticket;
            self.node.cancel(ticket);
        }
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
mod tests {
    use super::*;
    use burrow_core::journal::LoadError;

    struct Nothing;

    impl Load for Nothing {
        fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
            Ok(Vec::new())
        }

        fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
            Err(LoadError(format!("no blob {sequence}")))
        }
    }

    const NOW: Timestamp = Timestamp::from_millis(1_000);
    const PIECE_BYTES: u64 = 1 << 20;

    /// A desk whose queue gives a message up at its second claim.
    struct Queue(Desk);

    impl Queue {
        fn new(settings: Settings) -> Self {
            let desk = Desk::restore(settings, name("a", "q"), NOW, &mut Nothing).unwrap();
            let mut queue = Self(desk);
            let body = br#"{"max_attempts":1,"dead_letter":"dead"}"#;
            queue.call("PUT", "/v1.0/a/q?settings", body, 204);
            queue
        }

        fn call(&mut self, method: &'static str, target: &str, body: &[u8], status: u16) {
            let request = Request {
                method,
                target,
                body,
                ..Request::default()
            };
            let room = Room {
                stores: true,
                shows: true,
            };
            let Handled::Pending(number) = self.0.handle(NOW, &request, room) else {
                panic!("{target} is answered by the node")
            };
            self.store();
            match self.0.poll() {
                Some(Next::Respond(answered, response)) => {
                    assert_eq!((answered, response.status), (number, status), "{target}");
                }
                other => panic!("{target}: {other:?}"),
            }
        }

        fn store(&mut self) {
            while let Some(batch) = self.0.poll_batch() {
                self.0.handle_durable(batch.sequence);
            }
        }

        fn give_up(&mut self, id: &str, body: &[u8]) {
            let message = format!("/v1.0/a/q/{id}");
            self.call("PUT", &message, body, 201);
            self.call("POST", "/v1.0/a/q?limit=1&hide=60", b"", 204);
            self.call("POST", &format!("{message}?hide=0"), b"", 204);
            self.call("POST", "/v1.0/a/q?limit=1&hide=60", b"", 404);
        }

        fn next_letters(&mut self) -> Option<Vec<u8>> {
            self.store();
            let Letters { queue, piece } = self.0.next_letters(NOW, PIECE_BYTES).unwrap()?;
            assert_eq!(&*queue, "dead");
            self.store();
            Some(piece)
        }

        fn has_dead_letters(&mut self) -> bool {
            self.store();
            self.0.has_dead_letters(NOW).unwrap()
        }
    }

    fn holds(piece: &[u8], text: &str) -> bool {
        let mut windows = piece.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    }

    #[test]
    fn what_is_given_up_while_letters_are_sent_is_sent_next() {
        let mut queue = Queue::new(Settings::default());
        queue.give_up("1", b"first");
        let sent = queue.next_letters().unwrap();
        queue.give_up("2", b"second");
        // The same letter once more: it is another message by now.
        queue.give_up("1", b"third");
        assert_eq!(queue.next_letters().unwrap(), sent, "it has not arrived");
        queue.0.drop_sent(NOW, "dead");
        let next = queue.next_letters().unwrap();
        let told = ["first", "second", "third"].map(|body| holds(&next, body));
        assert_eq!(told, [false, true, true]);
        queue.0.drop_sent(NOW, "dead");
        assert_eq!(queue.next_letters(), None);
        assert!(!queue.has_dead_letters());
    }

    #[test]
    fn more_letters_than_go_in_one_step_are_sent_in_several() {
        let mut settings = Settings::default();
        settings.set("MAX_BATCH_MESSAGES", "3").unwrap();
        let mut queue = Queue::new(settings);
        for id in 0..10 {
            queue.give_up(&id.to_string(), b"letter");
        }
        let mut pieces = 0;
        while queue.next_letters().is_some() {
            queue.0.drop_sent(NOW, "dead");
            pieces += 1;
        }
        assert!((4..=10).contains(&pieces), "{pieces} pieces");
        assert!(!queue.has_dead_letters());
    }

    #[test]
    fn nothing_is_told_of_what_is_not_stored() {
        let mut queue = Queue::new(Settings::default());
        assert_eq!(queue.0.exists(NOW), Ok(true));
        queue.0.delete(NOW, name("a", "q"), None);
        queue.0.import(NOW, b"no piece");
        assert_eq!(queue.0.exists(NOW), Ok(true));
        let request = Request {
            method: "PUT",
            target: "/v1.0/a/q/1",
            ..Request::default()
        };
        let room = Room {
            stores: true,
            shows: true,
        };
        queue.0.handle(NOW, &request, room);
        assert_eq!(queue.0.exists(NOW), Err(Unstored));
        assert_eq!(queue.0.remove(NOW), Err(Unstored));
        assert_eq!(queue.0.has_dead_letters(NOW), Err(Unstored));
        queue.store();
        assert_eq!(queue.0.exists(NOW), Ok(true));
    }

    #[test]
    fn what_there_is_no_room_for_is_refused() {
        let mut queue = Queue::new(Settings::default());
        let room = Room {
            stores: false,
            shows: false,
        };
        for (method, target, is_refused) in [
            ("PUT", "/v1.0/a/q/1", true),
            ("GET", "/v1.0/a/q", true),
            ("POST", "/v1.0/a/q?hide=60&detail=all", true),
            ("GET", "/v1.0/a/q?detail=id", false),
            ("POST", "/v1.0/a/q?hide=60&detail=id", false),
            ("DELETE", "/v1.0/a/q/1", false),
        ] {
            let request = Request {
                method,
                target,
                ..Request::default()
            };
            let refused = match queue.0.handle(NOW, &request, room) {
                Handled::Answered(response) => response.status == 429,
                Handled::Pending(_) => false,
            };
            assert_eq!(refused, is_refused, "{method} {target}");
        }
    }
}
