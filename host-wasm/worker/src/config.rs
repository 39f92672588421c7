//! How the node of an object behaves, from the variables of the Worker.

use burrow_core::rest::RestConfig;
use burrow_core::{Config, JournalConfig, Limits};

/// An object has 128 MB, which it may share with others, for what it holds, what it reads and what it
/// answers.
const QUEUE_MESSAGES: u64 = 100_000;
const QUEUE_BYTES: u64 = 16 << 20;
const MARKERS: u64 = 20_000;
const WAITERS: u64 = 2_000;
const ANSWER_BYTES: u64 = 4 << 20;
/// A row may have 2 MB, so there is no use in small blobs, and an object is restored from
/// all that it has stored: a checkpoint is worth its row early.
const CHECKPOINT_BYTES: u64 = 1 << 20;
const EXTENT_BYTES: u64 = 64 << 10;
/// Meanwhile the object is kept awake, which soon costs more than the row.
const CLAIM_DELAY_MS: u64 = 2_000;

/// What objects are made with.
#[derive(Clone, Debug)]
pub struct Settings {
    pub node: Config,
    pub rest: RestConfig,
}

impl Default for Settings {
    fn default() -> Self {
        let limits = Limits {
            max_queue_messages: QUEUE_MESSAGES,
            max_queue_bytes: QUEUE_BYTES,
            // What is given up, and has not gone to its queue yet, counts as well.
            max_account_messages: QUEUE_MESSAGES * 2,
            max_account_bytes: QUEUE_BYTES * 2,
            // And while it is sent it is there twice.
            max_messages: QUEUE_MESSAGES * 3,
            max_bytes: QUEUE_BYTES * 3,
            max_answer_bytes: ANSWER_BYTES,
            max_markers: MARKERS,
            max_waiters: WAITERS,
            max_queue_waiters: WAITERS,
            ..Limits::default()
        };
        Self {
            rest: RestConfig::from(&limits),
            node: Config {
                limits,
                journal: JournalConfig {
                    checkpoint_bytes: CHECKPOINT_BYTES,
                    extent_bytes: EXTENT_BYTES,
                    claim_delay_ms: CLAIM_DELAY_MS,
                    ..JournalConfig::default()
                },
                ..Config::default()
            },
        }
    }
}

impl Settings {
    /// Takes a variable over.
    ///
    /// # Errors
    /// Why it cannot be, in words for the person who deploys.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let limits = &mut self.node.limits;
        match name {
            "CLOCK" => {
                self.rest.manual_clock = match value {
                    "system" => false,
                    "manual" => true,
                    _ => return Err(String::from("CLOCK is neither \"system\" nor \"manual\"")),
                };
            }
            "CORS_ORIGIN" => self.rest.cors_origin = Some(value.into()),
            "DEFAULT_TTL_MS" => self.node.default_ttl_ms = number(name, value)?,
            "DEFAULT_HIDE_MS" => self.node.default_hide_ms = number(name, value)?,
            "MARKER_RETENTION_MS" => self.node.marker_retention_ms = number(name, value)?,
            "CLAIM_DELAY_MS" => self.node.journal.claim_delay_ms = number(name, value)?,
            "CHECKPOINT_BYTES" => self.node.journal.checkpoint_bytes = number(name, value)?,
            "MAX_BODY_BYTES" => limits.max_body_bytes = number(name, value)?,
            "MAX_BATCH_MESSAGES" => {
                limits.max_batch_messages = number(name, value)?;
                self.rest.max_batch_messages = limits.max_batch_messages;
            }
            "MAX_ANSWER_BYTES" => limits.max_answer_bytes = number(name, value)?,
            "MAX_WAIT_MS" => {
                limits.max_wait_ms = number(name, value)?;
                self.rest.max_wait_ms = limits.max_wait_ms;
            }
            "MAX_QUEUE_MESSAGES" => {
                let maximum: u64 = number(name, value)?;
                limits.max_queue_messages = maximum;
                limits.max_account_messages = maximum.saturating_mul(2);
                limits.max_messages = maximum.saturating_mul(3);
            }
            "MAX_QUEUE_BYTES" => {
                let maximum: u64 = number(name, value)?;
                limits.max_queue_bytes = maximum;
                limits.max_account_bytes = maximum.saturating_mul(2);
                limits.max_bytes = maximum.saturating_mul(3);
            }
            "MAX_WAITERS" => {
                limits.max_waiters = number(name, value)?;
                limits.max_queue_waiters = limits.max_waiters;
            }
            _ => return Err(format!("{name} is not a variable of Burrow")),
        }
        Ok(())
    }
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("{name} = {value} is not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_taken_over_by_all_that_it_concerns() {
        let mut settings = Settings::default();
        for (name, value) in [
            ("CLOCK", "manual"),
            ("MAX_QUEUE_MESSAGES", "7"),
            ("MAX_WAIT_MS", "9"),
        ] {
            settings.set(name, value).unwrap();
        }
        assert!(settings.rest.manual_clock);
        assert_eq!(settings.node.limits.max_queue_messages, 7);
        assert_eq!(
            (settings.rest.max_wait_ms, settings.node.limits.max_wait_ms),
            (9, 9)
        );
    }

    #[test]
    fn a_bad_variable_is_named() {
        let mut settings = Settings::default();
        for (name, value) in [("CLOCK", "slow"), ("MAX_BODY_BYTES", "1MB"), ("TTL", "1")] {
            let problem = settings.set(name, value).unwrap_err();
            assert!(problem.contains(name), "{problem}");
        }
    }
}
