//! The machine as a component in wasmtime, beside the same machine natively.

use std::ops::Range;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use burrow_core::journal::Batch;
use burrow_core::rest::{self, RestConfig};
use burrow_core::service::{Handled as NativeHandled, Service};
use burrow_core::{Command, Config, Node, Reply, Timestamp};
use burrow_embed::{
    Answer, AppendError, Carried, Detail, Handled, NewMessage, Options, Plugin, Queue, QueueConfig,
    QueueName, Selection, SettleAction, Settlement, Storage, StorageError,
};
use serde_json::{Value, json};

use crate::Size;
use crate::content::{self, Id};
use crate::drive::{Carrier, Driver, HIDE_MS, TTL_MS, queue};
use crate::report::{Report, decimal, median, spread};

/// Names the file with the component; `cargo xtask figures component` builds it.
pub const VARIABLE: &str = "BURROW_COMPONENT";

const BATCH: u64 = 100;
const TARGET: &str = "/v1.0/bench/jobs";

pub fn run(size: Size) -> anyhow::Result<()> {
    let table = table(size)?;
    table
        .with_context(|| format!("{VARIABLE} does not name the component"))?
        .print();
    Ok(())
}

/// Lives in the component and natively, if there is a component.
pub fn table(size: Size) -> anyhow::Result<Option<Report>> {
    let (Some(plugin), Some(unlimited)) = (plugin(true, false)?, plugin(false, false)?) else {
        return Ok(None);
    };
    let mut sides: [Side; 6] = [
        ("native, commands", command_side(Driver::new(true))),
        ("component, commands", command_side(Within(open(&plugin)?))),
        (
            "component, commands, no time limits",
            command_side(Within(open(&unlimited)?)),
        ),
        ("component, typed calls", typed_side(open(&plugin)?)),
        ("native, REST", native_rest_side()),
        ("component, REST", rest_side(open(&plugin)?)),
    ];
    let (rounds, lives) = (size.of(11, 2), size.of(50_000, 1_000));
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); sides.len()];
    // The first round does not count: memory is not there yet.
    for round in 0..=rounds {
        for ((_, side), rates) in sides.iter_mut().zip(&mut rates) {
            let began = Instant::now();
            for first in (round * lives..(round + 1) * lives).step_by(BATCH as usize) {
                side(first..first + BATCH)?;
            }
            if round > 0 {
                rates.push(lives as f64 / began.elapsed().as_secs_f64());
            }
        }
    }
    let mut report = Report::new(
        "component: lives (insert + claim + delete) for each second, 100-byte bodies, batches of 100",
        &["host, calls", "lives/s", "to native", "spread", "wanted"],
    );
    let mut native = Vec::new();
    for ((name, _), rates) in sides.iter().zip(rates) {
        if name.starts_with("native") {
            native.clone_from(&rates);
        }
        let mut ratios: Vec<f64> = rates
            .iter()
            .zip(&native)
            .map(|(own, to)| own / to)
            .collect();
        let ratio = decimal(median(&mut ratios), 2);
        let wanted = match *name {
            "component, commands" | "component, commands, no time limits" => "0.60",
            _ => "",
        };
        let rate = decimal(median(&mut rates.clone()), 0);
        report.row(&[name, &rate, &ratio, &spread(&ratios, 2), &wanted]);
    }
    report.note(
        "Journaled, to hosts that drop what they are to store. Commands go to the component as frames of the wire protocol; \
         its typed calls copy each text of each message by itself. Ratios are those of one round.",
    );
    Ok(Some(report))
}

pub(crate) fn is_there() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The compiled component, if there is one. With a `map`, perf can name its functions.
fn plugin(time_limits: bool, perf_map: bool) -> anyhow::Result<Option<Plugin>> {
    let Some(path) = std::env::var_os(VARIABLE) else {
        return Ok(None);
    };
    let options = Options {
        time_limits,
        perf_map,
        ..Options::default()
    };
    Ok(Some(Plugin::compile(&std::fs::read(path)?, &options)?))
}

/// Lives by commands in the component, if there is one, so that perf can tell where their time goes.
pub(crate) fn mapped(time_limits: bool) -> anyhow::Result<Option<Lives>> {
    let plugin = plugin(time_limits, true)?;
    plugin
        .map(|plugin| Ok(command_side(Within(open(&plugin)?))))
        .transpose()
}

/// Lives by commands in the component, if there is one.
pub(crate) fn lives() -> anyhow::Result<Option<Lives>> {
    let plugin = plugin(true, false)?;
    plugin
        .map(|plugin| Ok(command_side(Within(open(&plugin)?))))
        .transpose()
}

type Side = (&'static str, Lives);
/// What does so many lives.
pub(crate) type Lives = Box<dyn FnMut(Range<u64>) -> anyhow::Result<()>>;

/// Takes what is to be stored, as the host of the native machine does, and drops it.
struct Dropped;

impl Storage for Dropped {
    fn append(&mut self, _: &Batch) -> Result<(), AppendError> {
        Ok(())
    }

    fn sequences(&mut self) -> Result<Vec<u64>, StorageError> {
        Ok(Vec::new())
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, StorageError> {
        Err(StorageError(format!("blob {sequence} was dropped")))
    }
}

fn open(plugin: &Plugin) -> anyhow::Result<Queue> {
    let config = QueueConfig {
        default_ttl_ms: Some(TTL_MS),
        ..QueueConfig::default()
    };
    Ok(plugin.instantiate(Dropped, config)?)
}

/// A queue in the component.
struct Within(Queue);

impl Carrier for Within {
    fn call(&mut self, command: Command<'_>) -> anyhow::Result<Reply> {
        match self.0.command(&command)? {
            Carried::Done(reply) => reply.map_err(|refusal| anyhow::anyhow!("refused: {refusal}")),
            Carried::Pending(_) => bail!("it waits"),
        }
    }
}

fn command_side(mut carrier: impl Carrier + 'static) -> Lives {
    Box::new(move |lives| {
        let jobs = queue("jobs");
        let count = lives.end - lives.start;
        carrier.put_batch(&jobs, lives)?;
        let claims = carrier.claim_batch(&jobs, count)?;
        ensure!(claims.len() as u64 == count, "{} claimed", claims.len());
        carrier.delete_batch(&jobs, &claims)
    })
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
