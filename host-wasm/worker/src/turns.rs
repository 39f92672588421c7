//! One after another, in the order in which they came.

use std::cell::RefCell;

use futures_channel::oneshot::{self, Receiver, Sender};

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Turns {
    /// Tells that the last who has come is done.
    last: RefCell<Option<Receiver<()>>>,
}

/// A place in line. Whoever has one waits for the turn: who leaves before lets the next go first.
pub(crate) struct InLine {
    before: Option<Receiver<()>>,
    turn: Turn,
}

/// It lasts until it is dropped.
pub(crate) struct Turn(
    #[expect(dead_code, reason = "the next hears that it is dropped")] Sender<()>,
);

impl Turns {
    pub(crate) fn line_up(&self) -> InLine {
        let (turn, next) = oneshot::channel();
        InLine {
            before: self.last.replace(Some(next)),
            turn: Turn(turn),
        }
    }

    /// True if it would be one's turn at once.
    pub(crate) fn are_over(&self) -> bool {
        let mut last = self.last.borrow_mut();
        last.as_mut().is_none_or(|last| last.try_recv().is_err())
    }
}

impl InLine {
    pub(crate) async fn turn(self) -> Turn {
        if let Some(before) = self.before {
            before.await.ok();
        }
        self.turn
    }
}
