//! Bugs planted on purpose. If the simulator does not find one of them, it would not find
//! such a bug in the node either, and the suite fails.
//!
//! Each stands between the driver and a sound node, and makes the pair behave as a node
//! with that bug would.

mod clock;
mod replies;
mod rules;
mod storage;

use burrow_core::{Command, Config, Node, Timestamp};

use super::subject::Subject;

pub use clock::{
    ClockRunsOn, DeadlineLate, DeadlineTooLate, ExpiryAtDeadlineOnly, ExpiryLate, FloorForgotten,
};
pub use replies::{
    CancelIgnored, ClaimSurvivesCancel, ReleaseIgnored, ReplyBeforeDurable, ReplyLost, ReplyTwice,
    WaitersLifo,
};
pub use rules::{
    AckIgnoresClaim, HalfBatch, MarkerForgotten, OneAttemptTooMany, ReplaceLosesPlace,
};
pub use storage::{
    BlobLost, ClaimsLost, DropsBeforeStored, DropsTooMuch, LastBatchLost, NodeKeptAfterFailure,
    SettingsLost,
};

/// A sound node and what is needed to make it misbehave.
#[derive(Debug)]
pub struct Planted<Bug> {
    node: Node,
    bug: Bug,
}

/// Makes a node with the bug.
pub fn plant<Bug: Default + 'static>(config: Config) -> Box<dyn Subject>
where
    Planted<Bug>: Subject,
{
    Box::new(Planted {
        node: Node::new(config),
        bug: Bug::default(),
    })
}

/// Changes the node without a reply.
fn quietly(node: &mut Node, now: Timestamp, command: Command<'static>) {
    let ticket = node.submit(now, command);
    node.cancel(ticket);
}
