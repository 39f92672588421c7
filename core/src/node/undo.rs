//! Claims whose reply nobody came for.

use alloc::vec::Vec;

use super::Node;
use super::replies::Claimed;
use crate::command::Update;
use crate::journal::change::Change;
use crate::sort::sort;
use crate::state::{NEVER, Place};

/// The times that a claim took from its messages.
#[derive(Debug)]
pub(super) struct Former {
    /// When the messages expire since the claim.
    given: u64,
    /// When each would have expired without it.
    expires_at: Vec<u64>,
}

impl Former {
    pub(super) fn append(&mut self, mut other: Self) {
        self.expires_at.append(&mut other.expires_at);
    }
}

impl Node {
    /// What is to be known of messages that are about to be claimed, to undo it; nothing if
    /// the claim leaves them the time that they have.
    pub(super) fn former(&self, found: &[Place], update: Update) -> Option<Former> {
        let given = match update.ttl_ms? {
            0 => NEVER,
            ttl_ms => self.state.clock + ttl_ms,
        };
        let visible = found.iter().filter(|&&place| self.state.is_visible(place));
        let expires_at = visible.map(|&place| self.state.view(place).expires_at);
        Some(Former {
            given,
            expires_at: expires_at.collect(),
        })
    }

    /// Makes messages visible that were claimed for somebody who went away, and gives back
    /// the time that the claim took from them or gave them.
    pub(super) fn undo_claim(&mut self, claimed: &Claimed) {
        let Some(&queue) = self.state.by_number.get(&claimed.queue) else {
            return;
        };
        let mut positions = Vec::new();
        let mut former: Vec<(u64, u64)> = Vec::new();
        for (index, &(position, fence)) in claimed.messages.iter().enumerate() {
            let place = self.state.locate(queue, position);
            let Some(place) = place.filter(|&place| self.state.fence(place) == fence) else {
                continue;
            };
            positions.push(position);
            if let Some(known) = &claimed.former
                && let Some(&expires_at) = known.expires_at.get(index)
                && self.state.view(place).expires_at == known.given
            {
                former.push((expires_at, position));
            }
        }
        if positions.is_empty() {
            return;
        }
        self.apply(&Change::Unclaimed {
            queue,
            positions: positions.into(),
        });
        sort(&mut former);
        for same in former.chunk_by(|a, b| a.0 == b.0) {
            let positions = same.iter().map(|&(_, position)| position).collect();
            self.give_back(
                queue,
                same.first().map_or(NEVER, |first| first.0),
                positions,
            );
        }
        self.wake(queue);
        self.close_if_idle(queue, false);
    }

    fn give_back(&mut self, queue: u32, expires_at: u64, positions: Vec<u64>) {
        let positions = positions.into();
        self.apply(&if expires_at <= self.state.clock {
            Change::Removed { queue, positions }
        } else {
            Change::Updated {
                queue,
                expires_at: Some(expires_at),
                visible_at: None,
                positions,
            }
        });
    }
}
