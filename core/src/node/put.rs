//! Creating and replacing messages, within the limits.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Node, check};
use crate::command::{NewMessage, QueueName};
use crate::ids::IdList;
use crate::journal::change::{Change, StoredMessage};
use crate::refusal::{Field, LimitName, Problem, Refusal};
use crate::reply::Reply;
use crate::state::buckets::Buckets;
use crate::state::{MAX_BLOCKS, NEVER, id_of};

/// An id that is given, but for the odd one that has a suffix.
const GIVEN_ID_BYTES: usize = 16;

/// What messages would add.
#[derive(Clone, Copy, Debug, Default)]
struct Growth {
    messages: i64,
    bytes: i64,
    /// What they are by themselves, whatever they replace.
    own_messages: u64,
    own_bytes: u64,
}

impl Growth {
    /// Whether there is room for it where so many messages and bytes are held, and so many may be.
    fn fits(
        &self,
        [messages, bytes]: [LimitName; 2],
        [held_messages, held_bytes]: [u64; 2],
        [max_messages, max_bytes]: [u64; 2],
    ) -> Result<(), Refusal> {
        let own = (self.own_messages, self.own_bytes);
        for (limit, held, more, own, maximum) in [
            (messages, held_messages, self.messages, own.0, max_messages),
            (bytes, held_bytes, self.bytes, own.1, max_bytes),
        ] {
            if more > 0 && held.saturating_add_signed(more) > maximum {
                // By waiting there will be room, but not for what is too large by itself.
                return Err(if own > maximum {
                    Refusal::TooLarge { limit, maximum }
                } else {
                    Refusal::Exhausted { limit, maximum }
                });
            }
        }
        Ok(())
    }
}

impl Node {
    pub(super) fn put_one(
        &mut self,
        queue: &QueueName<'_>,
        message: NewMessage<'_>,
    ) -> Result<Reply, Refusal> {
        if message.id.is_none() {
            return Err(Refusal::Invalid {
                field: Field::Id,
                problem: Problem::Missing,
            });
        }
        let messages = [message];
        let place = self.admit(queue, &messages)?;
        let [message] = messages;
        let (_, created) = self.put_at(place, &message, &ById::new(&[], self.state.seed));
        self.wake(place);
        Ok(Reply::Put { created })
    }

    pub(super) fn put_batch(
        &mut self,
        queue: &QueueName<'_>,
        messages: Vec<NewMessage<'_>>,
    ) -> Result<Reply, Refusal> {
        self.check_count(messages.len())?;
        if messages.is_empty() {
            check::queue_name(queue)?;
            return Ok(Reply::PutBatch(IdList::default()));
        }
        let place = self.admit(queue, &messages)?;
        // Ids are given so that none of this batch has them either.
        let mixed = messages.iter().any(|message| message.id.is_none());
        let mut chosen = ById::new(&messages, self.state.seed);
        for place in (0..messages.len() as u32).filter(|_| mixed) {
            chosen.insert(place);
        }
        if messages.len() > 1 {
            let given = messages
                .iter()
                .filter_map(|message| Some((place, message.id.as_deref()?)));
            self.state.expect_puts(given);
        }
        let bytes = messages.iter().map(id_size).sum();
        let mut ids = IdList::with_capacity(messages.len(), bytes);
        for message in &messages {
            let given = self.put_at(place, message, &chosen).0;
            let id = message.id.as_deref().or(given.as_deref());
            ids.push(id.unwrap_or_default());
        }
        self.wake(place);
        Ok(Reply::PutBatch(ids))
    }

    /// Checks messages, and the limits for all of them together; gives their queue, made if
    /// need be.
    pub(super) fn admit(
        &mut self,
        queue: &QueueName<'_>,
        messages: &[NewMessage<'_>],
    ) -> Result<u32, Refusal> {
        check::queue_name(queue)?;
        for message in messages {
            check::message(message, &self.config.limits)?;
        }
        let place = self.state.find_queue(&queue.account, &queue.queue);
        let most = Growth {
            messages: messages.len() as i64,
            bytes: messages.iter().map(|message| size(message) as i64).sum(),
            ..Growth::default()
        };
        // Most of the time there is room even if every message is new.
        if self.check_growth(queue, place, most).is_err() {
            self.check_growth(queue, place, self.growth(place, messages))?;
        }
        if self.state.block_count() + messages.len() + 2 > MAX_BLOCKS {
            return Err(Refusal::Exhausted {
                limit: LimitName::NodeMessages,
                maximum: self.state.messages,
            });
        }
        match place {
            Some(place) => Ok(place),
            None => self.open(queue),
        }
    }

    /// What the messages add exactly, replacements considered, also within the batch.
    fn growth(&self, place: Option<u32>, messages: &[NewMessage<'_>]) -> Growth {
        let mut growth = Growth::default();
        let mut seen = ById::new(messages, self.state.seed);
        for (index, message) in (0..).zip(messages) {
            let size = size(message);
            growth.bytes += size as i64;
            growth.own_bytes += size;
            growth.own_messages += 1;
            let Some(id) = message.id.as_deref() else {
                growth.messages += 1;
                continue;
            };
            let earlier = seen.insert(index).map(self::size);
            if let Some(earlier) = earlier {
                growth.own_bytes -= earlier;
                growth.own_messages -= 1;
            }
            let before = earlier.or_else(|| {
                let there = self.state.find_message(place?, id.as_bytes())?;
                Some(self.state.view(there).size())
            });
            match before {
                Some(before) => growth.bytes -= before as i64,
                None => growth.messages += 1,
            }
        }
        growth
    }

    fn check_growth(
        &self,
        name: &QueueName<'_>,
        place: Option<u32>,
        growth: Growth,
    ) -> Result<(), Refusal> {
        let limits = &self.config.limits;
        let queue = place.map(|place| self.state.queue(place));
        let settings = queue.and_then(|queue| queue.settings.as_deref());
        let account = match place {
            Some(place) => Some(self.state.account_of(place)),
            None => self.state.account(&name.account),
        };
        let own = |own: Option<u64>, limit: u64| own.map_or(limit, |own| own.min(limit));
        let max_messages = own(
            settings.and_then(|settings| settings.max_messages()),
            limits.max_queue_messages,
        );
        let max_bytes = own(
            settings.and_then(|settings| settings.max_bytes()),
            limits.max_queue_bytes,
        );
        let levels = [
            (
                [LimitName::QueueMessages, LimitName::QueueBytes],
                queue.map_or([0, 0], |queue| [queue.messages, queue.bytes]),
                [max_messages, max_bytes],
            ),
            (
                [LimitName::AccountMessages, LimitName::AccountBytes],
                account.map_or([0, 0], |account| [account.messages, account.bytes]),
                [limits.max_account_messages, limits.max_account_bytes],
            ),
            (
                [LimitName::NodeMessages, LimitName::NodeBytes],
                [self.state.messages, self.state.bytes],
                [limits.max_messages, limits.max_bytes],
            ),
        ];
        levels
            .into_iter()
            .try_for_each(|(names, held, maxima)| growth.fits(names, held, maxima))
    }

    /// Puts one message that was admitted; tells the id if it was given here, and whether
    /// the message is new.
    fn put_at(
        &mut self,
        queue: u32,
        message: &NewMessage<'_>,
        chosen: &ById<'_>,
    ) -> (Option<Box<str>>, bool) {
        let given = if message.id.is_none() {
            Some(self.free_id(queue, chosen))
        } else {
            None
        };
        let id = message
            .id
            .as_deref()
            .or(given.as_deref())
            .unwrap_or_default();
        let settings = self.state.queue(queue).settings.as_deref();
        let default_ttl_ms = settings
            .and_then(|settings| settings.default_ttl_ms())
            .unwrap_or(self.config.default_ttl_ms);
        let default_hide_ms = settings
            .and_then(|settings| settings.default_hide_ms())
            .unwrap_or(self.config.default_hide_ms);
        let now = self.state.clock;
        let stored = StoredMessage {
            id: id.as_bytes(),
            body: &message.body,
            content_type: message.content_type.as_deref().map(str::as_bytes),
            expires_at: match message.ttl_ms.unwrap_or(default_ttl_ms) {
                0 => NEVER,
                ttl_ms => now + ttl_ms,
            },
            visible_at: match message.hide_ms.unwrap_or(default_hide_ms) {
                0 => 0,
                hide_ms => now + hide_ms,
            },
        };
        let created = self.put_stored(queue, &stored);
        (given, created)
    }

    /// Puts a message as it is to be stored; true if it is new.
    pub(super) fn put_stored(&mut self, queue: u32, message: &StoredMessage<'_>) -> bool {
        let there = self.state.find_message(queue, message.id);
        let replaces = there.map(|place| self.state.position(place));
        self.apply(&Change::Put {
            queue,
            replaces,
            message: *message,
        });
        replaces.is_none()
    }

    /// An id that no message of the queue has, and none of `chosen`: a stamp, and a suffix
    /// in the odd case that a client has chosen just that.
    fn free_id(&mut self, queue: u32, chosen: &ById<'_>) -> Box<str> {
        let stamp = self.state.take_id_stamp();
        let mut id = id_of(stamp);
        let mut suffix = 0u64;
        while chosen.contains(&id) || self.state.find_message(queue, id.as_bytes()).is_some() {
            suffix += 1;
            id = format!("{}-{suffix}", id_of(stamp));
        }
        id.into()
    }
}

/// Messages of a batch by their ids; of those with the same one the last.
struct ById<'m> {
    messages: &'m [NewMessage<'m>],
    seed: u64,
    places: Buckets,
}

impl<'m> ById<'m> {
    /// None of the messages yet.
    fn new(messages: &'m [NewMessage<'m>], seed: u64) -> Self {
        Self {
            messages,
            seed,
            places: Buckets::new(),
        }
    }

    /// Adds the message at this place, and gives the one that had its id.
    fn insert(&mut self, place: u32) -> Option<&'m NewMessage<'m>> {
        let messages = self.messages;
        let id_at = |place: u32| messages.get(place as usize)?.id.as_deref();
        let id = id_at(place)?;
        let hash = |id: &str| xxh3_64_with_seed(id.as_bytes(), self.seed);
        let there = self.places.find(hash(id), |there| id_at(there) == Some(id));
        if let Some(former) = there {
            self.places.replace(hash(id), former, place);
            return messages.get(former as usize);
        }
        self.places.insert(hash(id), place, &|place| {
            hash(id_at(place).unwrap_or_default())
        });
        None
    }

    fn contains(&self, id: &str) -> bool {
        let hash = xxh3_64_with_seed(id.as_bytes(), self.seed);
        let is_it = |place: u32| {
            let message = self.messages.get(place as usize);
            message.is_some_and(|message| message.id.as_deref() == Some(id))
        };
        self.places.find(hash, is_it).is_some()
    }
}

fn size(message: &NewMessage<'_>) -> u64 {
    (id_size(message) + message.body.len()) as u64
}

fn id_size(message: &NewMessage<'_>) -> usize {
    message.id.as_deref().map_or(GIVEN_ID_BYTES, str::len)
}
