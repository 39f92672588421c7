//! The hot paths, each as a loop and nothing else, for counting instructions.

use std::ops::Range;

use anyhow::{bail, ensure};
use burrow_core::rest::{Request, RestConfig, Routed, route};
use burrow_core::wire::{self, Event, Offer, Session};
use burrow_core::{Command, Detail, NewMessage, Reply};
use clap::ValueEnum;

use crate::content::{self, Id};
use crate::drive::{Carrier, Driver, claim, queue, read_claims};

/// Messages of one batch.
const BATCH: u64 = 100;
/// Messages that lie in the queue all the time, so that structures have their usual form.
const BACKLOG: u64 = 2_000;

/// What is done for each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Path {
    /// Inserts, one a command, that stay.
    Insert,
    /// Insert, claim and delete, one message a command, in memory.
    Life,
    /// The same, each command journaled by itself.
    LifeJournaled,
    /// The same in batches of 100, in memory.
    LifeBatched,
    /// The same, each batch journaled.
    LifeBatchedJournaled,
    /// A PUT, from the bytes of the request to the bytes of the response.
    RestPut,
    /// A put of the wire protocol, from the bytes of the request to the bytes of the answer.
    WirePut,
    /// Reading one message by its id.
    Get,
    /// A claim that is given back by un-hiding.
    ClaimAndRelease,
}

impl Path {
    fn is_journaled(self) -> bool {
        matches!(self, Self::LifeJournaled | Self::LifeBatchedJournaled)
    }

    /// Takes the path for so many messages. The work beforehand is always the same.
    pub fn take(self, messages: u64) -> anyhow::Result<()> {
        let mut driver = Driver::new(self.is_journaled());
        driver.fill(&queue("q"), 0..BACKLOG)?;
        let numbers = BACKLOG..BACKLOG + messages;
        match self {
            Self::Insert => numbers
                .into_iter()
                .try_for_each(|number| insert(&mut driver, number)),
            Self::Life | Self::LifeJournaled => numbers
                .into_iter()
                .try_for_each(|number| life(&mut driver, number)),
            Self::LifeBatched | Self::LifeBatchedJournaled => numbers
                .step_by(BATCH as usize)
                .try_for_each(|first| batch(&mut driver, first)),
            Self::RestPut => numbers
                .into_iter()
                .try_for_each(|number| rest_put(&mut driver, number)),
            Self::WirePut => wire_puts(&mut driver, numbers),
            Self::Get => numbers
                .into_iter()
                .try_for_each(|number| get(&mut driver, number)),
            Self::ClaimAndRelease => (0..messages).try_for_each(|_| claim_and_release(&mut driver)),
        }
    }
}

fn insert(driver: &mut Driver, number: u64) -> anyhow::Result<()> {
    let id = Id::of(number);
    let message = NewMessage {
        id: Some(id.as_str().into()),
        body: content::body(number).into(),
        ..NewMessage::default()
    };
    let queue = queue("q");
    match driver.call(Command::Put { queue, message })? {
        Reply::Put { created: true } => Ok(()),
        other => bail!("unexpected reply {other:?}"),
    }
}

fn life(driver: &mut Driver, number: u64) -> anyhow::Result<()> {
    insert(driver, number)?;
    let reply = driver.call(claim(&queue("q"), 1))?;
    for (id, token) in read_claims(&reply)? {
        driver.call(Command::DeleteMessage {
            queue: queue("q"),
            id: id.as_str().into(),
            claim: Some(token),
            detail: Detail::None,
        })?;
    }
    Ok(())
}

fn batch(driver: &mut Driver, first: u64) -> anyhow::Result<()> {
    driver.put_batch(&queue("q"), first..first + BATCH)?;
    let claims = driver.claim_batch(&queue("q"), BATCH)?;
    ensure!(claims.len() as u64 == BATCH, "{} claims", claims.len());
    driver.delete_batch(&queue("q"), &claims)
}

fn rest_put(driver: &mut Driver, number: u64) -> anyhow::Result<()> {
    let target = format!("/v1.0/bench/q/{}", Id::of(number).as_str());
    let request = Request {
        method: "PUT",
        target: &target,
        body: content::body(number),
        ..Request::default()
    };
    let Routed::Submit(command, plan) = route(&request, &RestConfig::default()) else {
        bail!("a PUT is for the machine");
    };
    driver.submit(command);
    let response = plan.respond(Ok(driver.reply()?));
    ensure!(response.status == 201, "status {}", response.status);
    Ok(())
}

fn wire_puts(driver: &mut Driver, numbers: Range<u64>) -> anyhow::Result<()> {
    let mut session = Session::new(Offer::default());
    let (mut request, mut out) = (Vec::new(), Vec::new());
    wire::encode_hello(session.received());
    ensure!(session.next(&mut out) == Some(Event::Answered), "no hello");
    for number in numbers {
        let id = Id::of(number);
        let put = Command::Put {
            queue: queue("q"),
            message: NewMessage {
                id: Some(id.as_str().into()),
                body: content::body(number).into(),
                ..NewMessage::default()
            },
        };
        request.clear();
        out.clear();
        wire::encode_request(&mut request, number, &put, u32::MAX)?;
        session.received().extend_from_slice(&request);
        let Some(Event::Submit { id, command }) = session.next(&mut out) else {
            bail!("a put is for the machine");
        };
        driver.submit(command);
        let outcome = Ok(driver.reply()?);
        session.answer(id, &outcome, &mut out);
        ensure!(!out.is_empty(), "no answer");
    }
    Ok(())
}

fn get(driver: &mut Driver, number: u64) -> anyhow::Result<()> {
    let id = Id::of(number % BACKLOG);
    driver.call(Command::GetMessage {
        queue: queue("q"),
        id: id.as_str().into(),
        detail: Detail::All,
    })?;
    Ok(())
}

fn claim_and_release(driver: &mut Driver) -> anyhow::Result<()> {
    let reply = driver.call(claim(&queue("q"), 1))?;
    for (id, token) in read_claims(&reply)? {
        driver.call(Command::UpdateMessage {
            queue: queue("q"),
            id: id.as_str().into(),
            update: burrow_core::Update {
                ttl_ms: None,
                hide_ms: Some(0),
            },
            claim: Some(token),
            detail: Detail::None,
        })?;
    }
    Ok(())
}
