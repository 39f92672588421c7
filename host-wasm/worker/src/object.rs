//! What the object of a queue holds: its node, which comes back from the journal whenever the
//! object was evicted or something went wrong.
//!
//! No borrow of it lasts across an `await`. Whoever has awaited looks whether the node is
//! still the one that it was: its `epoch` tells.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use burrow_core::{QueueName, Timestamp};
use futures_channel::oneshot;
use worker::Env;
use worker::js_sys::Object as Options;
use worker::wasm_bindgen_futures::JsFuture;
use worker::worker_sys::{DurableObjectState, DurableObjectStorage};

use crate::desk::Desk;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::memory::{MESSAGES_BELOW, in_use};
use crate::places::{self, About};
use crate::sql::{Row, execute, has_table, number, query, text, whole};
use crate::time::{Timer, system_ms};
use crate::turns::Turns;
use crate::variables::{Variables, random_seed};
use crate::waiting::Waiting;
use crate::work::Delivery;

/// The longest name that there is.
pub(crate) const MAX_NAME_BYTES: usize = 255;
/// In place of the blob after which nothing has happened: the object is about to leave, and its
/// account may have forgotten it already.
const LEAVING: f64 = -1.0;

thread_local! {
    /// The objects of this isolate that have a node, or had one, in the order in which they got it.
    static OPEN: RefCell<Vec<Weak<Object>>> = const { RefCell::new(Vec::new()) };
}

/// Sees to it that there is memory for one more node: others that are at rest give theirs up. False if
/// that is not enough.
pub(crate) fn make_room() -> bool {
    if in_use() >= MESSAGES_BELOW / 2 {
        OPEN.with_borrow_mut(|open| {
            open.retain(|object| {
                let Some(object) = object.upgrade() else {
                    return false;
                };
                let gives_up = in_use() >= MESSAGES_BELOW / 2 && object.is_at_rest();
                if gives_up {
                    *object.held.borrow_mut() = None;
                }
                !gives_up
            });
        });
    }
    in_use() < MESSAGES_BELOW
}

/// See the [module](self).
pub(crate) struct Object {
    state: DurableObjectState,
    pub(crate) env: Env,
    pub(crate) held: RefCell<Option<Held>>,
    last_epoch: Cell<u64>,
    opening: Turns,
    /// It has told its account of itself, and the account has not forgotten it since.
    is_registered: Cell<bool>,
    /// It has something stored.
    pub(crate) is_stored: Cell<bool>,
    /// Who waits for the outcome of a request, few enough to be searched.
    pub(crate) pending: RefCell<Vec<Waiting>>,
    pub(crate) has_work: Cell<bool>,
    pub(crate) is_working: Cell<bool>,
    /// Who waits until all work is done.
    pub(crate) until_done: RefCell<Vec<oneshot::Sender<()>>>,
    /// What is decided next.
    pub(crate) work_timer: RefCell<Option<Timer>>,
    /// When the next thing becomes due.
    pub(crate) timer: RefCell<Option<Timer>>,
    /// When an alarm is set that could not be set.
    pub(crate) alarm_timer: RefCell<Option<Timer>>,
    pub(crate) alarm_at_ms: Cell<Option<u64>>,
    /// Dead letters are being sent.
    pub(crate) is_forwarding: Cell<bool>,
    /// What waits until they have arrived.
    pub(crate) behind_letters: RefCell<Vec<Delivery>>,
    /// They did not arrive, and are sent again after so long.
    pub(crate) forward_again: Cell<bool>,
    pub(crate) again_ms: Cell<u64>,
    pub(crate) letter_timer: RefCell<Option<Timer>>,
}

/// The node, as long as it is what is stored.
pub(crate) struct Held {
    pub(crate) desk: Desk,
    pub(crate) journal: Journal,
    pub(crate) account: String,
    pub(crate) queue: String,
    pub(crate) epoch: u64,
    /// By what the clock is behind the journal.
    lag_ms: u64,
    manual_clock: bool,
}

impl Held {
    /// The instant, which is told where time is moved by hand.
    pub(crate) fn now(&self, told_ms: Option<u64>) -> Timestamp {
        if self.manual_clock {
            let told = Timestamp::from_millis(told_ms.unwrap_or(0));
            return told.max(self.desk.node().now());
        }
        Timestamp::from_millis(system_ms().saturating_add(self.lag_ms))
    }

    /// With which nothing can be stored.
    fn has_long_name(&self) -> bool {
        self.account.len().max(self.queue.len()) > MAX_NAME_BYTES
    }

    pub(crate) fn about(&self) -> About {
        About {
            account: self.account.clone(),
            queue: self.queue.clone(),
            now_ms: Some(self.now(None).as_millis()),
        }
    }
}

impl Object {
    pub(crate) fn new(state: DurableObjectState, env: Env) -> Self {
        Self {
            state,
            env,
            held: RefCell::new(None),
            last_epoch: Cell::new(0),
            opening: Turns::default(),
            is_registered: Cell::new(false),
            is_stored: Cell::new(false),
            pending: RefCell::new(Vec::new()),
            has_work: Cell::new(false),
            is_working: Cell::new(false),
            until_done: RefCell::new(Vec::new()),
            work_timer: RefCell::new(None),
            timer: RefCell::new(None),
            alarm_timer: RefCell::new(None),
            alarm_at_ms: Cell::new(None),
            is_forwarding: Cell::new(false),
            behind_letters: RefCell::new(Vec::new()),
            forward_again: Cell::new(false),
            again_ms: Cell::new(0),
            letter_timer: RefCell::new(None),
        }
    }

    pub(crate) fn storage(&self) -> Result<DurableObjectStorage> {
        Ok(self.state.storage()?)
    }

    pub(crate) fn variables(&self) -> Result<Rc<Variables>> {
        Variables::of(&self.env)
    }

    /// True if [`ready`](Self::ready) has nothing to do.
    pub(crate) fn is_ready(&self, creates: bool) -> bool {
        let held = self.held.borrow();
        let Some(held) = &*held else { return false };
        !creates || self.is_registered.get() || held.has_long_name()
    }

    /// Waits until the node is there and, if what is to be done may create the queue, its account knows
    /// of it.
    pub(crate) async fn ready(self: &Rc<Self>, about: &About, creates: bool) -> Result<()> {
        loop {
            self.open(Some(about)).await?;
            if creates {
                self.register().await?;
            }
            if self.held.borrow().is_some() {
                return Ok(());
            }
        }
    }

    /// Does something with the node, if it is there.
    pub(crate) fn now<T>(
        self: &Rc<Self>,
        told_ms: Option<u64>,
        act: impl FnOnce(&mut Held, Timestamp) -> T,
    ) -> Option<T> {
        let mut held = self.held.borrow_mut();
        let held = held.as_mut()?;
        let now = held.now(told_ms);
        let result = act(held, now);
        self.kick();
        Some(result)
    }

    /// The number of the node that is there.
    pub(crate) fn epoch(&self) -> Option<u64> {
        self.held.borrow().as_ref().map(|held| held.epoch)
    }

    /// Makes the node, if it is not there. Its names are stored; before that, they are given.
    pub(crate) async fn open(self: &Rc<Self>, about: Option<&About>) -> Result<()> {
        if self.held.borrow().is_some() {
            return Ok(());
        }
        let _turn = self.opening.line_up().turn().await;
        if self.held.borrow().is_some() {
            return Ok(());
        }
        let storage = self.storage()?;
        let alarm = storage.get_alarm(Options::new())?;
        let alarm_at_ms = JsFuture::from(alarm).await?.as_f64();
        self.alarm_at_ms.set(alarm_at_ms.map(|at_ms| at_ms as u64));
        let known = self.known()?;
        self.is_stored.set(known.is_some());
        self.is_registered
            .set(known.as_ref().is_some_and(|row| !is_leaving(row)));
        let (account, queue) = if let Some(row) = &known {
            (text(row, 0)?, text(row, 1)?)
        } else if let Some(about) = about {
            (about.account.clone(), about.queue.clone())
        } else {
            return Ok(());
        };
        let mut held = self.restore(Journal::open(storage)?, account, queue)?;
        let now = held.now(None);
        let has_letters = held.desk.has_dead_letters(now).unwrap_or(true);
        *self.held.borrow_mut() = Some(held);
        OPEN.with_borrow_mut(|open| {
            let own = Rc::as_ptr(self);
            open.retain(|other| other.strong_count() > 0 && other.as_ptr() != own);
            open.push(Rc::downgrade(self));
        });
        if has_letters && !self.is_forwarding.get() {
            self.again_ms.set(0);
            self.forward_later();
        }
        Ok(())
    }

    /// True if nothing is under way and all is stored: then the node can come back when it is needed.
    fn is_at_rest(&self) -> bool {
        let has_nothing_new = self.held.try_borrow().is_ok_and(|held| {
            let node = held.as_ref().map(|held| held.desk.node());
            node.is_some_and(|node| node.unstored_bytes() == 0)
        });
        has_nothing_new
            && self.pending.borrow().is_empty()
            && !self.is_working.get()
            && !self.is_forwarding.get()
            && !self.forward_again.get()
    }

    /// What the object remembers of itself: its names, and after which blob nothing has happened.
    fn known(&self) -> Result<Option<Row>> {
        let sql = self.storage()?.sql();
        if !has_table(&sql, "queue")? {
            return Ok(None);
        }
        let rows = query(&sql, "SELECT account, queue, idle_at FROM queue", &[])?;
        Ok(rows.into_iter().next())
    }

    fn restore(&self, mut journal: Journal, account: String, queue: String) -> Result<Held> {
        let variables = self.variables()?;
        let manual_clock = variables.manual_clock();
        let now_ms = if manual_clock { 0 } else { system_ms() };
        let name = QueueName {
            account: account.as_str().into(),
            queue: queue.as_str().into(),
        };
        let now = Timestamp::from_millis(now_ms);
        let mut settings = variables.settings.clone();
        settings.node.seed = random_seed();
        let desk = Desk::restore(settings, name, now, &mut journal)
            .map_err(|error| Error::from(error.to_string()))?;
        self.last_epoch.set(self.last_epoch.get() + 1);
        Ok(Held {
            lag_ms: desk.node().now().as_millis().saturating_sub(now_ms),
            desk,
            journal,
            account,
            queue,
            epoch: self.last_epoch.get(),
            manual_clock,
        })
    }

    /// Tells the account of the queue before the queue holds anything, and remembers that.
    async fn register(&self) -> Result<()> {
        let Some(about) = self.held.borrow().as_ref().map(Held::about) else {
            return Ok(());
        };
        if self.is_ready(true) {
            return Ok(());
        }
        // Not while it leaves.
        let _turn = self.opening.line_up().turn().await;
        if self.is_registered.get() || self.held.borrow().is_none() {
            return Ok(());
        }
        let account = places::account(&self.env, &about.account)?;
        account.ask("register", &about, &[]).await?;
        let sql = self.storage()?.sql();
        if self.known()?.is_some() {
            execute(&sql, "UPDATE queue SET idle_at = NULL", &[])?;
        } else {
            let create = "CREATE TABLE IF NOT EXISTS queue (account TEXT NOT NULL, queue TEXT NOT NULL, idle_at INTEGER)";
            execute(&sql, create, &[])?;
            let names = [about.account.into(), about.queue.into()];
            execute(&sql, "INSERT INTO queue VALUES (?, ?, NULL)", &names)?;
        }
        self.is_stored.set(true);
        self.is_registered.set(true);
        Ok(())
    }

    /// Takes the name off the account's list, then gives all space back, if there is nothing left and
    /// nothing has happened since the last alarm, which came a retention time ago. Whatever ends it
    /// in between, the next alarm or the next message finds out.
    pub(crate) async fn leave_if_idle(&self) -> Result<()> {
        let about = match &*self.held.borrow() {
            Some(held)
                if held.desk.node().stats().queues == 0
                    && self.pending.borrow().is_empty()
                    && self.is_idle(held.journal.newest())? =>
            {
                held.about()
            }
            _ => return Ok(()),
        };
        // While there is a node, nobody makes one.
        if !self.opening.are_over() {
            return Ok(());
        }
        let _turn = self.opening.line_up().turn().await;
        let sql = self.storage()?.sql();
        execute(&sql, "UPDATE queue SET idle_at = ?", &[LEAVING.into()])?;
        *self.held.borrow_mut() = None;
        self.is_registered.set(false);
        let account = places::account(&self.env, &about.account)?;
        account.ask("forget", &about, &[]).await?;
        let deleted = self.storage()?.delete_all()?;
        JsFuture::from(deleted).await?;
        self.is_stored.set(false);
        Ok(())
    }

    fn is_idle(&self, newest: u64) -> Result<bool> {
        let known = self.known()?;
        let is_as_it_was = |row: &Row| whole(row, 2).is_ok_and(|idle_at| idle_at == newest);
        if known.is_some_and(|row| is_leaving(&row) || is_as_it_was(&row)) {
            return Ok(true);
        }
        let sql = self.storage()?.sql();
        execute(&sql, "UPDATE queue SET idle_at = ?", &[number(newest)?])?;
        Ok(false)
    }

    /// The node is not what is stored: it comes back from the journal. What was asked has an
    /// unknown outcome.
    pub(crate) fn fail(&self, error: &Error) {
        error.log("restoring a queue after");
        *self.held.borrow_mut() = None;
        self.pending.borrow_mut().clear();
    }
}

fn is_leaving(row: &Row) -> bool {
    row.get(2).as_f64() == Some(LEAVING)
}
