//! What happened in a run, counted: a simulation in which nothing happens proves nothing.

use std::collections::BTreeMap;
use std::fmt;

use burrow_core::{Refusal, Reply};

use super::subject::Outcome;

/// How often each kind of event happened.
#[derive(Clone, Debug, Default)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    pub fn count(&self, event: &str) -> u64 {
        self.0.get(event).copied().unwrap_or(0)
    }

    pub fn merge(&mut self, other: Self) {
        for (event, count) in other.0 {
            *self.0.entry(event).or_default() += count;
        }
    }

    pub(crate) fn add(&mut self, event: &str, count: usize) {
        match self.0.get_mut(event) {
            Some(counted) => *counted += count as u64,
            None if count > 0 => {
                self.0.insert(event.to_string(), count as u64);
            }
            None => {}
        }
    }

    pub(crate) fn reply(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(Reply::Messages(list)) => {
                self.add(
                    "messages in replies",
                    usize::try_from(list.matched()).unwrap_or(usize::MAX),
                );
            }
            Ok(Reply::Put { created: false }) => self.add("replaced", 1),
            Ok(_) => {}
            Err(Refusal::Invalid { .. }) => self.add("invalid", 1),
            Err(Refusal::TooLarge { limit, .. }) => self.add(&format!("too large: {limit}"), 1),
            Err(Refusal::Exhausted { limit, .. }) => self.add(&format!("exhausted: {limit}"), 1),
            Err(refusal) => self.add(&refusal.to_string(), 1),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(event, count)| writeln!(f, "{count:>12} {event}"))
    }
}
