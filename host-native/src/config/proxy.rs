//! What a proxy can be told.

use burrow_core::rest::RestConfig;
use burrow_core::{Limits, MAX_SPAN_MS, QueueName};
use clap::{ArgAction, Args};

use super::values::{bytes, count, queue_name, seconds, server_spec};
use super::{Bytes, ConnectionSettings, MOST, Seconds, ServerSettings, ServerSpec};

/// Everything a proxy can be told.
#[derive(Args, Clone, Debug)]
pub struct ProxySettings {
    #[command(flatten)]
    pub servers: ServersSettings,
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub connections: ConnectionSettings,
}

/// The servers behind a proxy. All proxies in front of them must be told the same.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Servers")]
pub struct ServersSettings {
    /// A server, where it speaks the wire protocol: 10.0.0.1:8081, unix:/run/burrow.sock; once for
    /// each, or with commas between. The name, which is the address unless given, decides which
    /// queues it has; a server with @3 has three times the share of one without
    #[arg(long, value_name = "[NAME=]ADDRESS[@WEIGHT]", action = ArgAction::Append, value_delimiter = ',',
          value_parser = server_spec)]
    pub server: Vec<ServerSpec>,
    /// A queue that all servers have a part of, for more than one can take; once for each, or with
    /// commas between. Its order is each server's own
    #[arg(long, value_name = "ACCOUNT/QUEUE", action = ArgAction::Append, value_delimiter = ',',
          value_parser = queue_name)]
    pub spread: Vec<QueueName<'static>>,
    /// A server that says nothing for so long is asked whether it is there
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(1000), value_parser = seconds(10..=MAX_SPAN_MS))]
    pub check_interval: Seconds,
    /// Time for it to answer that, or to take a connection; then it counts as down
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(5000), value_parser = seconds(10..=MAX_SPAN_MS))]
    pub check_timeout: Seconds,
    /// Bytes on their way to one server; beyond them a request is answered 503
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(256 << 20), value_parser = bytes(64 << 10..=MOST))]
    pub max_unsent_bytes: Bytes,
    /// Requests that wait on one server; beyond them one is answered 429
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().max_waiters, value_parser = count(0..=MOST))]
    pub max_waiters: u64,
    /// Messages of one batch, as the servers have it
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().max_batch_messages, value_parser = count(1..=1_000_000))]
    pub max_batch_messages: u64,
    /// Time that a request may ask to wait, as the servers have it
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(Limits::default().max_wait_ms), value_parser = seconds(0..=MAX_SPAN_MS))]
    pub max_wait: Seconds,
}

impl ProxySettings {
    /// The configuration of the REST front-end.
    pub fn rest_config(&self) -> RestConfig {
        RestConfig {
            cors_origin: self.server.cors_origin.as_deref().map(Box::from),
            max_batch_messages: self.servers.max_batch_messages,
            max_wait_ms: self.servers.max_wait.ms,
            // Whoever asks for a clock is told whose to ask for.
            manual_clock: true,
        }
    }
}
