//! Any commands, for tests of the wire protocol, and a server's side without a network.

use burrow_core::wire::{Event, Failure, Offer, Session};
use burrow_core::{
    ClaimToken, Command, Config, Detail, JournalConfig, NewMessage, Node, Order, Page, QueueName,
    Selection, Settings, SettleAction, Settlement, Ticket, Timestamp, Update,
};
use fastrand::Rng;
use std::collections::BTreeMap;

/// A session with a node behind it that forgets everything.
#[derive(Debug)]
pub struct PureServer {
    pub session: Session,
    pub node: Node,
    pub now: Timestamp,
    pub out: Vec<u8>,
    waiting: BTreeMap<Ticket, u64>,
    pub is_ended: bool,
}

impl PureServer {
    /// A node with the default limits, at the instant at which manual clocks start.
    pub fn new(offer: Offer) -> Self {
        let config = Config {
            journal: JournalConfig {
                enabled: false,
                ..JournalConfig::default()
            },
            ..Config::default()
        };
        Self::with_node(offer, Node::new(config))
    }

    pub fn with_node(offer: Offer, node: Node) -> Self {
        Self {
            session: Session::new(offer),
            node,
            now: Timestamp::MANUAL_START,
            out: Vec::new(),
            waiting: BTreeMap::new(),
            is_ended: false,
        }
    }

    /// A client connects anew; the one before goes away.
    pub fn reconnect(&mut self, offer: Offer) {
        for ticket in std::mem::take(&mut self.waiting).into_keys() {
            self.node.cancel(ticket);
        }
        self.session = Session::new(offer);
        self.out.clear();
        self.is_ended = false;
    }

    /// Takes bytes from the client. Every command that comes out of them is shown to `each`.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(&Command<'_>)) {
        self.session.received().extend_from_slice(bytes);
        while !self.is_ended {
            match self.session.next(&mut self.out) {
                None => break,
                Some(Event::Answered) => {}
                Some(Event::End) => self.is_ended = true,
                Some(Event::Submit { id, command }) => {
                    each(&command);
                    let ticket = self.node.submit(self.now, command);
                    self.waiting.insert(ticket, id);
                }
                Some(Event::Cancel { id }) => self.cancel(id),
            }
            self.answer();
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, span_ms: u64) {
        self.now = self.now.after_ms(span_ms);
        self.node.advance_to(self.now);
        self.answer();
    }

    /// Requests that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn cancel(&mut self, id: u64) {
        let found = self.waiting.iter().find(|(_, waiting)| **waiting == id);
        if let Some(ticket) = found.map(|(ticket, _)| *ticket) {
            self.waiting.remove(&ticket);
            self.node.cancel(ticket);
            self.session
                .answer(id, &Err(Failure::Cancelled), &mut self.out);
        }
    }

    fn answer(&mut self) {
        while let Some((ticket, outcome)) = self.node.poll_reply() {
            if let Some(id) = self.waiting.remove(&ticket) {
                let outcome = outcome.map_err(Failure::Refused);
                self.session.answer(id, &outcome, &mut self.out);
            }
        }
    }
}

/// Any command at all, of few names, so that many of them meet.
pub fn any_command(rng: &mut Rng) -> Command<'static> {
    let queue = QueueName {
        account: any_name(rng).into(),
        queue: any_name(rng).into(),
    };
    match rng.u8(..19) {
        0 => Command::ListAccounts { page: page(rng) },
        1 => Command::DeleteAccounts { page: page(rng) },
        2 => Command::ListQueues {
            account: any_name(rng).into(),
            page: page(rng),
        },
        3 => Command::DeleteQueues {
            account: any_name(rng).into(),
            page: page(rng),
        },
        4 => Command::GetSettings { queue },
        18 => Command::GetStats { queue },
        5 => Command::PutSettings {
            queue,
            settings: settings(rng),
        },
        6 => Command::ClearSettings { queue },
        7 => Command::Export {
            queue,
            after: maybe(rng, any_number),
            max_bytes: any_number(rng),
        },
        8 => Command::Import {
            queue,
            piece: any_bytes(rng).into(),
        },
        9 => Command::ListMessages {
            queue,
            selection: selection(rng),
            wait_ms: any_number(rng),
            detail: detail(rng),
        },
        10 => Command::DeleteMessages {
            queue,
            selection: selection(rng),
            wait_ms: any_number(rng),
            detail: detail(rng),
        },
        11 => Command::UpdateMessages {
            queue,
            selection: selection(rng),
            update: update(rng),
            wait_ms: any_number(rng),
            detail: detail(rng),
        },
        12 => Command::PutBatch {
            queue,
            messages: (0..rng.usize(..5)).map(|_| message(rng)).collect(),
        },
        13 => Command::GetMessage {
            queue,
            id: any_name(rng).into(),
            detail: detail(rng),
        },
        14 => Command::UpdateMessage {
            queue,
            id: any_name(rng).into(),
            update: update(rng),
            claim: maybe(rng, claim),
            detail: detail(rng),
        },
        15 => Command::DeleteMessage {
            queue,
            id: any_name(rng).into(),
            claim: maybe(rng, claim),
            detail: detail(rng),
        },
        16 => Command::Settle {
            queue,
            settlements: (0..rng.usize(..5)).map(|_| settlement(rng)).collect(),
        },
        _ => Command::Put {
            queue,
            message: message(rng),
        },
    }
}

fn maybe<T>(rng: &mut Rng, make: fn(&mut Rng) -> T) -> Option<T> {
    rng.bool().then(|| make(rng))
}

fn any_name(rng: &mut Rng) -> String {
    match rng.u8(..12) {
        0 => String::new(),
        1 => "ü".repeat(rng.usize(..200)),
        _ => ["a", "b"][rng.usize(..2)].to_owned(),
    }
}

fn any_bytes(rng: &mut Rng) -> Vec<u8> {
    let length = [0, 3, 127, 128, 20_000][rng.usize(..5)];
    std::iter::repeat_with(|| rng.u8(..)).take(length).collect()
}

/// Every width equally often.
fn any_number(rng: &mut Rng) -> u64 {
    rng.u64(..) >> rng.u32(..64)
}

fn detail(rng: &mut Rng) -> Detail {
    [
        Detail::None,
        Detail::Id,
        Detail::Attributes,
        Detail::Body,
        Detail::All,
    ][rng.usize(..5)]
}

fn page(rng: &mut Rng) -> Page<'static> {
    Page {
        marker: maybe(rng, any_name).map(Into::into),
        limit: maybe(rng, any_number),
    }
}

fn selection(rng: &mut Rng) -> Selection<'static> {
    Selection {
        marker: maybe(rng, any_name).map(Into::into),
        limit: maybe(rng, any_number),
        match_hidden: rng.bool(),
    }
}

fn update(rng: &mut Rng) -> Update {
    Update {
        ttl_ms: maybe(rng, any_number),
        hide_ms: maybe(rng, any_number),
    }
}

fn claim(rng: &mut Rng) -> ClaimToken {
    let text = format!("{:x}", any_number(rng).max(1));
    text.parse().expect("a number above 0 is a token")
}

fn message(rng: &mut Rng) -> NewMessage<'static> {
    NewMessage {
        id: maybe(rng, any_name).map(Into::into),
        body: any_bytes(rng).into(),
        content_type: maybe(rng, any_name).map(Into::into),
        ttl_ms: maybe(rng, any_number),
        hide_ms: maybe(rng, any_number),
    }
}

fn settlement(rng: &mut Rng) -> Settlement<'static> {
    Settlement {
        id: any_name(rng).into(),
        claim: maybe(rng, claim),
        action: match rng.bool() {
            true => SettleAction::Delete,
            false => SettleAction::Update(update(rng)),
        },
    }
}

fn settings(rng: &mut Rng) -> Settings {
    Settings {
        default_ttl_ms: maybe(rng, any_number),
        default_hide_ms: maybe(rng, any_number),
        max_attempts: maybe(rng, |rng| rng.u32(..)),
        dead_letter: maybe(rng, any_name).map(Into::into),
        max_messages: maybe(rng, any_number),
        max_bytes: maybe(rng, any_number),
        order: if rng.bool() { Order::Lifo } else { Order::Fifo },
        marker_retention_ms: maybe(rng, any_number),
    }
}
