//! The calls that JavaScript makes. Each finds what it is given where [`input`] pointed, and
//! leaves what it gives where [`output`] points. If one traps, the instance is of no use any more: it is
//! dropped, and the object restored from its storage.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::RefCell;

use burrow_core::journal::{Load, LoadError};
use burrow_core::rest::{Place, Response, place};
use burrow_core::{QueueName, Timestamp};

use crate::config::Settings;
use crate::desk::{Desk, Handled, Next};
use crate::directory::{self, Read};
use crate::wire::{self, Input};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

#[link(wasm_import_module = "storage")]
unsafe extern "C" {
    /// Puts the blob with this sequence number where [`input`] points; 0 if there is none.
    safe fn read(sequence: f64) -> u32;
}

struct Single<T>(RefCell<T>);

// SAFETY: an instance has one thread.
unsafe impl<T> Sync for Single<T> {}

#[derive(Default)]
struct Instance {
    settings: Settings,
    desk: Option<Desk>,
}

static INPUT: Single<Vec<u8>> = Single(RefCell::new(Vec::new()));
static OUTPUT: Single<Vec<u8>> = Single(RefCell::new(Vec::new()));
static INSTANCE: Single<Option<Box<Instance>>> = Single(RefCell::new(None));

/// What a call gives when what it was given cannot be read.
const BAD: i32 = -1;
/// Stands for an instant or a position that there is not.
const NONE: f64 = -1.0;

/// Makes room for so many bytes of input, and points there.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    let mut input = INPUT.0.borrow_mut();
    *input = vec![0; length];
    input.as_mut_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn output() -> *const u8 {
    OUTPUT.0.borrow().as_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn output_length() -> usize {
    OUTPUT.0.borrow().len()
}

/// Lets go of the memory of the last output.
#[unsafe(no_mangle)]
pub extern "C" fn release() {
    *OUTPUT.0.borrow_mut() = Vec::new();
}

/// Input: a variable's name and value. 1, or 0 and what is wrong with it.
#[unsafe(no_mangle)]
pub extern "C" fn configure() -> i32 {
    let input = take_input();
    let mut input = Input(&input);
    let (Some(name), Some(value)) = (input.text(), input.text()) else {
        return BAD;
    };
    match with(|instance| instance.settings.set(name, value)) {
        Ok(()) => 1,
        Err(problem) => {
            give(problem.as_bytes());
            0
        }
    }
}

/// Input: a target. 0: no place in particular; 1: an account, whose name is given;
/// 2: a queue, whose account and name are given.
#[unsafe(no_mangle)]
pub extern "C" fn locate() -> i32 {
    let input = take_input();
    let Ok(target) = core::str::from_utf8(&input) else {
        return BAD;
    };
    let mut out = Vec::new();
    let kind = match place(target) {
        Place::Root => 0,
        Place::Account(account) => {
            wire::put_text(&mut out, &account);
            1
        }
        Place::Queue(queue) => {
            wire::put_text(&mut out, &queue.account);
            wire::put_text(&mut out, &queue.queue);
            2
        }
    };
    give_owned(out);
    kind
}

/// Input: a request that is for a directory or for no place. 0: it is answered; 1: it lists;
/// 2: it removes, and the marker and the limit are given; 3: it moves the clock by so many
/// milliseconds, which are given.
#[unsafe(no_mangle)]
pub extern "C" fn consult() -> i32 {
    let input = take_input();
    let Some(request) = Input(&input).request() else {
        return BAD;
    };
    let mut out = Vec::new();
    let kind = match with(|instance| directory::read(&request, &instance.settings.rest)) {
        Read::Answered(response) => {
            wire::put_response(&mut out, &response);
            0
        }
        Read::Wanted(wanted) => {
            out.extend_from_slice(&wanted.limit.unwrap_or(u64::MAX).to_le_bytes());
            out.push(wanted.marker.is_some().into());
            out.extend_from_slice(wanted.marker.as_deref().unwrap_or_default());
            1 + i32::from(wanted.removes)
        }
        Read::Clock { advance_ms } => {
            out.extend_from_slice(&advance_ms.to_le_bytes());
            3
        }
    };
    give_owned(out);
    kind
}

/// Input: a request to a directory, with the names that it covers as its body. Gives the answer.
#[unsafe(no_mangle)]
pub extern "C" fn answer_names(account_exists: i32) -> i32 {
    let input = take_input();
    let Some(request) = Input(&input).request() else {
        return BAD;
    };
    let mut names = Input(request.body);
    let names = core::iter::from_fn(move || names.text());
    give_response(&with(|instance| {
        directory::answer(
            &request,
            &instance.settings.rest,
            account_exists != 0,
            names,
        )
    }))
}

/// Input: a request to the clock. Gives the answer.
#[unsafe(no_mangle)]
pub extern "C" fn answer_clock(now: f64, digest: u64) -> i32 {
    use burrow_core::rest::{Routed, route};
    let input = take_input();
    let Some(request) = Input(&input).request() else {
        return BAD;
    };
    let response = with(|instance| match route(&request, &instance.settings.rest) {
        Routed::Clock(clock) => Some(clock.respond(instant(now), digest)),
        Routed::Respond(response) => Some(response),
        Routed::Submit(..) => None,
    });
    response.map_or(BAD, |response| give_response(&response))
}

/// Gives the answer to a request whose body is larger than this.
#[unsafe(no_mangle)]
pub extern "C" fn answer_too_large(maximum_bytes: u32) -> i32 {
    give_response(&Response::body_too_large(maximum_bytes.into()))
}

/// Input: a request. Gives the answer of a Worker that works.
#[unsafe(no_mangle)]
pub extern "C" fn answer_health() -> i32 {
    let input = take_input();
    let Some(request) = Input(&input).request() else {
        return BAD;
    };
    give_response(&directory::health(&request))
}

/// Gives the answer to a request that could not be stored, or of which that is not known.
#[unsafe(no_mangle)]
pub extern "C" fn answer_not_stored(unknown: i32) -> i32 {
    give_response(&if unknown != 0 {
        Response::outcome_unknown()
    } else {
        Response::not_stored()
    })
}

/// Input: account and queue, then the sequence numbers of what is stored. 1, or 0 and why the queue cannot be restored.
#[unsafe(no_mangle)]
pub extern "C" fn restore(now: f64) -> i32 {
    let input = take_input();
    let mut input = Input(&input);
    let (Some(account), Some(queue)) = (input.text(), input.text()) else {
        return BAD;
    };
    let mut stored = Stored(wire::sequences(input.0));
    let settings = with(|instance| instance.settings.clone());
    let name = QueueName {
        account: account.into(),
        queue: queue.into(),
    };
    match Desk::restore(settings, name, instant(now), &mut stored) {
        Ok(desk) => {
            with(|instance| instance.desk = Some(desk));
            1
        }
        Err(error) => {
            give(error.to_string().as_bytes());
            0
        }
    }
}

/// Input: a request to the queue. 0: it is answered; else its number, and the answer comes
/// from [`next`].
#[unsafe(no_mangle)]
pub extern "C" fn handle(now: f64, has_room: i32) -> i32 {
    let input = take_input();
    let Some(request) = Input(&input).request() else {
        return BAD;
    };
    match with_desk(|desk| desk.handle(instant(now), &request, has_room != 0)) {
        Some(Handled::Answered(response)) => {
            give_response(&response);
            0
        }
        Some(Handled::Pending(number)) => number.cast_signed(),
        None => BAD,
    }
}

/// Input: a piece of a queue. Gives the number of the request.
#[unsafe(no_mangle)]
pub extern "C" fn import(now: f64) -> i32 {
    let piece = take_input();
    with_desk(|desk| desk.import(instant(now), &piece)).map_or(BAD, u32::cast_signed)
}

/// 1 and what must be stored next, or 0.
#[unsafe(no_mangle)]
pub extern "C" fn poll_batch() -> i32 {
    let Some(batch) = with_desk(Desk::poll_batch).flatten() else {
        return 0;
    };
    let mut out = Vec::with_capacity(batch.blob.len() + 64);
    wire::put_batch(&mut out, &batch);
    give_owned(out);
    1
}

#[unsafe(no_mangle)]
pub extern "C" fn handle_durable(sequence: f64) {
    with_desk(|desk| desk.handle_durable(whole(sequence)));
}

/// 0: nothing; 1: the number of a request, and its answer; 2: the number of an import, and
/// whether it was taken; 3: the number of a request for which the account must be asked.
#[unsafe(no_mangle)]
pub extern "C" fn next() -> i32 {
    let Some(next) = with_desk(Desk::poll).flatten() else {
        return 0;
    };
    let mut out = Vec::new();
    let kind = match next {
        Next::Respond(number, response) => {
            out.extend_from_slice(&number.to_le_bytes());
            wire::put_response(&mut out, &response);
            1
        }
        Next::Done(number, done) => {
            out.extend_from_slice(&number.to_le_bytes());
            out.push(done.into());
            2
        }
        Next::AskAccount(number) => {
            out.extend_from_slice(&number.to_le_bytes());
            3
        }
    };
    give_owned(out);
    kind
}

/// Gives the answer to a request for which the account was asked.
#[unsafe(no_mangle)]
pub extern "C" fn decide(number: u32, account_exists: i32) -> i32 {
    with_desk(|desk| desk.decide(number, account_exists != 0))
        .flatten()
        .map_or(BAD, |response| give_response(&response))
}

#[unsafe(no_mangle)]
pub extern "C" fn cancel(number: u32) {
    with_desk(|desk| desk.cancel(number));
}

/// When [`handle_deadline`] wants to be called next.
#[unsafe(no_mangle)]
pub extern "C" fn deadline() -> f64 {
    let deadline = with_desk(|desk| desk.node().deadline()).flatten();
    deadline.map_or(NONE, |at| at.as_millis() as f64)
}

#[unsafe(no_mangle)]
pub extern "C" fn handle_deadline(now: f64) {
    with_desk(|desk| desk.handle_deadline(instant(now)));
}

#[unsafe(no_mangle)]
pub extern "C" fn advance_to(until: f64) {
    with_desk(|desk| desk.advance_to(instant(until)));
}

#[unsafe(no_mangle)]
pub extern "C" fn now() -> f64 {
    with_desk(|desk| desk.node().now()).map_or(NONE, |now| now.as_millis() as f64)
}

#[unsafe(no_mangle)]
pub extern "C" fn digest() -> u64 {
    with_desk(|desk| desk.node().digest()).unwrap_or_default()
}

#[unsafe(no_mangle)]
pub extern "C" fn exists(now: f64) -> i32 {
    with_desk(|desk| desk.exists(instant(now))).map_or(BAD, i32::from)
}

/// Removes the queue. 1 if there was one.
#[unsafe(no_mangle)]
pub extern "C" fn remove(now: f64) -> i32 {
    with_desk(|desk| desk.remove(instant(now))).map_or(BAD, i32::from)
}

/// How many requests wait.
#[unsafe(no_mangle)]
pub extern "C" fn waiters() -> f64 {
    with_desk(|desk| desk.node().stats().waiters).map_or(NONE, |waiters| waiters as f64)
}

/// How many queues there are: the object's own, and those that it has dead letters for.
#[unsafe(no_mangle)]
pub extern "C" fn queues() -> f64 {
    with_desk(|desk| desk.node().stats().queues).map_or(NONE, |queues| queues as f64)
}

/// Gives the name of a dead-letter queue for which messages are here, and 1 if there is one.
#[unsafe(no_mangle)]
pub extern "C" fn outbox(now: f64) -> i32 {
    let names = with_desk(|desk| desk.outbox(instant(now))).unwrap_or_default();
    let Some(first) = names.first() else {
        return 0;
    };
    give(first.as_bytes());
    1
}

/// Input: the name of a dead-letter queue. Gives a piece of what is here for it, and where the next one begins.
/// `after` is below 0 for the first.
#[unsafe(no_mangle)]
pub extern "C" fn export(now: f64, after: f64, max_bytes: f64) -> f64 {
    let input = take_input();
    let after = (after >= 0.0).then(|| whole(after));
    let exported = core::str::from_utf8(&input).ok().and_then(|queue| {
        with_desk(|desk| desk.export(instant(now), queue, after, whole(max_bytes))).flatten()
    });
    let (piece, next) = exported.unwrap_or_default();
    give_owned(piece);
    next.map_or(NONE, |next| next as f64)
}

/// Input: the name of a dead-letter queue. Drops what is here for it.
#[unsafe(no_mangle)]
pub extern "C" fn drop_outbox(now: f64) {
    let input = take_input();
    if let Ok(queue) = core::str::from_utf8(&input) {
        with_desk(|desk| desk.drop_outbox(instant(now), queue));
    }
}

/// The stored blobs, by way of JavaScript.
struct Stored(Vec<u64>);

impl Load for Stored {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(self.0.clone())
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        if read(sequence as f64) == 0 {
            return Err(LoadError("a row is missing".into()));
        }
        Ok(take_input())
    }
}

fn take_input() -> Vec<u8> {
    core::mem::take(&mut INPUT.0.borrow_mut())
}

fn give(bytes: &[u8]) {
    give_owned(bytes.to_vec());
}

fn give_owned(bytes: Vec<u8>) {
    *OUTPUT.0.borrow_mut() = bytes;
}

fn give_response(response: &Response) -> i32 {
    let mut out = Vec::with_capacity(response.body.len() + 128);
    wire::put_response(&mut out, response);
    give_owned(out);
    0
}

fn with<T>(act: impl FnOnce(&mut Instance) -> T) -> T {
    act(INSTANCE.0.borrow_mut().get_or_insert_default())
}

fn with_desk<T>(act: impl FnOnce(&mut Desk) -> T) -> Option<T> {
    with(|instance| instance.desk.as_mut().map(act))
}

/// JavaScript's numbers are whole up to 2^53, and instants and sequences stay far below.
fn whole(number: f64) -> u64 {
    number as u64
}

fn instant(number: f64) -> Timestamp {
    Timestamp::from_millis(whole(number))
}
