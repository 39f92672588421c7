//! What a server can be told.
//!
//! Each setting is one field of one of the structs here. Its name is the flag
//! (`--max-wait`), the variable (`BURROW_MAX_WAIT`) and the key of the configuration file
//! (`max_wait`); its comment is the help; its parser says what is allowed, wherever the
//! value comes from. See [`layers`] for how the sources are put together.

mod error;
pub mod layers;
mod memory;
mod node;
mod proxy;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;

use burrow_core::{Config, JournalConfig, Limits, MAX_SPAN_MS, MOST_MARKERS};
use clap::{ArgAction, Args, ValueEnum};

pub use error::{ConfigError, Source};
pub use proxy::{ProxySettings, ServersSettings};
pub use values::{
    Bytes, Seconds, ServerAddress, ServerSpec, WireAddress, WireAddresses, queue_name, seconds,
};

use values::{address, bytes, count, origin, wire_addresses};

/// The most that a count or size may be set to.
const MOST: u64 = 1 << 60;

/// Everything a server can be told.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub data: DataSettings,
    #[command(flatten)]
    pub connections: ConnectionSettings,
    #[command(flatten)]
    pub messages: MessageSettings,
    #[command(flatten)]
    pub journal: JournalSettings,
}

/// Where a server or proxy listens, and what it logs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub struct ServerSettings {
    /// Address and port to listen on; port 0 takes a free one, which the first line tells
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080", value_parser = address)]
    pub listen: SocketAddr,
    /// Where to speak the wire protocol as well: 127.0.0.1:8081, unix:/run/burrow.sock, or both
    /// with a comma between
    #[arg(long, value_name = "ADDRESS", value_parser = wire_addresses)]
    pub listen_wire: Option<WireAddresses>,
    /// Threads that serve connections; what a server writes to disk has a thread of its own
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = count(1..=1024))]
    pub threads: u64,
    /// Origin whose web pages may use this server, * for all; without it no page may
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    pub cors_origin: Option<String>,
    /// How log lines are written, to standard error
    #[arg(long, value_name = "FORMAT", default_value = "text", value_enum)]
    pub log_format: LogFormat,
    /// Least weight of what is logged; at info nothing is logged for a single request
    #[arg(long, value_name = "LEVEL", default_value = "info", value_enum)]
    pub log_level: LogLevel,
}

/// The folder of a server's data unless it is told another one.
pub const DEFAULT_FOLDER: &str = "burrow-data";

/// Where a server's data lies, and where its time comes from.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Data")]
pub struct DataSettings {
    /// Folder of the data; it is made if it is not there
    #[arg(long, value_name = "DIR", default_value = DEFAULT_FOLDER)]
    pub data: PathBuf,
    /// Keep everything in memory only: faster, and all is gone when the server stops
    #[arg(long, action = ArgAction::Set, default_value_t = false, value_name = "true|false",
          num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub memory: bool,
    /// Where time comes from; manual: it stands still until POST /clock?advance=30s moves it
    #[arg(long, value_name = "CLOCK", default_value = "system", value_enum)]
    pub clock: ClockSource,
}

/// What the server bears from its clients.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Connections")]
pub struct ConnectionSettings {
    /// Connections at a time; a further one is answered 503 and closed
    #[arg(long, value_name = "COUNT", default_value_t = 16_000, value_parser = count(1..=10_000_000))]
    pub max_connections: u64,
    /// Bytes of a request's body; a larger one is answered 413
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(16 << 20), value_parser = bytes(0..=4 << 30))]
    pub max_request_bytes: Bytes,
    /// Bytes of all bodies that are still arriving; beyond them a request is answered 503
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(1 << 30), value_parser = bytes(0..=MOST))]
    pub max_arriving_bytes: Bytes,
    /// Bytes of a request's first line and headers; more are answered 431
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(64 << 10), value_parser = bytes(8 << 10..=16 << 20))]
    pub max_header_bytes: Bytes,
    /// Headers of a request; more are answered 431
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = count(1..=10_000))]
    pub max_headers: u64,
    /// Requests at a time on one HTTP/2 connection
    #[arg(long, value_name = "COUNT", default_value_t = 256, value_parser = count(1..=1_000_000))]
    pub max_streams: u64,
    /// Requests at a time on one connection of the wire protocol
    #[arg(long, value_name = "COUNT", default_value_t = 1024, value_parser = count(16..=1_000_000))]
    pub max_in_flight: u64,
    /// Time for a request's first line and headers to arrive
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(10_000), value_parser = seconds(100..=MAX_SPAN_MS))]
    pub header_timeout: Seconds,
    /// Time for each 64 KiB of a request's body, or what remains of it, to arrive
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(30_000), value_parser = seconds(100..=MAX_SPAN_MS))]
    pub body_timeout: Seconds,
    /// Time for which a client may take nothing of an answer
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(30_000), value_parser = seconds(100..=MAX_SPAN_MS))]
    pub write_timeout: Seconds,
    /// Time for which a connection without a request is kept open
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(120_000), value_parser = seconds(100..=MAX_SPAN_MS))]
    pub idle_timeout: Seconds,
}

/// How messages are treated, and how many there may be.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Messages")]
pub struct MessageSettings {
    /// Time until a message expires where neither it nor its queue says; 0 = never
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(Config::default().default_ttl_ms), value_parser = seconds(0..=MAX_SPAN_MS))]
    pub default_ttl: Seconds,
    /// Time until a message is visible where neither it nor its queue says; 0 = at once
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(Config::default().default_hide_ms), value_parser = seconds(0..=MAX_SPAN_MS))]
    pub default_hide: Seconds,
    /// Time for which the place of a removed message still serves as a marker
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(Config::default().marker_retention_ms), value_parser = seconds(0..=MAX_SPAN_MS))]
    pub marker_retention: Seconds,
    /// Time that a request may ask to wait
    #[arg(long, value_name = "SECONDS", default_value_t = Seconds::from_ms(Limits::default().max_wait_ms), value_parser = seconds(0..=MAX_SPAN_MS))]
    pub max_wait: Seconds,
    /// Bytes of one message's body
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(Limits::default().max_body_bytes), value_parser = bytes(0..=1 << 30))]
    pub max_body_bytes: Bytes,
    /// Messages of one batch
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().max_batch_messages, value_parser = count(1..=1_000_000))]
    pub max_batch_messages: u64,
    /// Bytes of messages in one answer, which ends there: what is behind is for the next request
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(Limits::default().max_answer_bytes), value_parser = bytes(1..=1 << 30))]
    pub max_answer_bytes: Bytes,
    /// Messages of one queue
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().max_queue_messages, value_parser = count(1..=MOST))]
    pub max_queue_messages: u64,
    /// Bytes of ids and bodies in one queue
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(Limits::default().max_queue_bytes), value_parser = bytes(1..=MOST))]
    pub max_queue_bytes: Bytes,
    /// Messages of one account
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().max_account_messages, value_parser = count(1..=MOST))]
    pub max_account_messages: u64,
    /// Bytes of ids and bodies of one account
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(Limits::default().max_account_bytes), value_parser = bytes(1..=MOST))]
    pub max_account_bytes: Bytes,
    /// Queues of one account
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().max_account_queues, value_parser = count(1..=MOST))]
    pub max_account_queues: u64,
    /// Messages of the server; one for each 512 bytes of memory unless set
    #[arg(long, value_name = "COUNT", default_value_t = memory::default_limits().max_messages, value_parser = count(1..=MOST))]
    pub max_messages: u64,
    /// Bytes of ids and bodies of the server; half of the memory unless set
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(memory::default_limits().max_bytes), value_parser = bytes(1..=MOST))]
    pub max_bytes: Bytes,
    /// Queues of the server; one for each 8 KiB of memory unless set
    #[arg(long, value_name = "COUNT", default_value_t = memory::default_limits().max_queues, value_parser = count(1..=MOST))]
    pub max_queues: u64,
    /// Requests that wait, in the server
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().max_waiters, value_parser = count(0..=MOST))]
    pub max_waiters: u64,
    /// Requests that wait on one queue
    #[arg(long, value_name = "COUNT", default_value_t = Limits::default().max_queue_waiters, value_parser = count(0..=MOST))]
    pub max_queue_waiters: u64,
    /// Removed messages whose places are remembered as markers, in the server; one for each 2 KiB of
    /// memory unless set. Where it is reached the oldest go, even before their time is over
    #[arg(long, value_name = "COUNT", default_value_t = memory::default_limits().max_markers, value_parser = count(0..=MOST_MARKERS))]
    pub max_markers: u64,
}

/// How the journal is written.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Journal")]
pub struct JournalSettings {
    /// Bytes of journal between two checkpoints, at the least
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(JournalConfig::default().checkpoint_bytes), value_parser = bytes(64 << 10..=MOST))]
    pub checkpoint_bytes: Bytes,
    /// Bytes of journal that are dropped, or copied forward, as one
    #[arg(long, value_name = "BYTES", default_value_t = Bytes(JournalConfig::default().extent_bytes), value_parser = bytes(4 << 10..=1 << 30))]
    pub extent_bytes: Bytes,
}

/// What tells a server the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClockSource {
    /// The machine's clock.
    System,
    /// Requests to `/clock`.
    Manual,
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
