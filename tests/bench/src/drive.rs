//! A node with a host around it that stores nothing.

use anyhow::{Context, bail, ensure};
use burrow_core::{
    Command, Config, Detail, JournalConfig, Limits, NewMessage, Node, QueueName, Refusal, Reply,
    Selection, SettleAction, Settlement, Ticket, Timestamp, Update,
};

use crate::content::{self, BODY_BYTES, Id};

/// The span that messages live: longer than any run, so that every message has an expiry.
pub const TTL_MS: u64 = 86_400_000;
/// The span that claims last; longer than any run.
pub const HIDE_MS: u64 = 3_600_000;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Commands for each millisecond of the node's clock.
const COMMANDS_PER_MS: u64 = 1_000;

#[derive(Debug)]
pub struct Driver {
    pub node: Node,
    /// Those of the messages that are put.
    pub body_bytes: usize,
    commands: u64,
    /// Bytes of the batches so far, and their number.
    pub journal_bytes: u64,
    pub batches: u64,
    /// Blobs that the node has said are needless.
    pub dropped: u64,
}

/// A claimed message: what it takes to delete it.
pub type Claim = (Id, burrow_core::ClaimToken);

impl Driver {
    pub fn new(journal: bool) -> Self {
        let config = Config {
            default_ttl_ms: TTL_MS,
            journal: JournalConfig {
                enabled: journal,
                ..JournalConfig::default()
            },
            limits: Limits {
                max_queues: 4_000_000,
                max_account_queues: 4_000_000,
                ..Limits::default()
            },
            ..Config::default()
        };
        Self {
            node: Node::new(config),
            body_bytes: BODY_BYTES,
            commands: 0,
            journal_bytes: 0,
            batches: 0,
            dropped: 0,
        }
    }

    pub fn now(&mut self) -> Timestamp {
        self.commands += 1;
        START.after_ms(self.commands / COMMANDS_PER_MS)
    }

    pub fn submit(&mut self, command: Command<'_>) -> Ticket {
        let now = self.now();
        self.node.submit(now, command)
    }

    /// Takes over what is to be stored, at once.
    pub fn commit(&mut self) {
        while let Some(batch) = self.node.poll_batch() {
            self.journal_bytes += batch.blob.len() as u64;
            self.batches += 1;
            self.dropped += batch
                .drops
                .iter()
                .map(|range| range.end() - range.start() + 1)
                .sum::<u64>();
            self.node.handle_durable(batch.sequence);
        }
    }

    pub fn reply(&mut self) -> anyhow::Result<Reply> {
        let (_, outcome) = self.node.poll_reply().context("no reply")?;
        outcome.map_err(|refusal| anyhow::anyhow!("refused: {refusal}"))
    }

    /// Puts the messages `numbers` into the queue, in batches of 10,000.
    pub fn fill(
        &mut self,
        queue: &QueueName<'_>,
        numbers: std::ops::Range<u64>,
    ) -> anyhow::Result<()> {
        let mut from = numbers.start;
        while from < numbers.end {
            let until = numbers.end.min(from + 10_000);
            self.put_batch(queue, from..until)?;
            from = until;
        }
        let expected = numbers.end - numbers.start;
        ensure!(
            self.node.stats().messages >= expected,
            "{} messages instead of {expected}",
            self.node.stats().messages
        );
        Ok(())
    }

    /// Takes replies until there are none; every one must be a success.
    pub fn take_replies(
        &mut self,
        mut each: impl FnMut(Reply) -> anyhow::Result<()>,
    ) -> anyhow::Result<u64> {
        let mut count = 0;
        while let Some((_, outcome)) = self.node.poll_reply() {
            each(outcome.map_err(|refusal: Refusal| anyhow::anyhow!("refused: {refusal}"))?)?;
            count += 1;
        }
        Ok(count)
    }
}

/// What carries commands out, one after another.
pub trait Carrier {
    /// Carries one command out and takes its reply.
    fn call(&mut self, command: Command<'_>) -> anyhow::Result<Reply>;

    /// Bytes of the bodies that are put.
    fn body_bytes(&self) -> usize {
        BODY_BYTES
    }

    fn put_batch(
        &mut self,
        queue: &QueueName<'_>,
        numbers: std::ops::Range<u64>,
    ) -> anyhow::Result<()> {
        let ids: Vec<Id> = numbers.clone().map(Id::of).collect();
        let messages = ids
            .iter()
            .zip(numbers)
            .map(|(id, number)| NewMessage {
                id: Some(id.as_str().into()),
                body: content::body_of(number, self.body_bytes()).into(),
                ..NewMessage::default()
            })
            .collect();
        let reply = self.call(Command::PutBatch {
            queue: queue.clone(),
            messages,
        })?;
        match reply {
            Reply::PutBatch(stored) if stored.len() == ids.len() => Ok(()),
            other => bail!("unexpected reply {other:?}"),
        }
    }

    fn claim_batch(&mut self, queue: &QueueName<'_>, limit: u64) -> anyhow::Result<Vec<Claim>> {
        let reply = self.call(claim(queue, limit))?;
        read_claims_of(&reply, self.body_bytes())
    }

    fn delete_batch(&mut self, queue: &QueueName<'_>, claims: &[Claim]) -> anyhow::Result<()> {
        let settlements = claims
            .iter()
            .map(|(id, claim)| Settlement {
                id: id.as_str().into(),
                claim: Some(*claim),
                action: SettleAction::Delete,
            })
            .collect();
        match self.call(Command::Settle {
            queue: queue.clone(),
            settlements,
        })? {
            Reply::Settled(results)
                if results.iter().all(Result::is_ok) && results.len() == claims.len() =>
            {
                Ok(())
            }
            other => bail!("unexpected reply {other:?}"),
        }
    }
}

impl Carrier for Driver {
    fn call(&mut self, command: Command<'_>) -> anyhow::Result<Reply> {
        self.submit(command);
        self.commit();
        self.reply()
    }

    fn body_bytes(&self) -> usize {
        self.body_bytes
    }
}

pub fn queue(name: &str) -> QueueName<'_> {
    QueueName {
        account: "bench".into(),
        queue: name.into(),
    }
}

/// The claim of the first visible messages.
pub fn claim<'a>(queue: &QueueName<'a>, limit: u64) -> Command<'a> {
    Command::UpdateMessages {
        queue: queue.clone(),
        selection: Selection {
            limit: Some(limit),
            ..Selection::default()
        },
        update: Update {
            hide_ms: Some(HIDE_MS),
            ttl_ms: None,
        },
        wait_ms: 0,
        detail: Detail::All,
    }
}

/// Checks the bodies' lengths and takes the tokens.
pub fn read_claims(reply: &Reply) -> anyhow::Result<Vec<Claim>> {
    read_claims_of(reply, BODY_BYTES)
}

fn read_claims_of(reply: &Reply, body_bytes: usize) -> anyhow::Result<Vec<Claim>> {
    let Reply::Messages(messages) = reply else {
        bail!("unexpected reply {reply:?}")
    };
    let messages = messages.iter();
    let mut claims = Vec::with_capacity(messages.len());
    for message in messages {
        ensure!(
            message.body.len() == body_bytes,
            "body of {} bytes",
            message.body.len()
        );
        let token = message.claim.context("no claim token")?;
        claims.push((Id::read(message.id)?, token));
    }
    Ok(claims)
}
