//! What an instance imports, and the limits that it runs under.

use std::time::{Duration, Instant};

use burrow_core::journal::Batch;
use wasmtime::{ResourceLimiter, UpdateDeadline};

use crate::bindings::burrow::queue::{clock, storage, types};
use crate::clock::Clock;
use crate::error::Cause;
use crate::storage::{AppendError, Storage};

/// Tables are for calls through pointers, of which the code has a fixed number.
const MAX_TABLE_ENTRIES: usize = 1 << 20;

pub(crate) struct Host {
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) clock: Box<dyn Clock>,
    memory_bytes: usize,
    budget: Budget,
    /// True once something of the present call may be stored.
    pub(crate) stored: bool,
    /// What the storage has said to an append that it did not take.
    pub(crate) failure: Option<AppendError>,
}

/// How long a call may go on.
struct Budget {
    allowed: Duration,
    started: Instant,
    /// What the storage took of the time since.
    outside: Duration,
}

impl Host {
    pub(crate) fn new(
        storage: Box<dyn Storage>,
        clock: Box<dyn Clock>,
        memory_bytes: usize,
    ) -> Self {
        Self {
            storage,
            clock,
            memory_bytes,
            budget: Budget {
                allowed: Duration::ZERO,
                started: Instant::now(),
                outside: Duration::ZERO,
            },
            stored: false,
            failure: None,
        }
    }

    /// A call begins, and may compute for so long.
    pub(crate) fn begin(&mut self, allowed: Duration) {
        self.budget = Budget {
            allowed,
            started: Instant::now(),
            outside: Duration::ZERO,
        };
        self.stored = false;
    }

    /// Goes on, or ends the call. Asked now and then while the instance computes.
    pub(crate) fn go_on(&self) -> wasmtime::Result<UpdateDeadline> {
        let computed = self
            .budget
            .started
            .elapsed()
            .saturating_sub(self.budget.outside);
        if computed <= self.budget.allowed {
            Ok(UpdateDeadline::Continue(1))
        } else {
            Err(wasmtime::Error::new(Cause::Time(self.budget.allowed)))
        }
    }

    fn outside<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let started = Instant::now();
        let done = work(self);
        self.budget.outside += started.elapsed();
        done
    }
}

impl types::Host for Host {}

impl clock::Host for Host {
    fn now(&mut self) -> u64 {
        self.clock.now_ms()
    }
}

impl storage::Host for Host {
    fn append(
        &mut self,
        sequence: u64,
        blob: Vec<u8>,
        drops: Vec<storage::Span>,
    ) -> Result<(), storage::AppendError> {
        let batch = Batch {
            sequence,
            blob,
            drops: drops.iter().map(|span| span.first..=span.last).collect(),
        };
        let appended = self.outside(|host| host.storage.append(&batch));
        self.stored |= !matches!(appended, Err(AppendError::NotStored(_)));
        appended.map_err(|error| {
            self.failure = Some(error.clone());
            match error {
                AppendError::NotStored(why) => storage::AppendError::NotStored(why),
                AppendError::Unknown(why) => storage::AppendError::OutcomeUnknown(why),
            }
        })
    }

    fn sequences(&mut self) -> Result<Vec<u64>, String> {
        self.outside(|host| host.storage.sequences().map_err(|error| error.0))
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, String> {
        self.outside(|host| host.storage.read(sequence).map_err(|error| error.0))
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired <= self.memory_bytes {
            Ok(true)
        } else {
            Err(wasmtime::Error::new(Cause::Memory(self.memory_bytes)))
        }
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= MAX_TABLE_ENTRIES)
    }
}
