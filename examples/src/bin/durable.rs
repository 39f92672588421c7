//! A durable queue with storage of your own: one file a blob, in one folder.
//!
//! `cargo run -p burrow-examples --bin durable -- FOLDER`, twice: the first run puts three
//! messages and dies on the spot, the second finds them.

use std::error::Error;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use burrow_core::journal::{Batch, Load, LoadError};
use burrow_core::{
    Command, Config, Detail, NewMessage, Node, QueueName, Refusal, Reply, Selection, Timestamp,
};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args_os()
        .nth(1)
        .ok_or("say which folder the queue shall lie in")?;
    let mut queue = Durable::open(folder.into())?;
    match queue.ask(Command::DeleteMessages {
        queue: jobs(),
        selection: Selection::default(),
        wait_ms: 0,
        detail: Detail::All,
    })? {
        Ok(Reply::Messages(list)) => {
            for message in list.iter() {
                println!(
                    "took {}: {}",
                    message.id,
                    String::from_utf8_lossy(message.body)
                );
            }
            Ok(())
        }
        _ => {
            for id in ["1", "2", "3"] {
                let message = NewMessage {
                    id: Some(id.into()),
                    body: b"work".into(),
                    ..NewMessage::default()
                };
                let outcome = queue.ask(Command::Put {
                    queue: jobs(),
                    message,
                })?;
                println!("put {id}: {outcome:?}");
            }
            // No goodbye: what was answered is stored.
            std::process::abort();
        }
    }
}

/// A node and the folder that its journal is in.
struct Durable {
    node: Node,
    blobs: Blobs,
}

impl Durable {
    fn open(folder: PathBuf) -> Result<Self, Box<dyn Error>> {
        fs::create_dir_all(&folder)?;
        let mut blobs = Blobs { folder };
        let (node, report) = Node::restore(Config::default(), now(), &mut blobs)?;
        println!(
            "restored {} messages from {} blobs",
            report.messages, report.blobs
        );
        Ok(Self { node, blobs })
    }

    /// Carries out a command that does not wait. After an error of the storage the queue
    /// must be opened again: the node is ahead of what is stored.
    fn ask(&mut self, command: Command<'_>) -> Result<Result<Reply, Refusal>, Box<dyn Error>> {
        self.node.submit(now(), command);
        // First store, then confirm, and only then is there a reply.
        while let Some(batch) = self.node.poll_batch() {
            self.blobs.append(&batch)?;
            self.node.handle_durable(batch.sequence);
        }
        let (_, outcome) = self.node.poll_reply().ok_or("a command that waits")?;
        Ok(outcome)
    }
}

/// A folder with a file for each blob, named by its sequence number.
struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    fn append(&self, batch: &Batch) -> std::io::Result<()> {
        // A file has its name only once it is whole, so a crash leaves no torn blob behind.
        let partial = self.folder.join("partial");
        let mut file = File::create(&partial)?;
        file.write_all(&batch.blob)?;
        file.sync_all()?;
        fs::rename(&partial, self.path(batch.sequence))?;
        File::open(&self.folder)?.sync_all()?;
        for needless in batch.drops.iter().cloned().flatten() {
            if let Err(error) = fs::remove_file(self.path(needless))
                && error.kind() != ErrorKind::NotFound
            {
                return Err(error);
            }
        }
        Ok(())
    }

    fn path(&self, sequence: u64) -> PathBuf {
        self.folder.join(format!("{sequence:020}.blob"))
    }
}

impl Load for Blobs {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        let entries = fs::read_dir(&self.folder).map_err(words)?;
        let paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<Vec<_>, _>>();
        let mut sequences: Vec<_> = paths
            .map_err(words)?
            .iter()
            .filter_map(|path| sequence(path))
            .collect();
        sequences.sort_unstable();
        Ok(sequences)
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        fs::read(self.path(sequence)).map_err(words)
    }
}

fn sequence(path: &Path) -> Option<u64> {
    path.file_name()?
        .to_str()?
        .strip_suffix(".blob")?
        .parse()
        .ok()
}

fn words(error: std::io::Error) -> LoadError {
    LoadError(error.to_string())
}

fn jobs() -> QueueName<'static> {
    QueueName {
        account: "shop".into(),
        queue: "jobs".into(),
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
