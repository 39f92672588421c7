//! A folder with a history, and ways to look at what a folder holds.

use std::path::Path;
use std::sync::Arc;

use burrow::engine::{Clock, Engine, EngineConfig, StoreConfig};
use burrow::storage::{SqliteStore, Storage};
use burrow_core::{
    Command, Config, Detail, NewMessage, Node, QueueName, Reply, Selection, Timestamp, Update,
};
use tempfile::TempDir;

pub(crate) struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }
}

/// A folder of its own, in memory where the machine has such a place: these tests make
/// thousands.
pub(crate) fn folder() -> TempDir {
    let in_memory = Path::new("/dev/shm");
    if in_memory.is_dir() {
        tempfile::tempdir_in(in_memory)
    } else {
        tempfile::tempdir()
    }
    .unwrap()
}

pub(crate) fn start(dir: &Path) -> Engine {
    start_with(dir, Config::default())
}

pub(crate) fn start_with(dir: &Path, node: Config) -> Engine {
    let config = EngineConfig {
        node,
        store: StoreConfig::Sqlite {
            dir: dir.to_owned(),
        },
    };
    Engine::start(config, Arc::new(FixedClock)).unwrap().0
}

pub(crate) fn queue() -> QueueName<'static> {
    QueueName {
        account: "a".into(),
        queue: "q".into(),
    }
}

pub(crate) fn put<'a>(id: &'a str, body: &'a [u8]) -> Command<'a> {
    let message = NewMessage {
        id: Some(id.into()),
        body: body.into(),
        ttl_ms: Some(0),
        ..NewMessage::default()
    };
    Command::Put {
        queue: queue(),
        message,
    }
}

/// Puts, claims and deletes, one commit each. Returns what follows from the first so many
/// of them, for every number, as digests.
pub(crate) async fn make_history(engine: &Engine, dir: &Path, commits: usize) -> Vec<u64> {
    let mut digests = vec![];
    for n in 0..commits {
        let id = format!("m{n}");
        let command = match n % 4 {
            0 | 1 => put(
                &id,
                format!("needle {n} {}", "x".repeat(100 * n))
                    .leak()
                    .as_bytes(),
            ),
            2 => Command::UpdateMessages {
                queue: queue(),
                selection: Selection {
                    limit: Some(1),
                    ..Selection::default()
                },
                update: Update {
                    ttl_ms: None,
                    hide_ms: Some(60_000),
                },
                wait_ms: 0,
                detail: Detail::None,
            },
            _ => {
                let id = format!("m{}", n - 3);
                Command::DeleteMessage {
                    queue: queue(),
                    id: id.into(),
                    claim: None,
                    detail: Detail::None,
                }
            }
        };
        engine.execute(command).await.unwrap();
        let image = folder();
        copy_files(dir, image.path());
        digests.push(digest(image.path()).unwrap());
    }
    digests
}

/// The files as they are now: what a crash of the process would leave.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        // The index of the log is shared memory, and a killed server's is never read.
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Starts on what the folder holds, as a server does, and says what is there.
pub(crate) fn digest(dir: &Path) -> Result<u64, String> {
    let mut store = SqliteStore::open(dir).map_err(|error| error.to_string())?;
    let restored = Node::restore(Config::default(), FixedClock.now(), &mut *store.load());
    restored
        .map(|(node, _)| node.digest())
        .map_err(|error| error.to_string())
}

pub(crate) async fn ids(engine: &Engine) -> Vec<String> {
    let list = Command::ListMessages {
        queue: queue(),
        selection: Selection {
            match_hidden: true,
            ..Selection::default()
        },
        wait_ms: 0,
        detail: Detail::Id,
    };
    match engine.execute(list).await {
        Ok(Reply::Messages(list)) => list.iter().map(|message| message.id.to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}
