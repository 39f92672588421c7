//! Burrow's own binary protocol.

use std::net::TcpStream;
use std::ops::Range;

use anyhow::{Context, bail, ensure};
use burrow_core::wire::{self, Answer, Decoder};
use burrow_core::{
    ClaimToken, Command, Detail, NewMessage, QueueName, Reply, SettleAction, Settlement,
};

use super::Plan;
use super::client::{Claims, Client, Handle, Taken, exchange};
use crate::content::{self, ID_BYTES, Id};
use crate::drive;

pub(super) struct Wire {
    queue: QueueName<'static>,
    decoder: Decoder,
    last_id: u64,
    body_bytes: usize,
}

impl Wire {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            queue: QueueName {
                account: "bench".into(),
                queue: plan.queue.clone().into(),
            },
            decoder: Decoder::new(u32::MAX),
            last_id: 0,
            body_bytes: plan.body_bytes,
        }
    }

    fn submit(&mut self, out: &mut Vec<u8>, command: &Command<'_>) -> anyhow::Result<()> {
        self.last_id += 1;
        wire::encode_request(out, self.last_id, command, u32::MAX)?;
        Ok(())
    }
}

fn split(handle: &[u8]) -> anyhow::Result<(&str, ClaimToken)> {
    let (id, token) = handle
        .split_at_checked(ID_BYTES)
        .context("a short handle")?;
    let token = ClaimToken::from_number(u64::from_le_bytes(token.try_into()?))?;
    Ok((str::from_utf8(id)?, token))
}

impl Client for Wire {
    fn open(&mut self, stream: &mut TcpStream) -> anyhow::Result<()> {
        let mut hello = Vec::new();
        wire::encode_hello(&mut hello);
        let (decoder, mut seen) = (&mut self.decoder, 0);
        exchange(stream, &hello, |input| {
            decoder.received().extend_from_slice(&input[seen..]);
            seen = input.len();
            // The limits follow in the same breath; they are read with the answers.
            Ok(wire::take_welcome(decoder)?.map(drop))
        })
    }

    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        let ids: Vec<Id> = numbers.clone().map(Id::of).collect();
        let mut messages = ids.iter().zip(numbers).map(|(id, number)| NewMessage {
            id: Some(id.as_str().into()),
            body: content::body_of(number, self.body_bytes).into(),
            ..NewMessage::default()
        });
        let queue = self.queue.clone();
        let command = match ids.len() {
            1 => Command::Put {
                queue,
                message: messages.next().context("one message")?,
            },
            _ => Command::PutBatch {
                queue,
                messages: messages.collect(),
            },
        };
        self.submit(out, &command)
    }

    fn claim(&mut self, out: &mut Vec<u8>, count: u64) -> anyhow::Result<()> {
        let command = drive::claim(&self.queue, count);
        self.submit(out, &command)
    }

    fn delete(&mut self, out: &mut Vec<u8>, handles: &[Handle]) -> anyhow::Result<()> {
        let queue = self.queue.clone();
        if let [handle] = handles {
            let (id, claim) = split(handle)?;
            let command = Command::DeleteMessage {
                queue,
                id: id.into(),
                claim: Some(claim),
                detail: Detail::None,
            };
            return self.submit(out, &command);
        }
        let settlements = handles.iter().map(|handle| {
            let (id, claim) = split(handle)?;
            Ok(Settlement {
                id: id.into(),
                claim: Some(claim),
                action: SettleAction::Delete,
            })
        });
        let settlements = settlements.collect::<anyhow::Result<_>>()?;
        self.submit(out, &Command::Settle { queue, settlements })
    }

    fn answer(&mut self, input: &[u8], claims: &mut Claims) -> anyhow::Result<Option<Taken>> {
        self.decoder.received().extend_from_slice(input);
        let Some(frame) = self.decoder.next_frame()? else {
            return Ok((!input.is_empty()).then_some(Taken {
                bytes: input.len(),
                messages: None,
            }));
        };
        let outcome = match wire::decode_answer(&frame)? {
            Answer::Outcome { outcome, .. } => outcome?,
            Answer::Hello(_) => return Ok(Taken::more(input.len())),
            other => bail!("unexpected {other:?}"),
        };
        let messages = match outcome {
            Reply::Put { created: true } => 1,
            Reply::PutBatch(ids) => ids.len() as u64,
            Reply::Messages(messages) => {
                for message in messages.iter() {
                    let token = message.claim.context("no claim")?.number();
                    let handle = [message.id.as_bytes(), &token.to_le_bytes()].concat();
                    claims.add(handle, message.body)?;
                }
                messages.matched()
            }
            Reply::Settled(results) => {
                ensure!(results.iter().all(Result::is_ok), "a claim was lost");
                results.len() as u64
            }
            Reply::Done => 1,
            other => bail!("unexpected {other:?}"),
        };
        Ok(Taken::done(input.len(), messages))
    }
}
