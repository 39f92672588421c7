//! The exported interface `node`.

use alloc::string::ToString;
use alloc::vec::Vec;

use burrow_core::journal::RestoreError;
use burrow_core::rest::RestConfig;
use burrow_core::service::Service;
use burrow_core::{Node, Timestamp};

use crate::Plugin;
use crate::bindings::burrow::queue::clock;
use crate::bindings::burrow::queue::types::{Counts, Error};
use crate::bindings::exports::burrow::queue::node::{
    ClockKind, Config, Guest, OpenError, Opened, Outcome,
};
use crate::host::{self, Clock, Host, Stored};

impl Guest for Plugin {
    fn open(config: Config) -> Result<Opened, OpenError> {
        host::open(|| restore(&config)).unwrap_or(Err(OpenError::AlreadyOpen))
    }

    fn tick() -> Result<(), Error> {
        host::with(Host::tick)
    }

    fn deadline() -> Option<u64> {
        let deadline = host::with(|host| Ok(host.service().node().deadline()));
        deadline.ok().flatten().map(Timestamp::as_millis)
    }

    fn advance(span_ms: u64) -> Result<u64, Error> {
        host::with(|host| host.advance(span_ms)).map(Timestamp::as_millis)
    }

    fn completed() -> Vec<u64> {
        host::with(|host| Ok(host.completed())).unwrap_or_default()
    }

    fn take(ticket: u64) -> Option<Outcome> {
        host::with(|host| Ok(host.take(ticket))).ok().flatten()
    }

    fn cancel(ticket: u64) -> Result<(), Error> {
        host::with(|host| host.cancel(ticket))
    }

    fn stats() -> Result<Counts, Error> {
        host::with(|host| {
            let stats = host.service().node().stats();
            Ok(Counts {
                accounts: stats.accounts,
                queues: stats.queues,
                messages: stats.messages,
                hidden: stats.hidden,
                bytes: stats.bytes,
                waiters: stats.waiters,
                last_sequence: stats.durable_sequence,
            })
        })
    }

    fn digest() -> Result<u64, Error> {
        host::with(|host| Ok(host.service().node().digest()))
    }
}

fn restore(config: &Config) -> Result<(Host, Opened), OpenError> {
    let (settings, rest) = configuration(config);
    let max_batch_messages = settings.limits.max_batch_messages;
    let present = match config.clock {
        ClockKind::Host => Timestamp::from_millis(clock::now()),
        ClockKind::Manual => Timestamp::MANUAL_START,
    };
    let (node, found) = Node::restore(settings, present, &mut Stored).map_err(unopened)?;
    let clock = match config.clock {
        ClockKind::Host => Clock::Host {
            behind_ms: node.now().since_ms(present),
        },
        ClockKind::Manual => Clock::Manual(node.now()),
    };
    let opened = Opened {
        messages: found.messages,
        queues: found.queues,
        blobs: found.blobs,
        bytes: found.bytes,
    };
    let host = Host::new(Service::new(node, rest), clock, max_batch_messages);
    Ok((host, opened))
}

/// The machine's configuration, and that of its REST front-end.
fn configuration(config: &Config) -> (burrow_core::Config, RestConfig) {
    let mut own = burrow_core::Config {
        seed: config.seed,
        ..burrow_core::Config::default()
    };
    let limits = &config.limits;
    for (given, value) in [
        (config.default_ttl_ms, &mut own.default_ttl_ms),
        (config.claim_delay_ms, &mut own.journal.claim_delay_ms),
        (limits.max_body_bytes, &mut own.limits.max_body_bytes),
        (
            limits.max_batch_messages,
            &mut own.limits.max_batch_messages,
        ),
        (limits.max_answer_bytes, &mut own.limits.max_answer_bytes),
        (limits.max_messages, &mut own.limits.max_messages),
        (limits.max_bytes, &mut own.limits.max_bytes),
        (limits.max_queues, &mut own.limits.max_queues),
        (limits.max_waiters, &mut own.limits.max_waiters),
        (limits.max_wait_ms, &mut own.limits.max_wait_ms),
        (limits.max_markers, &mut own.limits.max_markers),
    ] {
        if let Some(given) = given {
            *value = given;
        }
    }
    let rest = RestConfig {
        cors_origin: config.cors_origin.as_deref().map(Into::into),
        manual_clock: matches!(config.clock, ClockKind::Manual),
        ..RestConfig::from(&own.limits)
    };
    (own, rest)
}

fn unopened(error: RestoreError) -> OpenError {
    let text = error.to_string();
    match error {
        RestoreError::Load(_) => OpenError::Unreadable(text),
        RestoreError::Damaged { .. } | RestoreError::Missing { .. } => OpenError::Damaged(text),
        RestoreError::Newer { .. } => OpenError::Newer(text),
    }
}
