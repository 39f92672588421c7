//! Moving a queue from one node to another.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::{Node, check};
use crate::command::{NewMessage, QueueName};
use crate::journal::change::{Change, StoredMessage};
use crate::journal::piece::{Moved, PieceWriter, read_piece};
use crate::refusal::{Field, Problem, Refusal};
use crate::reply::Reply;

impl Node {
    /// The messages behind the position `after`, in the order in which they were put, until
    /// the piece has `max_bytes`; at least one, if there is one.
    pub(super) fn export(
        &self,
        queue: &QueueName<'_>,
        after: u64,
        max_bytes: u64,
    ) -> Result<Reply, Refusal> {
        let place = self.find_queue(queue)?;
        let settings = self.state.queue(place).settings.as_deref();
        let given = settings.filter(|_| after == 0).map(|own| own.given());
        let mut piece = PieceWriter::new(given.as_ref());
        let mut last = None;
        for (_, block) in self.state.blocks_behind(place, after) {
            let mut next = block
                .live()
                .first_from(block.lower_bound(after.saturating_add(1)));
            while let Some(slot) = next {
                let view = block.view(slot);
                let full = (piece.len() + view.id.len() + view.body.len()) as u64 > max_bytes;
                if full && let Some(last) = last {
                    return Ok(Reply::Exported {
                        piece: piece.finish(),
                        next: Some(last),
                    });
                }
                piece.add(&view);
                last = Some(view.position);
                next = block.live().first_from(slot + 1);
            }
        }
        Ok(Reply::Exported {
            piece: piece.finish(),
            next: None,
        })
    }

    /// Puts the messages of a piece, with all that had become of them.
    pub(super) fn import(&mut self, queue: &QueueName<'_>, piece: &[u8]) -> Result<Reply, Refusal> {
        let piece = read_piece(piece, self.state.clock).ok_or(Refusal::Invalid {
            field: Field::Piece,
            problem: Problem::Unreadable,
        })?;
        self.check_count(piece.messages.len())?;
        if let Some(settings) = &piece.settings {
            check::settings(queue, settings)?;
        }
        let now = self.state.clock;
        let mut moved = piece.messages;
        moved.retain(|moved| moved.message.expires_at > now);
        let count = moved.len() as u64;
        let there = self.state.find_queue(&queue.account, &queue.queue);
        let mut arrived: Vec<_> = moved
            .into_iter()
            .filter_map(|moved| Some((self.id_on_arrival(there, &moved)?, moved)))
            .collect();
        let messages: Vec<NewMessage<'_>> = arrived
            .iter()
            .map(|(id, moved)| as_new(id, moved))
            .collect();
        if messages.is_empty() && piece.settings.is_none() {
            check::queue_name(queue)?;
            return Ok(Reply::Imported { messages: count });
        }
        let place = self.admit(queue, &messages)?;
        if let Some(settings) = piece.settings
            && self.state.queue(place).settings.is_none()
        {
            self.apply(&Change::SettingsPut {
                queue: place,
                settings: Cow::Owned(settings),
            });
        }
        for (id, moved) in &mut arrived {
            moved.message.visible_at = match moved.message.visible_at {
                past if past <= now => 0,
                later => later,
            };
            self.put_moved(place, id, moved);
        }
        self.wake(place);
        Ok(Reply::Imported { messages: count })
    }

    /// A message takes the place of the one with its id, a dead letter that of no other. `None`
    /// for one that is there already.
    fn id_on_arrival<'a>(&self, queue: Option<u32>, moved: &Moved<'a>) -> Option<Cow<'a, [u8]>> {
        if moved.is_dead_letter() {
            self.letter_id(queue, &moved.message, moved.fence, true)
        } else {
            Some(Cow::Borrowed(moved.message.id))
        }
    }

    pub(super) fn put_moved(&mut self, queue: u32, id: &[u8], moved: &Moved<'_>) {
        let message = StoredMessage {
            id,
            ..moved.message
        };
        self.put_stored(queue, &message);
        if moved.attempts == 0 && moved.fence == 0 {
            return;
        }
        if let Some(place) = self.state.find_message(queue, id) {
            self.apply(&Change::Moved {
                queue,
                position: self.state.position(place),
                attempts: moved.attempts,
                fence: moved.fence,
            });
        }
    }
}

/// The message as the limits see it.
fn as_new<'a>(id: &'a [u8], moved: &Moved<'a>) -> NewMessage<'a> {
    let text = |bytes| core::str::from_utf8(bytes).map(Cow::Borrowed).ok();
    NewMessage {
        id: text(id),
        body: Cow::Borrowed(moved.message.body),
        content_type: moved.message.content_type.and_then(text),
        ttl_ms: None,
        hide_ms: None,
    }
}
