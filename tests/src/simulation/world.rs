//! One node, its host and its model: every call goes to both, and they must agree.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use burrow_core::journal::Batch;
use burrow_core::{Command, Ticket, Timestamp};

use super::model::{Answer, Learned, Model, Name, Scope, State, Touch};
use super::profile::Profile;
use super::storage::Storage;
use super::subject::{Outcome, Subject};
use super::tally::Tally;

/// What went wrong.
pub(crate) type Violation = String;

pub(crate) struct World {
    pub(crate) subject: Box<dyn Subject>,
    pub(crate) model: Model,
    pub(crate) profile: Profile,
    pub(crate) learned: Learned,
    /// What the host's clock shows. It may go back.
    pub(crate) clock: u64,
    pub(crate) storage: Storage,
    /// Batches that are not stored yet.
    pub(crate) in_flight: VecDeque<Batch>,
    /// The model as it was when a batch was made: that of the last stored one first.
    pub(crate) snapshots: VecDeque<(u64, State)>,
    /// Sequences: the last that the node gave, and the last that it was told is durable.
    pub(crate) polled: u64,
    pub(crate) confirmed: u64,
    /// Something changed since the last batch.
    dirty: bool,
    changes: Changes,
    outstanding: BTreeMap<Ticket, Outstanding>,
    tickets: HashSet<Ticket>,
    fingerprint: DefaultHasher,
    pub(crate) tally: Tally,
    verbose: bool,
}

/// A reply that the node owes.
#[derive(Debug)]
struct Outstanding {
    answer: Answer,
    /// The batch that must be durable first.
    required: u64,
}

/// In which batch something last changed.
#[derive(Debug, Default)]
struct Changes {
    node: u64,
    accounts: BTreeMap<Rc<str>, u64>,
    queues: BTreeMap<Name, u64>,
}

impl Changes {
    fn of(&self, scope: &Scope) -> u64 {
        match scope {
            Scope::Node => self.node,
            Scope::Account(account) => self.accounts.get(account).copied().unwrap_or(0),
            Scope::Queue(name) => self.queues.get(name).copied().unwrap_or(0),
        }
    }
}

impl World {
    pub(crate) fn new(profile: Profile, subject: Box<dyn Subject>, verbose: bool) -> Self {
        let state = State::new(0);
        Self {
            subject,
            model: Model::new(profile.config.clone(), state.clone()),
            learned: Learned::default(),
            clock: profile.start_ms,
            storage: Storage::default(),
            in_flight: VecDeque::new(),
            snapshots: VecDeque::from([(0, state)]),
            polled: 0,
            confirmed: 0,
            dirty: false,
            changes: Changes::default(),
            outstanding: BTreeMap::new(),
            tickets: HashSet::new(),
            fingerprint: DefaultHasher::new(),
            tally: Tally::default(),
            verbose,
            profile,
        }
    }

    /// Equal for two runs in which the node did the same, to the byte.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint.finish()
    }

    pub(crate) fn log(&self, line: impl FnOnce() -> String) {
        if self.verbose {
            let mut line = line();
            if let Some((end, _)) = line.char_indices().nth(2000) {
                line.truncate(end);
                line.push('…');
            }
            println!("{line}");
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock)
    }

    /// Sends a command to both.
    pub(crate) fn submit(&mut self, command: Command<'static>) -> Result<Ticket, Violation> {
        let now = self.now();
        let ticket = self.subject.submit(now, command.clone());
        self.log(|| format!("  {now} {ticket:?} {command:?}"));
        if !self.tickets.insert(ticket) {
            return Err(format!("{ticket:?} was given twice"));
        }
        self.model.submit(now.as_millis(), &command, ticket);
        self.collect();
        self.check_deadline()?;
        Ok(ticket)
    }

    pub(crate) fn handle_deadline(&mut self) -> Result<(), Violation> {
        let now = self.now();
        self.log(|| format!("  {now} handle_deadline"));
        self.subject.handle_deadline(now);
        self.model.advance(now.as_millis());
        self.collect();
        // The next one must lie ahead, or the host would call again and again, unless there
        // is more to do than a call does.
        let now = self.model.state.now;
        match self.subject.deadline().map(Timestamp::as_millis) {
            Some(at)
                if at <= now && now < Timestamp::MAX.as_millis() && !self.model.is_behind() =>
            {
                Err(format!("the deadline {at} is not after now, {now}"))
            }
            _ => self.check_deadline(),
        }
    }

    pub(crate) fn cancel(&mut self, ticket: Ticket) -> Result<(), Violation> {
        self.log(|| format!("  cancel {ticket:?}"));
        self.subject.cancel(ticket);
        match self.outstanding.remove(&ticket) {
            Some(outstanding) => {
                let claims = outstanding.answer.claims;
                self.tally.add("claims undone", self.model.undo(&claims));
            }
            None => {
                self.tally.add("waiters gone", 1);
                self.model.leave(ticket);
            }
        }
        self.collect();
        self.check_deadline()
    }

    pub(crate) fn release_waiters(&mut self) -> Result<(), Violation> {
        self.log(|| "  release_waiters".to_string());
        self.subject.release_waiters();
        self.model.release_waiters();
        self.collect();
        self.check_deadline()
    }

    /// Tickets that a client may still cancel.
    pub(crate) fn open_tickets(&self) -> Vec<Ticket> {
        self.model
            .waiting_tickets()
            .chain(self.outstanding.keys().copied())
            .collect()
    }

    /// Takes over what the model changed and decided.
    pub(crate) fn collect(&mut self) {
        let next = if self.profile.config.journal.enabled {
            self.polled + 1
        } else {
            0
        };
        for (event, count) in self.model.events.drain(..) {
            self.tally.add(event, count);
        }
        let mut touched = std::mem::take(&mut self.model.state.touched).into_iter();
        let mut taken = 0;
        for answer in std::mem::take(&mut self.model.answers) {
            let before = answer.changes - taken;
            taken = answer.changes;
            touched
                .by_ref()
                .take(before)
                .for_each(|touch| self.change(touch, next));
            self.tally.add("claims", answer.claims.len());
            let required = self.changes.of(&answer.scope);
            self.outstanding
                .insert(answer.ticket, Outstanding { answer, required });
        }
        touched.for_each(|touch| self.change(touch, next));
    }

    fn change(&mut self, touch: Touch, sequence: u64) {
        self.dirty = self.profile.config.journal.enabled;
        if touch.accounts {
            self.changes.node = sequence;
        }
        if touch.queues {
            self.changes
                .accounts
                .insert(touch.name.account.clone(), sequence);
        }
        self.changes.queues.insert(touch.name, sequence);
    }

    /// `deadline` may be early, never late.
    fn check_deadline(&mut self) -> Result<(), Violation> {
        let deadline = self.subject.deadline().map(Timestamp::as_millis);
        match self.model.due_at() {
            Some(due) if deadline.is_none_or(|at| at > due) => Err(format!(
                "the deadline is {deadline:?}, but a waiter is due at {due}"
            )),
            _ => Ok(()),
        }
    }

    /// Takes the next batch from the node; false if there is none.
    pub(crate) fn poll_batch(&mut self) -> Result<bool, Violation> {
        let Some(batch) = self.subject.poll_batch() else {
            return if self.dirty {
                Err("something changed, but there is no batch".to_string())
            } else {
                Ok(false)
            };
        };
        self.log(|| {
            format!(
                "  batch {}: {} bytes, drops {:?}",
                batch.sequence,
                batch.blob.len(),
                batch.drops
            )
        });
        if !self.profile.config.journal.enabled {
            return Err("a node without a journal made a batch".to_string());
        }
        if batch.sequence != self.polled + 1 {
            return Err(format!(
                "batch {} follows batch {}",
                batch.sequence, self.polled
            ));
        }
        if batch
            .drops
            .iter()
            .any(|range| range.is_empty() || *range.end() >= batch.sequence)
        {
            return Err(format!("batch {} drops {:?}", batch.sequence, batch.drops));
        }
        self.tally.add("batches", 1);
        self.tally.add(
            "batches that drop others",
            usize::from(!batch.drops.is_empty()),
        );
        batch.blob.hash(&mut self.fingerprint);
        self.polled = batch.sequence;
        self.dirty = false;
        self.snapshots
            .push_back((batch.sequence, self.model.state.clone()));
        self.in_flight.push_back(batch);
        Ok(true)
    }

    /// Stores the oldest batch under way.
    pub(crate) fn store_one(&mut self, mut keep: impl FnMut() -> bool) {
        if let Some(batch) = self.in_flight.pop_front() {
            self.log(|| format!("  store {}", batch.sequence));
            while self
                .snapshots
                .front()
                .is_some_and(|(sequence, _)| *sequence < batch.sequence)
            {
                self.snapshots.pop_front();
            }
            self.storage.store(batch, &mut keep);
        }
    }

    /// Tells the node what is stored.
    pub(crate) fn confirm(&mut self) {
        let stored = self.stored();
        self.log(|| format!("  durable up to {stored}"));
        self.confirmed = stored;
        self.subject.handle_durable(stored);
    }

    pub(crate) fn stored(&self) -> u64 {
        self.snapshots.front().map_or(0, |(sequence, _)| *sequence)
    }

    /// Takes at most so many replies.
    pub(crate) fn poll_replies(&mut self, most: usize) -> Result<(), Violation> {
        for _ in 0..most {
            let Some((ticket, outcome)) = self.subject.poll_reply() else {
                break;
            };
            self.log(|| format!("  {ticket:?} -> {}", brief(&outcome)));
            self.check_reply(ticket, &outcome)?;
        }
        Ok(())
    }

    fn check_reply(&mut self, ticket: Ticket, outcome: &Outcome) -> Result<(), Violation> {
        let Some(Outstanding { answer, required }) = self.outstanding.remove(&ticket) else {
            let why = if self.model.waits(ticket) {
                "should still wait"
            } else {
                "is not owed one"
            };
            return Err(format!(
                "{ticket:?} has the reply {}, but {why}",
                brief(outcome)
            ));
        };
        if required > self.confirmed {
            return Err(format!(
                "{ticket:?} has a reply that depends on batch {required}, and only {} are durable: {}",
                self.confirmed,
                brief(outcome)
            ));
        }
        self.tally.reply(outcome);
        answer
            .expected
            .check(outcome, &mut self.learned)
            .map_err(|what| format!("{ticket:?}: {what}"))
    }

    /// Stores everything and takes every reply. Afterwards only waiters are open.
    pub(crate) fn settle(&mut self) -> Result<(), Violation> {
        for _ in 0..10_000 {
            let more = self.poll_batch()?;
            while !self.in_flight.is_empty() {
                self.store_one(|| false);
            }
            if !more {
                self.confirm();
                self.poll_replies(usize::MAX)?;
                return self.check_settled();
            }
        }
        Err("the node makes batches without end".to_string())
    }

    fn check_settled(&mut self) -> Result<(), Violation> {
        if let Some((ticket, outstanding)) = self.outstanding.first_key_value() {
            return Err(format!(
                "{ticket:?} has no reply, expected {:?}",
                outstanding.answer.expected
            ));
        }
        self.check_stats()
    }

    /// The node is gone, and with it all that was not stored; `state` is what was. The
    /// clock of the new one starts at `floor`.
    pub(crate) fn start_again(&mut self, sequence: u64, state: State, floor: u64) {
        self.model = Model::new(self.profile.config.clone(), state.clone());
        self.model.state.now = floor;
        self.in_flight.clear();
        self.snapshots = VecDeque::from([(sequence, state)]);
        self.outstanding.clear();
        self.tickets.clear();
        self.changes = Changes::default();
        self.dirty = false;
        self.polled = sequence;
        self.confirmed = sequence;
    }

    pub(crate) fn check_stats(&mut self) -> Result<(), Violation> {
        let stats = self.subject.stats();
        let state = &self.model.state;
        let mut accounts: Vec<_> = state
            .queues
            .iter()
            .map(|queue| &queue.name.account)
            .collect();
        accounts.sort();
        accounts.dedup();
        let hidden = state
            .messages()
            .filter(|message| message.hidden(state.now))
            .count();
        let lengths_known = state.messages().all(|message| message.id.bytes().is_some());
        let bytes: u64 = state.queues.iter().map(|queue| queue.bytes()).sum();
        let counts = [
            ("accounts", stats.accounts, accounts.len() as u64),
            ("queues", stats.queues, state.queues.len() as u64),
            ("messages", stats.messages, state.messages().count() as u64),
            ("hidden", stats.hidden, hidden as u64),
            (
                "bytes",
                stats.bytes,
                if lengths_known { bytes } else { stats.bytes },
            ),
            ("waiters", stats.waiters, self.model.waiting() as u64),
            ("replies", stats.replies, self.outstanding.len() as u64),
            ("last_sequence", stats.last_sequence, self.polled),
            ("durable_sequence", stats.durable_sequence, self.confirmed),
            (
                "markers",
                stats.markers,
                stats.markers.min(self.profile.config.limits.max_markers),
            ),
        ];
        match counts
            .iter()
            .find(|(_, actual, expected)| actual != expected)
        {
            Some((name, actual, expected)) => Err(format!(
                "stats: {name} is {actual}, expected {expected}; all: {stats:?}"
            )),
            None => Ok(()),
        }
    }
}

fn brief(outcome: &Outcome) -> String {
    match outcome {
        Ok(burrow_core::Reply::Messages(list)) => {
            let first: Vec<_> = list.iter().take(20).collect();
            format!("{} messages: {first:?}", list.matched())
        }
        other => format!("{other:?}"),
    }
}
