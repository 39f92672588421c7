//! What can go wrong, and what it means for a call.

use std::path::PathBuf;
use std::time::Duration;

use burrow_core::rest::Response as RestResponse;

use crate::storage::StorageError;
use crate::{Refusal, Response};

/// Why there is no plugin.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The bytes are not a component of this world and version.
    #[error("not a component that can be used: {0}")]
    Component(String),
    /// This machine cannot run it.
    #[error("the engine cannot be used: {0}")]
    Engine(String),
    /// The folder for compiled code could not be used.
    #[error("{path}: {source}", path = .path.display())]
    Cache {
        path: PathBuf,
        source: std::io::Error,
    },
}

/// Why a queue could not be opened, or opened again. Nothing that is stored was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The storage cannot be read.
    #[error("the storage cannot be read: {0}")]
    Storage(#[from] StorageError),
    /// What is stored is damaged or incomplete.
    #[error("{0}")]
    Damaged(String),
    /// What is stored was written by a later version.
    #[error("{0}")]
    Newer(String),
    /// The instance did not live to the end of it.
    #[error("the queue could not be opened: {0}")]
    Failed(#[from] Cause),
}

/// What ended an instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    #[error("it computed for longer than {0:?}")]
    Time(Duration),
    #[error("it wanted more than {0} bytes of memory")]
    Memory(usize),
    #[error("the storage failed: {0}")]
    Storage(String),
    #[error("it trapped: {0}")]
    Trap(String),
}

/// Why a call was not answered as it should be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The queue says no. Nothing changed.
    #[error("{0}")]
    Refused(Refusal),
    /// The instance ended, and the call changed nothing.
    #[error("not done: {0}")]
    NotDone(Cause),
    /// The instance ended; the call may have changed what it was to change, all of it or
    /// nothing.
    #[error("outcome unknown: {0}")]
    Unknown(Cause),
    /// The queue had to be opened again, and could not. The call changed nothing.
    #[error("not done: {0}")]
    Unopened(#[from] OpenError),
}

impl CallError {
    /// The answer to a request that met this, in the words of every host of Burrow.
    pub fn response(&self) -> Response {
        let response = match self {
            Self::Unknown(_) => RestResponse::outcome_unknown(),
            Self::Refused(Refusal::TooLarge(quota)) => RestResponse::body_too_large(quota.maximum),
            Self::Refused(_) | Self::NotDone(_) | Self::Unopened(_) => RestResponse::not_stored(),
        };
        let headers = response
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into_owned()));
        Response {
            status: response.status,
            headers: headers.collect(),
            content_length: u64::try_from(response.body.len()).ok(),
            body: response.body,
        }
    }
}
