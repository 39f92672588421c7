//! Stores what was decided, sends dead letters to their queues, and then answers.

use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use worker::wasm_bindgen_futures::spawn_local;
use worker::{Delay, Result, console_error};

use crate::desk::Next;
use crate::object::{Key, Object, Told};
use crate::places::{self, About, YES};

const PIECE_BYTES: u64 = 1 << 20;

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
            let object = self.clone();
            spawn_local(async move { object.run().await });
        }
    }

    /// Waits until all is stored and answered.
    pub(crate) async fn work(self: &Rc<Self>) {
        let (sender, receiver) = oneshot::channel();
        self.until_done.borrow_mut().push(sender);
        self.kick();
        receiver.await.ok();
    }

    async fn run(self: Rc<Self>) {
        let worked = self.work_off().await;
        if let Err(error) = worked.and_then(|()| self.arm()) {
            self.fail(&error);
        }
        self.is_working.set(false);
        self.until_done.borrow_mut().clear();
    }

    async fn work_off(self: &Rc<Self>) -> Result<()> {
        while self.has_work.get() && self.epoch().is_some() {
            // What has arrived by now is stored in one row.
            Delay::from(Duration::ZERO).await;
            self.has_work.set(false);
            self.store()?;
            let deliveries = self.collect();
            self.forward().await?;
            self.deliver(deliveries);
        }
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

    /// What can be told to whom.
    pub(crate) fn collect(&self) -> Vec<Delivery> {
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
                    spawn_local(async move {
                        if let Err(error) = object.ask_account(key).await {
                            console_error!("burrow: an account does not answer: {error}");
                            object.take_pending(key);
                        }
                    });
                }
            }
        }
    }

    fn tell(&self, key: Key, told: Told) {
        if let Some(sender) = self.take_pending(key) {
            // Whoever has left does not hear it.
            sender.send(told).ok();
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

    /// Sends dead letters to their queues, and drops them here once they are there. If it is
    /// interrupted, they are sent again: the same messages take the same places.
    async fn forward(self: &Rc<Self>) -> Result<()> {
        let epoch = self.epoch();
        while let Some(queue) = self.next_outbox() {
            let mut sent = Vec::new();
            loop {
                let pieces = self.export(&queue);
                if pieces == sent {
                    break;
                }
                for piece in &pieces {
                    if !self.send_to(&queue, piece).await || self.epoch() != epoch {
                        return Ok(());
                    }
                }
                sent = pieces;
            }
            if let Some(held) = &mut *self.held.borrow_mut() {
                let now = held.now(None);
                held.desk.drop_outbox(now, &queue);
            }
            self.store()?;
        }
        self.forward_again.set(false);
        Ok(())
    }

    fn next_outbox(&self) -> Option<Box<str>> {
        let mut held = self.held.borrow_mut();
        let held = held.as_mut()?;
        let now = held.now(None);
        held.desk.outbox(now).into_iter().next()
    }

    /// All that is here for a dead-letter queue.
    fn export(&self, queue: &str) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        if let Some(held) = &mut *self.held.borrow_mut() {
            let now = held.now(None);
            let mut after = None;
            while let Some((piece, next)) = held.desk.export(now, queue, after, PIECE_BYTES) {
                pieces.push(piece);
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        pieces
    }

    async fn send_to(&self, queue: &str, piece: &[u8]) -> bool {
        let about = self.held.borrow().as_ref().map(|held| held.about());
        let taken = match about {
            Some(about) => self.ask_to_take(&about.with_queue(queue), piece).await,
            None => return false,
        };
        match taken {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => console_error!("burrow: dead letters stay for now: {error}"),
        }
        self.forward_again.set(true);
        false
    }

    async fn ask_to_take(&self, about: &About, piece: &[u8]) -> Result<bool> {
        let queue = places::queue(&self.env, &about.account, &about.queue)?;
        Ok(queue.ask("take", about, piece).await? == YES)
    }
}
