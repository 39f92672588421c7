//! The load generator: a process of its own on one thread, which speaks several protocols,
//! checks every answer and tells how busy it and the server were.

mod amqp;
mod beanstalk;
mod client;
mod engine;
mod gearman;
mod http;
mod nats;
mod paced;
mod redis;
mod wire;

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};

pub use self::engine::run;

/// What the load says, and so what must come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Speech {
    /// The bytes of an HTTP PUT come back as they are.
    Echo,
    Http,
    Wire,
    Beanstalk,
    RedisList,
    RedisStream,
    Gearman,
    AmqpClassic,
    AmqpQuorum,
    NatsMemory,
    NatsFile,
}

/// One part of a message's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    Insert,
    Claim,
    Delete,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub address: SocketAddr,
    pub speech: Speech,
    pub queue: String,
    pub connections: usize,
    /// Requests in flight on each connection.
    pub depth: usize,
    /// Messages of each request.
    pub batch: u64,
    pub body_bytes: usize,
    /// No insert is begun after so long.
    pub insert_ms: u64,
    /// Whether all that was inserted is then claimed, and then deleted.
    pub whole_life: bool,
    /// The process whose time on a core is taken.
    pub server: Option<u32>,
    /// Messages for each second, inserted whether or not the earlier ones are answered.
    /// Without it as many as are answered.
    #[serde(default)]
    pub per_second: Option<f64>,
}

/// What came of one part.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Phase {
    pub work: Work,
    pub messages: u64,
    pub seconds: f64,
    /// The share of the time for which the server had a core, and the load.
    pub server_busy: f64,
    pub load_busy: f64,
    /// If there was a pace.
    pub latency: Option<Latency>,
}

/// From the instant at which a request is due to its answer.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Latency {
    pub p50_us: f64,
    pub p99_us: f64,
}

impl Phase {
    pub fn rate(&self) -> f64 {
        self.messages as f64 / self.seconds
    }
}

/// Runs the plan in a process of its own, on the core on which the caller is pinned.
pub fn apart(plan: &Plan) -> anyhow::Result<Vec<Phase>> {
    let output = Command::new(std::env::current_exe()?)
        .arg("load")
        .arg(serde_json::to_string(plan)?)
        .stderr(Stdio::piped())
        .output()?;
    ensure!(
        output.status.success(),
        "{:?}: {}",
        plan.speech,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).context("the load printed something else")
}

/// What that process does.
pub fn run_and_print(plan: &str) -> anyhow::Result<()> {
    let plan = serde_json::from_str(plan)?;
    println!("{}", serde_json::to_string(&run(&plan)?)?);
    Ok(())
}
