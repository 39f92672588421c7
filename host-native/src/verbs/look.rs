//! `burrow ls`, `stats` and `settings`.

use std::io::{self, Write};

use burrow_client::{Client, Error, Listing, Queue, Settings};
use burrow_core::rest::{Place, place, read_settings, write_settings};
use serde_json::{Map, Value, json};

use super::args::{LsArgs, SettingsArgs};
use super::{VerbError, print_json, queue};

/// Messages that are listed in one step.
const PAGE: u64 = 1_000;

pub(super) async fn ls(args: &LsArgs, client: &Client) -> Result<(), VerbError> {
    let names = match read_place(args)? {
        Where::Everywhere => client.accounts().await?,
        Where::Account(account) => client.queues(&account).await?,
        Where::Queue(account, name) => {
            return ls_messages(&client.queue(&account, &name), args.target.json).await;
        }
    };
    let mut out = io::stdout().lock();
    for name in names {
        match args.target.json {
            true => print_json(&mut out, &json!({ "id": name }))?,
            false => writeln!(out, "{name}")?,
        }
    }
    Ok(())
}

async fn ls_messages(queue: &Queue, as_json: bool) -> Result<(), VerbError> {
    let mut pages = queue.pages(Listing {
        limit: Some(PAGE),
        hidden: true,
        without_bodies: true,
        ..Listing::default()
    });
    while let Some(messages) = pages.next().await? {
        let mut out = io::stdout().lock();
        for message in &messages {
            let (ttl, hide) = (
                message.ttl_ms.div_ceil(1000),
                message.hide_ms.div_ceil(1000),
            );
            match as_json {
                true => print_json(
                    &mut out,
                    &json!({ "id": message.id, "ttl": ttl, "hide": hide }),
                )?,
                false => writeln!(out, "{}\tttl {ttl}\thide {hide}", message.id)?,
            }
        }
    }
    Ok(())
}

pub(super) async fn stats(args: &LsArgs, client: &Client) -> Result<(), VerbError> {
    let mut is_named = false;
    let queues = match read_place(args)? {
        Where::Queue(account, queue) => {
            is_named = true;
            vec![(account, queue)]
        }
        Where::Account(account) => queues_of(client, account).await?,
        Where::Everywhere => {
            let mut queues = Vec::new();
            for account in client.accounts().await? {
                match queues_of(client, account).await {
                    // It has gone since.
                    Err(Error::NotFound(_)) => {}
                    own => queues.extend(own?),
                }
            }
            queues
        }
    };
    for (account, queue) in queues {
        let stats = match client.queue(&account, &queue).stats().await {
            // As above.
            Err(Error::NotFound(_)) if !is_named => continue,
            stats => stats?,
        };
        let mut out = io::stdout().lock();
        match args.target.json {
            true => print_json(
                &mut out,
                &json!({
                    "account": account, "queue": queue, "messages": stats.messages,
                    "visible": stats.visible, "hidden": stats.hidden, "bytes": stats.bytes,
                }),
            )?,
            false => writeln!(
                out,
                "{account}/{queue}\t{} messages\t{} visible\t{} hidden\t{} bytes",
                stats.messages, stats.visible, stats.hidden, stats.bytes
            )?,
        }
    }
    Ok(())
}

async fn queues_of(client: &Client, account: String) -> Result<Vec<(String, String)>, Error> {
    let queues = client.queues(&account).await?.into_iter();
    Ok(queues.map(|queue| (account.clone(), queue)).collect())
}

pub(super) async fn settings(args: &SettingsArgs, client: &Client) -> Result<(), VerbError> {
    let queue = queue(&args.queue, client);
    if args.clear {
        return Ok(queue.clear_settings().await?);
    }
    if args.changes.is_empty() {
        return show(&queue.settings().await?, args.queue.target.json);
    }
    let own = match queue.settings().await {
        Err(Error::NotFound(_)) => Settings::default(),
        outcome => outcome?,
    };
    let mut json = as_object(&own)?;
    for change in &args.changes {
        let Some((name, value)) = change.split_once('=') else {
            return Err(VerbError::Usage(format!("{change} is not NAME=VALUE")));
        };
        let value = match value {
            "" => Value::Null,
            text if matches!(name, "order" | "dead_letter") => text.into(),
            text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        json.insert(name.to_owned(), value);
    }
    let text = Value::Object(json).to_string();
    let settings = read_settings(text.as_bytes()).map_err(|response| {
        VerbError::Usage(String::from_utf8_lossy(&response.body).into_owned())
    })?;
    Ok(queue.put_settings(settings).await?)
}

fn show(settings: &Settings, is_json: bool) -> Result<(), VerbError> {
    let mut out = io::stdout().lock();
    let json = as_object(settings)?;
    if is_json {
        return Ok(print_json(&mut out, &Value::Object(json))?);
    }
    for (name, value) in json {
        match value {
            Value::String(text) => writeln!(out, "{name}={text}")?,
            value => writeln!(out, "{name}={value}")?,
        }
    }
    Ok(())
}

fn as_object(settings: &Settings) -> Result<Map<String, Value>, VerbError> {
    let mut text = Vec::new();
    write_settings(&mut text, settings);
    serde_json::from_slice(&text).map_err(|error| VerbError::Io(error.into()))
}

enum Where {
    Everywhere,
    Account(String),
    Queue(String, String),
}

fn read_place(args: &LsArgs) -> Result<Where, VerbError> {
    let Some(text) = &args.place else {
        return Ok(Where::Everywhere);
    };
    match (text.matches('/').count(), place(&format!("/v1.0/{text}"))) {
        (0, Place::Account(account)) => Ok(Where::Account(account.into_owned())),
        (1, Place::Queue(name)) => Ok(Where::Queue(
            name.account.into_owned(),
            name.queue.into_owned(),
        )),
        _ => Err(VerbError::Usage(format!(
            "{text} is not of the form ACCOUNT or ACCOUNT/QUEUE, each percent-encoded as in a URL"
        ))),
    }
}
