//! One WebSocket: its frames to the objects that carry them out, and their answers back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread::LocalKey;

use burrow_core::wire::{Event, Failure, Session};
use burrow_core::{Command, Reply};
use futures_channel::oneshot;
use worker::js_sys::{ArrayBuffer, Promise, Uint8Array};
use worker::wasm_bindgen_futures::JsFuture;
use worker::worker_sys::ext::WebSocketExt as _;
use worker::{Env, web_sys};

use crate::desk::shown_at_once;
use crate::directory;
use crate::error::{Error, Result, expect};
use crate::memory::{Lent, outside};
use crate::object::MAX_NAME_BYTES;
use crate::places::{self, About, BYTES, Place};
use crate::promise::spawn;
use crate::variables::Variables;
use crate::wire::{CANCEL, COMMAND, NO_ROOM};

/// Bytes of requests that are under way in an isolate, but for a single one.
const MAX_UNDER_WAY_BYTES: usize = 16 << 20;
/// Likewise of messages that those under way may be answered with at once.
const MAX_SHOWN_BYTES: usize = 64 << 20;
/// Bytes that a message may be answered with at once. Many small frames have far longer answers.
const MAX_OUT_BYTES: usize = 1 << 20;
/// Above this, places are forgotten for which nothing is under way.
const MAX_PLACES: usize = 64;

thread_local! {
    static UNDER_WAY_BYTES: Cell<usize> = const { Cell::new(0) };
    static SHOWN_BYTES: Cell<usize> = const { Cell::new(0) };
}

type Outcome = std::result::Result<Reply, Failure>;

/// See the [module](self).
pub(crate) struct Connection {
    socket: web_sys::WebSocket,
    /// Names the connection where its requests are carried out.
    pub(crate) number: u64,
    session: RefCell<Session>,
    /// Few enough to be searched.
    in_flight: RefCell<Vec<Passed>>,
    /// Queues that were asked lately, by their names. What is asked of one arrives in order.
    places: RefCell<Vec<(String, String, Rc<Place>)>>,
}

/// A request that was passed on.
struct Passed {
    id: u64,
    /// None for a directory, which cannot take back what it does.
    queue: Option<Rc<Place>>,
    is_taken_back: bool,
    _under_way: [UnderWay; 2],
}

/// What was asked of another object.
struct Asked {
    /// None for what has no answer of its own.
    id: Option<u64>,
    answer: Promise,
}

impl Connection {
    pub(crate) fn new(socket: web_sys::WebSocket, number: u64, session: Session) -> Self {
        Self {
            socket,
            number,
            session: RefCell::new(session),
            in_flight: RefCell::default(),
            places: RefCell::default(),
        }
    }

    /// The connection as it was [kept](Self::keep). None if there is none, or if its answers were lost.
    pub(crate) fn wake(socket: &web_sys::WebSocket) -> Option<Self> {
        let kept = Uint8Array::new(&socket.deserialize_attachment().ok()?).to_vec();
        let (number, session) = kept.split_first_chunk()?;
        let session = Session::wake(session)?;
        let connection = Self::new(socket.clone(), u64::from_le_bytes(*number), session);
        if connection.session.borrow().in_flight() > 0 {
            connection.end(&Failure::OutcomeUnknown);
            return None;
        }
        Some(connection)
    }

    /// The number of a connection that is not looked at otherwise.
    pub(crate) fn number_of(socket: &web_sys::WebSocket) -> Option<u64> {
        let kept = Uint8Array::new(&socket.deserialize_attachment().ok()?).to_vec();
        kept.first_chunk().copied().map(u64::from_le_bytes)
    }

    /// Attaches to the socket what must outlive the object.
    pub(crate) fn keep(&self) {
        let mut kept = Vec::from(self.number.to_le_bytes());
        kept.extend_from_slice(&self.session.borrow().keep());
        let kept = Uint8Array::from(kept.as_slice());
        // A socket that is gone needs nothing.
        self.socket.serialize_attachment(kept.into()).ok();
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight.borrow().is_empty()
    }

    pub(crate) fn max_message_bytes(&self) -> usize {
        self.session.borrow().offer().max_message_bytes()
    }

    /// Reads a message, passes its requests on, and is done when they are answered.
    pub(crate) async fn hear(self: &Rc<Self>, env: &Env, message: Vec<u8>, now_ms: Option<u64>) {
        let (mut out, mut asked) = (Vec::new(), Vec::new());
        let goes_on = self.read(env, message, now_ms, &mut out, &mut asked);
        self.session.borrow_mut().release();
        self.send(&out);
        self.keep();
        if !goes_on {
            self.socket.close().ok();
            asked.extend(self.take_back_all());
        }
        self.await_all(asked).await;
    }

    /// The client has left: what it waits for is taken back.
    pub(crate) async fn leave(self: &Rc<Self>) {
        self.await_all(self.take_back_all()).await;
    }

    fn read(
        &self,
        env: &Env,
        message: Vec<u8>,
        now_ms: Option<u64>,
        out: &mut Vec<u8>,
        asked: &mut Vec<Asked>,
    ) -> bool {
        let mut session = self.session.borrow_mut();
        *session.received() = message;
        loop {
            if out.len() > MAX_OUT_BYTES {
                session.end(&Failure::Busy, out);
                return false;
            }
            let Some(event) = session.next(out) else {
                return session.end_message(out);
            };
            let (id, outcome) = match event {
                Event::Answered => continue,
                Event::End => return false,
                Event::Cancel { id } => match self.take_back(id) {
                    Some(Ok(cancel)) => {
                        asked.push(cancel);
                        continue;
                    }
                    Some(Err(failure)) => (id, Err(failure)),
                    None => continue,
                },
                Event::Submit { id, command } => {
                    let passed = match Route::of(&command, now_ms) {
                        Some(route) => self.pass_on(env, id, &route, session.last_frame()),
                        None => Err(directory::refuse(command).map_err(Failure::from)),
                    };
                    match passed {
                        Ok(request) => {
                            asked.push(request);
                            continue;
                        }
                        Err(outcome) => (id, outcome),
                    }
                }
            };
            session.answer(id, &outcome, out);
        }
    }

    /// Sends the frame of a request to the object that it belongs to.
    fn pass_on(
        &self,
        env: &Env,
        id: u64,
        route: &Route,
        frame: &[u8],
    ) -> std::result::Result<Asked, Outcome> {
        let unknown = |error: Error| {
            error.log("a command cannot be passed on:");
            Err(Failure::OutcomeUnknown)
        };
        let shown_bytes = route.shown_bytes(&*Variables::of(env).map_err(unknown)?);
        let under_way = UnderWay::begin(&UNDER_WAY_BYTES, frame.len(), MAX_UNDER_WAY_BYTES)
            .zip(UnderWay::begin(&SHOWN_BYTES, shown_bytes, MAX_SHOWN_BYTES))
            .ok_or(Err(Failure::Busy))?;
        let begun = self.place(env, route).and_then(|place| {
            let answer = place.begin_for(Some(&self.caller(id)), COMMAND, &route.about, frame)?;
            Ok((place, answer))
        });
        let (place, answer) = begun.map_err(unknown)?;
        self.in_flight.borrow_mut().push(Passed {
            id,
            queue: route.is_queue().then_some(place),
            is_taken_back: false,
            _under_way: under_way.into(),
        });
        let id = Some(id);
        Ok(Asked { id, answer })
    }

    fn place(&self, env: &Env, route: &Route) -> Result<Rc<Place>> {
        let About { account, queue, .. } = &route.about;
        let find = || match route.to {
            To::Root => places::root(env),
            To::Account => places::account(env, account),
            To::Queue => places::queue(env, account, queue),
        };
        if !route.is_queue() {
            return find().map(Rc::new);
        }
        let mut known = self.places.borrow_mut();
        let is_it = |(own, _, _): &(String, String, Rc<Place>)| own == account;
        let found = known.iter().find(|own| is_it(own) && own.1 == *queue);
        if let Some((_, _, place)) = found {
            return Ok(place.clone());
        }
        if known.len() > MAX_PLACES {
            known.retain(|(_, _, place)| Rc::strong_count(place) > 1);
        }
        let place = Rc::new(find()?);
        known.push((account.clone(), queue.clone(), place.clone()));
        Ok(place)
    }

    /// Has the object that carries a request out answer that it was cancelled, if it can. None if there is no
    /// such request.
    fn take_back(&self, id: u64) -> Option<std::result::Result<Asked, Failure>> {
        let mut in_flight = self.in_flight.borrow_mut();
        let place = in_flight.iter().position(|passed| passed.id == id)?;
        let passed = in_flight.get_mut(place)?;
        let Some(queue) = &passed.queue else {
            in_flight.swap_remove(place);
            return Some(Err(Failure::Cancelled));
        };
        // Once is enough.
        if std::mem::replace(&mut passed.is_taken_back, true) {
            return None;
        }
        let cancel = queue.begin_for(Some(&self.caller(id)), CANCEL, &About::default(), &[]);
        cancel.ok().map(|answer| Ok(Asked { id: None, answer }))
    }

    /// Takes all requests back, which nobody hears of any more.
    fn take_back_all(&self) -> Vec<Asked> {
        let ids: Vec<u64> = self.in_flight.borrow().iter().map(|own| own.id).collect();
        let cancels = ids.into_iter().filter_map(|id| self.take_back(id)?.ok());
        let cancels = cancels.collect();
        self.in_flight.borrow_mut().clear();
        cancels
    }

    async fn await_all(self: &Rc<Self>, asked: Vec<Asked>) {
        let (sender, all_done) = oneshot::channel::<()>();
        let sender = Rc::new(sender);
        for asked in asked {
            let (connection, own) = (self.clone(), sender.clone());
            spawn(async move {
                connection.finish(asked).await;
                drop(own);
            });
        }
        drop(sender);
        all_done.await.ok();
    }

    fn take(&self, id: u64) -> Option<Passed> {
        let mut in_flight = self.in_flight.borrow_mut();
        let place = in_flight.iter().position(|passed| passed.id == id)?;
        Some(in_flight.swap_remove(place))
    }

    async fn finish(&self, asked: Asked) {
        let answer = answer_of(asked.answer).await;
        let Some(id) = asked.id else {
            if let Err(error) = answer {
                error.log("a request cannot be taken back:");
            }
            return;
        };
        let Some(_passed) = self.take(id) else {
            return;
        };
        match answer {
            Ok(Some((frame, _lent))) => {
                self.session.borrow_mut().pass_answer();
                // Whoever has left does not hear it.
                self.socket.send_with_array_buffer(&frame).ok();
            }
            Ok(None) => self.answer(id, Failure::Busy),
            Err(error) => {
                error.log("a command has no answer:");
                self.answer(id, Failure::OutcomeUnknown);
            }
        }
        if self.is_idle() {
            self.keep();
        }
    }

    fn answer(&self, id: u64, failure: Failure) {
        let mut out = Vec::new();
        let mut session = self.session.borrow_mut();
        session.answer(id, &Err(failure), &mut out);
        self.send(&out);
    }

    fn end(&self, failure: &Failure) {
        let mut out = Vec::new();
        self.session.borrow_mut().end(failure, &mut out);
        self.send(&out);
        self.keep();
        self.socket.close().ok();
    }

    fn send(&self, bytes: &[u8]) {
        if !bytes.is_empty() {
            // The runtime sends it later.
            let copy = Uint8Array::from(bytes).buffer();
            self.socket.send_with_array_buffer(&copy).ok();
        }
    }

    fn caller(&self, id: u64) -> String {
        format!("{:x}/{id:x}", self.number)
    }
}

/// Where a command belongs, and what goes along with it.
struct Route {
    to: To,
    about: About,
    /// How many messages may be shown at once.
    shown: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Root,
    Account,
    Queue,
}

impl Route {
    /// None for a name that cannot be one.
    fn of(command: &Command<'_>, now_ms: Option<u64>) -> Option<Self> {
        let (to, account, queue) = match (command, command.queue()) {
            (_, Some(name)) => (To::Queue, &*name.account, &*name.queue),
            (Command::ListQueues { account, .. } | Command::DeleteQueues { account, .. }, _) => {
                (To::Account, &**account, "")
            }
            _ => (To::Root, "", ""),
        };
        let is_name = |name: &str| (1..=MAX_NAME_BYTES).contains(&name.len());
        let has_account = to == To::Root || is_name(account);
        let has_queue = to != To::Queue || is_name(queue);
        (has_account && has_queue).then(|| Self {
            to,
            about: About {
                account: account.to_owned(),
                queue: queue.to_owned(),
                now_ms,
            },
            shown: shown_at_once(command),
        })
    }

    fn shown_bytes(&self, variables: &Variables) -> usize {
        let limits = &variables.settings.node.limits;
        let bodies = self.shown.saturating_mul(limits.max_body_bytes);
        usize::try_from(bodies.min(limits.max_answer_bytes)).unwrap_or(usize::MAX)
    }

    fn is_queue(&self) -> bool {
        self.to == To::Queue
    }
}

/// The frame that a request is answered with, which counts from when it is announced; None if there was no
/// room for the request.
async fn answer_of(promise: Promise) -> Result<Option<(ArrayBuffer, Lent)>> {
    let answer: web_sys::Response = expect(JsFuture::from(promise).await?, "no response came")?;
    let length = answer.headers().get(BYTES)?;
    let length = length.and_then(|length| length.parse().ok());
    let lent = outside(length.unwrap_or(0));
    let body = JsFuture::from(answer.array_buffer()?).await?;
    match answer.status() {
        200 => Ok(Some((expect(body, "no bytes came")?, lent))),
        NO_ROOM => Ok(None),
        status => Err(Error::from(format!("status {status}"))),
    }
}

type Count = LocalKey<Cell<usize>>;

/// Counts bytes as under way until it is dropped.
struct UnderWay {
    bytes: usize,
    of: &'static Count,
}

impl UnderWay {
    fn begin(of: &'static Count, bytes: usize, most_bytes: usize) -> Option<Self> {
        let before = of.get();
        let after = before.saturating_add(bytes);
        let has_room = before == 0 || bytes == 0 || after <= most_bytes;
        has_room.then(|| {
            of.set(after);
            Self { bytes, of }
        })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.of.set(self.of.get() - self.bytes);
    }
}
