//! What a client knows that the server must hold, after every answer it was given.

use super::http::Response;
use super::operation::{New, Operation, Settings, Settle};
use super::wire::{During, Listed, Until, read_list};

/// The queue that the client works on, and the one that takes its dead letters.
pub const MAIN: &str = "main";
pub const DEAD: &str = "dead";

/// Seconds until a message expires where nothing says otherwise; the server is started so.
pub const SERVER_TTL_S: u64 = 36_000;

/// A message as it must be stored.
#[derive(Clone, Debug)]
pub struct Message {
    /// None if the server gave one in an answer that never arrived.
    pub id: Option<String>,
    pub body: Vec<u8>,
    pub ttl: Until,
    pub hide: Until,
    pub attempts: u64,
    /// The token of the current claim, where the client has it.
    pub token: Option<String>,
}

/// The contents of one account, oldest message first.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub main: Vec<Message>,
    pub dead: Vec<Message>,
    pub settings: Option<Settings>,
}

/// What the answer to an operation must be.
#[derive(Debug)]
pub enum Expected {
    Status(u16),
    /// 201 and the ids of the newest messages, so many.
    Created {
        places: Vec<usize>,
    },
    /// These messages of the queue, in this order, each with a token.
    Claimed {
        places: Vec<usize>,
    },
    /// These messages, which are gone.
    Popped(Vec<Message>),
    /// So many results, all of them good.
    Settled(usize),
}

impl Record {
    /// Carries out what the server does for `operation` at some point of `during`.
    pub fn apply(&mut self, operation: &Operation, during: During) -> Expected {
        match operation {
            Operation::Put(new) => {
                Expected::Status(if self.put(new, during).1 { 201 } else { 204 })
            }
            Operation::PutBatch(news) => Expected::Created {
                places: news.iter().map(|new| self.put(new, during).0).collect(),
            },
            Operation::Claim { limit, hide_s } => self.claim(*limit, Until::after(*hide_s, during)),
            Operation::Pop { limit } => self.pop(*limit),
            Operation::Delete { id, .. } => match self.find(id) {
                Some(place) => {
                    self.main.remove(place);
                    Expected::Status(204)
                }
                None => Expected::Status(404),
            },
            Operation::Update {
                id,
                token,
                ttl_s,
                hide_s,
            } => {
                let Some(place) = self.find(id) else {
                    return Expected::Status(404);
                };
                let message = &mut self.main[place];
                set(&mut message.ttl, *ttl_s, during);
                set(&mut message.hide, *hide_s, during);
                message.token = token.clone().filter(|_| message.hide.is_set());
                Expected::Status(204)
            }
            Operation::UpdateWithStaleToken { id, .. } => {
                Expected::Status(if self.find(id).is_some() { 409 } else { 404 })
            }
            Operation::UpdateAll { ttl_s } => {
                for message in &mut self.main {
                    message.ttl = Until::after(*ttl_s, during);
                }
                Expected::Status(if self.main.is_empty() { 404 } else { 204 })
            }
            Operation::Settle(entries) => self.settle(entries, during),
            Operation::PutSettings(settings) => {
                self.settings = Some(settings.clone());
                Expected::Status(204)
            }
            Operation::ClearSettings => {
                self.settings = None;
                Expected::Status(204)
            }
            Operation::DeleteMessages => {
                let any = !self.main.is_empty();
                self.main.clear();
                Expected::Status(if any { 204 } else { 404 })
            }
            Operation::DeleteQueues => {
                let any = !self.main.is_empty() || !self.dead.is_empty() || self.settings.is_some();
                *self = Self::default();
                Expected::Status(if any { 204 } else { 404 })
            }
        }
    }

    pub fn find(&self, id: &str) -> Option<usize> {
        self.main
            .iter()
            .position(|message| message.id.as_deref() == Some(id))
    }

    /// The place of the message, and whether it is new.
    fn put(&mut self, new: &New, during: During) -> (usize, bool) {
        let settings = self.settings.as_ref();
        let ttl_s = new
            .ttl_s
            .or(settings.and_then(|settings| settings.default_ttl_s));
        let hide_s = new
            .hide_s
            .or(settings.and_then(|settings| settings.default_hide_s));
        let message = Message {
            id: new.id.clone(),
            body: new.body.clone(),
            ttl: Until::after(ttl_s.unwrap_or(SERVER_TTL_S), during),
            hide: Until::after(hide_s.unwrap_or(0), during),
            attempts: 0,
            token: None,
        };
        match new.id.as_ref().and_then(|id| self.find(id)) {
            Some(place) => {
                self.main[place] = message;
                (place, false)
            }
            None => {
                self.main.push(message);
                (self.main.len() - 1, true)
            }
        }
    }

    /// Places of the visible messages, in the order in which they are served.
    fn visible(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.main.len())
            .filter(|&place| !self.main[place].hide.is_set())
            .collect();
        if self
            .settings
            .as_ref()
            .is_some_and(|settings| settings.newest_first)
        {
            places.reverse();
        }
        places
    }

    fn claim(&mut self, limit: u64, hide: Until) -> Expected {
        let most = self
            .settings
            .as_ref()
            .and_then(|settings| settings.max_attempts)
            .unwrap_or(u64::MAX);
        let (mut claimed, mut buried) = (Vec::new(), Vec::new());
        for place in self.visible() {
            if claimed.len() as u64 == limit {
                break;
            }
            let message = &mut self.main[place];
            if message.attempts >= most {
                buried.push(place);
                continue;
            }
            message.attempts += 1;
            message.hide = hide;
            message.token = None;
            claimed.push(place);
        }
        for &place in &buried {
            self.dead.push(Message {
                attempts: 0,
                token: None,
                ..self.main[place].clone()
            });
        }
        let stays = |place: usize| place - buried.iter().filter(|&&other| other < place).count();
        let places: Vec<usize> = claimed.into_iter().map(stays).collect();
        let mut place = 0;
        self.main.retain(|_| {
            place += 1;
            !buried.contains(&(place - 1))
        });
        if places.is_empty() {
            Expected::Status(404)
        } else {
            Expected::Claimed { places }
        }
    }

    fn pop(&mut self, limit: u64) -> Expected {
        let mut places = self.visible();
        places.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let popped: Vec<Message> = places
            .iter()
            .map(|&place| self.main[place].clone())
            .collect();
        places.sort_unstable();
        for place in places.into_iter().rev() {
            self.main.remove(place);
        }
        if popped.is_empty() {
            Expected::Status(404)
        } else {
            Expected::Popped(popped)
        }
    }

    fn settle(&mut self, entries: &[Settle], during: During) -> Expected {
        for Settle { id, token, hide_s } in entries {
            let Some(place) = self.find(id) else { continue };
            match hide_s {
                None => {
                    self.main.remove(place);
                }
                Some(hide_s) => {
                    let message = &mut self.main[place];
                    message.hide = Until::after(*hide_s, during);
                    message.token = Some(token.clone()).filter(|_| message.hide.is_set());
                }
            }
        }
        Expected::Settled(entries.len())
    }

    /// Holds an answer against what it must be, and takes ids and tokens from it.
    pub fn learn(&mut self, expected: &Expected, response: &Response) -> Result<(), String> {
        let status = match expected {
            Expected::Status(status) => *status,
            Expected::Created { .. } => 201,
            Expected::Claimed { .. } | Expected::Popped(_) | Expected::Settled(_) => 200,
        };
        if response.status != status {
            return Err(format!(
                "status {} instead of {status}: {}",
                response.status,
                response.text()
            ));
        }
        let json = response.json();
        match expected {
            Expected::Status(_) => Ok(()),
            Expected::Created { places } => {
                let ids: Vec<&str> = json
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|id| id.as_str())
                    .collect();
                same_count(ids.len(), places.len())?;
                for (&place, id) in places.iter().zip(ids) {
                    take_id(&mut self.main[place].id, id)?;
                }
                Ok(())
            }
            Expected::Claimed { places } => {
                let claimed = read_list(&json)?;
                same_count(claimed.len(), places.len())?;
                places
                    .iter()
                    .zip(claimed)
                    .try_for_each(|(&place, listed)| self.main[place].take_claim(listed))
            }
            Expected::Popped(popped) => {
                let listed = read_list(&json)?;
                same_count(listed.len(), popped.len())?;
                let mut popped = popped.clone();
                popped
                    .iter_mut()
                    .zip(&listed)
                    .try_for_each(|(message, listed)| message.same_content(listed))
            }
            Expected::Settled(count) => {
                let results = json.as_array().ok_or("settle results are not a list")?;
                same_count(results.len(), *count)?;
                match results
                    .iter()
                    .find(|result| result.get("status").and_then(|s| s.as_u64()) != Some(204))
                {
                    Some(result) => Err(format!("a current claim was refused: {result}")),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Message {
    /// Compares id and body; an id that is not known yet is taken over.
    pub fn same_content(&mut self, listed: &Listed) -> Result<(), String> {
        take_id(&mut self.id, &listed.id)?;
        if self.body == listed.body {
            Ok(())
        } else {
            Err(format!(
                "message {} has the body {:?} instead of {:?}",
                listed.id, listed.body, self.body
            ))
        }
    }

    /// Compares content and times.
    pub fn same(&mut self, listed: &Listed, during: During) -> Result<(), String> {
        self.same_content(listed)?;
        for (name, until, left) in [
            ("ttl", self.ttl, listed.ttl_s),
            ("hide", self.hide, listed.hide_s),
        ] {
            if !until.agrees(left, during) {
                return Err(format!(
                    "message {}: {name} {left} instead of {until:?} at {during:?}",
                    listed.id
                ));
            }
        }
        Ok(())
    }

    fn take_claim(&mut self, listed: Listed) -> Result<(), String> {
        self.same_content(&listed)?;
        if listed.attempts != Some(self.attempts) {
            return Err(format!(
                "message {}: attempts {:?} instead of {}",
                listed.id, listed.attempts, self.attempts
            ));
        }
        self.token = Some(
            listed
                .claim
                .ok_or_else(|| format!("message {} came without a token", listed.id))?,
        );
        Ok(())
    }
}

fn set(until: &mut Until, span_s: Option<u64>, during: During) {
    if let Some(span_s) = span_s {
        *until = Until::after(span_s, during);
    }
}

fn take_id(known: &mut Option<String>, id: &str) -> Result<(), String> {
    match known {
        Some(known) if known != id => Err(format!("message {id} where {known} should be")),
        Some(_) => Ok(()),
        None => {
            *known = Some(id.to_owned());
            Ok(())
        }
    }
}

fn same_count(actual: usize, expected: usize) -> Result<(), String> {
    if actual == expected {
        Ok(())
    } else {
        Err(format!("{actual} entries instead of {expected}"))
    }
}
