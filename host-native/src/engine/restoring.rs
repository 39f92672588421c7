//! Restores a node while its blobs are read: reading goes on, on a thread of its own, while
//! what was read is made into a state.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use burrow_core::journal::{Load, LoadError, RestoreReport};
use burrow_core::{Config, Node, Timestamp};

use super::StartError;

/// Blobs that are read before they are asked for.
const BLOBS_AHEAD: usize = 16;

/// As [`Node::restore`], from what `open` gives on the thread that reads.
pub(super) fn restore<'a>(
    config: &Config,
    now: Timestamp,
    open: impl FnOnce() -> Box<dyn Load + 'a> + Send,
) -> Result<(Node, RestoreReport), StartError> {
    thread::scope(|scope| {
        let (questions, asked) = channel();
        thread::Builder::new()
            .name("burrow-reader".into())
            .spawn_scoped(scope, move || answer(&mut *open(), &asked))
            .map_err(StartError::Thread)?;
        let mut load = Ahead {
            questions,
            coming: None,
        };
        Ok(Node::restore(config.clone(), now, &mut load)?)
    })
}

enum Question {
    Sequences(Sender<Result<Vec<u64>, LoadError>>),
    /// This blob and those behind it, until nobody listens.
    From(u64, SyncSender<Blob>),
}

type Blob = (u64, Result<Vec<u8>, LoadError>);

fn answer(load: &mut dyn Load, asked: &Receiver<Question>) {
    let mut sequences = Vec::new();
    while let Ok(question) = asked.recv() {
        match question {
            Question::Sequences(listener) => {
                let found = load.sequences();
                sequences = found.as_ref().map_or_else(|_| Vec::new(), Vec::clone);
                // Whoever asks, waits.
                let _ = listener.send(found);
            }
            Question::From(first, listener) => {
                let behind = sequences.partition_point(|&sequence| sequence <= first);
                let behind = sequences.get(behind..).unwrap_or_default();
                for sequence in [first].iter().chain(behind) {
                    if listener.send((*sequence, load.read(*sequence))).is_err() {
                        break;
                    }
                }
            }
        }
    }
}

/// Has what will be asked for next read already.
struct Ahead {
    questions: Sender<Question>,
    coming: Option<Receiver<Blob>>,
}

impl Ahead {
    fn lost() -> LoadError {
        LoadError("the thread that reads has ended".into())
    }
}

impl Load for Ahead {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        self.coming = None;
        let (listener, found) = channel();
        let asked = self.questions.send(Question::Sequences(listener));
        asked.map_err(|_| Self::lost())?;
        found.recv().map_err(|_| Self::lost())?
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        let next = self.coming.as_ref().and_then(|coming| coming.recv().ok());
        if let Some((found, blob)) = next
            && found == sequence
        {
            return blob;
        }
        let (listener, coming) = sync_channel(BLOBS_AHEAD);
        // What else was read ahead is not wanted: the reader hears that nobody listens.
        self.coming = None;
        let asked = self.questions.send(Question::From(sequence, listener));
        asked.map_err(|_| Self::lost())?;
        let (_, blob) = coming.recv().map_err(|_| Self::lost())?;
        self.coming = Some(coming);
        blob
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Holds the blobs 2, 3, 5 to 99, each of which is its number; 50 cannot be read.
    struct Numbers(Arc<Mutex<Vec<u64>>>);

    impl Load for Numbers {
        fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
            Ok([2, 3].into_iter().chain(5..100).collect())
        }

        fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
            self.0.lock().unwrap().push(sequence);
            if sequence == 50 || !self.sequences()?.contains(&sequence) {
                return Err(LoadError(format!("no {sequence}")));
            }
            Ok(sequence.to_le_bytes().into())
        }
    }

    #[test]
    fn gives_what_is_asked_for_in_any_order_and_reads_little_more() {
        let reads = Arc::default();
        let mut numbers = Numbers(Arc::clone(&reads));
        thread::scope(|scope| {
            let (questions, asked) = channel();
            let numbers = &mut numbers;
            scope.spawn(move || answer(numbers, &asked));
            let mut load = Ahead {
                questions,
                coming: None,
            };
            let all = load.sequences().unwrap();
            let orders = [
                vec![99, 98],
                all.clone(),
                vec![5, 6, 7, 3, 3, 99, 2],
                vec![4, 1, 100, u64::MAX, 0, 2],
                all,
            ];
            for sequence in orders.into_iter().flatten() {
                let expected = (sequence != 50 && ![0, 1, 4].contains(&sequence) && sequence < 100)
                    .then(|| sequence.to_le_bytes().to_vec())
                    .ok_or_else(|| format!("no {sequence}"));
                assert_eq!(
                    load.read(sequence).map_err(|LoadError(error)| error),
                    expected
                );
            }
        });
        let reads = reads.lock().unwrap().len();
        assert!((210..500).contains(&reads), "{reads} blobs were read");
    }
}
