//! A store in memory that fails, holds its writes back, and outlives its engine.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use burrow::storage::{AppendError, Storage, StoreError};
use burrow_core::journal::{Batch, Load, LoadError};

/// How an append fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// As a full disk does it: nothing is stored, and that is certain.
    NotStored,
    /// The sync failed, and nothing was stored.
    UnknownAndLost,
    /// The sync failed, yet the batch is there.
    UnknownButStored,
    /// The sync failed, and the batch is seen only when the store is recovered.
    UnknownButFound,
}

/// What is left when an engine is gone: the disk, and the hand that breaks it.
#[derive(Clone, Default)]
pub(crate) struct Disk(Arc<(Mutex<State>, Condvar)>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) blobs: BTreeMap<u64, Vec<u8>>,
    pub(crate) appends: u64,
    pub(crate) loads: u64,
    pub(crate) probes: u64,
    pub(crate) closed: bool,
    /// The append with this number, counted from 1, fails like that.
    pub(crate) fail_append: Option<(u64, Fault)>,
    /// Until it is set back, nothing can be recovered or probed.
    pub(crate) broken: bool,
    /// Nothing can be written, but all else works.
    pub(crate) full: bool,
    pub(crate) unreadable: bool,
    /// Appends are held back.
    pub(crate) held: bool,
    /// Appends that wait for being let go.
    waiting: u64,
    /// What the next recovery finds.
    hidden: Option<(u64, Vec<u8>)>,
}

impl Disk {
    pub(crate) fn store(&self) -> Box<dyn Storage> {
        self.state().closed = false;
        Box::new(FaultyStore(self.clone()))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// Holds all appends back from now on.
    pub(crate) fn hold(&self) {
        self.state().held = true;
    }

    pub(crate) fn release(&self) {
        self.state().held = false;
        self.0.1.notify_all();
    }

    /// Waits until an append is held back.
    pub(crate) fn wait_for_held_append(&self) {
        drop(
            self.0
                .1
                .wait_while(self.state(), |state| state.waiting == 0)
                .unwrap(),
        );
    }

    /// Waits until the store was asked to recover or probe so many times more.
    pub(crate) fn wait_for_probes(&self, more: u64) {
        let target = self.state().probes + more;
        drop(
            self.0
                .1
                .wait_while(self.state(), |state| state.probes < target)
                .unwrap(),
        );
    }
}

struct FaultyStore(Disk);

impl Storage for FaultyStore {
    fn append(&mut self, batch: &Batch) -> Result<(), AppendError> {
        let (lock, changed) = &*self.0.0;
        let mut state = lock.lock().unwrap();
        state.waiting += 1;
        changed.notify_all();
        state = changed.wait_while(state, |state| state.held).unwrap();
        state.waiting -= 1;
        state.appends += 1;
        let fault = state
            .fail_append
            .filter(|(append, _)| *append == state.appends)
            .map(|(_, fault)| fault);
        if fault.is_none() || fault == Some(Fault::UnknownButStored) {
            let next = state.blobs.last_key_value().map_or(1, |(last, _)| last + 1);
            assert_eq!(batch.sequence, next, "batches come in order, without a gap");
            state.blobs.insert(batch.sequence, batch.blob.clone());
            for range in &batch.drops {
                state.blobs.retain(|sequence, _| !range.contains(sequence));
            }
        }
        if fault == Some(Fault::UnknownButFound) {
            state.hidden = Some((batch.sequence, batch.blob.clone()));
        }
        let error = StoreError::Failed("injected".into());
        match fault {
            None => Ok(()),
            Some(Fault::NotStored) => Err(AppendError::NotStored(error)),
            Some(_) => Err(AppendError::Unknown(error)),
        }
    }

    fn recover(&mut self) -> Result<u64, StoreError> {
        let mut state = self.0.state();
        state.probes += 1;
        self.0.0.1.notify_all();
        if state.broken {
            return Err(StoreError::Failed("still broken".into()));
        }
        let found = state.hidden.take();
        state.blobs.extend(found);
        Ok(state.blobs.last_key_value().map_or(0, |(last, _)| *last))
    }

    fn probe(&mut self, _bytes: usize) -> Result<(), StoreError> {
        let state = self.0.state();
        if state.broken || state.full {
            Err(StoreError::NoRoom("still full".into()))
        } else {
            Ok(())
        }
    }

    fn load(&mut self) -> Box<dyn Load + '_> {
        self.0.state().loads += 1;
        Box::new(DiskLoad(self.0.clone()))
    }

    fn close(self: Box<Self>) -> Result<(), StoreError> {
        self.0.state().closed = true;
        Ok(())
    }
}

struct DiskLoad(Disk);

impl Load for DiskLoad {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        let state = self.0.state();
        if state.unreadable {
            return Err(LoadError("unreadable".into()));
        }
        Ok(state.blobs.keys().copied().collect())
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        self.0
            .state()
            .blobs
            .get(&sequence)
            .cloned()
            .ok_or_else(|| LoadError("no such blob".into()))
    }
}
