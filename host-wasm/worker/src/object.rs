//! What the object of a queue holds: its node, which comes back from the journal whenever the
//! object was evicted or something went wrong.
//!
//! No borrow of it lasts across an `await`. Whoever has awaited looks whether the node is
//! still the one that it was: its `epoch` tells.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use burrow_core::{QueueName, Timestamp, rest};
use futures_channel::oneshot;
use futures_util::future::AbortHandle;
use futures_util::lock::Mutex;
use worker::{Date, Env, Error, Result, State, console_error};

use crate::desk::{Desk, Number, Outcome};
use crate::journal::Journal;
use crate::places::{self, About};
use crate::sql::{execute, has_table, number, query, text, whole};
use crate::time::FORWARD_AGAIN_MS;
use crate::variables::Variables;

/// The longest name that there is.
pub(crate) const MAX_NAME_BYTES: usize = 255;

/// What names a request, also across restores.
pub(crate) type Key = (u64, Number);

/// What a waiting request is told.
#[derive(Debug)]
pub(crate) enum Told {
    Response(rest::Response),
    Outcome(Outcome),
    /// What another object asked for was done, or not.
    Done(bool),
    /// The client has left.
    Left,
}

/// See the [module](self).
pub(crate) struct Object {
    pub(crate) state: State,
    pub(crate) env: Env,
    pub(crate) held: RefCell<Option<Held>>,
    last_epoch: Cell<u64>,
    opening: Mutex<()>,
    registering: Mutex<()>,
    pub(crate) is_registered: Cell<bool>,
    /// Who waits for the outcome of a request, few enough to be searched. What is dropped here is told
    /// that it is unknown.
    pub(crate) pending: RefCell<Vec<(Key, oneshot::Sender<Told>)>>,
    pub(crate) has_work: Cell<bool>,
    pub(crate) is_working: Cell<bool>,
    /// Who waits until all work is done.
    pub(crate) until_done: RefCell<Vec<oneshot::Sender<()>>>,
    pub(crate) timer: RefCell<Option<AbortHandle>>,
    pub(crate) alarm_at_ms: Cell<Option<u64>>,
    pub(crate) forward_again: Cell<bool>,
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
        Timestamp::from_millis(Date::now().as_millis().saturating_add(self.lag_ms))
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
    pub(crate) fn new(state: State, env: Env) -> Self {
        Self {
            state,
            env,
            held: RefCell::new(None),
            last_epoch: Cell::new(0),
            opening: Mutex::new(()),
            registering: Mutex::new(()),
            is_registered: Cell::new(false),
            pending: RefCell::new(Vec::new()),
            has_work: Cell::new(false),
            is_working: Cell::new(false),
            until_done: RefCell::new(Vec::new()),
            timer: RefCell::new(None),
            alarm_at_ms: Cell::new(None),
            forward_again: Cell::new(false),
        }
    }

    pub(crate) fn variables(&self) -> Result<Rc<Variables>> {
        Variables::of(&self.env)
    }

    /// Does something with the node when it is there and, if that may create the queue, its
    /// account knows of it.
    pub(crate) async fn with<T>(
        self: &Rc<Self>,
        about: &About,
        creates: bool,
        act: impl FnOnce(&mut Held, Timestamp) -> T,
    ) -> Result<T> {
        loop {
            self.open(Some(about)).await?;
            if creates {
                self.register().await?;
            }
            if self.held.borrow().is_some() {
                break;
            }
        }
        self.now(about.now_ms, act)
            .ok_or_else(|| Error::from("the queue is gone"))
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

    /// Takes the one who waits for the outcome of a request.
    pub(crate) fn take_pending(&self, key: Key) -> Option<oneshot::Sender<Told>> {
        let mut pending = self.pending.borrow_mut();
        let place = pending.iter().position(|(own, _)| *own == key)?;
        Some(pending.swap_remove(place).1)
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
        let _turn = self.opening.lock().await;
        if self.held.borrow().is_some() {
            return Ok(());
        }
        let storage = self.state.storage();
        let alarm_at_ms = storage.get_alarm().await?;
        self.alarm_at_ms
            .set(alarm_at_ms.and_then(|at_ms| u64::try_from(at_ms).ok()));
        let sql = storage.sql();
        self.is_registered.set(has_table(&sql, "queue")?);
        let (account, queue) = if self.is_registered.get() {
            let rows = query(&sql, "SELECT account, queue FROM queue", vec![])?;
            let row = rows.first().map(Vec::as_slice).unwrap_or_default();
            (text(row.first())?.to_owned(), text(row.get(1))?.to_owned())
        } else if let Some(about) = about {
            (about.account.clone(), about.queue.clone())
        } else {
            return Ok(());
        };
        let mut held = self.restore(Journal::open(storage)?, account, queue)?;
        let now = held.now(None);
        let has_dead_letters = !held.desk.outbox(now).is_empty();
        *self.held.borrow_mut() = Some(held);
        if has_dead_letters {
            self.soon(FORWARD_AGAIN_MS, |object| object.forward_again.set(true));
        }
        Ok(())
    }

    fn restore(&self, mut journal: Journal, account: String, queue: String) -> Result<Held> {
        let variables = self.variables()?;
        let manual_clock = variables.manual_clock();
        let now_ms = if manual_clock {
            0
        } else {
            Date::now().as_millis()
        };
        let name = QueueName {
            account: account.as_str().into(),
            queue: queue.as_str().into(),
        };
        let now = Timestamp::from_millis(now_ms);
        let desk = Desk::restore(variables.settings.clone(), name, now, &mut journal)
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
        let is_too_long = |name: &str| name.len() > MAX_NAME_BYTES;
        if self.is_registered.get() || is_too_long(&about.account) || is_too_long(&about.queue) {
            return Ok(());
        }
        let _turn = self.registering.lock().await;
        if self.is_registered.get() {
            return Ok(());
        }
        let account = places::account(&self.env, &about.account)?;
        account.ask("register", &about, &[]).await?;
        let sql = self.state.storage().sql();
        let create =
            "CREATE TABLE queue (account TEXT NOT NULL, queue TEXT NOT NULL, idle_at INTEGER)";
        execute(&sql, create, vec![])?;
        let names = vec![about.account.into(), about.queue.into()];
        execute(&sql, "INSERT INTO queue VALUES (?, ?, NULL)", names)?;
        self.is_registered.set(true);
        Ok(())
    }

    /// Gives all space back, then takes the name off the account's list, if there is nothing left and
    /// nothing has happened since the last alarm, which came a retention time ago.
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
        let Some(_turn) = self.opening.try_lock() else {
            return Ok(());
        };
        *self.held.borrow_mut() = None;
        self.is_registered.set(false);
        self.state.storage().delete_all().await?;
        let account = places::account(&self.env, &about.account)?;
        account.ask("forget", &about, &[]).await.map(drop)
    }

    fn is_idle(&self, newest: u64) -> Result<bool> {
        let sql = self.state.storage().sql();
        let rows = query(&sql, "SELECT idle_at FROM queue", vec![])?;
        let idle_at = rows.first().and_then(|row| row.first());
        if whole(idle_at).is_ok_and(|idle_at| idle_at == newest) {
            return Ok(true);
        }
        execute(&sql, "UPDATE queue SET idle_at = ?", vec![number(newest)?])?;
        Ok(false)
    }

    /// The node is not what is stored: it comes back from the journal. What was asked has an
    /// unknown outcome.
    pub(crate) fn fail(&self, error: &Error) {
        console_error!("burrow: restoring a queue after {error}");
        *self.held.borrow_mut() = None;
        self.pending.borrow_mut().clear();
    }
}
