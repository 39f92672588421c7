//! Damaged blobs to the journal's decoder.

use arbitrary::{Arbitrary, Unstructured};
use burrow_core::{
    Command, Detail, NewMessage, Node, Page, QueueName, Selection, Settings, Timestamp, Update,
};

use crate::envelope::{mend, put_number};
use crate::host::{Stored, config};

/// Restores a node from a journal after some damage: it is refused, or the node is sound.
/// Damage that no checksum was mended for never changes what is restored.
pub fn journal(input: &[u8]) {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(input)) else {
        return;
    };
    let (node, whole) = write(&case.acts);
    let mut stored = whole.clone();
    for damage in &case.damages {
        damage.apply(&mut stored);
    }
    if case.mend {
        stored
            .0
            .iter_mut()
            .for_each(|(sequence, blob)| mend(blob, *sequence));
    }
    let Ok((mut restored, _)) = Node::restore(config(), NOW, &mut stored) else {
        let untouched = stored.0 == whole.0;
        assert!(!untouched, "what was stored is whole");
        return;
    };
    if !case.mend && case.damages.iter().all(Damage::is_noticed) {
        assert_eq!(restored.digest(), node.digest(), "damage went unnoticed");
    }
    use_up(&mut restored, stored);
}

/// The instant of every journal and restore.
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

#[derive(Debug)]
struct Case {
    /// Whether the envelopes are made to fit, so that the damage is not noticed by them.
    mend: bool,
    damages: Vec<Damage>,
    acts: Vec<Act>,
}

impl<'a> Arbitrary<'a> for Case {
    /// As derived, but with lists that are long more often than not.
    fn arbitrary(bytes: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mend = bytes.arbitrary()?;
        let damages = bytes.int_in_range(0..=4)?;
        let damages = (0..damages)
            .map(|_| bytes.arbitrary())
            .collect::<Result<_, _>>()?;
        let acts = bytes.int_in_range(1..=60)?;
        let acts = (0..acts)
            .map(|_| bytes.arbitrary())
            .collect::<Result<_, _>>()?;
        Ok(Self {
            mend,
            damages,
            acts,
        })
    }
}

/// What happens before the damage, to have something in the journal.
#[derive(Arbitrary, Debug)]
enum Act {
    Put {
        queue: bool,
        id: u8,
        body_bytes: u8,
        ttl_ms: u16,
    },
    PutBatch {
        queue: bool,
        messages: u8,
        body_bytes: u8,
    },
    Claim {
        queue: bool,
        limit: u8,
        hide_ms: u16,
    },
    Delete {
        queue: bool,
        limit: u8,
    },
    DeleteOne {
        queue: bool,
        id: u8,
    },
    Settings {
        queue: bool,
        max_attempts: u8,
    },
}

/// What is done to the blobs. Blobs and places are told modulo what there is.
#[derive(Arbitrary, Debug)]
enum Damage {
    Flip {
        blob: u8,
        at: u16,
        bits: u8,
    },
    Cut {
        blob: u8,
        bytes: u16,
    },
    Insert {
        blob: u8,
        at: u16,
        bytes: Vec<u8>,
    },
    /// Another number in a record that is otherwise whole.
    PutNumber {
        blob: u8,
        record: u8,
        at: u8,
        number: u64,
        bits: u8,
    },
    Replace {
        blob: u8,
        bytes: Vec<u8>,
    },
    Swap {
        blob: u8,
        other: u8,
    },
    Lose {
        blob: u8,
    },
}

fn write(acts: &[Act]) -> (Node, Stored) {
    let mut node = Node::new(config());
    let mut stored = Stored::default();
    for act in acts {
        act.submit(&mut node);
        stored.store(&mut node);
        while node.poll_reply().is_some() {}
    }
    (node, stored)
}

impl Act {
    fn submit(&self, node: &mut Node) {
        let name = |second: &bool| QueueName {
            account: "account".into(),
            queue: if *second { "second" } else { "first" }.into(),
        };
        let first = |limit: &u8| Selection {
            limit: Some(u64::from(*limit) + 1),
            ..Selection::default()
        };
        let body = |bytes: &u8| vec![b'.'; usize::from(*bytes)].into();
        let command = match self {
            Self::Put {
                queue,
                id,
                body_bytes,
                ttl_ms,
            } => Command::Put {
                queue: name(queue),
                message: NewMessage {
                    id: Some(id.to_string().into()),
                    body: body(body_bytes),
                    ttl_ms: Some((*ttl_ms).into()),
                    ..NewMessage::default()
                },
            },
            Self::PutBatch {
                queue,
                messages,
                body_bytes,
            } => Command::PutBatch {
                queue: name(queue),
                messages: (0..messages % 20)
                    .map(|_| NewMessage {
                        body: body(body_bytes),
                        ..NewMessage::default()
                    })
                    .collect(),
            },
            Self::Claim {
                queue,
                limit,
                hide_ms,
            } => Command::UpdateMessages {
                queue: name(queue),
                selection: first(limit),
                update: Update {
                    ttl_ms: None,
                    hide_ms: Some((*hide_ms).into()),
                },
                wait_ms: 0,
                detail: Detail::None,
            },
            Self::Delete { queue, limit } => Command::DeleteMessages {
                queue: name(queue),
                selection: first(limit),
                wait_ms: 0,
                detail: Detail::None,
            },
            Self::DeleteOne { queue, id } => Command::DeleteMessage {
                queue: name(queue),
                id: id.to_string().into(),
                claim: None,
                detail: Detail::None,
            },
            Self::Settings {
                queue,
                max_attempts,
            } => Command::PutSettings {
                queue: name(queue),
                settings: Settings {
                    max_attempts: Some(u32::from(*max_attempts) + 1),
                    dead_letter: Some("dead".into()),
                    ..Settings::default()
                },
            },
        };
        node.submit(NOW, command);
    }
}

impl Damage {
    /// False for damage that can look like an earlier moment of the same journal.
    fn is_noticed(&self) -> bool {
        !matches!(self, Self::Lose { .. })
    }

    fn apply(&self, stored: &mut Stored) {
        let sequence = |blob: u8| {
            stored
                .0
                .keys()
                .nth(usize::from(blob) % stored.0.len().max(1))
                .copied()
        };
        let (Self::Flip { blob, .. }
        | Self::Cut { blob, .. }
        | Self::Insert { blob, .. }
        | Self::PutNumber { blob, .. }
        | Self::Replace { blob, .. }
        | Self::Swap { blob, .. }
        | Self::Lose { blob }) = self;
        let Some(damaged) = sequence(*blob) else {
            return;
        };
        match self {
            Self::Swap { other, .. } => {
                let Some(other) = sequence(*other) else {
                    return;
                };
                let one = stored.0.remove(&damaged).unwrap_or_default();
                let two = stored.0.insert(other, one.clone()).unwrap_or(one);
                stored.0.insert(damaged, two);
            }
            Self::Lose { .. } => {
                stored.0.remove(&damaged);
            }
            _ => {
                if let Some(blob) = stored.0.get_mut(&damaged) {
                    self.rewrite(blob);
                }
            }
        }
    }

    fn rewrite(&self, blob: &mut Vec<u8>) {
        let place = |at: &u16| usize::from(*at) % (blob.len() + 1);
        match self {
            Self::Flip { at, bits, .. } => {
                let at = place(at);
                if let Some(byte) = blob.get_mut(at) {
                    *byte ^= bits;
                }
            }
            Self::Cut { bytes, .. } => blob.truncate(place(bytes)),
            Self::Insert { at, bytes, .. } => {
                let at = place(at);
                blob.splice(at..at, bytes.iter().copied());
            }
            Self::PutNumber {
                record,
                at,
                number,
                bits,
                ..
            } => {
                put_number(
                    blob,
                    (record % 4).into(),
                    (*at).into(),
                    number >> (bits % 64),
                );
            }
            Self::Replace { bytes, .. } => blob.clone_from(bytes),
            Self::Swap { .. } | Self::Lose { .. } => {}
        }
    }
}

/// Reads, claims and removes all there is: a node that was restored holds what it says.
fn use_up(node: &mut Node, mut stored: Stored) {
    node.handle_deadline(NOW.after_ms(1_000));
    let stats = node.stats();
    node.submit(
        NOW,
        Command::ListAccounts {
            page: Page::default(),
        },
    );
    node.submit(
        NOW,
        Command::DeleteAccounts {
            page: Page::default(),
        },
    );
    stored.store(node);
    while node.poll_reply().is_some() {}
    let left = node.stats();
    assert_eq!(
        (left.messages, left.queues, left.accounts, left.bytes),
        (0, 0, 0, 0),
        "of {stats:?}"
    );
}
