//! Commands of the machine, by frames of the wire protocol.

use burrow_core::wire::{self, Answer, DecodeError, Failure};
use burrow_core::{Command, Reply};

use crate::bindings::exports::burrow::queue::frames;
use crate::error::CallError;
use crate::queue::{Queue, Ticket};
use crate::{Quota, Refusal};

/// What became of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Carried {
    /// The machine's reply, or its refusal.
    Done(Result<Reply, burrow_core::Refusal>),
    /// It waits: see [`Queue::completed`].
    Pending(Ticket),
}

impl Queue {
    /// Carries a command of the machine out. It does what a call of its own name does, and is the fastest way for
    /// many messages at a time: they borrow from the command, go in as one run of bytes, and come
    /// out as one.
    ///
    /// ```no_run
    /// use burrow_embed::Carried;
    /// use burrow_embed::burrow_core::{Command, NewMessage, QueueName, Reply};
    ///
    /// # fn put(queue: &mut burrow_embed::Queue) -> Result<(), burrow_embed::CallError> {
    /// let queue_name = QueueName { account: "shop".into(), queue: "jobs".into() };
    /// let parcel = NewMessage { body: b"pack the parcel".into(), ..NewMessage::default() };
    /// let put = Command::PutBatch { queue: queue_name, messages: vec![parcel] };
    /// match queue.command(&put)? {
    ///     Carried::Done(Ok(Reply::PutBatch(ids))) => println!("{} stored", ids.len()),
    ///     Carried::Done(Err(refusal)) => println!("not stored: {refusal}"),
    ///     other => println!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the command is larger than a call may be, or the instance ended. `Refused` only for the
    /// former: what the machine itself refuses is `Done`.
    pub fn command(&mut self, command: &Command<'_>) -> Result<Carried, CallError> {
        let maximum = u32::try_from(self.call_bytes()).unwrap_or(u32::MAX);
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        let answer = wire::encode_request(&mut frame, 1, command, maximum)
            .map_err(|error| CallError::Refused(unreadable(&error)))
            .and_then(|()| {
                self.call(|plugin, store| {
                    Ok(
                        match plugin.burrow_queue_frames().call_submit(store, &frame)? {
                            frames::Answer::Frame(frame) => read(&frame).map(Ok),
                            frames::Answer::Pending(number) => Ok(Err(number)),
                        },
                    )
                })
            });
        self.frame = frame;
        Ok(match answer? {
            Ok(outcome) => Carried::Done(outcome),
            Err(number) => Carried::Pending(self.wait(number)),
        })
    }
}

/// What a frame tells; the outer error is one of the instance and not of the machine.
pub(crate) fn read(frame: &[u8]) -> Result<Result<Reply, burrow_core::Refusal>, Refusal> {
    let answer = wire::decode_frame(frame).and_then(|frame| wire::decode_answer(&frame));
    match answer.map_err(|error| unreadable(&error))? {
        Answer::Outcome {
            outcome: Ok(reply), ..
        } => Ok(Ok(reply)),
        Answer::Outcome {
            outcome: Err(failure),
            ..
        } => match failure {
            Failure::Refused(refusal) => Ok(Err(refusal)),
            Failure::NotStored => Err(Refusal::NotStored(failure.to_string())),
            Failure::Stopping => Err(Refusal::NotOpen),
            Failure::OutcomeUnknown => Err(Refusal::OutcomeUnknown(failure.to_string())),
            other => Err(Refusal::Invalid(other.to_string())),
        },
        other => Err(Refusal::Invalid(format!("an unexpected answer: {other:?}"))),
    }
}

fn unreadable(error: &DecodeError) -> Refusal {
    match *error {
        DecodeError::FrameTooLarge { maximum } => Refusal::TooLarge(Quota {
            name: "call_bytes".into(),
            maximum: maximum.into(),
        }),
        ref other => Refusal::Invalid(other.to_string()),
    }
}
