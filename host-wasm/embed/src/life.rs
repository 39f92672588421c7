//! One instance, from its start to whatever ends it.

use std::time::Duration;

use wasmtime::Store;

use crate::bindings;
use crate::bindings::exports::burrow::queue::node::{self, Opened};
use crate::error::{Cause, OpenError};
use crate::host::Host;
use crate::plugin::Plugin;
use crate::storage::StorageError;

pub(crate) struct Life {
    pub(crate) store: Store<Host>,
    pub(crate) exports: bindings::Plugin,
}

/// What came of a call to an instance.
pub(crate) struct Called<T> {
    pub(crate) result: Result<T, Cause>,
    /// False if nothing can have been stored by the call.
    pub(crate) may_be_stored: bool,
    /// The instance is of no more use.
    pub(crate) ended: Option<Cause>,
}

impl Life {
    /// An instance that was restored from what the host's storage holds. The host is given
    /// back with the error, to try again.
    pub(crate) fn begin(
        plugin: &Plugin,
        mut host: Host,
        config: &node::Config,
        open_time: Duration,
    ) -> Result<(Self, Opened), Box<(Host, OpenError)>> {
        if let Err(error) = host.storage.recover() {
            return Err(Box::new((host, OpenError::Storage(error))));
        }
        host.failure = None;
        host.begin(open_time);
        let mut store = Store::new(&plugin.engine, host);
        store.limiter(|host| host);
        store.epoch_deadline_callback(|context| context.data().go_on());
        store.set_epoch_deadline(1);
        let opened = plugin
            .component
            .instantiate(&mut store)
            .and_then(|exports| {
                let opened = exports.burrow_queue_node().call_open(&mut store, config)?;
                Ok((exports, opened))
            });
        let error = match opened {
            Ok((exports, Ok(opened))) => return Ok((Self { store, exports }, opened)),
            Ok((_, Err(refused))) => unopened(refused),
            Err(error) => OpenError::Failed(cause(&error)),
        };
        Err(Box::new((store.into_data(), error)))
    }

    pub(crate) fn call<T>(
        &mut self,
        time: Duration,
        work: impl FnOnce(&bindings::Plugin, &mut Store<Host>) -> wasmtime::Result<T>,
    ) -> Called<T> {
        self.store.data_mut().begin(time);
        self.store.set_epoch_deadline(1);
        let result = work(&self.exports, &mut self.store).map_err(|error| cause(&error));
        let host = self.store.data();
        let ended = match (&result, &host.failure) {
            (Err(cause), _) => Some(cause.clone()),
            (Ok(_), Some(failure)) => Some(Cause::Storage(failure.to_string())),
            (Ok(_), None) => None,
        };
        Called {
            result,
            may_be_stored: host.stored,
            ended,
        }
    }

    /// What is left of an instance that has ended.
    pub(crate) fn end(self) -> Host {
        self.store.into_data()
    }
}

fn unopened(error: node::OpenError) -> OpenError {
    match error {
        node::OpenError::Unreadable(why) => OpenError::Storage(StorageError(why)),
        node::OpenError::Damaged(why) => OpenError::Damaged(why),
        node::OpenError::Newer(why) => OpenError::Newer(why),
        node::OpenError::AlreadyOpen => {
            OpenError::Failed(Cause::Trap("it was opened before".into()))
        }
    }
}

/// Ours if we ended it, else what the engine says.
fn cause(error: &wasmtime::Error) -> Cause {
    error
        .downcast_ref::<Cause>()
        .cloned()
        .unwrap_or_else(|| Cause::Trap(error.root_cause().to_string()))
}
