//! What happens to a node: its process dies, a write fails, the clock goes back, stored
//! bytes change. And the comparison of everything, after it.

use burrow_core::journal::RestoreError;
use burrow_core::{Command, Config, Detail, Node, Page, QueueName, Selection, Timestamp};
use fastrand::Rng;

use super::model::{Message, Name, State};
use super::storage::Storage;
use super::world::{Violation, World};

impl World {
    /// The node is dropped when some of the batches under way are stored, and restored
    /// when the host's clock shows `clock`.
    pub(crate) fn crash(&mut self, stored: usize, clock: u64) -> Result<(), Violation> {
        for _ in 0..stored {
            self.store_one(|| false);
        }
        self.log(|| {
            format!(
                "  crash: stored are {}, clock {} -> {clock}",
                self.stored(),
                self.clock
            )
        });
        self.tally.add("restarts", 1);
        self.tally.add(
            "restarts that lose batches",
            usize::from(!self.in_flight.is_empty()),
        );
        self.tally.add(
            "restarts with a clock that went back",
            usize::from(clock < self.clock),
        );
        self.clock = clock.min(Timestamp::MAX.as_millis());
        let (sequence, state) = self
            .snapshots
            .front()
            .cloned()
            .unwrap_or((0, State::new(0)));
        let floor = self.floor(&state)?;
        let before = state.unexpired.as_deref().filter(|_| floor < state.now);
        let mut state = before.unwrap_or(&state).clone();
        if floor > self.now().as_millis() {
            // It is what is stored, and will be after a further crash.
            (state.now, state.changed_at) = (floor, floor);
        }
        let report = self
            .subject
            .restore(self.profile.config.clone(), self.now(), &mut self.storage)
            .map_err(|error| format!("not restored: {error}"))?;
        if report.last_sequence != sequence {
            return Err(format!(
                "restored to {}, stored were {sequence}",
                report.last_sequence
            ));
        }
        self.log(|| format!("  restored: {report:?}, now {floor}"));
        self.start_again(sequence, state, floor);
        self.model.advance(floor);
        self.collect();
        self.compare()
    }

    /// The instant at which a restored node's clock starts: that of the host, or the
    /// stored one, which lies between the last change and the last instant before the
    /// batch. Which, is learned from what remains of a message's time.
    fn floor(&mut self, state: &State) -> Result<u64, Violation> {
        let least = state.changed_at.max(self.now().as_millis());
        let most = state.now.max(least);
        if least == most {
            return Ok(least);
        }
        let timed = |message: &&Message| {
            message.id.text().is_some()
                && message
                    .expires_at
                    .map_or(message.hidden(most), |at| at > most)
        };
        let found = state
            .queues
            .iter()
            .find_map(|queue| Some((&queue.name, queue.messages.iter().find(timed)?)));
        let Some((name, message)) = found else {
            // Nothing can tell: the clock goes on from where it makes no difference.
            self.clock = most;
            return Ok(most);
        };
        let floor = probe(
            &self.profile.config,
            self.now(),
            &mut self.storage,
            name,
            message,
        )?;
        if (least..=most).contains(&floor) {
            Ok(floor)
        } else {
            Err(format!(
                "the clock of the restored node starts at {floor}, not in {least} to {most}"
            ))
        }
    }

    /// Compares everything that a client can find out.
    pub(crate) fn compare(&mut self) -> Result<(), Violation> {
        let all = Page::default;
        self.submit(Command::ListAccounts { page: all() })?;
        let names: Vec<Name> = self
            .model
            .state
            .queues
            .iter()
            .map(|queue| queue.name.clone())
            .collect();
        for account in &self.profile.accounts.clone() {
            self.submit(Command::ListQueues {
                account: account.clone().into(),
                page: all(),
            })?;
        }
        for name in &names {
            let selection = Selection {
                match_hidden: true,
                ..Selection::default()
            };
            let queue = queue_name(name);
            self.submit(Command::ListMessages {
                queue,
                selection,
                wait_ms: 0,
                detail: Detail::All,
            })?;
            self.submit(Command::GetSettings {
                queue: queue_name(name),
            })?;
        }
        self.settle()
    }

    /// The node is stopped in peace, and started again: it must behave as before.
    pub(crate) fn stop_and_start(&mut self) -> Result<(), Violation> {
        self.release_waiters()?;
        // What is deferred is stored when its time has come.
        let delay_ms = self.profile.config.journal.claim_delay_ms;
        if delay_ms > 0 {
            let now = self.clock.max(self.model.state.now) + delay_ms;
            self.clock = now.min(Timestamp::MAX.as_millis());
        }
        self.handle_deadline()?;
        self.settle()?;
        let before = self.subject.digest();
        let now = Timestamp::from_millis(self.model.state.now);
        let mut again = restore(&self.profile.config, now, &mut self.storage)?;
        if again.digest() != before {
            let stats = (self.subject.stats(), again.stats());
            return Err(format!(
                "the digest of the restored node differs; before and after: {stats:?}"
            ));
        }
        again.handle_deadline(now);
        if again.digest() != before {
            return Err("a needless handle_deadline changed the restored node".to_string());
        }
        self.tally.add("restores without a difference", 1);
        self.crash(0, self.clock)
    }

    /// Calling `handle_deadline` twice changes nothing.
    pub(crate) fn needless_deadline(&mut self) -> Result<(), Violation> {
        self.handle_deadline()?;
        while self.model.is_behind() {
            self.handle_deadline()?;
        }
        let before = self.subject.digest();
        self.handle_deadline()?;
        if self.subject.digest() == before {
            Ok(())
        } else {
            Err("a needless handle_deadline changed the node".to_string())
        }
    }

    /// A stored blob is damaged or lost: that is found, or the blob was needless.
    pub(crate) fn damage(&mut self, rng: &mut Rng) -> Result<(), Violation> {
        let mut whole = self.storage.clone();
        let mut damaged = self.storage.clone();
        let sequences: Vec<u64> = damaged.sequences().collect();
        let Some(&sequence) = rng.choice(&sequences) else {
            return Ok(());
        };
        let what = harm(&mut damaged, sequence, rng);
        self.log(|| format!("  damage: {what}"));
        let now = Timestamp::from_millis(self.model.state.now);
        let Ok((node, _)) = Node::restore(self.profile.config.clone(), now, &mut damaged) else {
            self.tally.add("damage found", 1);
            return Ok(());
        };
        let expected = restore(&self.profile.config, now, &mut whole)?;
        if node.digest() == expected.digest() {
            Ok(())
        } else {
            Err(format!("not noticed: {what}"))
        }
    }
}

/// Flips a bit, cuts the blob, or, if it is not the last one, removes it.
fn harm(storage: &mut Storage, sequence: u64, rng: &mut Rng) -> String {
    if rng.u8(0..3) == 0 && sequence != storage.last() {
        storage.remove(sequence);
        return format!("blob {sequence} removed");
    }
    let Some(blob) = storage.blob_mut(sequence).filter(|blob| !blob.is_empty()) else {
        return format!("blob {sequence} is empty");
    };
    let at = rng.usize(..blob.len());
    if rng.bool() {
        blob[at] ^= 1 << rng.u8(0..8);
        format!("a bit of byte {at} of blob {sequence} flipped")
    } else {
        blob.truncate(at);
        format!("blob {sequence} cut after {at} bytes")
    }
}

fn restore(config: &Config, now: Timestamp, storage: &mut Storage) -> Result<Node, Violation> {
    let restored = Node::restore(config.clone(), now, storage).map_err(error_text)?;
    Ok(restored.0)
}

fn error_text(error: RestoreError) -> Violation {
    format!("not restored: {error}")
}

/// The clock of a node restored at `now`, by what it says that remains of a message's time.
fn probe(
    config: &Config,
    now: Timestamp,
    storage: &mut Storage,
    name: &Name,
    message: &Message,
) -> Result<u64, Violation> {
    let mut node = restore(config, now, storage)?;
    let id = message.id.text().unwrap_or_default().to_string();
    node.submit(
        now,
        Command::GetMessage {
            queue: queue_name(name),
            id: id.into(),
            detail: Detail::All,
        },
    );
    while let Some(batch) = node.poll_batch() {
        node.handle_durable(batch.sequence);
    }
    match node.poll_reply() {
        Some((_, Ok(burrow_core::Reply::Messages(list)))) => {
            let seen = list.iter().next();
            let remains = seen.map(|seen| match message.expires_at {
                Some(at) => at.saturating_sub(seen.ttl_ms),
                None => message.visible_at.saturating_sub(seen.hide_ms),
            });
            remains.ok_or_else(|| "a message got lost".to_string())
        }
        other => Err(format!(
            "the message {:?} is not there after the restart: {other:?}",
            message.id
        )),
    }
}

pub(crate) fn queue_name(name: &Name) -> QueueName<'static> {
    QueueName {
        account: name.account.to_string().into(),
        queue: name.queue.to_string().into(),
    }
}
