//! A client alone on its account: it knows the exact state of it, down to the order.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Watch;
use super::http::{Connection, Request, Response};
use super::operation::{New, Operation, Settings, Settle};
use super::record::{DEAD, Expected, MAIN, Message, Record, SERVER_TTL_S};
use super::wire::{During, now_ms, read_list};

/// Messages above which the client removes more than it adds.
const FULL: usize = 200;

/// Between two readings of what differs.
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub struct Owner {
    account: String,
    record: Record,
    /// Sent but not answered when the connection broke, in order, with the instant of sending.
    unanswered: Vec<(Operation, u64)>,
    /// Tokens that were given back, by message, until the message is claimed again.
    released: HashMap<String, String>,
    /// Tokens that must be refused.
    stale: Vec<(String, String)>,
    random: fastrand::Rng,
    named: u64,
}

impl Owner {
    pub fn new(number: usize, random: fastrand::Rng) -> Self {
        Self {
            account: format!("owner-{number}"),
            record: Record::default(),
            unanswered: Vec::new(),
            released: HashMap::new(),
            stale: Vec::new(),
            random,
            named: 0,
        }
    }

    /// Sends requests one after another, sometimes a few at once, until the connection
    /// breaks or `watch` says stop. An error is a broken promise of the server.
    pub fn work(&mut self, address: SocketAddr, watch: &Watch) -> Result<(), String> {
        let Ok(mut connection) = Connection::open(address) else {
            return Ok(());
        };
        while !watch.stopped() {
            let operations = self.choose();
            let requests: Vec<Request> = operations
                .iter()
                .map(|one| one.request(&self.account))
                .collect();
            let sent_ms = now_ms();
            self.unanswered = operations.into_iter().map(|one| (one, sent_ms)).collect();
            if connection.send(&requests).is_err() {
                return Ok(());
            }
            while !self.unanswered.is_empty() {
                let Ok(response) = connection.receive() else {
                    return Ok(());
                };
                let (operation, sent_ms) = self.unanswered.remove(0);
                if watch.refused(&response) {
                    continue;
                }
                self.answered(&operation, During::since(sent_ms), &response)
                    .map_err(|problem| format!("{}: {operation:?}: {problem}", self.account))?;
                watch.progress();
            }
        }
        Ok(())
    }

    fn answered(
        &mut self,
        operation: &Operation,
        during: During,
        response: &Response,
    ) -> Result<(), String> {
        self.note_stale_tokens(operation);
        let expected = self.record.apply(operation, during);
        self.record.learn(&expected, response)?;
        if let Expected::Claimed { places } = &expected {
            for &place in places {
                let released = self.record.main[place]
                    .id
                    .as_ref()
                    .and_then(|id| self.released.remove_entry(id));
                self.stale.extend(released);
            }
        }
        Ok(())
    }

    /// Called before the operation changes the record.
    fn note_stale_tokens(&mut self, operation: &Operation) {
        match operation {
            Operation::Put(New { id: Some(id), .. }) => {
                let token = self
                    .record
                    .find(id)
                    .and_then(|place| self.record.main[place].token.clone());
                self.stale.extend(token.map(|token| (id.clone(), token)));
            }
            Operation::Update {
                id,
                token: Some(token),
                hide_s: Some(0),
                ..
            } => {
                self.released.insert(id.clone(), token.clone());
            }
            _ => {}
        }
        let surplus = self.stale.len().saturating_sub(16);
        self.stale.drain(..surplus);
    }

    /// Reads the account back and holds it against the record. Whatever was not answered
    /// may have happened or not, in the order of sending, but never by halves. What differs
    /// is read again until `patience` is over, for servers whose queues agree only then.
    pub fn verify(
        &mut self,
        connection: &mut Connection,
        patience: Duration,
    ) -> Result<(), String> {
        let started = Instant::now();
        loop {
            let outcome = self.verify_once(connection);
            if outcome.is_ok() || started.elapsed() >= patience {
                return outcome;
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Nothing changes unless all agrees.
    fn verify_once(&mut self, connection: &mut Connection) -> Result<(), String> {
        let from_ms = now_ms();
        let main = self.list(connection, MAIN)?;
        let dead = self.list(connection, DEAD)?;
        let settings = self.settings(connection)?;
        let listed = During::since(from_ms);

        let mut candidate = self.record.clone();
        let mut differences = Vec::new();
        for happened in 0..=self.unanswered.len() {
            if happened > 0 {
                let (operation, sent_ms) = &self.unanswered[happened - 1];
                candidate.apply(
                    operation,
                    During {
                        from_ms: *sent_ms,
                        until_ms: from_ms,
                    },
                );
            }
            let mut read_back = candidate.clone();
            let same = same_messages(&mut read_back.main, &main, &read_back.settings, listed)
                .and_then(|()| same_messages(&mut read_back.dead, &dead, &None, listed))
                .and_then(|()| same_settings(&read_back.settings, settings.as_ref()));
            match same {
                Ok(()) => {
                    self.record = read_back;
                    self.unanswered.clear();
                    return Ok(());
                }
                Err(difference) => differences.push(difference),
            }
        }
        let unanswered: Vec<String> = self
            .unanswered
            .iter()
            .map(|(operation, _)| operation.request(&self.account))
            .map(|request| format!("{} {}", request.method, request.target))
            .collect();
        Err(format!(
            "{}: what is stored is none of the possible states; unanswered: {unanswered:?}; differences: {differences:#?}",
            self.account
        ))
    }

    fn list(&self, connection: &mut Connection, queue: &str) -> Result<Value, String> {
        let target = format!(
            "/v1.0/{}/{queue}?match_hidden=true&detail=all",
            self.account
        );
        let response = connection
            .call(&Request::new("GET", target))
            .map_err(|error| error.to_string())?;
        match response.status {
            200 => Ok(response.json()),
            404 => Ok(Value::Array(Vec::new())),
            status => Err(format!(
                "list of {queue}: status {status}: {}",
                response.text()
            )),
        }
    }

    fn settings(&self, connection: &mut Connection) -> Result<Option<Value>, String> {
        let target = format!("/v1.0/{}/{MAIN}?settings", self.account);
        let response = connection
            .call(&Request::new("GET", target))
            .map_err(|error| error.to_string())?;
        match response.status {
            200 => Ok(Some(response.json())),
            404 => Ok(None),
            status => Err(format!("settings: status {status}: {}", response.text())),
        }
    }

    fn choose(&mut self) -> Vec<Operation> {
        if self.random.u8(..) < 16 {
            return (0..self.random.usize(2..12))
                .map(|_| Operation::Put(self.new_message()))
                .collect();
        }
        let chosen = if self.record.main.len() > FULL {
            Some(self.choose_removal())
        } else {
            self.choose_any()
        };
        vec![chosen.unwrap_or_else(|| Operation::Put(self.new_message()))]
    }

    fn choose_removal(&mut self) -> Operation {
        match self.random.u8(..8) {
            0 => Operation::DeleteMessages,
            1 => Operation::UpdateAll {
                ttl_s: self.span_s(),
            },
            _ => Operation::Pop {
                limit: self.random.u64(1..60),
            },
        }
    }

    /// None where the queue holds nothing for the operation that was drawn.
    fn choose_any(&mut self) -> Option<Operation> {
        Some(match self.random.u8(..100) {
            0..20 => Operation::Put(self.new_message()),
            20..26 => Operation::Put(New {
                id: Some(self.any_message()?.id?),
                ..self.new_message()
            }),
            26..36 => Operation::PutBatch(
                (0..self.random.usize(1..30))
                    .map(|_| self.batch_message())
                    .collect(),
            ),
            36..52 => Operation::Claim {
                limit: self.random.u64(1..8),
                hide_s: self.span_s(),
            },
            52..60 => {
                let (id, token) = self.claimed(1).pop()?;
                Operation::Delete {
                    id,
                    token: Some(token),
                }
            }
            60..70 => {
                let (id, token) = self.claimed(1).pop()?;
                let hide_s = if self.random.bool() { 0 } else { self.span_s() };
                Operation::Update {
                    id,
                    token: Some(token),
                    ttl_s: None,
                    hide_s: Some(hide_s),
                }
            }
            70..78 => self.settle()?,
            78..82 => Operation::Pop {
                limit: self.random.u64(1..4),
            },
            82..85 => Operation::Delete {
                id: self.any_message()?.id?,
                token: None,
            },
            85..89 => {
                let id = self.any_message()?.id?;
                let hide_s = self.random.bool().then(|| self.span_s());
                Operation::Update {
                    id,
                    token: None,
                    ttl_s: Some(self.span_s()),
                    hide_s,
                }
            }
            89..93 => {
                let (id, token) = self.random.choice(&self.stale)?.clone();
                Operation::UpdateWithStaleToken { id, token }
            }
            93..95 => Operation::UpdateAll {
                ttl_s: self.span_s(),
            },
            95..98 => Operation::PutSettings(self.any_settings()),
            98 => Operation::ClearSettings,
            _ if self.random.bool() => Operation::DeleteQueues,
            _ => Operation::DeleteMessages,
        })
    }

    fn settle(&mut self) -> Option<Operation> {
        let count = self.random.usize(1..12);
        let entries: Vec<Settle> = self
            .claimed(count)
            .into_iter()
            .map(|(id, token)| Settle {
                id,
                token,
                hide_s: self.random.bool().then(|| self.span_s()),
            })
            .collect();
        (!entries.is_empty()).then_some(Operation::Settle(entries))
    }

    /// Up to `count` claims that the client holds, with their tokens.
    fn claimed(&mut self, count: usize) -> Vec<(String, String)> {
        let held = self
            .record
            .main
            .iter()
            .filter_map(|message| Some((message.id.clone()?, message.token.clone()?)));
        self.random.choose_multiple(held, count)
    }

    fn any_message(&mut self) -> Option<Message> {
        self.random.choice(&self.record.main).cloned()
    }

    fn any_settings(&mut self) -> Settings {
        Settings {
            default_ttl_s: self.random.bool().then(|| self.span_s()),
            default_hide_s: (self.random.u8(..4) == 0).then(|| self.span_s()),
            max_attempts: self.random.bool().then(|| self.random.u64(1..4)),
            newest_first: self.random.bool(),
        }
    }

    /// Seconds; none runs out while the test lasts.
    fn span_s(&mut self) -> u64 {
        self.random.u64(3_600..10 * SERVER_TTL_S)
    }

    fn new_message(&mut self) -> New {
        self.named += 1;
        New {
            id: Some(format!("m{}", self.named)),
            body: self.body(),
            ttl_s: self
                .random
                .bool()
                .then(|| if self.random.bool() { 0 } else { self.span_s() }),
            hide_s: (self.random.u8(..8) == 0).then(|| self.span_s()),
        }
    }

    fn batch_message(&mut self) -> New {
        let message = self.new_message();
        if self.random.bool() {
            message
        } else {
            New {
                id: None,
                ..message
            }
        }
    }

    /// No two bodies are equal.
    fn body(&mut self) -> Vec<u8> {
        let mut body = format!("{} {} ", self.account, self.named).into_bytes();
        let length = if self.random.u8(..24) == 0 {
            self.random.usize(..20_000)
        } else {
            self.random.usize(..300)
        };
        let binary = self.random.u8(..8) == 0;
        body.extend((0..length).map(|_| {
            if binary {
                self.random.u8(..)
            } else {
                self.random.alphanumeric() as u8
            }
        }));
        body
    }
}

fn same_messages(
    messages: &mut [Message],
    listed: &Value,
    settings: &Option<Settings>,
    during: During,
) -> Result<(), String> {
    let mut listed = read_list(listed)?;
    if settings
        .as_ref()
        .is_some_and(|settings| settings.newest_first)
    {
        listed.reverse();
    }
    if listed.len() != messages.len() {
        let stored: Vec<&str> = listed.iter().map(|message| message.id.as_str()).collect();
        let recorded: Vec<Option<&str>> = messages
            .iter()
            .map(|message| message.id.as_deref())
            .collect();
        return Err(format!("stored: {stored:?}; acknowledged: {recorded:?}"));
    }
    messages
        .iter_mut()
        .zip(&listed)
        .try_for_each(|(message, listed)| message.same(listed, during))
}

/// A queue without settings of its own shows the default ones if it exists at all.
fn same_settings(recorded: &Option<Settings>, stored: Option<&Value>) -> Result<(), String> {
    let expected = recorded.clone().unwrap_or_default().to_json();
    let Some(stored) = stored else {
        return if recorded.is_none() {
            Ok(())
        } else {
            Err(format!("no settings instead of {expected}"))
        };
    };
    let names = [
        "default_ttl",
        "default_hide",
        "max_attempts",
        "dead_letter",
        "order",
    ];
    match names.iter().find(|name| {
        stored.get(**name).unwrap_or(&Value::Null) != expected.get(**name).unwrap_or(&Value::Null)
    }) {
        Some(name) => Err(format!(
            "settings {stored} instead of {expected}: {name} differs"
        )),
        None => Ok(()),
    }
}
