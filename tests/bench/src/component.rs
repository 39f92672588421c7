//! The machine as a component in wasmtime, beside the same machine natively.

use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use burrow_core::rest::{self, RestConfig};
use burrow_core::service::{Handled as NativeHandled, Service};
use burrow_core::{Config, Node, Timestamp};
use burrow_embed::{
    Answer, Detail, Handled, MemoryStorage, NewMessage, Options, Plugin, Queue, QueueConfig,
    QueueName, Selection, SettleAction, Settlement,
};
use serde_json::{Value, json};

use crate::Size;
use crate::content::{self, Id};
use crate::drive::{Driver, HIDE_MS, TTL_MS, queue};
use crate::report::{Report, decimal, median};

/// Names the file with the component; `cargo xtask figures component` builds it.
pub const VARIABLE: &str = "BURROW_COMPONENT";

const BATCH: u64 = 100;
const TARGET: &str = "/v1.0/bench/jobs";

pub fn run(size: Size) -> anyhow::Result<()> {
    let path = std::env::var_os(VARIABLE)
        .with_context(|| format!("{VARIABLE} does not name the component"))?;
    let wasm = std::fs::read(path)?;
    let plugin = Plugin::compile(&wasm, &Options::default())?;
    let unlimited = Options {
        time_limits: false,
        ..Options::default()
    };
    let mut native = Driver::new(true);
    let mut sides: [Side<'_>; 5] = [
        (
            "native, typed",
            Box::new(|lives| native_typed(&mut native, lives)),
        ),
        ("component, typed", typed_side(open(&plugin)?)),
        (
            "component, typed, no time limits",
            typed_side(open(&Plugin::compile(&wasm, &unlimited)?)?),
        ),
        ("native, REST", native_rest_side()),
        ("component, REST", rest_side(open(&plugin)?)),
    ];
    let (rounds, lives) = (size.of(9, 2), size.of(50_000, 1_000));
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
    for round in 0..rounds {
        for ((_, side), rates) in sides.iter_mut().zip(&mut rates) {
            let began = Instant::now();
            for first in (round * lives..(round + 1) * lives).step_by(BATCH as usize) {
                side(first..first + BATCH)?;
            }
            rates.push(lives as f64 / began.elapsed().as_secs_f64());
        }
    }
    let mut rates = rates.into_iter().map(|mut rates| median(&mut rates));
    let mut report = Report::new(
        "component: lives (insert + claim + delete) for each second, 100-byte bodies, batches of 100, journaled to memory",
        &["host, calls", "lives/s", "to native"],
    );
    let mut to = 1.0;
    for (name, _) in &sides {
        let rate = rates.next().unwrap_or_default();
        if name.starts_with("native") {
            to = rate;
        }
        report.row(&[name, &decimal(rate, 0), &decimal(rate / to, 2)]);
    }
    report.print();
    Ok(())
}

/// The component with typed calls, if there is one.
pub(crate) fn lives() -> anyhow::Result<Option<Lives>> {
    let Some(path) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let plugin = Plugin::compile(&std::fs::read(path)?, &Options::default())?;
    Ok(Some(typed_side(open(&plugin)?)))
}

type Side<'a> = (
    &'static str,
    Box<dyn FnMut(Range<u64>) -> anyhow::Result<()> + 'a>,
);
/// What does so many lives.
pub(crate) type Lives = Box<dyn FnMut(Range<u64>) -> anyhow::Result<()>>;

fn open(plugin: &Plugin) -> anyhow::Result<Queue> {
    let config = QueueConfig {
        default_ttl_ms: Some(TTL_MS),
        ..QueueConfig::default()
    };
    Ok(plugin.instantiate(MemoryStorage::default(), config)?)
}

fn native_typed(driver: &mut Driver, lives: Range<u64>) -> anyhow::Result<()> {
    let jobs = queue("jobs");
    driver.put_batch(&jobs, lives)?;
    let claims = driver.claim_batch(&jobs, BATCH)?;
    ensure!(claims.len() as u64 == BATCH, "{} claimed", claims.len());
    driver.delete_batch(&jobs, &claims)
}

fn typed_side(mut queue: Queue) -> Lives {
    Box::new(move |lives| component_typed(&mut queue, lives))
}

fn component_typed(queue: &mut Queue, lives: Range<u64>) -> anyhow::Result<()> {
    let jobs = QueueName {
        account: "bench".into(),
        queue: "jobs".into(),
    };
    let messages: Vec<_> = lives
        .map(|number| NewMessage {
            id: Some(Id::of(number).as_str().into()),
            body: content::body(number).into(),
            ..NewMessage::default()
        })
        .collect();
    queue.put_batch(&jobs, &messages)?;
    let first = Selection {
        limit: Some(BATCH),
        ..Selection::default()
    };
    let Answer::Done(claimed) = queue.claim(&jobs, &first, HIDE_MS, 0, Detail::All)? else {
        bail!("the claim waits");
    };
    let settlements: Vec<_> = claimed
        .entries
        .into_iter()
        .map(|message| Settlement {
            id: message.id,
            claim: message.claim,
            action: SettleAction::Ack,
        })
        .collect();
    let settled = queue.settle(&jobs, &settlements)?;
    ensure!(settled.len() as u64 == BATCH && settled.iter().all(Result::is_ok));
    Ok(())
}

fn native_rest_side() -> Lives {
    let config = Config {
        default_ttl_ms: TTL_MS,
        ..Config::default()
    };
    let mut service = Service::new(Node::new(config), RestConfig::default());
    let now = Timestamp::from_millis(1_800_000_000_000);
    let mut exchange =
        move |method: &str, target: &str, body: Vec<u8>| -> anyhow::Result<Vec<u8>> {
            let request = rest::Request {
                method,
                target,
                body: &body,
                ..rest::Request::default()
            };
            if let NativeHandled::Answered(response) = service.handle(now, &request) {
                return Ok(response.body);
            }
            while let Some(batch) = service.node_mut().poll_batch() {
                service.node_mut().handle_durable(batch.sequence);
            }
            let (_, response) = service.poll_response().context("it waits")?;
            Ok(response.body)
        };
    Box::new(move |lives| rest(&mut exchange, lives))
}

fn rest_side(mut queue: Queue) -> Lives {
    let mut exchange =
        move |method: &str, target: &str, body: Vec<u8>| -> anyhow::Result<Vec<u8>> {
            let request = burrow_embed::Request {
                method: method.into(),
                target: target.into(),
                headers: Vec::new(),
                body,
            };
            match queue.handle(&request)? {
                Handled::Response(response) => Ok(response.body),
                Handled::Pending(_) => bail!("it waits"),
            }
        };
    Box::new(move |lives| rest(&mut exchange, lives))
}

fn rest(
    exchange: &mut impl FnMut(&str, &str, Vec<u8>) -> anyhow::Result<Vec<u8>>,
    lives: Range<u64>,
) -> anyhow::Result<()> {
    let entry = |number: u64| json!({ "id": Id::of(number).as_str(), "body": String::from_utf8_lossy(content::body(number)) });
    let entries: Vec<Value> = lives.map(entry).collect();
    exchange("PUT", TARGET, Value::from(entries).to_string().into_bytes())?;
    let claim = format!("{TARGET}?claim=true&limit={BATCH}&hide=3600&detail=all");
    let claimed: Vec<Value> = serde_json::from_slice(&exchange("POST", &claim, Vec::new())?)?;
    let settlements: Vec<Value> = claimed
        .iter()
        .map(|message| json!({ "id": message["id"], "claim": message["claim"], "delete": true }))
        .collect();
    let body = Value::from(settlements).to_string().into_bytes();
    let settled: Vec<Value> = serde_json::from_slice(&exchange("POST", TARGET, body)?)?;
    ensure!(settled.len() as u64 == BATCH && settled.iter().all(|one| one["status"] == 204));
    Ok(())
}
