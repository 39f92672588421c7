//! Commands that take what matches: list, update, claim, delete.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::replies::Claimed;
use super::undo::Former;
use super::{Node, check};
use crate::command::{Detail, Update};
use crate::config::{ENTRY_BYTES, MAX_CONTENT_TYPE_BYTES};
use crate::journal::change::Change;
use crate::refusal::Refusal;
use crate::reply::{Entry, MessageList};
use crate::state::{NEVER, Place};
use crate::token::ClaimToken;

/// A search as it waits: its marker is a position by now.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) after: Option<u64>,
    pub(super) limit: Option<u64>,
    pub(super) match_hidden: bool,
    pub(super) action: Action,
    pub(super) detail: Detail,
}

/// What becomes of the messages that match.
#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    List,
    Update(Update),
    Delete,
}

impl Action {
    pub(super) fn check(&self) -> Result<(), Refusal> {
        match self {
            Self::Update(update) => check::update(update),
            Self::List | Self::Delete => Ok(()),
        }
    }
}

/// Room is made in advance for an answer of this size, at the most.
const MOST_RESERVED_BYTES: u64 = 1 << 20;

/// Messages that a claim looks at at a time once it has met some that it may not claim.
const PASSED_AT_A_TIME: u64 = 64;

type Found = (MessageList, Option<Claimed>);

impl Node {
    /// Does a search on a queue; `None` if nothing matched.
    pub(super) fn run_on(&mut self, queue: u32, search: &Search) -> Option<Found> {
        match search.action {
            Action::Update(update) if update.hide_ms.is_some_and(|hide_ms| hide_ms > 0) => {
                self.claim(queue, search, update)
            }
            Action::List => {
                let found = self.select(queue, search.after, search, &MessageList::default())?;
                Some((self.describe_all(queue, &found, search), None))
            }
            Action::Update(update) => {
                let found = self.select(queue, search.after, search, &MessageList::default())?;
                self.update_places(queue, &found, update);
                Some((self.describe_all(queue, &found, search), None))
            }
            Action::Delete => {
                let found = self.select(queue, search.after, search, &MessageList::default())?;
                let list = self.describe_all(queue, &found, search);
                self.remove(queue, &self.positions(&found));
                self.close_if_idle(queue, false);
                Some((list, None))
            }
        }
    }

    /// What matches strictly behind `after` and still fits into the answer beside what is
    /// in `list`; `None` if there is nothing.
    fn select(
        &self,
        queue: u32,
        after: Option<u64>,
        search: &Search,
        list: &MessageList,
    ) -> Option<Vec<Place>> {
        let mut limit = search.limit.map(|limit| limit - list.matched);
        let mut room = self.config.limits.max_answer_bytes;
        if search.detail != Detail::None {
            room = room.saturating_sub(list.size());
            let most = room.div_ceil(ENTRY_BYTES);
            limit = Some(limit.map_or(most, |limit| limit.min(most)));
        }
        if limit == Some(0) {
            return None;
        }
        let mut found = self.state.select(queue, after, limit, search.match_hidden);
        if !self.surely_fits(queue, found.len(), search.detail, room) {
            let fitting = found.iter().take_while(|&&place| {
                let fits = room > 0;
                room = room.saturating_sub(self.shown_bytes(place, search.detail));
                fits
            });
            let count = fitting.count();
            found.truncate(count);
        }
        (!found.is_empty()).then_some(found)
    }

    /// Whether so many messages of the queue fit, whichever they are: to look at each one
    /// would cost as much as to describe it.
    fn surely_fits(&self, queue: u32, count: usize, detail: Detail, room: u64) -> bool {
        let beside = ENTRY_BYTES + MAX_CONTENT_TYPE_BYTES as u64;
        let bytes = (count as u64).saturating_mul(beside);
        detail == Detail::None || self.state.queue(queue).bytes.saturating_add(bytes) <= room
    }

    fn shown_bytes(&self, place: Place, detail: Detail) -> u64 {
        let view = self.state.view(place);
        let mut bytes = view.id.len();
        if detail.has_body() {
            bytes += view.body.len() + view.content_type.map_or(0, <[u8]>::len);
        }
        ENTRY_BYTES + bytes as u64
    }

    /// An update that hides: visible messages are claimed, or given up if they were claimed
    /// too often; hidden ones get the new times.
    fn claim(&mut self, queue: u32, search: &Search, update: Update) -> Option<Found> {
        let mut list = MessageList::default();
        let mut claims: Vec<(u64, u64)> = Vec::new();
        let mut former: Option<Former> = None;
        let mut exhausted: Vec<u64> = Vec::new();
        let keeps_exhausted = !self.has_burials_due(queue);
        let asked = search;
        let mut search = asked.clone();
        let limit = asked.limit;
        while let Some(found) = self.select(queue, search.after, &search, &list) {
            let Some(&last) = found.last() else { break };
            search.after = Some(self.state.position(last));
            let left = limit.map_or(u64::MAX, |limit| limit - list.matched);
            let (passed_over, found) = self.split_exhausted(queue, found, left);
            match (&mut former, self.former(&found, update)) {
                (Some(former), Some(more)) => former.append(more),
                (former, more) => *former = more,
            }
            let made = self.hide(queue, &found, update);
            self.describe_claimed(&mut list, &found, &made, search.detail);
            if claims.is_empty() {
                claims = made;
            } else {
                claims.extend(made);
            }
            let is_done = passed_over.is_empty() || Some(list.matched) == limit;
            if keeps_exhausted {
                exhausted.extend(self.positions(&passed_over));
            }
            if is_done {
                break;
            }
            // There may be many of them: not one by one.
            search.limit = limit.map(|limit| limit.max(list.matched + PASSED_AT_A_TIME));
        }
        list.has_more = self.is_cut(queue, search.after, asked, &list);
        // Burying last: it may move what the places name.
        self.bury_exhausted(queue, exhausted);
        if list.matched == 0 {
            return None;
        }
        let number = self.state.queue(queue).number;
        let claimed = (!claims.is_empty()).then_some(Claimed {
            queue: number,
            messages: claims,
            former,
        });
        Some((list, claimed))
    }

    /// Hides messages. Those that were visible are claimed: the position and the fence of each.
    fn hide(&mut self, queue: u32, found: &[Place], update: Update) -> Vec<(u64, u64)> {
        let visible_at = self.state.clock + update.hide_ms.unwrap_or(0);
        let is_visible = |&place: &Place| self.state.is_visible(place);
        let visible: Cow<'_, [Place]> = if found.iter().all(is_visible) {
            found.into()
        } else {
            let (visible, hidden): (Vec<Place>, Vec<Place>) =
                found.iter().partition(|place| is_visible(place));
            self.update_places(queue, &hidden, update);
            visible.into()
        };
        if visible.is_empty() {
            return Vec::new();
        }
        let claimed = self.positions(&visible);
        let fence = self.state.next_stamp();
        let claims = claimed.iter().copied().zip(fence..).collect();
        self.apply_claim(&Change::Claimed {
            queue,
            visible_at,
            fence,
            positions: claimed.into(),
        });
        self.update_places(
            queue,
            &visible,
            Update {
                hide_ms: None,
                ..update
            },
        );
        claims
    }

    fn describe_all(&self, queue: u32, found: &[Place], search: &Search) -> MessageList {
        let mut list = MessageList::default();
        self.describe_claimed(&mut list, found, &[], search.detail);
        let last = found.last().map(|&last| self.state.position(last));
        list.has_more = self.is_cut(queue, last, search, &list);
        list
    }

    /// True if the answer ends behind the position `last` only because it is full.
    fn is_cut(&self, queue: u32, last: Option<u64>, search: &Search, list: &MessageList) -> bool {
        search.detail != Detail::None
            && list.size() >= self.config.limits.max_answer_bytes
            && search.limit.is_none_or(|limit| list.matched < limit)
            && !self
                .state
                .select(queue, last, Some(1), search.match_hidden)
                .is_empty()
    }

    /// Adds messages to a list, with the claims that were made on them, in the same order.
    fn describe_claimed(
        &self,
        list: &mut MessageList,
        found: &[Place],
        claims: &[(u64, u64)],
        detail: Detail,
    ) {
        if detail != Detail::None
            && let Some(&first) = found.first()
        {
            list.entries.reserve(found.len());
            // As if all were like the first.
            let bytes = self.shown_bytes(first, detail) - ENTRY_BYTES;
            let bytes = bytes.saturating_mul(found.len() as u64);
            list.bytes
                .reserve(usize::try_from(bytes.min(MOST_RESERVED_BYTES)).unwrap_or(0));
        }
        let mut claims = claims.iter();
        let mut next = claims.next();
        for &place in found {
            let mut claim = None;
            if let Some(&(position, fence)) = next
                && self.state.position(place) == position
            {
                claim = Some(ClaimToken { fence });
                next = claims.next();
            }
            self.describe(list, place, detail, claim);
        }
    }

    /// Adds a message to a list, as far as `detail` asks.
    pub(super) fn describe(
        &self,
        list: &mut MessageList,
        place: Place,
        detail: Detail,
        claim: Option<ClaimToken>,
    ) {
        list.matched += 1;
        if detail == Detail::None {
            return;
        }
        let view = self.state.view(place);
        let mut keep = |bytes: &[u8]| {
            let start = list.bytes.len();
            list.bytes.extend_from_slice(bytes);
            start..list.bytes.len()
        };
        let has_body = detail.has_body();
        list.entries.push(Entry {
            id: keep(view.id),
            content_type: view.content_type.filter(|_| has_body).map(&mut keep),
            body: if has_body { keep(view.body) } else { 0..0 },
            ttl_ms: if view.expires_at == NEVER {
                0
            } else {
                view.expires_at.saturating_sub(self.state.clock)
            },
            hide_ms: view.visible_at.saturating_sub(self.state.clock),
            attempts: view.attempts,
            claim,
        });
    }
}
