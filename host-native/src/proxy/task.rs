//! Commands that several servers have a part in: each is a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use burrow_core::Command;
use burrow_core::wire::{self, Decoder, Request};
use tokio::sync::Notify;

use crate::desk::{Cancel, Failure, Place, Submitted};

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

/// How a task ends: its outcome is told, or it was taken back, whichever is first.
///
/// One that was taken back is dropped where it stands, and its calls are taken back with it,
/// unless it has something in hand that would be lost: then it goes on until that has a place.
#[derive(Default)]
pub(super) struct Ending {
    is_over: AtomicBool,
    is_busy: AtomicBool,
    changed: Notify,
}

/// While there is this, the task is not dropped.
pub(super) struct Busy<'e>(&'e Ending);

impl Ending {
    /// True for the first who asks: the outcome is the affair of that one.
    pub(super) fn is_mine(&self) -> bool {
        !self.is_over.swap(true, SeqCst)
    }

    pub(super) fn busy(&self) -> Busy<'_> {
        self.is_busy.store(true, SeqCst);
        Busy(self)
    }

    /// Completes when the task was taken back and has nothing in hand.
    pub(super) async fn may_drop(&self) {
        while !self.is_over.load(SeqCst) || self.is_busy.load(SeqCst) {
            self.changed.notified().await;
        }
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.is_busy.store(false, SeqCst);
        self.0.changed.notify_one();
    }
}

impl Cancel for Ending {
    fn cancel(&self, _: u64, _: u64) -> bool {
        let cancelled = self.is_mine();
        if cancelled {
            self.changed.notify_one();
        }
        cancelled
    }
}

/// Starts a task, which is given its ending.
pub(super) fn start<W>(work: impl FnOnce(Arc<Ending>) -> W) -> Submitted
where
    W: Future<Output = ()> + Send + 'static,
{
    let ending = Arc::new(Ending::default());
    tokio::spawn(work(Arc::clone(&ending)));
    Submitted::Waiting(Place {
        owner: ending,
        generation: 0,
        number: 0,
    })
}
