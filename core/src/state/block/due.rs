//! What time brings about in a block: expiry, and the end of hiding.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Block;
use crate::state::NEVER;

/// Expiries that are found by one scan of a block.
const UPCOMING: usize = 64;

/// Instants, each with its slot.
#[derive(Debug)]
pub(super) struct Upcoming(Vec<(u64, u16)>);

impl Block {
    /// When the block wants to be looked at next.
    pub(crate) fn next_timer(&self) -> u64 {
        self.next_expiry.min(self.next_unhide)
    }

    /// A message that has expired by `now`, if there is one. Otherwise tells anew when the
    /// next one does. Finding one costs a fraction of a scan of the block.
    pub(crate) fn take_expired(&mut self, now: u64) -> Option<usize> {
        while self.next_expiry <= now {
            if self.upcoming.is_none() {
                self.find_upcoming();
            }
            let Some(upcoming) = &mut self.upcoming else {
                self.next_expiry = NEVER;
                break;
            };
            match upcoming.0.last() {
                None => self.upcoming = None,
                Some(&(expires_at, _)) if expires_at > now => self.next_expiry = expires_at,
                Some(&(expires_at, slot)) => {
                    upcoming.0.pop();
                    let slot = usize::from(slot);
                    if self.live.contains(slot) && self.expires_at(slot) == expires_at {
                        return Some(slot);
                    }
                }
            }
        }
        None
    }

    fn expires_at(&self, slot: usize) -> u64 {
        self.extras
            .get(slot)
            .map_or_else(|| self.record(slot).expires_at, |extra| extra.expires_at)
    }

    fn find_upcoming(&mut self) {
        // In order from the start: most often the next one expires later than all before it.
        let mut found = Vec::new();
        let mut next = self.live.first_from(0);
        while let Some(slot) = next {
            next = self.live.first_from(slot + 1);
            let expiry = (self.expires_at(slot), slot as u16);
            let is_late = found.len() == UPCOMING && found.last() < Some(&expiry);
            if expiry.0 == NEVER || is_late {
                continue;
            }
            found.truncate(UPCOMING - 1);
            found.insert(found.partition_point(|earlier| *earlier < expiry), expiry);
        }
        found.reverse();
        self.upcoming = Some(found)
            .filter(|found| !found.is_empty())
            .map(|found| Box::new(Upcoming(found)));
    }

    /// Makes every message visible whose hiding has ended by `now`; true if any was.
    pub(crate) fn unhide(&mut self, now: u64) -> bool {
        if self.next_unhide > now {
            return false;
        }
        self.next_unhide = NEVER;
        let mut any = false;
        for extra in self.extras.iter_mut() {
            if extra.visible_at == 0 {
                continue;
            }
            if extra.visible_at <= now {
                extra.visible_at = 0;
                self.visible.insert(usize::from(extra.slot));
                self.visible_count += 1;
                any = true;
            } else {
                self.next_unhide = self.next_unhide.min(extra.visible_at);
            }
        }
        any
    }

    /// A message expires at this instant, which is earlier or later than it was, or is new.
    pub(super) fn expect_expiry(&mut self, expires_at: u64) {
        self.next_expiry = self.next_expiry.min(expires_at);
        let latest = self
            .upcoming
            .as_ref()
            .and_then(|upcoming| upcoming.0.first());
        if latest.is_some_and(|&(latest, _)| expires_at < latest) {
            self.upcoming = None;
        }
    }
}
