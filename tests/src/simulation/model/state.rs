//! What the model knows: queues with their messages in order, in plain lists.

use std::cell::OnceCell;
use std::rc::Rc;

use burrow_core::{
    ClaimToken, Limits, MAX_ID_BYTES, MIN_MARKERS_PER_QUEUE, Order, QueueName, Refusal, Settings,
};

/// A message id. One that the machine gives is not known before a reply shows it; all
/// copies of the model, older ones too, learn it together.
#[derive(Clone, Debug)]
pub(crate) struct Id(Rc<IdCell>);

#[derive(Debug, Default)]
struct IdCell {
    text: OnceCell<Box<str>>,
    /// What it begins with, and how long it is, if that is certain.
    begins: Option<(Box<str>, usize)>,
}

/// Bytes that the machine adds to the id of a dead letter whose own is taken.
const SUFFIX_BYTES: usize = 17;

impl Id {
    pub(crate) fn known(text: &str) -> Self {
        Self(Rc::new(IdCell {
            text: OnceCell::from(Box::from(text)),
            begins: None,
        }))
    }

    /// An id that the machine will choose.
    pub(crate) fn given() -> Self {
        Self(Rc::new(IdCell::default()))
    }

    /// One that it will make of this one, as another message has it.
    pub(crate) fn other(&self) -> Self {
        let begins = self.text().map(|text| {
            let kept = text.floor_char_boundary(MAX_ID_BYTES - SUFFIX_BYTES);
            let begin = format!("{}-", &text[..kept]);
            (begin.into(), kept + SUFFIX_BYTES)
        });
        Self(Rc::new(IdCell {
            text: OnceCell::new(),
            begins,
        }))
    }

    pub(crate) fn text(&self) -> Option<&str> {
        self.0.text.get().map(AsRef::as_ref)
    }

    /// Its length, if that is certain.
    pub(crate) fn bytes(&self) -> Option<usize> {
        let made = self.0.begins.as_ref().map(|(_, bytes)| *bytes);
        self.text().map(str::len).or(made)
    }

    pub(crate) fn is(&self, text: &str) -> bool {
        self.text() == Some(text)
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0) || self.text().is_some_and(|text| other.is(text))
    }

    /// True if `text` is this id, which is learned if it was not known.
    pub(crate) fn learn(&self, text: &str) -> bool {
        let can_be = self
            .0
            .begins
            .as_ref()
            .is_none_or(|(begin, bytes)| text.starts_with(&**begin) && text.len() == *bytes);
        can_be && &**self.0.text.get_or_init(|| Box::from(text)) == text
    }
}

/// One claim of one message; its token is learned from the claim's reply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Claim {
    pub(crate) token: Rc<OnceCell<ClaimToken>>,
    /// When the message expires since the claim, and when it would have without it, if the
    /// claim gave it another time.
    pub(crate) times: Option<(Option<u64>, Option<u64>)>,
}

impl Claim {
    pub(crate) fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.token, &other.token)
    }

    pub(crate) fn has(&self, token: ClaimToken) -> bool {
        self.token.get() == Some(&token)
    }

    pub(crate) fn learn(&self, token: ClaimToken) -> bool {
        *self.token.get_or_init(|| token) == token
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: Id,
    /// Where it stands: positions only grow, and are never used twice.
    pub(crate) position: u64,
    pub(crate) body: Rc<[u8]>,
    pub(crate) content_type: Option<Rc<str>>,
    pub(crate) expires_at: Option<u64>,
    pub(crate) visible_at: u64,
    pub(crate) attempts: u32,
    pub(crate) claim: Option<Claim>,
}

impl Message {
    pub(crate) fn hidden(&self, now: u64) -> bool {
        self.visible_at > now
    }

    /// Bytes that count against the limits.
    pub(crate) fn bytes(&self) -> u64 {
        (self.id.bytes().unwrap_or(0) + self.body.len()) as u64
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) name: Name,
    /// Counts queues: one that was removed and made again is another one.
    pub(crate) number: u64,
    pub(crate) messages: Vec<Message>,
    pub(crate) settings: Option<Settings>,
}

impl Queue {
    pub(crate) fn lifo(&self) -> bool {
        self.settings
            .as_ref()
            .is_some_and(|settings| settings.order == Order::Lifo)
    }

    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        self.messages.iter().position(|message| message.id.is(id))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.messages.iter().map(Message::bytes).sum()
    }
}

/// Account and queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) account: Rc<str>,
    pub(crate) queue: Rc<str>,
}

impl Name {
    pub(crate) fn of(name: &QueueName<'_>) -> Self {
        Self {
            account: Rc::from(&*name.account),
            queue: Rc::from(&*name.queue),
        }
    }
}

/// The places of messages that are gone from one queue, oldest first.
#[derive(Clone, Debug)]
struct Graves {
    name: Name,
    entries: Vec<Grave>,
}

#[derive(Clone, Debug)]
struct Grave {
    id: Id,
    position: u64,
}

/// Something that changed: a queue, and whether it or its account came or went.
#[derive(Clone, Debug)]
pub(crate) struct Touch {
    pub(crate) name: Name,
    pub(crate) queues: bool,
    pub(crate) accounts: bool,
}

/// Everything that is durable. Copies are cheap: one is kept for every batch under way.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The latest instant seen.
    pub(crate) now: u64,
    /// The instant of the last change: the least that a stored clock floor may be.
    pub(crate) changed_at: u64,
    /// In order of creation.
    pub(crate) queues: Vec<Rc<Queue>>,
    graves: Vec<Rc<Graves>>,
    next_position: u64,
    next_queue: u64,
    /// All this before anything expired since the last change. If a restart finds a clock
    /// that went back, it begins from here.
    pub(crate) unexpired: Option<Rc<State>>,
    /// What changed since somebody last looked.
    pub(crate) touched: Vec<Touch>,
}

impl State {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            now,
            changed_at: 0,
            queues: Vec::new(),
            graves: Vec::new(),
            next_position: 1,
            next_queue: 0,
            unexpired: None,
            touched: Vec::new(),
        }
    }

    pub(crate) fn account_exists(&self, account: &str) -> bool {
        self.queues
            .iter()
            .any(|queue| &*queue.name.account == account)
    }

    pub(crate) fn index(&self, name: &Name) -> Option<usize> {
        self.queues.iter().position(|queue| queue.name == *name)
    }

    /// The queue, or which part of its name does not exist.
    pub(crate) fn lookup(&self, name: &Name) -> Result<usize, Refusal> {
        match self.index(name) {
            Some(index) => Ok(index),
            None if self.account_exists(&name.account) => Err(Refusal::QueueNotFound),
            None => Err(Refusal::AccountNotFound),
        }
    }

    /// The queue, to be changed.
    pub(crate) fn change(&mut self, index: usize) -> &mut Queue {
        self.touch(self.queues[index].name.clone(), false, false);
        Rc::make_mut(&mut self.queues[index])
    }

    fn touch(&mut self, name: Name, queues: bool, accounts: bool) {
        self.changed_at = self.now;
        self.unexpired = None;
        self.touched.push(Touch {
            name,
            queues,
            accounts,
        });
    }

    /// The queue, made if it is not there.
    pub(crate) fn open(&mut self, name: &Name) -> usize {
        self.index(name).unwrap_or_else(|| {
            self.touch(name.clone(), true, !self.account_exists(&name.account));
            self.next_queue += 1;
            self.queues.push(Rc::new(Queue {
                name: name.clone(),
                number: self.next_queue,
                messages: Vec::new(),
                settings: None,
            }));
            self.queues.len() - 1
        })
    }

    pub(crate) fn take_position(&mut self) -> u64 {
        self.next_position += 1;
        self.next_position - 1
    }

    /// Removes the messages for which `gone` is true, and remembers their places.
    pub(crate) fn remove(&mut self, index: usize, gone: impl Fn(&Message) -> bool) -> Vec<Message> {
        if !self.queues[index].messages.iter().any(&gone) {
            return Vec::new();
        }
        let queue = self.change(index);
        let name = queue.name.clone();
        let removed: Vec<Message> = queue
            .messages
            .extract_if(.., |message| gone(message))
            .collect();
        for message in &removed {
            self.bury(&name, message);
        }
        removed
    }

    /// Removes queues that hold neither messages nor settings.
    pub(crate) fn drop_empty(&mut self) {
        while let Some(index) = self
            .queues
            .iter()
            .position(|queue| queue.messages.is_empty() && queue.settings.is_none())
        {
            let name = self.queues.remove(index).name.clone();
            let accounts = !self.account_exists(&name.account);
            self.touch(name, true, accounts);
        }
    }

    fn bury(&mut self, name: &Name, message: &Message) {
        let entry = Grave {
            id: message.id.clone(),
            position: message.position,
        };
        match self.graves.iter_mut().find(|graves| graves.name == *name) {
            Some(graves) => Rc::make_mut(graves).entries.push(entry),
            None => self.graves.push(Rc::new(Graves {
                name: name.clone(),
                entries: vec![entry],
            })),
        }
    }

    /// The position that a marker stands for: that of the message if it is alive, else the
    /// last one that the id had, else none.
    pub(crate) fn resolve(&self, name: &Name, marker: &str) -> Option<u64> {
        let alive = self.index(name).and_then(|index| {
            let queue = &self.queues[index];
            queue.find(marker).map(|at| queue.messages[at].position)
        });
        alive.or_else(|| self.grave(name, marker).map(|grave| grave.position))
    }

    pub(crate) fn is_alive(&self, name: &Name, id: &str) -> bool {
        self.index(name)
            .is_some_and(|index| self.queues[index].find(id).is_some())
    }

    /// False if it is left open whether the marker is still remembered: once the node has
    /// removed more messages than it may remember, or the queue more than it must. What is
    /// there may be gone as well by the time at which the marker is used.
    pub(crate) fn marker_is_certain(&self, name: &Name, marker: &str, limits: &Limits) -> bool {
        let removed = |graves: &&Rc<Graves>| graves.entries.len() as u64;
        let in_node: u64 = self.graves.iter().map(|graves| removed(&graves)).sum();
        let in_node = in_node + self.messages().count() as u64;
        let graves = self.graves.iter().find(|graves| graves.name == *name);
        let there = self
            .index(name)
            .map_or(0, |index| self.queues[index].messages.len() as u64);
        let in_queue = graves.map_or(0, |graves| removed(&graves)) + there;
        let remembered = in_node <= limits.max_markers && in_queue <= MIN_MARKERS_PER_QUEUE;
        remembered || self.is_alive(name, marker) || self.grave(name, marker).is_none()
    }

    /// The latest message with this id that is gone.
    fn grave(&self, name: &Name, id: &str) -> Option<&Grave> {
        let graves = self.graves.iter().find(|graves| graves.name == *name)?;
        graves.entries.iter().rev().find(|grave| grave.id.is(id))
    }

    /// Removes what has expired, and gives its number. That time passes is no change:
    /// whoever looks again later sees it again.
    pub(crate) fn expire(&mut self) -> usize {
        let now = self.now;
        let expired = |message: &Message| message.expires_at.is_some_and(|at| at <= now);
        if !self.messages().any(expired) {
            return 0;
        }
        let before = self
            .unexpired
            .clone()
            .unwrap_or_else(|| Rc::new(self.clone()));
        let (changed_at, touched) = (self.changed_at, self.touched.len());
        let count = (0..self.queues.len())
            .map(|index| self.remove(index, expired).len())
            .sum();
        self.drop_empty();
        self.touched.truncate(touched);
        self.changed_at = changed_at;
        self.unexpired = Some(before);
        count
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.queues.iter().flat_map(|queue| queue.messages.iter())
    }
}
