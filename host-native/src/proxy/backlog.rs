//! Requests that a server does not take yet, as the bytes that it will be sent.

use std::collections::VecDeque;

/// So much room is kept when nothing waits.
const KEPT_BYTES: usize = 256 << 10;

/// Requests in the order of their ids, one behind the other in one buffer: as many as are let
/// out at a time are one piece of it.
#[derive(Default)]
pub(super) struct Backlog {
    bytes: Vec<u8>,
    /// Bytes at its beginning that were let out.
    gone_bytes: usize,
    /// The first is not dropped.
    requests: VecDeque<Request>,
    /// Bytes of the requests that are not dropped.
    waiting_bytes: usize,
}

struct Request {
    id: u64,
    bytes: usize,
    /// It was taken back. Its bytes stay where they are until it is their turn.
    is_dropped: bool,
}

impl Backlog {
    /// Bytes of all that waits.
    pub(super) fn bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// The id of the request that is let out next.
    pub(super) fn first_id(&self) -> Option<u64> {
        self.requests.front().map(|request| request.id)
    }

    /// Appends a request, whose id must be above all before. `put` appends its bytes, or fails
    /// and appends nothing.
    pub(super) fn push<E>(
        &mut self,
        id: u64,
        put: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.bytes.len();
        put(&mut self.bytes)?;
        let bytes = self.bytes.len() - start;
        self.waiting_bytes += bytes;
        self.requests.push_back(Request {
            id,
            bytes,
            is_dropped: false,
        });
        Ok(())
    }

    /// Appends the first requests to `out`, so many if there are as many, and tells how many.
    pub(super) fn let_out(&mut self, most: u32, out: &mut Vec<u8>) -> u32 {
        let mut count = 0;
        while count < most && !self.requests.is_empty() {
            // A piece goes up to the next request that was dropped.
            let start = self.gone_bytes;
            while count < most
                && let Some(request) = self.requests.pop_front_if(|request| !request.is_dropped)
            {
                self.gone_bytes += request.bytes;
                count += 1;
            }
            let piece = self.bytes.get(start..self.gone_bytes).unwrap_or_default();
            out.extend_from_slice(piece);
            self.waiting_bytes -= piece.len();
            self.skip_dropped();
        }
        self.make_room();
        count
    }

    /// Drops a request. False if it is not there.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        let place = self.requests.binary_search_by_key(&id, |own| own.id);
        let request = place.ok().and_then(|place| self.requests.get_mut(place));
        let Some(request) = request.filter(|request| !request.is_dropped) else {
            return false;
        };
        request.is_dropped = true;
        self.waiting_bytes -= request.bytes;
        self.skip_dropped();
        self.make_room();
        true
    }

    fn skip_dropped(&mut self) {
        while let Some(request) = self.requests.pop_front_if(|request| request.is_dropped) {
            self.gone_bytes += request.bytes;
        }
    }

    /// Frees the room of what is gone or dropped once it is as much as the rest.
    fn make_room(&mut self) {
        if self.requests.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES);
            self.gone_bytes = 0;
            return;
        }
        let present_bytes = self.bytes.len() - self.gone_bytes;
        if present_bytes - self.waiting_bytes > self.waiting_bytes {
            self.forget_dropped();
        } else if self.gone_bytes >= present_bytes {
            self.bytes.drain(..self.gone_bytes);
            self.gone_bytes = 0;
        }
    }

    fn forget_dropped(&mut self) {
        let mut kept = Vec::with_capacity(self.waiting_bytes);
        let mut start = self.gone_bytes;
        for request in &self.requests {
            let end = start + request.bytes;
            if !request.is_dropped {
                kept.extend_from_slice(self.bytes.get(start..end).unwrap_or_default());
            }
            start = end;
        }
        self.requests.retain(|request| !request.is_dropped);
        self.bytes = kept;
        self.gone_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(backlog: &mut Backlog, id: u64) {
        let bytes = vec![id as u8; 1 + id as usize % 5];
        let put = |out: &mut Vec<u8>| {
            out.extend_from_slice(&bytes);
            Ok::<_, ()>(())
        };
        backlog.push(id, put).unwrap();
    }

    #[test]
    fn what_is_refused_leaves_nothing() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.push(1, |_| Err(7)), Err(7));
        assert_eq!((backlog.bytes(), backlog.first_id()), (0, None));
    }

    /// Beside a list that does the same in the plainest way.
    #[test]
    fn requests_go_out_in_order_and_those_taken_back_do_not() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut backlog, mut plain, mut last) = (Backlog::default(), Vec::new(), 0);
            for _ in 0..300 {
                match random.u8(..8) {
                    0..4 => {
                        last += 1;
                        push(&mut backlog, last);
                        plain.push(last);
                    }
                    4..6 => {
                        let id = random.u64(..=last);
                        let place = plain.iter().position(|own| *own == id);
                        assert_eq!(backlog.remove(id), place.is_some());
                        place.map(|place| plain.remove(place));
                    }
                    _ => {
                        let most = random.usize(..6);
                        let expected: Vec<u64> = plain.drain(..most.min(plain.len())).collect();
                        let mut out = vec![255];
                        let count = backlog.let_out(most as u32, &mut out);
                        assert_eq!(count as usize, expected.len());
                        let bytes = expected
                            .iter()
                            .flat_map(|id| vec![*id as u8; 1 + *id as usize % 5]);
                        assert_eq!(out[1..], bytes.collect::<Vec<_>>());
                    }
                }
                let bytes: usize = plain.iter().map(|id| 1 + *id as usize % 5).sum();
                assert_eq!(backlog.bytes(), bytes, "seed {seed}");
                assert_eq!(backlog.first_id(), plain.first().copied());
                assert!(backlog.bytes.len() <= 4 * bytes, "no more room than that");
            }
        }
    }
}
