//! Sends dead letters to the objects that own their queues.
//!
//! What is sent is set aside first, and dropped once it has arrived: what is given up meanwhile goes
//! by itself afterwards. If an object is lost in between, it sends again what it had set aside.

use std::rc::Rc;

use crate::desk::{Desk, Letters};
use crate::error::Result;
use crate::object::Object;
use crate::places::{self, About, YES};
use crate::promise::spawn;
use crate::time::{SOON_MS, timer};

const PIECE_BYTES: u64 = 1 << 20;
/// When messages that did not reach their queue are sent again; each time later, up to the most.
const AGAIN_MS: u64 = 5_000;
const AGAIN_AT_MOST_MS: u64 = 320_000;

impl Object {
    /// Sends what there is, unless that is under way.
    pub(crate) fn forward(self: &Rc<Self>) {
        if self.is_forwarding.replace(true) {
            return;
        }
        let object = self.clone();
        spawn(async move {
            let sent = loop {
                let behind = object.behind_letters.take();
                let sent = object.send_letters().await;
                object.deliver(behind);
                if !matches!(sent, Ok(true)) || object.behind_letters.borrow().is_empty() {
                    break sent;
                }
            };
            object.is_forwarding.set(false);
            match sent {
                Ok(true) => object.again_ms.set(0),
                Ok(false) => object.forward_later(),
                Err(error) => object.fail(&error),
            }
            // They wait no longer for what does not arrive for now.
            let behind = object.behind_letters.take();
            object.deliver(behind);
            object.tell_done();
        });
    }

    /// Lets some time pass before letters are sent again.
    pub(crate) fn forward_later(self: &Rc<Self>) {
        self.forward_again.set(true);
        let after_ms = (self.again_ms.get() * 2).clamp(AGAIN_MS, AGAIN_AT_MOST_MS);
        self.again_ms.set(after_ms);
        // A timer keeps the object awake, which is paid for; later the alarm comes.
        let has_alarm = self.variables().is_ok_and(|own| !own.manual_clock());
        if after_ms <= SOON_MS || !has_alarm {
            let timer = timer(self, after_ms, |object| object.forward_again.set(false));
            *self.letter_timer.borrow_mut() = Some(timer);
        }
        if let Err(error) = self.arm() {
            self.fail(&error);
        }
    }

    /// False if something could not be sent and stays for now.
    async fn send_letters(&self) -> Result<bool> {
        let epoch = self.epoch();
        while self.epoch().is_some() {
            let next = |desk: &mut Desk, now| desk.next_letters(now, PIECE_BYTES);
            let Some(Letters { queue, piece }) = self.ask_stored(None, next)? else {
                return Ok(!self.ask_stored(None, Desk::has_dead_letters)?);
            };
            let has_arrived = self.send_to(&queue, &piece).await;
            if self.epoch() != epoch {
                break;
            }
            if !has_arrived {
                return Ok(false);
            }
            if let Some(held) = &mut *self.held.borrow_mut() {
                let now = held.now(None);
                held.desk.drop_sent(now, &queue);
            }
        }
        // The node has gone. The one that comes in its place begins by itself.
        Ok(true)
    }

    async fn send_to(&self, queue: &str, piece: &[u8]) -> bool {
        let about = self.held.borrow().as_ref().map(|held| held.about());
        let Some(about) = about else { return false };
        match self.ask_to_take(&about.with_queue(queue), piece).await {
            Ok(taken) => taken,
            Err(error) => {
                error.log("dead letters stay for now:");
                false
            }
        }
    }

    async fn ask_to_take(&self, about: &About, piece: &[u8]) -> Result<bool> {
        let queue = places::queue(&self.env, &about.account, &about.queue)?;
        Ok(queue.ask("take", about, piece).await? == YES)
    }
}
