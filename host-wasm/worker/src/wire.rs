//! Commands of the wire protocol, on the side of the objects that carry them out. A
//! [gateway](crate::gateway) passes the frame of a request on and is answered with a frame.

use std::cell::RefCell;
use std::rc::Rc;

use burrow_core::wire::{Decoder, Failure, Request as Asked, decode_request, encode_outcome};
use burrow_core::{Command, Reply};
use worker::web_sys::{Request, Response};

use crate::directory;
use crate::error::{Error, Result};
use crate::http::{self, Body, read_body, with_body};
use crate::memory::REQUESTS_BELOW;
use crate::names::{Below, Names};
use crate::object::{Object, make_room};
use crate::places::{About, BYTES, CALLER};
use crate::queue::within_room;
use crate::turns::Turns;
use crate::variables::Variables;
use crate::waiting::{Key, Told};

/// What a gateway asks: to carry out the command in the body,
pub(crate) const COMMAND: &str = "command";
/// or not to carry out any more what this caller has asked for.
pub(crate) const CANCEL: &str = "cancel";

/// There is no memory left for what is asked: nothing was done.
pub(crate) const NO_ROOM: u16 = 429;

/// The commands that gateways have asked a queue for.
#[derive(Default)]
pub(crate) struct Calls {
    /// Commands are carried out in the order in which they came, however long their bodies take.
    turns: Turns,
    /// Those that are not answered, few enough to be searched.
    waiting: RefCell<Vec<(String, Key)>>,
}

impl Calls {
    /// Carries a command out.
    pub(crate) async fn carry_out(
        &self,
        object: &Rc<Object>,
        about: &About,
        request: &Request,
    ) -> Result<Response> {
        let in_line = self.turns.line_up();
        let caller = request.headers().get(CALLER)?.unwrap_or_default();
        let has_room = object.epoch().is_some() || make_room();
        let frame = read_body(request, u64::MAX, REQUESTS_BELOW).await;
        let turn = in_line.turn().await;
        let (frame, _lent) = match frame? {
            Body::Whole(frame, lent) if has_room => (frame, lent),
            _ => return http::text(NO_ROOM, "No room"),
        };
        let mut decoder = decoder(frame);
        let (id, command) = read(&mut decoder)?;
        let creates = may_create(&command) || object.variables()?.manual_clock();
        let max_answer_bytes = object.variables()?.settings.node.limits.max_answer_bytes;
        if let Err(error) = object.ready(about, creates).await {
            object.fail(&error);
            return answer(id, Err(Failure::OutcomeUnknown));
        }
        let submitted = object.now(about.now_ms, |held, now| {
            within_room(held, max_answer_bytes, |desk, room| {
                desk.carry_out(now, command, room)
            })
        });
        let (key, _reserved) = match submitted {
            Some((epoch, Ok(number), reserved)) => ((epoch, number), reserved),
            Some((_, Err(refusal), _)) => return answer(id, Err(refusal.into())),
            None => return answer(id, Err(Failure::OutcomeUnknown)),
        };
        let told = object.expect(key, Some(request.signal()))?;
        self.waiting.borrow_mut().push((caller, key));
        drop(turn);
        let told = told.await;
        self.waiting.borrow_mut().retain(|(_, own)| *own != key);
        let outcome = match told {
            Some(Told::Outcome(outcome)) => outcome.map_err(Failure::from),
            Some(Told::Left) => Err(Failure::Cancelled),
            Some(Told::Response(_) | Told::Done(_)) | None => Err(Failure::OutcomeUnknown),
        };
        answer(id, outcome)
    }

    /// Takes back what a caller has asked for, which is answered so. What is decided already stands, and its
    /// answer comes, even if it waits until letters have arrived.
    pub(crate) async fn cancel(&self, object: &Rc<Object>, request: &Request) -> Result<Response> {
        let in_line = self.turns.line_up();
        let caller = request.headers().get(CALLER)?.unwrap_or_default();
        drop(in_line.turn().await);
        let waiting = self.waiting.borrow();
        let found = waiting.iter().find(|(own, _)| *own == caller);
        if let Some((_, key)) = found
            && object.cancel(*key)
            && let Some(waiting) = object.take_pending(*key)
        {
            waiting.tell(Told::Left);
        }
        Ok(Response::new()?)
    }
}

/// Carries a command out that lists names, or removes what it lists.
pub(crate) async fn list(names: &Names, below: &Below<'_>, request: &Request) -> Result<Response> {
    let mut decoder = decoder(http::bytes(request).await?);
    let (id, command) = read(&mut decoder)?;
    let wanted = match directory::examine(command.clone()) {
        Ok(wanted) => wanted,
        Err(outcome) => return answer(id, outcome.map_err(Failure::from)),
    };
    let outcome = match names.covered(below, &wanted).await {
        Ok((found, exists)) => {
            let found = found.iter().map(String::as_str);
            let limits = &Variables::of(below.env)?.settings.node.limits;
            let most_bytes = limits.max_answer_bytes;
            directory::carry_out(command, most_bytes, exists, found).map_err(Failure::from)
        }
        Err(error) => {
            error.log("a directory cannot tell:");
            Err(Failure::OutcomeUnknown)
        }
    };
    answer(id, outcome)
}

fn decoder(frame: Vec<u8>) -> Decoder {
    let mut decoder = Decoder::new(u32::MAX);
    *decoder.received() = frame;
    decoder
}

/// What a gateway has passed on, which can be read.
fn read(decoder: &mut Decoder) -> Result<(u64, Command<'_>)> {
    let nothing = || Error::from("this is no request of a gateway");
    let frame = decoder.next_frame().ok().flatten().ok_or_else(nothing)?;
    match decode_request(&frame, u64::MAX) {
        Ok(Asked::Submit(command)) => Ok((frame.id, command)),
        _ => Err(nothing()),
    }
}

fn answer(id: u64, outcome: std::result::Result<Reply, Failure>) -> Result<Response> {
    let mut frame = Vec::new();
    encode_outcome(&mut frame, id, &outcome);
    let mut headers = String::new();
    http::add(&mut headers, BYTES, &frame.len().to_string());
    with_body(200, &headers, &frame)
}

/// True if the command may make a queue.
fn may_create(command: &Command<'_>) -> bool {
    matches!(
        command,
        Command::Put { .. }
            | Command::PutBatch { .. }
            | Command::PutSettings { .. }
            | Command::Import { .. }
    )
}
