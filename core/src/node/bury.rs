//! Messages that were claimed as often as their queue allows go to its dead-letter queue.
//!
//! A claim may come across any number of them, and each is written anew. So in one instant
//! only so many of a queue's messages move; those that are known to follow do in the instants
//! after it, in which nobody can claim them either. A host that comes late has missed many
//! instants: a call makes up for a few of them, and the next ones for the others.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Node;
use crate::config::{BURIAL_BYTES, BURIAL_INSTANTS, MAX_ID_BYTES};
use crate::journal::change::StoredMessage;
use crate::journal::piece::Moved;
use crate::state::{MAX_BLOCKS, Numbered, Place, fence_of, id_of};

/// What is under way, by the queue's number.
#[derive(Debug, Default)]
pub(super) struct Burials(Numbered<Burial>);

#[derive(Debug, Default)]
struct Burial {
    /// The instant that the counts are about.
    at: u64,
    messages: u64,
    bytes: u64,
    /// Positions of messages for which there was no more room in that instant.
    rest: VecDeque<u64>,
}

impl Burials {
    /// The next instant in which messages are to move.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        let burials = self.0.iter_from(0);
        let waiting = burials.filter(|(_, burial)| !burial.rest.is_empty());
        waiting.map(|(_, burial)| burial.at.saturating_add(1)).min()
    }

    /// The queues of which messages are to move at this instant.
    fn due(&self, at: u64) -> impl Iterator<Item = u64> {
        let burials = self.0.iter_from(0);
        let due = burials.filter(move |(_, burial)| !burial.rest.is_empty() && burial.at < at);
        due.map(|(number, _)| number)
    }

    pub(super) fn forget(&mut self, queue: u64) {
        self.0.remove(queue);
    }

    /// Forgets those with nothing to move, and another instant than this.
    fn keep(&mut self, at: u64) {
        let over: Vec<u64> = self
            .0
            .iter_from(0)
            .filter(|(_, burial)| burial.at != at && burial.rest.is_empty())
            .map(|(number, _)| number)
            .collect();
        for number in over {
            self.0.remove(number);
        }
    }
}

impl Burial {
    /// Begins the instant `at`, if it has not begun.
    fn begin(&mut self, at: u64) {
        if self.at != at {
            (self.at, self.messages, self.bytes) = (at, 0, 0);
        }
    }

    fn is_full(&self, max_messages: u64) -> bool {
        self.messages >= max_messages || self.bytes >= BURIAL_BYTES
    }
}

impl Node {
    /// True if messages of the queue are to move in the next instant: then this one's share
    /// is used up.
    pub(super) fn has_burials_due(&self, queue: u32) -> bool {
        let number = self.state.queue(queue).number;
        let burial = self.burials.0.get(number);
        burial.is_some_and(|burial| !burial.rest.is_empty())
    }

    /// Moves exhausted messages of a queue that has none to move already: as many as this
    /// instant still allows, and the others later.
    pub(super) fn bury_exhausted(&mut self, queue: u32, positions: Vec<u64>) {
        if positions.is_empty() {
            return;
        }
        let number = self.state.queue(queue).number;
        let mut burial = self.burials.0.remove(number).unwrap_or_default();
        burial.begin(self.state.clock);
        burial.rest = positions.into();
        self.bury_some(queue, &mut burial);
        self.burials.0.insert(number, *burial);
    }

    /// Moves what is due by the present, instant by instant, and in each queue by queue: the
    /// shares of a few instants. Of what is left the deadline tells.
    pub(super) fn bury_due(&mut self) {
        if self.burials.0.is_empty() {
            return;
        }
        let clock = self.state.clock;
        for _ in 0..BURIAL_INSTANTS {
            let Some(at) = self.burials.next_deadline().filter(|&at| at <= clock) else {
                break;
            };
            let due: Vec<u64> = self.burials.due(at).collect();
            for number in due {
                self.bury_at(number, at);
            }
        }
        self.burials.keep(clock);
    }

    /// Moves the share of a queue at the instant `at`.
    fn bury_at(&mut self, number: u64, at: u64) {
        let Some(mut burial) = self.burials.0.remove(number) else {
            return;
        };
        let Some(&queue) = self.state.by_number.get(&number) else {
            return;
        };
        burial.begin(at);
        self.bury_some(queue, &mut burial);
        if burial.rest.is_empty() {
            // Who waits may have met others meanwhile.
            self.wake(queue);
        }
        self.burials.0.insert(number, *burial);
    }

    /// Moves as many as the instant still allows. What cannot be claimed any more for another
    /// reason is passed over.
    fn bury_some(&mut self, queue: u32, burial: &mut Burial) {
        let mut positions = Vec::new();
        while !burial.is_full(self.config.burials_at_once.max(1))
            && let Some(position) = burial.rest.pop_front()
        {
            let place = self.state.locate(queue, position);
            if let Some(place) = place.filter(|&place| self.is_exhausted(queue, place)) {
                burial.messages += 1;
                burial.bytes += self.state.view(place).size();
                positions.push(position);
            }
        }
        self.bury(queue, &positions);
    }

    /// Those that may not be claimed once more, and the others, `left` at the most; those
    /// behind the last of these are in neither.
    pub(super) fn split_exhausted(
        &self,
        queue: u32,
        found: Vec<Place>,
        left: u64,
    ) -> (Vec<Place>, Vec<Place>) {
        let settings = self.state.queue(queue).settings.as_deref();
        if settings.is_none_or(|settings| settings.max_attempts().is_none()) {
            return (Vec::new(), found);
        }
        let (mut exhausted, mut others) = (Vec::new(), Vec::new());
        for place in found {
            if others.len() as u64 == left {
                break;
            }
            if self.is_exhausted(queue, place) {
                exhausted.push(place);
            } else {
                others.push(place);
            }
        }
        (exhausted, others)
    }

    fn is_exhausted(&self, queue: u32, place: Place) -> bool {
        let settings = self.state.queue(queue).settings.as_deref();
        let max_attempts = settings.and_then(|settings| settings.max_attempts());
        max_attempts.is_some_and(|max_attempts| {
            self.state.is_visible(place) && self.state.view(place).attempts >= max_attempts
        })
    }

    /// Moves messages, given by position, to the dead-letter queue. It takes them whatever
    /// its limits: within an account, nothing is added but the queue itself.
    fn bury(&mut self, queue: u32, positions: &[u64]) {
        // Where memory cannot even be addressed they stay, and nobody can claim them.
        let has_room = self.state.block_count() + positions.len() + 2 <= MAX_BLOCKS;
        if positions.is_empty() || !has_room {
            return;
        }
        let settings = self.state.queue(queue).settings.as_deref();
        let Some(name) = settings.and_then(|settings| settings.dead_letter()) else {
            return;
        };
        let name = Box::<str>::from(name);
        let account = self.state.account_of(queue).name.clone();
        let target = self.open_unlimited(&account, &name);
        for &position in positions {
            let Some(place) = self.state.locate(queue, position) else {
                continue;
            };
            let view = self.state.view(place);
            let (id, body, content_type, fence) = (
                view.id.to_vec(),
                view.body.to_vec(),
                view.content_type.map(<[u8]>::to_vec),
                view.fence,
            );
            let message = StoredMessage {
                id: &id,
                body: &body,
                content_type: content_type.as_deref(),
                expires_at: view.expires_at,
                visible_at: 0,
            };
            let fence = match fence {
                0 => self.state.take_id_stamp(),
                claimed => claimed,
            };
            let fence = fence_of(fence, self.state.queue(queue).name.as_bytes());
            self.put_letter(target, &message, fence);
        }
        self.remove(queue, positions);
        self.wake(target);
    }

    /// Puts a dead letter, which keeps a fence: with no attempt beside it, that tells it from all others.
    fn put_letter(&mut self, queue: u32, message: &StoredMessage<'_>, fence: u64) {
        // It was a message until now, so it has not come before.
        let Some(id) = self.letter_id(Some(queue), message, fence, false) else {
            return;
        };
        let letter = Moved {
            message: *message,
            attempts: 0,
            fence,
        };
        self.put_moved(queue, &id, &letter);
    }

    /// The id that a dead letter has in a queue: its own, or one that tells its own if that
    /// is taken, since it must not take the place of another message. `None` if it may have come before, and is there.
    pub(super) fn letter_id<'a>(
        &self,
        queue: Option<u32>,
        letter: &StoredMessage<'a>,
        fence: u64,
        may_be_there: bool,
    ) -> Option<Cow<'a, [u8]>> {
        let mut id = Cow::Borrowed(letter.id);
        let mut tried = 0;
        while let Some(place) = queue.and_then(|queue| self.state.find_message(queue, &id)) {
            let there = self.state.view(place);
            let is_same = there.fence == fence
                && there.body == letter.body
                && there.content_type == letter.content_type;
            if may_be_there && is_same {
                return None;
            }
            id = Cow::Owned(other_id(letter.id, fence, tried));
            tried += 1;
        }
        Some(id)
    }
}

/// An id made of another one, as much of it as there is room for, and of what is unique.
fn other_id(id: &[u8], fence: u64, tried: u64) -> Vec<u8> {
    let mut suffix = format!("-{}", id_of(fence));
    if tried > 0 {
        suffix.push_str(&format!("-{tried}"));
    }
    let mut other = String::from(core::str::from_utf8(id).unwrap_or_default());
    other.truncate(other.floor_char_boundary(MAX_ID_BYTES - suffix.len()));
    other.push_str(&suffix);
    other.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_made_of_another_one_is_never_too_long() {
        let made = |id: &str, tried| String::from_utf8(other_id(id.as_bytes(), 0xab, tried));
        assert_eq!(made("m", 0).unwrap(), "m-00000000000000ab");
        assert_eq!(made("m", 7).unwrap(), "m-00000000000000ab-7");
        let longest = made(&"é".repeat(127), 0).unwrap();
        assert_eq!(longest, format!("{}-00000000000000ab", "é".repeat(119)));
        assert_eq!(made(&"x".repeat(255), 0).unwrap().len(), MAX_ID_BYTES);
    }
}
