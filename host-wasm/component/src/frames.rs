//! The exported interface `frames`.

use alloc::vec::Vec;

use burrow_core::wire::{self, Failure, Request};

use crate::Plugin;
use crate::bindings::exports::burrow::queue::frames::{Answer, Guest};
use crate::convert;
use crate::host::{self, Called, Form};

impl Guest for Plugin {
    fn submit(frame: Vec<u8>) -> Answer {
        let (id, request) = match read(&frame) {
            Ok(read) => read,
            Err((id, failure)) => return Answer::Frame(convert::frame(id, &Err(failure))),
        };
        let command = match request {
            Request::Submit(command) => command,
            Request::Ping => {
                let mut pong = Vec::new();
                wire::encode_pong(&mut pong, id);
                return Answer::Frame(pong);
            }
            Request::Cancel => return Answer::Frame(convert::frame(id, &Err(Failure::Protocol))),
        };
        match host::with(|host| host.command(command, Form::Frame(id))) {
            Ok(Called::Done(reply)) => {
                Answer::Frame(convert::frame(id, &reply.map_err(Failure::from)))
            }
            Ok(Called::Waits(ticket)) => Answer::Pending(ticket),
            Err(error) => Answer::Frame(convert::frame(id, &Err(convert::failure(&error)))),
        }
    }
}

/// What the frame says, and its id; of one that cannot be read at all this is 0.
fn read(frame: &[u8]) -> Result<(u64, Request<'_>), (u64, Failure)> {
    let frame = wire::decode_frame(frame).map_err(|error| (0, error.into()))?;
    let id = frame.id;
    let max_messages = host::with(|host| Ok(host.max_batch_messages())).unwrap_or(u64::MAX);
    match wire::decode_request(&frame, max_messages) {
        Ok(request) => Ok((id, request)),
        Err(error) => Err((id, error.into())),
    }
}
