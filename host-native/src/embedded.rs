//! The client on a data folder, without a server: the engine runs in the same process.

use std::path::Path;
use std::sync::Arc;

use burrow_client::{Answer, Calling, Client, Error, Transport};
use burrow_core::{Command, Config};

use crate::engine::{Engine, EngineConfig, Failure, StartError, StoreConfig, SystemClock};
use crate::storage::{DataFolder, OpenError};

/// A data folder that this process has to itself.
///
/// ```
/// # use burrow::embedded::Embedded;
/// # use burrow_client::{Claiming, Put};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let embedded = Embedded::open(&folder.path().join("data"))?;
/// let jobs = embedded.client()?.queue("shop", "jobs");
/// jobs.put(Put::new("pack the parcel")).await?;
///
/// let held = jobs.claims(Claiming::default()).next().await?;
/// assert_eq!(held.messages()[0].body, b"pack the parcel");
/// held.ack().await?;
/// embedded.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Embedded {
    engine: Engine,
}

impl Embedded {
    /// Opens a folder that holds data already: nothing is made for a name that is mistyped.
    /// Otherwise as [`open`](Self::open).
    pub fn open_existing(folder: &Path) -> Result<Self, StartError> {
        let found = DataFolder::open_read_only(folder)?;
        if !found.has_data()? {
            return Err(StartError::Open(OpenError::NoData {
                path: folder.to_owned(),
            }));
        }
        drop(found);
        Self::open(folder)
    }

    /// Opens the folder, which is made if it is not there. What the queues' settings leave to
    /// the server is as a server without settings has it. Blocks until all is restored.
    pub fn open(folder: &Path) -> Result<Self, StartError> {
        let config = EngineConfig {
            node: Config::default(),
            store: StoreConfig::Sqlite {
                dir: folder.to_owned(),
            },
        };
        let (engine, _) = Engine::start(config, Arc::new(SystemClock::new()))?;
        Ok(Self { engine })
    }

    /// A client of it. [`stop`](Self::stop) it at the end.
    pub fn client(&self) -> Result<Client, Error> {
        let transport = Arc::new(self.clone());
        Client::builder()
            .transport("this process", transport)
            .build()
    }

    /// Stores what is decided and closes the folder.
    pub async fn stop(&self) {
        self.engine.stop().await;
    }
}

impl Transport for Embedded {
    fn call<'a>(&'a self, command: &'a Command<'a>) -> Calling<'a> {
        Box::pin(async move {
            let outcome = self.engine.execute(command.clone()).await;
            outcome.map(Answer::from).map_err(|failure| match failure {
                Failure::Refused(refusal) => refusal.into(),
                Failure::NotStored
                | Failure::Stopping
                | Failure::Unreachable
                | Failure::Busy
                | Failure::CommandTooLarge { .. } => Error::NotDone(failure.to_string()),
                Failure::OutcomeUnknown => Error::OutcomeUnknown("the storage failed".to_owned()),
            })
        })
    }
}
