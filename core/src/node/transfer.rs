//! Moving a queue from one node to another.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use super::{Node, check};
use crate::command::{NewMessage, QueueName};
use crate::journal::change::Change;
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
        let piece = read_piece(piece).ok_or(Refusal::Invalid {
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
        let messages: Vec<NewMessage<'_>> = moved.iter().map(as_new).collect();
        if messages.is_empty() && piece.settings.is_none() {
            check::queue_name(queue)?;
            return Ok(Reply::Imported { messages: 0 });
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
        for moved in &mut moved {
            if moved.message.visible_at <= now {
                moved.message.visible_at = 0;
            }
            self.put_moved(place, moved);
        }
        self.wake(place);
        Ok(Reply::Imported {
            messages: moved.len() as u64,
        })
    }

    fn put_moved(&mut self, queue: u32, moved: &Moved<'_>) {
        self.put_stored(queue, &moved.message);
        if moved.attempts == 0 && moved.fence == 0 {
            return;
        }
        if let Some(place) = self.state.find_message(queue, moved.message.id) {
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
fn as_new<'a>(moved: &Moved<'a>) -> NewMessage<'a> {
    let text = |bytes| core::str::from_utf8(bytes).map(Cow::Borrowed).ok();
    NewMessage {
        id: text(moved.message.id),
        body: Cow::Borrowed(moved.message.body),
        content_type: moved.message.content_type.and_then(text),
        ttl_ms: None,
        hide_ms: None,
    }
}
