//! A digest of all that a state holds.

use xxhash_rust::xxh3::Xxh3;

use super::State;
use crate::journal::put_settings;

impl State {
    /// Equal for states that hold the same, however they came to it. It is the sum of the
    /// digests of the queues, so that queues in several nodes can be compared with the same
    /// queues in one.
    pub(crate) fn digest(&self) -> u64 {
        let queues = self.by_number.values();
        queues.fold(0, |sum, &queue| sum.wrapping_add(self.digest_queue(queue)))
    }

    fn digest_queue(&self, queue: u32) -> u64 {
        let mut digest = Xxh3::new();
        feed(&mut digest, self.account_of(queue).name.as_bytes());
        feed(&mut digest, self.queue(queue).name.as_bytes());
        let mut settings = alloc::vec::Vec::new();
        if let Some(own) = &self.queue(queue).settings {
            put_settings(&mut settings, &own.given());
        }
        feed(&mut digest, &settings);
        self.digest_messages(queue, &mut digest);
        digest.digest()
    }

    fn digest_messages(&self, queue: u32, digest: &mut Xxh3) {
        for place in self.select(queue, None, None, true) {
            let view = self.view(place);
            feed(digest, view.id);
            feed(digest, view.body);
            feed(digest, view.content_type.unwrap_or_default());
            for number in [
                view.expires_at,
                view.visible_at,
                view.attempts.into(),
                view.fence,
            ] {
                digest.update(&number.to_le_bytes());
            }
        }
    }
}

fn feed(digest: &mut Xxh3, bytes: &[u8]) {
    digest.update(&(bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}
