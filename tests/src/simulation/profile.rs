//! What is decided once for a seed: the node's configuration, the names, and what the
//! clients and the host are like.

use burrow_core::{Config, JournalConfig, Limits, Timestamp};
use fastrand::Rng;

/// What the clients mostly do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A little of everything.
    Mixed,
    /// Workers that claim and settle; dead letters.
    Claims,
    /// Many commands that wait.
    Waiting,
    /// Thousands of messages in a queue.
    Big,
}

/// What the host does with blobs that it may drop.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Drops {
    AtOnce,
    Sometimes,
    Never,
}

#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) style: Style,
    pub(crate) config: Config,
    /// Account and queue names; few, so that commands meet.
    pub(crate) accounts: Vec<String>,
    pub(crate) queues: Vec<String>,
    pub(crate) ids: Vec<String>,
    pub(crate) start_ms: u64,
    pub(crate) drops: Drops,
    /// Crashes in a thousand commands.
    pub(crate) crashes: u32,
    /// Of a hundred steps, in how many the host stores something.
    pub(crate) stores: u32,
    /// Batches have messages without an id. Their length is not known at once, so it does
    /// not go together with tight limits on bytes.
    pub(crate) given_ids: bool,
    /// The host calls `handle_deadline` when it is due; else only now and then.
    pub(crate) prompt: bool,
}

impl Profile {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x6275_7272_6f77);
        let style = match rng.u32(0..100) {
            0..4 => Style::Big,
            4..30 => Style::Claims,
            30..55 => Style::Waiting,
            _ => Style::Mixed,
        };
        let given_ids = rng.bool();
        let config = config(&mut rng, style, given_ids);
        let (accounts, queues) = (rng.usize(1..=3), rng.usize(1..=5));
        Self {
            style,
            accounts: some_of(&mut rng, accounts, &["a", "b", "a/ä", "\u{10ffff}"]),
            queues: some_of(
                &mut rng,
                queues,
                &["q", "q1", "jobs", "dead", "Q", "q\u{0}", "%2F"],
            ),
            ids: ids(&mut rng, style),
            start_ms: *pick(
                &mut rng,
                &[
                    0,
                    1_700_000_000_000,
                    1_700_000_000_000,
                    Timestamp::MAX.as_millis() - 60_000,
                ],
            ),
            drops: *pick(&mut rng, &[Drops::AtOnce, Drops::Sometimes, Drops::Never]),
            crashes: if config.journal.enabled {
                *pick(&mut rng, &[0, 5, 15, 60])
            } else {
                0
            },
            stores: *pick(&mut rng, &[10, 40, 80, 100]),
            given_ids,
            prompt: rng.u8(0..4) > 0,
            config,
        }
    }
}

fn config(rng: &mut Rng, style: Style, given_ids: bool) -> Config {
    Config {
        default_ttl_ms: *pick(rng, &[0, 0, 150, 600_000]),
        default_hide_ms: *pick(rng, &[0, 0, 0, 10]),
        marker_retention_ms: *pick(rng, &[0, 100, 3_600_000]),
        burials_at_once: if style == Style::Big {
            *pick(rng, &[4, 256])
        } else {
            *pick(rng, &[1, 1, 3, 256])
        },
        limits: if style == Style::Big {
            big_limits(given_ids)
        } else {
            limits(rng, given_ids)
        },
        journal: JournalConfig {
            enabled: rng.u8(0..20) > 0,
            checkpoint_bytes: *pick(rng, &[1, 200, 1000, 5000, 50_000]),
            extent_bytes: *pick(rng, &[1, 100, 400, 2000, 20_000]),
            claim_delay_ms: *pick(rng, &[0, 0, 1, 50, 5000]),
        },
        seed: rng.u64(..),
    }
}

fn big_limits(given_ids: bool) -> Limits {
    Limits {
        max_batch_messages: 1200,
        max_body_bytes: 64,
        max_answer_bytes: if given_ids { 1 << 30 } else { 20_000 },
        max_markers: 20_000,
        ..Limits::default()
    }
}

fn limits(rng: &mut Rng, given_ids: bool) -> Limits {
    const MANY: u64 = 1 << 30;
    let mut bytes = |tight: &[u64]| if given_ids { MANY } else { *pick(rng, tight) };
    let [
        max_answer_bytes,
        max_queue_bytes,
        max_account_bytes,
        max_bytes,
    ] = [
        bytes(&[1, 200, 1000, MANY]),
        bytes(&[60, 300, MANY]),
        bytes(&[150, 600, MANY]),
        bytes(&[300, MANY]),
    ];
    Limits {
        max_body_bytes: *pick(rng, &[8, 40, 200]),
        max_batch_messages: *pick(rng, &[3, 10, 40]),
        max_answer_bytes,
        max_queue_messages: *pick(rng, &[5, 15, MANY]),
        max_queue_bytes,
        max_account_messages: *pick(rng, &[10, 30, MANY]),
        max_account_bytes,
        max_account_queues: *pick(rng, &[2, 4, MANY]),
        max_messages: *pick(rng, &[15, 60, MANY]),
        max_bytes,
        max_queues: *pick(rng, &[3, 6, MANY]),
        max_waiters: *pick(rng, &[2, 8, MANY]),
        max_queue_waiters: *pick(rng, &[1, 4, MANY]),
        max_wait_ms: *pick(rng, &[1000, 3_600_000]),
        max_markers: *pick(rng, &[4, 40, 1000]),
    }
}

fn ids(rng: &mut Rng, style: Style) -> Vec<String> {
    if style == Style::Big {
        return (0..4000).map(|number| format!("n{number}")).collect();
    }
    let mut ids: Vec<String> = (0..*pick(rng, &[4, 12, 40]))
        .map(|number| format!("m{number}"))
        .collect();
    ids.extend(["é/?%00".to_string(), "x".repeat(255)]);
    ids
}

fn some_of(rng: &mut Rng, count: usize, names: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
    rng.shuffle(&mut names);
    names.truncate(count);
    names
}

/// One of several; there is at least one.
pub(crate) fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}
