//! Commands that several servers have a part in: each is a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel};

use burrow_core::Command;
use burrow_core::wire::{self, Decoder, Request};
use tokio::task::AbortHandle;

use crate::desk::{Cancel, Failure, Outcome, Place, Recipient, Submitted};

/// A command that owns its parts, as the bytes of the wire protocol.
pub(super) struct Kept(Decoder);

impl Kept {
    pub(super) fn new(command: &Command<'_>) -> Result<Self, Failure> {
        let mut decoder = Decoder::new(u32::MAX);
        let encoded = wire::encode_request(decoder.received(), 0, command, u32::MAX);
        encoded.map_err(|_| Failure::CommandTooLarge {
            maximum_bytes: u32::MAX.into(),
        })?;
        Ok(Self(decoder))
    }

    /// The command. What was written is read as it was.
    pub(super) fn take(&mut self) -> Result<Command<'_>, Failure> {
        let frame = self.0.next_frame().ok().flatten();
        let request = frame.and_then(|frame| wire::decode_request(&frame, u64::MAX).ok());
        match request {
            Some(Request::Submit(command)) => Ok(command),
            _ => Err(Failure::OutcomeUnknown),
        }
    }
}

/// Ends when its outcome was told or it was taken back, whichever is first.
#[derive(Default)]
struct Ending(AtomicBool);

impl Ending {
    fn is_mine(&self) -> bool {
        !self.0.swap(true, AcqRel)
    }
}

struct Task {
    ending: Arc<Ending>,
    handle: AbortHandle,
}

impl Cancel for Task {
    fn cancel(&self, _: u64, _: u64) -> bool {
        let cancelled = self.ending.is_mine();
        if cancelled {
            // Its calls are dropped with it, and so taken back.
            self.handle.abort();
        }
        cancelled
    }
}

/// Has a task find the outcome.
pub(super) fn start(
    recipient: Recipient,
    work: impl Future<Output = Outcome> + Send + 'static,
) -> Submitted {
    let ending = Arc::new(Ending::default());
    let own = Arc::clone(&ending);
    let task = tokio::spawn(async move {
        let outcome = work.await;
        if own.is_mine() {
            recipient.tell(outcome);
        }
    });
    let owner = Arc::new(Task {
        ending,
        handle: task.abort_handle(),
    });
    Submitted::Waiting(Place {
        owner,
        generation: 0,
        number: 0,
    })
}
