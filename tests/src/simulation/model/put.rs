//! Messages that are put.

use std::rc::Rc;

use burrow_core::NewMessage;

use super::{Expected, Id, Message, Model, Name, Outcome, expiry, rules};

impl Model {
    pub(super) fn put(&mut self, name: &Name, new: &NewMessage<'static>) -> Outcome {
        let id = Id::known(new.id.as_deref().unwrap_or_default());
        let full = rules::no_room(
            &self.state,
            name,
            &[(id.clone(), size(new))],
            &self.config.limits,
        );
        if !full.is_empty() {
            return Ok(Expected::Refused(full));
        }
        Ok(Expected::Put {
            created: self.store(name, id, new),
        })
    }

    pub(super) fn put_batch(&mut self, name: &Name, news: &[NewMessage<'static>]) -> Outcome {
        let ids: Vec<Id> = news
            .iter()
            .map(|new| new.id.as_deref().map_or_else(Id::given, Id::known))
            .collect();
        if ids.is_empty() {
            return Ok(Expected::PutBatch(ids));
        }
        let sizes: Vec<_> = ids.iter().cloned().zip(news.iter().map(size)).collect();
        let full = rules::no_room(&self.state, name, &sizes, &self.config.limits);
        if !full.is_empty() {
            return Ok(Expected::Refused(full));
        }
        for (id, new) in ids.iter().zip(news) {
            self.store(name, id.clone(), new);
        }
        Ok(Expected::PutBatch(ids))
    }

    /// True if the message is new, false if it replaced one in its place.
    fn store(&mut self, name: &Name, id: Id, new: &NewMessage<'static>) -> bool {
        let now = self.state.now;
        let index = self.state.open(name);
        let settings = self.state.queues[index]
            .settings
            .clone()
            .unwrap_or_default();
        let ttl_ms = new
            .ttl_ms
            .or(settings.default_ttl_ms)
            .unwrap_or(self.config.default_ttl_ms);
        let hide_ms = new
            .hide_ms
            .or(settings.default_hide_ms)
            .unwrap_or(self.config.default_hide_ms);
        let message = Message {
            id,
            position: 0,
            body: Rc::from(&*new.body),
            content_type: new.content_type.as_deref().map(Rc::from),
            expires_at: expiry(now, ttl_ms),
            visible_at: now + hide_ms,
            attempts: 0,
            claim: None,
        };
        self.place(index, message)
    }

    /// Puts the message in the place of the one with its id, else at the end.
    pub(super) fn place(&mut self, index: usize, mut message: Message) -> bool {
        let next = self.state.take_position();
        let queue = self.state.change(index);
        match queue
            .messages
            .iter_mut()
            .find(|other| other.id.same(&message.id))
        {
            Some(other) => {
                message.position = other.position;
                *other = message;
                false
            }
            None => {
                message.position = next;
                queue.messages.push(message);
                true
            }
        }
    }
}

fn size(new: &NewMessage<'static>) -> u64 {
    (new.id.as_deref().unwrap_or_default().len() + new.body.len()) as u64
}
