//! Stores what was decided, and then answers.

use std::rc::Rc;

use burrow_core::Timestamp;
use futures_channel::oneshot;

use crate::desk::{Desk, Next, Unstored};
use crate::error::{Error, Result};
use crate::object::Object;
use crate::places;
use crate::promise::spawn;
use crate::time::Timer;
use crate::waiting::{Key, Told};

/// How often it is stored until the node has nothing new to store. Time may bring something about
/// in between, but not for long.
const STORES: usize = 8;

/// What can be done about a request.
pub(crate) enum Delivery {
    Tell(Key, Told),
    /// The queue does not exist. Whether its account does, others know.
    AskAccount(Key),
}

impl Object {
    /// There may be something to store or to answer.
    pub(crate) fn kick(self: &Rc<Self>) {
        self.has_work.set(true);
        if !self.is_working.replace(true) {
            self.run_soon();
        }
    }

    /// Waits until all is stored, sent and answered.
    pub(crate) async fn work(self: &Rc<Self>) {
        let (sender, receiver) = oneshot::channel();
        self.until_done.borrow_mut().push(sender);
        self.kick();
        receiver.await.ok();
    }

    /// What has arrived by then is stored in one row.
    fn run_soon(self: &Rc<Self>) {
        let object = self.clone();
        let timer = Timer::new(0, Box::new(move || object.run()));
        *self.work_timer.borrow_mut() = Some(timer);
    }

    fn run(self: &Rc<Self>) {
        let has_node = || self.epoch().is_some();
        self.has_work.set(false);
        let worked = if has_node() { self.settle() } else { Ok(()) };
        if worked.is_ok() && self.has_work.get() && has_node() {
            return self.run_soon();
        }
        if let Err(error) = worked.and_then(|()| self.arm()) {
            self.fail(&error);
        }
        self.is_working.set(false);
        self.tell_done();
        *self.work_timer.borrow_mut() = None;
    }

    /// Lets those go who wait until all is done, if it is.
    pub(crate) fn tell_done(&self) {
        if !self.is_working.get() && !self.is_forwarding.get() {
            self.until_done.borrow_mut().clear();
        }
    }

    /// Stores all that was decided, and answers. If messages were given up, whoever is answered knows
    /// that they are where they belong.
    pub(crate) fn settle(self: &Rc<Self>) -> Result<()> {
        self.store()?;
        let mut deliveries = self.collect();
        if self.epoch().is_some()
            && !self.forward_again.get()
            && self.ask_stored(None, Desk::has_dead_letters)?
        {
            // Other objects are told at once: they may be those that letters go to, and wait.
            let waits = |delivery: &Delivery| !matches!(delivery, Delivery::Tell(_, Told::Done(_)));
            let behind = deliveries.extract_if(.., |delivery| waits(delivery));
            self.behind_letters.borrow_mut().extend(behind);
            self.forward();
        }
        self.deliver(deliveries);
        Ok(())
    }

    /// Stores all that was decided. The runtime lets no answer out before it is on disk.
    pub(crate) fn store(&self) -> Result<()> {
        if let Some(held) = &mut *self.held.borrow_mut() {
            while let Some(batch) = held.desk.poll_batch() {
                let sequence = batch.sequence;
                held.journal.write(batch)?;
                held.desk.handle_durable(sequence);
            }
        }
        Ok(())
    }

    /// Asks the node what it can tell only if all is stored, so that is done first.
    pub(crate) fn ask_stored<T>(
        &self,
        told_ms: Option<u64>,
        mut ask: impl FnMut(&mut Desk, Timestamp) -> std::result::Result<T, Unstored>,
    ) -> Result<T> {
        for _ in 0..STORES {
            self.store()?;
            let mut held = self.held.borrow_mut();
            let held = held.as_mut().ok_or("the queue is gone")?;
            let now = held.now(told_ms);
            if let Ok(told) = ask(&mut held.desk, now) {
                return Ok(told);
            }
        }
        Err(Error::from("a queue has always something to store"))
    }

    /// What can be told to whom.
    fn collect(&self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        if let Some(held) = &mut *self.held.borrow_mut() {
            let epoch = held.epoch;
            while let Some(next) = held.desk.poll() {
                deliveries.push(match next {
                    Next::Respond(number, response) => {
                        Delivery::Tell((epoch, number), Told::Response(response))
                    }
                    Next::Reply(number, outcome) => {
                        Delivery::Tell((epoch, number), Told::Outcome(outcome))
                    }
                    Next::Done(number, done) => Delivery::Tell((epoch, number), Told::Done(done)),
                    Next::AskAccount(number) => Delivery::AskAccount((epoch, number)),
                });
            }
        }
        deliveries
    }

    pub(crate) fn deliver(self: &Rc<Self>, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            match delivery {
                Delivery::Tell(key, told) => self.tell(key, told),
                Delivery::AskAccount(key) => {
                    let object = self.clone();
                    spawn(async move {
                        if let Err(error) = object.ask_account(key).await {
                            error.log("an account does not answer:");
                            object.take_pending(key);
                            object.cancel(key);
                        }
                    });
                }
            }
        }
    }

    /// Takes a request back. False if it has an outcome already, or if its node has gone.
    pub(crate) fn cancel(self: &Rc<Self>, key: Key) -> bool {
        let is_there = self.epoch() == Some(key.0);
        is_there && self.now(None, |held, _| held.desk.cancel(key.1)) == Some(true)
    }

    fn tell(&self, key: Key, told: Told) {
        if let Some(waiting) = self.take_pending(key) {
            waiting.tell(told);
        }
    }

    async fn ask_account(&self, key: Key) -> Result<()> {
        let Some(about) = self.held.borrow().as_ref().map(|held| held.about()) else {
            return Ok(());
        };
        let account = places::account(&self.env, &about.account)?;
        let exists = account.ask_whether("has-other", &about).await?;
        let decided = match &mut *self.held.borrow_mut() {
            Some(held) if held.epoch == key.0 => held.desk.decide(key.1, exists),
            _ => None,
        };
        match decided {
            Some(Next::Respond(_, response)) => self.tell(key, Told::Response(response)),
            Some(Next::Reply(_, outcome)) => self.tell(key, Told::Outcome(outcome)),
            Some(Next::Done(..) | Next::AskAccount(_)) | None => {}
        }
        Ok(())
    }
}
