//! The queue server as plainly as it can be said: lists, scanned from the front.
//!
//! It is written from the contract alone and knows nothing of how the machine works.
//! Nothing in it is fast, and nothing in it is clever.

mod bulk;
mod bury;
mod expected;
mod names;
mod put;
mod rules;
mod state;
mod waiting;

use std::rc::Rc;

use burrow_core::{
    ClaimToken, Command, Config, Detail, Refusal, Settings, SettleAction, Settlement, Ticket,
    Update,
};

pub(crate) use expected::{Expected, Learned, Shown};
pub(crate) use state::{Claim, Id, Message, Name, State, Touch};

use bulk::Deed;
use bury::Burial;
use waiting::Waiter;

/// A reply that is decided.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) ticket: Ticket,
    pub(crate) expected: Expected,
    /// What the reply tells something about.
    pub(crate) scope: Scope,
    /// The claims that the command made.
    pub(crate) claims: Vec<Claim>,
    /// How many changes there were before.
    pub(crate) changes: usize,
}

/// What a command looks at.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    Node,
    Account(Rc<str>),
    Queue(Name),
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) state: State,
    config: Config,
    waiters: Vec<Waiter>,
    burials: Vec<Burial>,
    /// Replies that were decided and not collected yet.
    pub(crate) answers: Vec<Answer>,
    /// What happened and how often, until somebody takes it.
    pub(crate) events: Vec<(&'static str, usize)>,
}

type Outcome = Result<Expected, Refusal>;

impl Model {
    pub(crate) fn new(config: Config, state: State) -> Self {
        Self {
            state,
            config,
            waiters: Vec::new(),
            burials: Vec::new(),
            answers: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Lets time pass up to `now`: what has expired goes, then dead letters move, then waiters
    /// are served, then those are refused whose time is up.
    pub(crate) fn advance(&mut self, now: u64) {
        self.state.now = self.state.now.max(now);
        let now = self.state.now;
        let expired = self.state.expire();
        self.events.push(("expired", expired));
        self.bury_due();
        self.serve_waiters();
        self.refuse_waiters(|waiter| waiter.deadline <= now);
    }

    /// Instants at which something that is now so will no longer be so.
    pub(crate) fn instants(&self) -> Vec<u64> {
        let now = self.state.now;
        let of = |message: &Message| [Some(message.visible_at), message.expires_at];
        let times = self.state.messages().flat_map(of).flatten();
        times
            .chain(self.waiters.iter().map(|waiter| waiter.deadline))
            .chain(self.burials_at())
            .filter(|at| *at > now)
            .collect()
    }

    /// Carries a command out, or lets it wait.
    pub(crate) fn submit(&mut self, now: u64, command: &Command<'static>, ticket: Ticket) {
        self.advance(now);
        let scope = scope(command);
        let wrong = rules::wrong(command, &self.config.limits);
        if !wrong.is_empty() {
            let refusals = self.or_not_found(wrong, command);
            self.answer(ticket, Expected::Refused(refusals), scope, Vec::new());
            return;
        }
        if let Some((bulk, wait_ms)) = self.bulk_of(command) {
            self.submit_bulk(bulk, wait_ms, ticket);
        } else {
            let expected = self
                .execute(command)
                .unwrap_or_else(|refusal| Expected::Refused(vec![refusal]));
            self.state.drop_empty();
            self.answer(ticket, expected, scope, Vec::new());
        }
        self.serve_waiters();
    }

    fn answer(&mut self, ticket: Ticket, expected: Expected, scope: Scope, claims: Vec<Claim>) {
        let changes = self.state.touched.len();
        self.answers.push(Answer {
            ticket,
            expected,
            scope,
            claims,
            changes,
        });
    }

    /// A command that is wrong in itself may also be told that what it names is not there.
    fn or_not_found(&self, mut wrong: Vec<Refusal>, command: &Command<'static>) -> Vec<Refusal> {
        wrong.extend(match command {
            Command::GetMessage { queue, id, .. }
            | Command::UpdateMessage { queue, id, .. }
            | Command::DeleteMessage { queue, id, .. } => self.missing(&Name::of(queue), Some(id)),
            Command::GetStats { queue } | Command::GetSettings { queue } => {
                self.missing(&Name::of(queue), None)
            }
            Command::ListQueues { .. } | Command::DeleteQueues { .. } => {
                Some(Refusal::AccountNotFound)
            }
            _ => None,
        });
        wrong
    }

    fn missing(&self, name: &Name, id: Option<&str>) -> Option<Refusal> {
        match self.state.lookup(name) {
            Err(refusal) => Some(refusal),
            Ok(_) if id.is_some_and(|id| !self.state.is_alive(name, id)) => {
                Some(Refusal::MessageNotFound)
            }
            Ok(_) => None,
        }
    }

    fn execute(&mut self, command: &Command<'static>) -> Outcome {
        match command {
            Command::ListAccounts { page } => self.list_accounts(page),
            Command::DeleteAccounts { page } => self.delete_accounts(page),
            Command::ListQueues { account, page } => self.list_queues(account, page),
            Command::DeleteQueues { account, page } => self.delete_queues(account, page),
            Command::Put { queue, message } => self.put(&Name::of(queue), message),
            Command::PutBatch { queue, messages } => self.put_batch(&Name::of(queue), messages),
            Command::GetMessage { queue, id, detail } => {
                self.by_id(&Name::of(queue), id, None, &Deed::List, *detail)
            }
            Command::UpdateMessage {
                queue,
                id,
                update,
                claim,
                detail,
            } => self.by_id(
                &Name::of(queue),
                id,
                *claim,
                &Deed::Update(*update),
                *detail,
            ),
            Command::DeleteMessage {
                queue,
                id,
                claim,
                detail,
            } => self.by_id(&Name::of(queue), id, *claim, &Deed::Delete, *detail),
            Command::Settle { queue, settlements } => self.settle(&Name::of(queue), settlements),
            Command::GetStats { queue } => self.get_stats(&Name::of(queue)),
            Command::GetSettings { queue } => self.get_settings(&Name::of(queue)),
            Command::PutSettings { queue, settings } => {
                let name = Name::of(queue);
                let full = rules::no_room_for_queue(&self.state, &name, &self.config.limits);
                if !full.is_empty() {
                    return Ok(Expected::Refused(full));
                }
                let index = self.state.open(&name);
                self.set_settings(index, Some(settings.clone()));
                Ok(Expected::Done)
            }
            Command::ClearSettings { queue } => {
                if let Some(index) = self.state.index(&Name::of(queue)) {
                    self.set_settings(index, None);
                }
                Ok(Expected::Done)
            }
            Command::Export { .. } | Command::Import { .. } => {
                unreachable!("the model knows no pieces: core/tests/transfer.rs tries them")
            }
            Command::ListMessages { .. }
            | Command::UpdateMessages { .. }
            | Command::DeleteMessages { .. } => {
                unreachable!("carried out by submit_bulk")
            }
        }
    }

    fn by_id(
        &mut self,
        name: &Name,
        id: &str,
        claim: Option<ClaimToken>,
        deed: &Deed,
        detail: Detail,
    ) -> Outcome {
        let index = self.state.lookup(name)?;
        let at = self.state.queues[index]
            .find(id)
            .ok_or(Refusal::MessageNotFound)?;
        let message = &self.state.queues[index].messages[at];
        if claim.is_some_and(|token| !message.claim.as_ref().is_some_and(|claim| claim.has(token)))
        {
            return Err(Refusal::ClaimLost);
        }
        let now = self.state.now;
        let position = message.position;
        let mut shown = Shown::of(message, now, None);
        match deed {
            Deed::List => {}
            Deed::Update(update) => {
                shown = Shown::of(self.set_times(index, at, update), now, None);
            }
            Deed::Delete => {
                self.state
                    .remove(index, |message| message.position == position);
            }
        }
        Ok(Expected::Messages {
            name: name.clone(),
            detail,
            shown: vec![shown],
            has_more: false,
        })
    }

    fn set_settings(&mut self, index: usize, settings: Option<Settings>) {
        if self.state.queues[index].settings != settings {
            self.state.change(index).settings = settings;
        }
    }

    /// Gives a message new times. It is no change if nobody can tell the difference.
    fn set_times(&mut self, index: usize, at: usize, update: &Update) -> &Message {
        let now = self.state.now;
        let message = &self.state.queues[index].messages[at];
        let expires_at = update
            .ttl_ms
            .map_or(message.expires_at, |ttl_ms| expiry(now, ttl_ms));
        let visible_at = update
            .hide_ms
            .map_or(message.visible_at, |hide_ms| now + hide_ms);
        if expires_at != message.expires_at || visible_at.max(now) != message.visible_at.max(now) {
            let message = &mut self.state.change(index).messages[at];
            message.expires_at = expires_at;
            message.visible_at = visible_at;
        }
        &self.state.queues[index].messages[at]
    }

    fn settle(&mut self, name: &Name, settlements: &[Settlement<'static>]) -> Outcome {
        if let Err(refusal) = self.state.lookup(name) {
            return Ok(Expected::Settled(vec![
                Err(vec![refusal]);
                settlements.len()
            ]));
        }
        let results = settlements.iter().map(|settlement| {
            let mut wrong = rules::wrong_settlement(settlement, &self.config.limits);
            if !wrong.is_empty() {
                wrong.extend(self.missing(name, Some(&settlement.id)));
                return Err(wrong);
            }
            let deed = match settlement.action {
                SettleAction::Delete => Deed::Delete,
                SettleAction::Update(update) => Deed::Update(update),
            };
            self.by_id(name, &settlement.id, settlement.claim, &deed, Detail::None)
                .map(|_| ())
                .map_err(|refusal| vec![refusal])
        });
        Ok(Expected::Settled(results.collect()))
    }

    fn get_stats(&self, name: &Name) -> Outcome {
        let queue = &self.state.queues[self.state.lookup(name)?];
        let now = self.state.now;
        let messages = || queue.messages.iter();
        Ok(Expected::Stats {
            messages: messages().count() as u64,
            hidden: messages().filter(|message| message.hidden(now)).count() as u64,
            bytes: messages()
                .all(|message| message.id.bytes().is_some())
                .then(|| queue.bytes()),
        })
    }

    fn get_settings(&self, name: &Name) -> Outcome {
        let index = self.state.lookup(name)?;
        Ok(Expected::Settings(
            self.state.queues[index]
                .settings
                .clone()
                .unwrap_or_default(),
        ))
    }
}

fn expiry(now: u64, ttl_ms: u64) -> Option<u64> {
    (ttl_ms > 0).then(|| now + ttl_ms)
}

/// The names that the page covers, in order; none if there are none.
fn scope(command: &Command<'_>) -> Scope {
    match command {
        Command::ListAccounts { .. } | Command::DeleteAccounts { .. } => Scope::Node,
        Command::ListQueues { account, .. } | Command::DeleteQueues { account, .. } => {
            Scope::Account(Rc::from(&**account))
        }
        Command::ListMessages { queue, .. }
        | Command::UpdateMessages { queue, .. }
        | Command::DeleteMessages { queue, .. }
        | Command::Put { queue, .. }
        | Command::PutBatch { queue, .. }
        | Command::GetMessage { queue, .. }
        | Command::UpdateMessage { queue, .. }
        | Command::DeleteMessage { queue, .. }
        | Command::Settle { queue, .. }
        | Command::GetStats { queue }
        | Command::GetSettings { queue }
        | Command::PutSettings { queue, .. }
        | Command::ClearSettings { queue }
        | Command::Export { queue, .. }
        | Command::Import { queue, .. } => Scope::Queue(Name::of(queue)),
    }
}
