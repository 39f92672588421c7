//! Messages that had all their attempts move to dead-letter queues: of each queue so many in
//! one instant, the others in the next ones.

use std::rc::Rc;

use burrow_core::{BURIAL_BYTES, BURIAL_INSTANTS};

use super::Model;
use super::state::{Message, Name, Queue};

/// What moves from one queue.
#[derive(Clone, Debug)]
pub(crate) struct Burial {
    /// The queue's number.
    queue: u64,
    /// The latest instant in which messages moved, how many, and their bytes.
    at: u64,
    messages: u64,
    bytes: u64,
    /// Positions of those that follow.
    rest: Vec<u64>,
}

impl Burial {
    fn is_over(&self, now: u64) -> bool {
        self.rest.is_empty() && self.at < now
    }
}

impl Model {
    /// When the next dead letters move.
    pub(super) fn burials_at(&self) -> Option<u64> {
        let exists = |burial: &&Burial| {
            let queues = &self.state.queues;
            queues.iter().any(|queue| queue.number == burial.queue)
        };
        let waiting = self.burials.iter().filter(|burial| !burial.rest.is_empty());
        waiting.filter(exists).map(|burial| burial.at + 1).min()
    }

    /// Moves exhausted messages, or has them follow. True if one moved at once.
    pub(super) fn bury_exhausted(&mut self, index: usize, dead: Vec<u64>) -> bool {
        let now = self.state.now;
        if dead.is_empty() {
            return false;
        }
        let queue = self.state.queues[index].number;
        let found = self.burials.iter().position(|burial| burial.queue == queue);
        let mut burial = match found {
            Some(at) => self.burials.remove(at),
            None => Burial {
                queue,
                at: now,
                messages: 0,
                bytes: 0,
                rest: Vec::new(),
            },
        };
        let mut moved = false;
        if burial.rest.is_empty() {
            burial.rest = dead;
            moved = self.bury_some(&mut burial) > 0;
        }
        self.burials.push(burial);
        moved
    }

    /// True if dead letters are left of instants that were missed.
    pub(crate) fn is_behind(&self) -> bool {
        self.burials_at().is_some_and(|at| at <= self.state.now)
    }

    /// Moves what is due, each at its instant, the oldest queue's first: that of a few instants.
    pub(super) fn bury_due(&mut self) {
        let now = self.state.now;
        let queues = &self.state.queues;
        self.burials
            .retain(|burial| queues.iter().any(|queue| queue.number == burial.queue));
        self.burials.sort_by_key(|burial| burial.queue);
        for _ in 0..BURIAL_INSTANTS {
            let waiting = self.burials.iter().filter(|burial| !burial.rest.is_empty());
            let Some(at) = waiting.map(|burial| burial.at + 1).min() else {
                break;
            };
            if at > now {
                break;
            }
            for mut burial in std::mem::take(&mut self.burials) {
                if !burial.rest.is_empty() && burial.at < at {
                    (burial.at, burial.messages, burial.bytes) = (at, 0, 0);
                    self.bury_some(&mut burial);
                }
                self.burials.push(burial);
            }
        }
        let left = usize::from(self.is_behind());
        self.events
            .push(("dead letters left by a call that was late", left));
        let queues = &self.state.queues;
        self.burials.retain(|burial| {
            let exists = queues.iter().any(|queue| queue.number == burial.queue);
            exists && !burial.is_over(now)
        });
    }

    fn bury_some(&mut self, burial: &mut Burial) -> usize {
        let now = self.state.now;
        let mut moved = 0;
        while !burial.rest.is_empty()
            && burial.messages < self.config.burials_at_once
            && burial.bytes < BURIAL_BYTES
        {
            let position = burial.rest.remove(0);
            let queues = &self.state.queues;
            let Some(index) = queues.iter().position(|queue| queue.number == burial.queue) else {
                continue;
            };
            let queue = Rc::clone(&self.state.queues[index]);
            let is_dead = |message: &Message| {
                message.position == position && is_exhausted(&queue, message, now)
            };
            for message in self.state.remove(index, is_dead) {
                burial.messages += 1;
                burial.bytes += message.bytes();
                moved += 1;
                self.bury_alive(index, message);
            }
        }
        self.events.push(("dead letters", moved));
        let is_delayed = !burial.rest.is_empty();
        self.events
            .push(("dead letters that follow later", usize::from(is_delayed)));
        moved
    }

    /// Puts a message into the dead-letter queue of its queue, and replaces none there.
    fn bury_alive(&mut self, index: usize, message: Message) {
        let queue = &self.state.queues[index];
        let settings = queue.settings.clone().unwrap_or_default();
        let target = Name {
            account: queue.name.account.clone(),
            queue: Rc::from(settings.dead_letter.unwrap_or_default()),
        };
        let target = self.state.open(&target);
        let others = &self.state.queues[target].messages;
        let is_taken = others.iter().any(|other| other.id.same(&message.id));
        self.events
            .push(("dead letters whose id is taken", usize::from(is_taken)));
        let id = if is_taken {
            message.id.other()
        } else {
            message.id.clone()
        };
        let dead = Message {
            id,
            visible_at: 0,
            attempts: 0,
            claim: None,
            ..message
        };
        self.place(target, dead);
    }
}

/// True if a claim passes the message over as it had all its attempts.
pub(super) fn is_exhausted(queue: &Queue, message: &Message, now: u64) -> bool {
    let settings = queue.settings.as_ref();
    let most = settings.and_then(|settings| settings.max_attempts);
    !message.hidden(now) && most.is_some_and(|most| message.attempts >= most)
}
