//! Commands on the messages of a queue that match: list, update (and claim), delete.

use burrow_core::{Command, Detail, ENTRY_BYTES, Refusal, Selection, Ticket, Update};

use super::state::{Claim, Message, Name};
use super::waiting::Waiter;
use super::{Expected, Model, Scope, Shown};

#[derive(Clone, Debug)]
pub(crate) enum Deed {
    List,
    Update(Update),
    Delete,
}

/// A command on the messages that match, its marker resolved to a position.
#[derive(Clone, Debug)]
pub(crate) struct Bulk {
    pub(crate) name: Name,
    pub(crate) deed: Deed,
    pub(crate) after: Option<u64>,
    pub(crate) limit: u64,
    pub(crate) match_hidden: bool,
    pub(crate) detail: Detail,
}

/// What a bulk command meets, by places in the list and in the queue's order.
struct Matching {
    matched: Vec<usize>,
    /// What a claim passes over, as it had all its attempts.
    dead: Vec<usize>,
    /// There is no room in the answer for others that match.
    has_more: bool,
}

/// What a bulk command did, matched or not.
pub(crate) struct Done {
    pub(crate) outcome: Result<Expected, Refusal>,
    pub(crate) claims: Vec<Claim>,
    /// Messages went to the dead-letter queue.
    pub(crate) moved: bool,
}

impl Bulk {
    /// A claim counts attempts, of messages that are visible.
    fn claims(&self, message: &Message, now: u64) -> bool {
        let hides = matches!(
            self.deed,
            Deed::Update(Update {
                hide_ms: Some(1..),
                ..
            })
        );
        hides && !message.hidden(now)
    }
}

impl Model {
    /// The command as a bulk command with its wait, if it is one.
    pub(super) fn bulk_of(&mut self, command: &Command<'static>) -> Option<(Bulk, u64)> {
        let (queue, selection, wait_ms, detail, deed) = match command {
            Command::ListMessages {
                queue,
                selection,
                wait_ms,
                detail,
            } => (queue, selection, wait_ms, detail, Deed::List),
            Command::UpdateMessages {
                queue,
                selection,
                update,
                wait_ms,
                detail,
            } => (queue, selection, wait_ms, detail, Deed::Update(*update)),
            Command::DeleteMessages {
                queue,
                selection,
                wait_ms,
                detail,
            } => (queue, selection, wait_ms, detail, Deed::Delete),
            _ => return None,
        };
        let Selection {
            marker,
            limit,
            match_hidden,
        } = selection;
        let name = Name::of(queue);
        let after = marker
            .as_ref()
            .and_then(|marker| self.state.resolve(&name, marker));
        let alive = marker
            .as_ref()
            .is_some_and(|marker| self.state.is_alive(&name, marker));
        self.events.push((
            "markers of messages that are gone",
            usize::from(after.is_some() && !alive),
        ));
        let limit = limit.unwrap_or(u64::MAX);
        Some((
            Bulk {
                name,
                deed,
                after,
                limit,
                match_hidden: *match_hidden,
                detail: *detail,
            },
            *wait_ms,
        ))
    }

    pub(super) fn submit_bulk(&mut self, bulk: Bulk, wait_ms: u64, ticket: Ticket) {
        let done = self.run(&bulk);
        let scope = Scope::Queue(bulk.name.clone());
        let refusal = match done.outcome {
            Ok(expected) => return self.answer(ticket, expected, scope, done.claims),
            Err(refusal) => refusal,
        };
        let refusals = if wait_ms == 0 {
            vec![refusal]
        } else {
            self.no_room_to_wait(&bulk.name)
        };
        if refusals.is_empty() {
            self.waiters.push(Waiter {
                ticket,
                bulk,
                deadline: self.state.now + wait_ms,
            });
        } else {
            self.answer(ticket, Expected::Refused(refusals), scope, Vec::new());
        }
    }

    /// Carries the command out on what matches now.
    pub(super) fn run(&mut self, bulk: &Bulk) -> Done {
        let now = self.state.now;
        let index = match self.state.lookup(&bulk.name) {
            Ok(index) => index,
            Err(refusal) => {
                return Done {
                    outcome: Err(refusal),
                    claims: Vec::new(),
                    moved: false,
                };
            }
        };
        let Matching {
            matched,
            dead,
            has_more,
        } = self.matching(index, bulk);
        let mut claims = Vec::new();
        let mut shown = Vec::new();
        let touched = self.state.touched.len();
        for &at in &matched {
            let message = &self.state.queues[index].messages[at];
            let Deed::Update(update) = bulk.deed else {
                shown.push(Shown::of(message, now, None));
                continue;
            };
            let claim = bulk.claims(message, now).then(Claim::default);
            let before = message.expires_at;
            self.set_times(index, at, &update);
            let after = self.state.queues[index].messages[at].expires_at;
            let times = update.ttl_ms.map(|_| (after, before));
            let claim = claim.map(|claim| Claim { times, ..claim });
            if let Some(claim) = &claim {
                let message = &mut self.state.change(index).messages[at];
                message.attempts += 1;
                message.claim = Some(claim.clone());
                claims.push(claim.clone());
            }
            let message = &self.state.queues[index].messages[at];
            shown.push(Shown::of(message, now, claim));
        }
        let ttl_stays = matches!(bulk.deed, Deed::Update(Update { ttl_ms: None, .. }));
        let is_deferred = self.config.journal.claim_delay_ms > 0;
        if is_deferred && ttl_stays && claims.len() == matched.len() {
            // The claims need not be stored before they are answered.
            self.state.touched.truncate(touched);
        }
        let positions = |list: &[usize]| -> Vec<u64> {
            list.iter()
                .map(|&at| self.state.queues[index].messages[at].position)
                .collect()
        };
        let (matched, dead) = (positions(&matched), positions(&dead));
        if matches!(bulk.deed, Deed::Delete) {
            self.state
                .remove(index, |message| matched.contains(&message.position));
            self.state.drop_empty();
        }
        self.events
            .push(("answers that are full", usize::from(has_more)));
        let moved = self.bury_exhausted(index, dead);
        let list = Expected::Messages {
            name: bulk.name.clone(),
            detail: bulk.detail,
            shown,
            has_more,
        };
        let outcome = if matched.is_empty() {
            Err(Refusal::MessageNotFound)
        } else {
            Ok(list)
        };
        Done {
            outcome,
            claims,
            moved,
        }
    }

    fn matching(&self, index: usize, bulk: &Bulk) -> Matching {
        let now = self.state.now;
        let queue = &self.state.queues[index];
        let most = queue
            .settings
            .as_ref()
            .and_then(|settings| settings.max_attempts);
        let mut order: Vec<usize> = (0..queue.messages.len()).collect();
        if queue.lifo() {
            order.reverse();
        }
        let (mut matched, mut dead) = (Vec::new(), Vec::new());
        let mut has_more = false;
        let mut shown_bytes = 0;
        for at in order {
            let message = &queue.messages[at];
            let before = |after| {
                if queue.lifo() {
                    message.position >= after
                } else {
                    message.position <= after
                }
            };
            let is_full = shown_bytes >= self.config.limits.max_answer_bytes;
            if matched.len() as u64 == bulk.limit {
                break;
            }
            if bulk.after.is_some_and(before) || (message.hidden(now) && !bulk.match_hidden) {
                continue;
            }
            if is_full {
                has_more = true;
                break;
            }
            if bulk.claims(message, now) && most.is_some_and(|most| message.attempts >= most) {
                dead.push(at);
            } else {
                matched.push(at);
                shown_bytes += shown_size(message, bulk.detail);
            }
        }
        Matching {
            matched,
            dead,
            has_more,
        }
    }

    /// The instant from which the command would match if nothing but time changed.
    pub(super) fn matches_at(&self, bulk: &Bulk) -> Option<u64> {
        let index = self.state.index(&bulk.name)?;
        let queue = &self.state.queues[index];
        let most = queue
            .settings
            .as_ref()
            .and_then(|settings| settings.max_attempts);
        let reached = |message: &&Message| match bulk.after {
            Some(after) if queue.lifo() => message.position < after,
            Some(after) => message.position > after,
            None => true,
        };
        let counts = |message: &&Message| {
            let alive = message.expires_at.is_none_or(|at| at > message.visible_at);
            let dead = bulk.claims(message, message.visible_at)
                && most.is_some_and(|most| message.attempts >= most);
            alive && !dead
        };
        queue
            .messages
            .iter()
            .filter(reached)
            .filter(counts)
            .map(|message| message.visible_at)
            .min()
    }
}

/// What a message counts in an answer.
fn shown_size(message: &Message, detail: Detail) -> u64 {
    let content_type = message.content_type.as_deref().map_or(0, str::len);
    // Ids that the machine gives are only met where answers have no limit.
    let id = message.id.bytes().unwrap_or(0);
    let bytes = match detail {
        Detail::None => return 0,
        Detail::Id | Detail::Attributes => id,
        Detail::Body | Detail::All => id + message.body.len() + content_type,
    };
    bytes as u64 + ENTRY_BYTES
}
