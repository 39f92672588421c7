//! What the settings mean to the parts of the server.

use std::hash::{BuildHasher, RandomState};

use burrow_core::rest::RestConfig;
use burrow_core::{Config, JournalConfig, Limits};

use super::Settings;
use crate::engine::{EngineConfig, StoreConfig};

impl Settings {
    /// The configuration of the engine, with a seed of its own.
    pub fn engine_config(&self) -> EngineConfig {
        let store = match self.data.memory {
            true => StoreConfig::Memory,
            false => StoreConfig::Sqlite {
                dir: self.data.data.clone(),
            },
        };
        EngineConfig {
            node: self.node_config(),
            store,
        }
    }

    /// The configuration of the REST front-end.
    pub fn rest_config(&self) -> RestConfig {
        let cors_origin = self.server.cors_origin.as_deref().map(Box::from);
        RestConfig {
            cors_origin,
            ..RestConfig::from(&self.limits())
        }
    }

    fn node_config(&self) -> Config {
        Config {
            default_ttl_ms: self.messages.default_ttl.ms,
            default_hide_ms: self.messages.default_hide.ms,
            marker_retention_ms: self.messages.marker_retention.ms,
            limits: self.limits(),
            journal: JournalConfig {
                checkpoint_bytes: self.journal.checkpoint_bytes.0,
                extent_bytes: self.journal.extent_bytes.0,
                ..JournalConfig::default()
            },
            seed: RandomState::new().hash_one("seed of a node"),
            ..Config::default()
        }
    }

    fn limits(&self) -> Limits {
        let messages = &self.messages;
        Limits {
            max_body_bytes: messages.max_body_bytes.0,
            max_batch_messages: messages.max_batch_messages,
            max_answer_bytes: messages.max_answer_bytes.0,
            max_queue_messages: messages.max_queue_messages,
            max_queue_bytes: messages.max_queue_bytes.0,
            max_account_messages: messages.max_account_messages,
            max_account_bytes: messages.max_account_bytes.0,
            max_account_queues: messages.max_account_queues,
            max_messages: messages.max_messages,
            max_bytes: messages.max_bytes.0,
            max_queues: messages.max_queues,
            max_waiters: messages.max_waiters,
            max_queue_waiters: messages.max_queue_waiters,
            max_wait_ms: messages.max_wait.ms,
            max_markers: messages.max_markers,
        }
    }
}
