//! Inserts at a pace of their own, whatever the answers take: what a server keeps waiting for
//! long shows, and is not waited for by the load.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::ensure;
use mio::{Events, Poll};

use super::engine::{Connection, Tally};
use super::{Latency, Plan, Work};

/// Inserts so many messages a second, each due at its own instant, on one connection after
/// the other. A message's time begins when it is due.
pub(super) fn insert(
    plan: &Plan,
    per_second: f64,
    poll: &mut Poll,
    connections: &mut [Connection],
    tally: &mut Tally,
) -> anyhow::Result<Latency> {
    ensure!(plan.batch == 1, "a pace is for single messages");
    let mut events = Events::with_capacity(connections.len().max(1));
    let mut chunk = vec![0; 256 << 10];
    let mut waiting: Vec<VecDeque<Duration>> = vec![VecDeque::new(); connections.len()];
    let mut spans = Vec::new();
    let (started, over) = (Instant::now(), Duration::from_millis(plan.insert_ms));
    let mut next = 0_u64;
    loop {
        let now = started.elapsed();
        let mut due = Duration::from_secs_f64(next as f64 / per_second);
        while due <= now.min(over) {
            let place = (next % connections.len() as u64) as usize;
            connections[place].begin(plan, Work::Insert, tally)?;
            connections[place].flush()?;
            waiting[place].push_back(due);
            next += 1;
            due = Duration::from_secs_f64(next as f64 / per_second);
        }
        if due > over && tally.under_way == 0 {
            break;
        }
        // It has a core of its own, and a sleep would be too coarse.
        poll.poll(&mut events, Some(Duration::ZERO))?;
        for event in &events {
            let place = event.token().0;
            let answered = connections[place].take_answers(&mut chunk, tally)?;
            let now = started.elapsed();
            let answered = waiting[place].drain(..answered);
            spans.extend(answered.map(|due| now.saturating_sub(due)));
            connections[place].flush()?;
        }
    }
    spans.sort_unstable();
    let part = |percent: usize| {
        let span = spans.get((spans.len().saturating_sub(1)) * percent / 100);
        span.map_or(0.0, |span| span.as_secs_f64() * 1e6)
    };
    Ok(Latency {
        p50_us: part(50),
        p99_us: part(99),
    })
}
