//! One queue: where its messages are, and what it was told about itself.

use alloc::boxed::Box;

use super::kept::KeptSettings;
use super::name::Name;
use super::spine::Spine;
use crate::settings::Order;

/// As large as two lines of a processor's cache, and in no more than these.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Queue {
    /// Unique in the node's life, ascending; what the journal calls the queue.
    pub(crate) number: u64,
    /// The account's place in the state.
    pub(crate) account: u32,
    pub(crate) name: Name,
    /// The hash of both names.
    pub(crate) hash: u64,
    pub(crate) settings: Option<Box<KeptSettings>>,
    /// Blocks by their first position.
    pub(crate) blocks: Spine,
    /// Those of them that have visible messages.
    pub(crate) visible: Spine,
    pub(crate) messages: u64,
    /// Bytes of ids and bodies.
    pub(crate) bytes: u64,
}

impl Queue {
    pub(crate) fn order(&self) -> Order {
        self.settings
            .as_ref()
            .map_or(Order::Fifo, |settings| settings.order())
    }

    /// The blocks that have visible messages, or all.
    pub(crate) fn blocks(&self, match_hidden: bool) -> &Spine {
        if match_hidden {
            &self.blocks
        } else {
            &self.visible
        }
    }

    /// True if nothing keeps the queue in being.
    pub(crate) fn is_idle(&self) -> bool {
        self.messages == 0 && self.settings.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_two_lines_of_a_cache() {
        assert_eq!(size_of::<Queue>(), 128);
    }
}
