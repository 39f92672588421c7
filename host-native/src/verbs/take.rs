//! The verbs that give messages out, and what comes after: `claim`, `ack`, `extend`,
//! `release`, `pop`, `peek`, `watch`.

use std::io::{self, Write};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use burrow_client::{ClaimToken, Client, Error, Listing, Message, Settle, Taking};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::args::{ClaimArgs, ExtendArgs, PeekArgs, ReleaseArgs, SettleArgs, TakeArgs, WatchArgs};
use super::{BETWEEN_TRIES, VerbError, is_outage, print_json, queue};

/// How long one request of `watch` waits.
const TURN: Duration = Duration::from_secs(20);
/// Messages that one request of `watch` takes.
const PAGE: u64 = 1_000;

pub(super) async fn claim(args: &ClaimArgs, client: &Client) -> Result<(), VerbError> {
    let queue = queue(&args.take.queue, client);
    let claimed = queue.claim(taking(&args.take), args.hide).await?;
    let mut out = io::stdout().lock();
    for message in &claimed {
        if args.take.queue.target.json {
            print_json(&mut out, &as_json(message))?;
            continue;
        }
        let claim = message.claim.as_ref().map(ClaimToken::to_string);
        let claim = claim.unwrap_or_default();
        write!(out, "{}\t{claim}\t{}\t", message.id, message.attempts)?;
        print_body(&mut out, message)?;
    }
    Ok(out.flush()?)
}

pub(super) async fn pop(args: &TakeArgs, client: &Client) -> Result<(), VerbError> {
    let popped = queue(&args.queue, client).pop(taking(args)).await?;
    print(&popped, args.queue.target.json)
}

pub(super) async fn peek(args: &PeekArgs, client: &Client) -> Result<(), VerbError> {
    let queue = queue(&args.take.queue, client);
    let seen = match &args.id {
        Some(id) => vec![queue.get(id).await?],
        None => {
            let listing = Listing {
                marker: args.marker.clone(),
                limit: Some(args.take.limit),
                hidden: args.hidden,
                wait: args.take.wait,
                ..Listing::default()
            };
            queue.list(listing).await?.list
        }
    };
    print(&seen, args.take.queue.target.json)
}

/// Without a time after which it is to end, it outlives that its servers are away.
pub(super) async fn watch(args: &WatchArgs, client: &Client) -> Result<(), VerbError> {
    let mut following = queue(&args.queue, client).follow(Listing {
        marker: args.marker.clone(),
        limit: Some(PAGE),
        wait: args.wait.unwrap_or(TURN),
        ..Listing::default()
    });
    let mut left = args.limit.unwrap_or(u64::MAX);
    while left > 0 {
        match following.next(left).await {
            Ok(messages) => {
                print(&messages, args.queue.target.json)?;
                left = left.saturating_sub(messages.len() as u64);
            }
            Err(Error::NotFound(_)) if args.wait.is_some() => return Err(VerbError::Nothing),
            Err(Error::NotFound(_)) => {}
            Err(error) if args.wait.is_none() && is_outage(&error) => {
                eprintln!("burrow: {error}; trying again");
                sleep(BETWEEN_TRIES).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

pub(super) async fn ack(args: &SettleArgs, client: &Client) -> Result<(), VerbError> {
    settle(args, client, Settle::Ack).await
}

pub(super) async fn extend(args: &ExtendArgs, client: &Client) -> Result<(), VerbError> {
    settle(&args.settle, client, Settle::Extend(args.hide)).await
}

pub(super) async fn release(args: &ReleaseArgs, client: &Client) -> Result<(), VerbError> {
    settle(&args.settle, client, Settle::Release(args.delay)).await
}

async fn settle(args: &SettleArgs, client: &Client, settle: Settle) -> Result<(), VerbError> {
    let claim = args.claim.as_deref().map(str::parse::<ClaimToken>);
    // What is no claim is one that was never given.
    let claim = claim.transpose().map_err(|_| Error::ClaimLost)?;
    Ok(queue(&args.queue, client)
        .settle(&args.id, claim, settle)
        .await?)
}

fn taking(args: &TakeArgs) -> Taking {
    Taking {
        limit: args.limit,
        wait: args.wait,
    }
}

fn print(messages: &[Message], as_lines_of_json: bool) -> Result<(), VerbError> {
    let mut out = io::stdout().lock();
    for message in messages {
        match as_lines_of_json {
            true => print_json(&mut out, &as_json(message))?,
            false => print_body(&mut out, message)?,
        }
    }
    Ok(out.flush()?)
}

fn print_body(out: &mut dyn Write, message: &Message) -> io::Result<()> {
    out.write_all(&message.body)?;
    match message.body.ends_with(b"\n") {
        true => Ok(()),
        false => out.write_all(b"\n"),
    }
}

/// A message as REST shows it.
pub(super) fn as_json(message: &Message) -> Value {
    let mut json = json!({
        "id": message.id,
        "ttl": message.ttl_ms.div_ceil(1000),
        "hide": message.hide_ms.div_ceil(1000),
    });
    match std::str::from_utf8(&message.body) {
        Ok(text) => json["body"] = text.into(),
        Err(_) => {
            json["body"] = STANDARD.encode(&message.body).into();
            json["encoding"] = "base64".into();
        }
    }
    if let Some(content_type) = &message.content_type {
        json["content_type"] = content_type.as_str().into();
    }
    if let Some(claim) = message.claim {
        json["claim"] = claim.to_string().into();
        json["attempts"] = message.attempts.into();
    }
    json
}
