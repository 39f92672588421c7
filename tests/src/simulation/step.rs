//! One step: some time passes, the host does some of its work, something may go wrong,
//! and a client sends a command.

use burrow_core::Timestamp;
use fastrand::Rng;

use super::generate::Generator;
use super::profile::{Drops, pick};
use super::world::{Violation, World};

impl World {
    pub(crate) fn step(&mut self, rng: &mut Rng) -> Result<(), Violation> {
        self.pass_time(rng)?;
        if rng.u32(0..1000) < self.profile.crashes {
            self.go_wrong(rng)?;
        }
        self.disturb(rng)?;
        let mut state = self.model.state.clone();
        state.now = state.now.max(self.clock);
        state.expire();
        let command = Generator {
            rng,
            profile: &self.profile,
            state: &state,
            learned: &self.learned,
        }
        .command();
        self.submit(command)?;
        self.work(rng)?;
        self.check_stats()
    }

    /// What everything must come to in the end.
    pub(crate) fn finish(&mut self) -> Result<(), Violation> {
        self.compare()?;
        self.release_waiters()?;
        self.settle()?;
        if self.profile.config.journal.enabled {
            self.stop_and_start()
        } else {
            Ok(())
        }
    }

    fn pass_time(&mut self, rng: &mut Rng) -> Result<(), Violation> {
        let to = match rng.u32(0..100) {
            0..40 => return Ok(()),
            40..60 => self.clock + rng.u64(1..10),
            60..75 => self.clock + rng.u64(1..200),
            // To the border at which something ends, or just beside it.
            75..95 => match rng.choice(self.model.instants()) {
                Some(at) if at < self.clock + 3_600_000 => at + rng.u64(0..3) - 1,
                _ => self.clock + 1,
            },
            95..98 => self.clock + 5_000,
            98 => self.clock + 7_200_000,
            _ => self.clock.saturating_sub(rng.u64(1..10_000)),
        };
        let to = to.min(Timestamp::MAX.as_millis());
        if self.profile.prompt {
            self.keep_deadlines(to)?;
        }
        self.clock = to;
        Ok(())
    }

    /// Calls `handle_deadline` at each deadline up to `to`, as a host does. At the end of
    /// time nothing becomes due any more.
    fn keep_deadlines(&mut self, to: u64) -> Result<(), Violation> {
        let last = to.min(Timestamp::MAX.as_millis() - 1);
        while let Some(at) = self
            .subject
            .deadline()
            .map(Timestamp::as_millis)
            .filter(|at| *at <= last)
        {
            self.clock = self.clock.max(at);
            self.handle_deadline()?;
        }
        Ok(())
    }

    fn disturb(&mut self, rng: &mut Rng) -> Result<(), Violation> {
        match rng.u32(0..300) {
            0..20 => {
                if let Some(ticket) = rng.choice(self.open_tickets()) {
                    self.cancel(ticket)?;
                }
            }
            20..60 => self.handle_deadline()?,
            60 => self.release_waiters()?,
            61..64 => self.compare()?,
            64..67 => self.needless_deadline()?,
            _ => {}
        }
        Ok(())
    }

    fn go_wrong(&mut self, rng: &mut Rng) -> Result<(), Violation> {
        let clock = match rng.u32(0..4) {
            0 => self.clock.saturating_sub(rng.u64(1..5_000)),
            1 => self.clock + rng.u64(0..5_000),
            _ => self.clock,
        };
        match rng.u32(0..10) {
            0..6 => self.crash(rng.usize(0..=self.in_flight.len()), clock),
            // A write fails: the host goes on, without the node.
            6..8 => self.crash(0, self.clock),
            8 => self.stop_and_start(),
            _ => self.damage(rng),
        }
    }

    /// The host's own work: batches to the disk, replies to the clients.
    fn work(&mut self, rng: &mut Rng) -> Result<(), Violation> {
        if rng.u32(0..100) < self.profile.stores {
            self.poll_batch()?;
            let stored = *pick(rng, &[0, 1, 1, usize::MAX]);
            for _ in 0..stored.min(self.in_flight.len()) {
                let drops = self.profile.drops;
                self.store_one(|| match drops {
                    Drops::AtOnce => false,
                    Drops::Sometimes => rng.u8(0..4) > 0,
                    Drops::Never => true,
                });
            }
            if rng.u8(0..5) > 0 {
                self.confirm();
            }
        }
        match rng.u32(0..5) {
            0 => Ok(()),
            1 => self.poll_replies(1),
            _ => self.poll_replies(usize::MAX),
        }
    }
}
