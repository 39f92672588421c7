//! What stands between the driver and the node: nothing, or a bug planted on purpose.

use burrow_core::journal::{Batch, Load, RestoreError, RestoreReport};
use burrow_core::{Command, Config, Node, Refusal, Reply, Stats, Ticket, Timestamp};

pub type Outcome = Result<Reply, Refusal>;

/// A node under test. Every call reaches the node, unless it is overridden.
pub trait Subject {
    fn node(&mut self) -> &mut Node;

    fn restore(
        &mut self,
        config: Config,
        now: Timestamp,
        load: &mut dyn Load,
    ) -> Result<RestoreReport, RestoreError> {
        let (node, report) = Node::restore(config, now, load)?;
        *self.node() = node;
        Ok(report)
    }

    fn submit(&mut self, now: Timestamp, command: Command<'static>) -> Ticket {
        self.node().submit(now, command)
    }

    fn handle_deadline(&mut self, now: Timestamp) {
        self.node().handle_deadline(now);
    }

    fn deadline(&mut self) -> Option<Timestamp> {
        self.node().deadline()
    }

    fn poll_batch(&mut self) -> Option<Batch> {
        self.node().poll_batch()
    }

    fn handle_durable(&mut self, sequence: u64) {
        self.node().handle_durable(sequence);
    }

    fn poll_reply(&mut self) -> Option<(Ticket, Outcome)> {
        self.node().poll_reply()
    }

    fn cancel(&mut self, ticket: Ticket) {
        self.node().cancel(ticket);
    }

    fn release_waiters(&mut self) {
        self.node().release_waiters();
    }

    fn stats(&mut self) -> Stats {
        self.node().stats()
    }

    fn digest(&mut self) -> u64 {
        self.node().digest()
    }
}

/// The node as it is.
#[derive(Debug)]
pub struct Honest(Node);

impl Honest {
    pub fn make(config: Config) -> Box<dyn Subject> {
        Box::new(Self(Node::new(config)))
    }
}

impl Subject for Honest {
    fn node(&mut self) -> &mut Node {
        &mut self.0
    }
}
