//! Commands in short, and a clock that is set by hand.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use burrow::engine::{Clock, Engine, Failure};
use burrow_core::{
    Command, Config, Detail, NewMessage, QueueName, Refusal, Reply, Selection, Timestamp, Update,
};

use crate::faulty_store::Disk;

pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(1_000_000)))
    }

    pub(crate) fn advance_ms(&self, millis: u64) {
        self.0.fetch_add(millis, SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(SeqCst))
    }
}

pub(crate) fn start(disk: &Disk, clock: Arc<dyn Clock>) -> Engine {
    Engine::start_with(Config::default(), disk.store(), clock)
        .unwrap()
        .0
}

pub(crate) fn queue() -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: "q".into(),
    }
}

pub(crate) fn put(id: &str) -> Command<'_> {
    let message = NewMessage {
        id: Some(id.into()),
        body: b"body".as_slice().into(),
        ..NewMessage::default()
    };
    Command::Put {
        queue: queue(),
        message,
    }
}

pub(crate) fn get(id: &str) -> Command<'_> {
    Command::GetMessage {
        queue: queue(),
        id: id.into(),
        detail: Detail::All,
    }
}

pub(crate) fn delete(id: &str) -> Command<'_> {
    Command::DeleteMessage {
        queue: queue(),
        id: id.into(),
        claim: None,
        detail: Detail::None,
    }
}

pub(crate) fn claim(wait_ms: u64) -> Command<'static> {
    Command::UpdateMessages {
        queue: queue(),
        selection: Selection {
            limit: Some(1),
            ..Selection::default()
        },
        update: Update {
            hide_ms: Some(60_000),
            ttl_ms: None,
        },
        wait_ms,
        detail: Detail::All,
    }
}

/// Whether a message is there, with its attempts and whether it is hidden.
pub(crate) async fn look(engine: &Engine, id: &str) -> Option<(u32, bool)> {
    match engine.execute(get(id)).await {
        Ok(Reply::Messages(list)) => list
            .iter()
            .next()
            .map(|message| (message.attempts, message.hide_ms > 0)),
        Ok(other) => panic!("{other:?}"),
        Err(Failure::Refused(
            Refusal::AccountNotFound | Refusal::QueueNotFound | Refusal::MessageNotFound,
        )) => None,
        Err(failure) => panic!("{failure}"),
    }
}

/// Polls a future once: enough for a command to be submitted.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
