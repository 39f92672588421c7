//! Settings as a queue keeps them: half the size, as there may be a million idle queues.

use alloc::boxed::Box;

use crate::settings::{Order, Settings};

/// Absent spans; no span is so long.
const NO_SPAN: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct KeptSettings {
    default_ttl_ms: u64,
    default_hide_ms: u64,
    marker_retention_ms: u64,
    /// These three are at least 1 if they are there.
    max_messages: u64,
    max_bytes: u64,
    max_attempts: u32,
    order: Order,
    dead_letter: Option<Box<str>>,
}

impl KeptSettings {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            default_ttl_ms: settings.default_ttl_ms.unwrap_or(NO_SPAN),
            default_hide_ms: settings.default_hide_ms.unwrap_or(NO_SPAN),
            marker_retention_ms: settings.marker_retention_ms.unwrap_or(NO_SPAN),
            max_messages: settings.max_messages.unwrap_or(0),
            max_bytes: settings.max_bytes.unwrap_or(0),
            max_attempts: settings.max_attempts.unwrap_or(0),
            order: settings.order,
            dead_letter: settings.dead_letter.clone(),
        }
    }

    /// The settings as they were given.
    pub(crate) fn given(&self) -> Settings {
        Settings {
            default_ttl_ms: self.default_ttl_ms(),
            default_hide_ms: self.default_hide_ms(),
            max_attempts: self.max_attempts(),
            dead_letter: self.dead_letter.clone(),
            max_messages: self.max_messages(),
            max_bytes: self.max_bytes(),
            order: self.order,
            marker_retention_ms: self.marker_retention_ms(),
        }
    }

    pub(crate) fn default_ttl_ms(&self) -> Option<u64> {
        span(self.default_ttl_ms)
    }

    pub(crate) fn default_hide_ms(&self) -> Option<u64> {
        span(self.default_hide_ms)
    }

    pub(crate) fn marker_retention_ms(&self) -> Option<u64> {
        span(self.marker_retention_ms)
    }

    pub(crate) fn max_messages(&self) -> Option<u64> {
        Some(self.max_messages).filter(|&maximum| maximum != 0)
    }

    pub(crate) fn max_bytes(&self) -> Option<u64> {
        Some(self.max_bytes).filter(|&maximum| maximum != 0)
    }

    pub(crate) fn max_attempts(&self) -> Option<u32> {
        Some(self.max_attempts).filter(|&maximum| maximum != 0)
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    pub(crate) fn dead_letter(&self) -> Option<&str> {
        self.dead_letter.as_deref()
    }
}

fn span(span_ms: u64) -> Option<u64> {
    Some(span_ms).filter(|&span_ms| span_ms != NO_SPAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_back_as_they_were_given() {
        let all = Settings {
            default_ttl_ms: Some(0),
            default_hide_ms: Some(crate::time::MAX_SPAN_MS),
            max_attempts: Some(u32::MAX),
            dead_letter: Some("dead".into()),
            max_messages: Some(u64::MAX),
            max_bytes: Some(1),
            order: Order::Lifo,
            marker_retention_ms: Some(0),
        };
        for settings in [all, Settings::default()] {
            assert_eq!(KeptSettings::new(&settings).given(), settings);
        }
        assert!(size_of::<KeptSettings>() <= 64);
    }
}
