//! The plugin, storage that fails when told, and short words for calls.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use burrow_core::journal::Batch;
use burrow_embed::{
    Answer, AppendError, CallError, Detail, MemoryStorage, Message, NewMessage, Options, Plugin,
    Queue, QueueConfig, QueueName, Selection, Storage, StorageError, Time,
};

pub(crate) fn plugin() -> Plugin {
    let path = std::env::var_os("BURROW_COMPONENT")
        .expect("BURROW_COMPONENT is set by `cargo xtask component`");
    let wasm = std::fs::read(path).expect("the component can be read");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
    Plugin::compile_cached(&wasm, &Options::default(), &folder).expect("it compiles")
}

pub(crate) fn manual() -> QueueConfig {
    QueueConfig {
        time: Time::Manual,
        default_ttl_ms: Some(0),
        ..QueueConfig::default()
    }
}

/// Storage that the test keeps a hand on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) blobs: MemoryStorage,
    /// What the next append fails with.
    pub(crate) failure: Option<AppendError>,
    /// An append that fails with `Unknown` is stored all the same.
    pub(crate) stored_all_the_same: bool,
    pub(crate) unreadable: bool,
    pub(crate) damage: bool,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("no test panics with it")
    }
}

impl Storage for Shared {
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        let mut inner = self.lock();
        match inner.failure.take() {
            Some(failure) => {
                if inner.stored_all_the_same {
                    inner.blobs.append(batch)?;
                }
                Err(failure)
            }
            None => inner.blobs.append(batch),
        }
    }

    fn sequences(&mut self) -> Result<Vec<u64>, StorageError> {
        let mut inner = self.lock();
        if inner.unreadable {
            return Err(StorageError("the disk is gone".into()));
        }
        inner.blobs.sequences()
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, StorageError> {
        let mut inner = self.lock();
        let mut blob = inner.blobs.read(sequence)?;
        if inner.damage
            && let Some(last) = blob.last_mut()
        {
            *last ^= 1;
        }
        Ok(blob)
    }
}

pub(crate) fn jobs() -> QueueName {
    QueueName {
        account: "shop".into(),
        queue: "jobs".into(),
    }
}

pub(crate) fn message(id: impl ToString, body: impl Into<Vec<u8>>) -> NewMessage {
    NewMessage {
        id: Some(id.to_string()),
        body: body.into(),
        ..NewMessage::default()
    }
}

pub(crate) fn all() -> Selection {
    Selection {
        match_hidden: true,
        ..Selection::default()
    }
}

pub(crate) fn first(limit: u64) -> Selection {
    Selection {
        limit: Some(limit),
        ..Selection::default()
    }
}

/// The ids in the queue, hidden ones too.
pub(crate) fn ids(queue: &mut Queue) -> Vec<String> {
    walk(queue, Detail::Id)
        .into_iter()
        .map(|message| message.id)
        .collect()
}

/// The messages in the queue, hidden ones too, in as many answers as it takes.
pub(crate) fn walk(queue: &mut Queue, detail: Detail) -> Vec<Message> {
    let mut found: Vec<Message> = Vec::new();
    loop {
        let behind = Selection {
            marker: found.last().map(|message| message.id.clone()),
            ..all()
        };
        match queue.list(&jobs(), &behind, 0, detail) {
            Ok(answer) => found.append(&mut done(answer)),
            Err(CallError::Refused(_)) => return found,
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn done(answer: Answer) -> Vec<Message> {
    match answer {
        Answer::Done(messages) => messages.entries,
        Answer::Pending(_) => panic!("it waits"),
    }
}
