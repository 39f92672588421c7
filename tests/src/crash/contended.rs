//! Clients that share one queue: what one puts another claims, and a third may get next.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::Watch;
use super::http::{Connection, Request, Response};
use super::wire::{Listed, batch_entry, read_list};

const QUEUE: &str = "/v1.0/shared/jobs";
/// Longer than any test, so that a claim ends only by its owner's request.
const HIDE_S: u64 = 36_000;
/// Jobs above which nobody adds more.
const FULL: usize = 400;

/// What the clients know together about the shared queue.
#[derive(Debug, Default)]
pub struct Board {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    jobs: BTreeMap<String, Job>,
    /// Jobs whose deletion was acknowledged.
    done: HashSet<String>,
    /// Limits of claims that were not answered.
    open_claims: u64,
    /// Batches and settlements that were not answered: ids that must share one fate.
    open_batches: Vec<Vec<String>>,
    open_settlements: Vec<Vec<String>>,
    named: u64,
}

#[derive(Clone, Debug)]
struct Job {
    body: String,
    /// The answer to its creation has arrived.
    created: bool,
    /// The token of the client that has it.
    held: Option<String>,
    /// A release was sent, and perhaps not answered.
    releasing: Option<String>,
    /// A deletion was sent, and perhaps not answered.
    deleting: bool,
    /// Attempts so far, at the least and at the most.
    attempts: (u64, u64),
}

/// What a client does next.
enum Step {
    Put(Vec<String>),
    Claim { limit: u64, wait_s: u64 },
    Delete(String, String),
    Release(String, String),
    Settle(Vec<(String, String)>),
}

impl Board {
    /// Works until the connection breaks or `watch` says stop. An error is a broken
    /// promise of the server.
    pub fn work(
        &self,
        address: SocketAddr,
        mut random: fastrand::Rng,
        watch: &Watch,
    ) -> Result<(), String> {
        let Ok(mut connection) = Connection::open(address) else {
            return Ok(());
        };
        let mut held: Vec<(String, String)> = Vec::new();
        while !watch.stopped() {
            let step = self.choose(&mut random, &mut held);
            let request = self.begin(&step);
            let Ok(response) = connection.call(&request) else {
                return Ok(());
            };
            if watch.refused(&response) {
                self.undo(step, &mut held);
                continue;
            }
            self.end(step, &response, &mut held)
                .map_err(|problem| format!("shared queue: {request:?}: {problem}"))?;
            watch.progress();
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn choose(&self, random: &mut fastrand::Rng, held: &mut Vec<(String, String)>) -> Step {
        let mut state = self.state();
        let full = state.jobs.len() > FULL;
        let taken = (!held.is_empty()).then(|| random.usize(..held.len()));
        match (random.u8(..16), taken) {
            (0..4, _) if !full => Step::Put(vec![state.name()]),
            (4..6, _) if !full => {
                Step::Put((0..random.usize(2..20)).map(|_| state.name()).collect())
            }
            (6..9, Some(_)) => {
                Step::Settle(held.split_off(held.len().saturating_sub(random.usize(1..8))))
            }
            (9..11, Some(place)) => {
                let (id, token) = held.swap_remove(place);
                Step::Release(id, token)
            }
            (11..13, Some(place)) => {
                let (id, token) = held.swap_remove(place);
                Step::Delete(id, token)
            }
            _ => Step::Claim {
                limit: random.u64(1..8),
                wait_s: random.u64(..2),
            },
        }
    }

    /// Notes what the request may change before it is sent.
    fn begin(&self, step: &Step) -> Request {
        let mut state = self.state();
        match step {
            Step::Put(ids) => {
                let bodies: Vec<String> = ids.iter().map(|id| format!("body of {id}")).collect();
                for (id, body) in ids.iter().zip(&bodies) {
                    state.jobs.insert(id.clone(), Job::asked_for(body));
                }
                state.open_batches.push(ids.clone());
                match ids.as_slice() {
                    [id] => Request::new("PUT", format!("{QUEUE}/{id}?ttl=0"))
                        .with_body(bodies.concat()),
                    _ => {
                        let entries: Vec<Value> = ids
                            .iter()
                            .zip(&bodies)
                            .map(|(id, body)| batch_entry(Some(id), body.as_bytes(), Some(0), None))
                            .collect();
                        Request::new("PUT", QUEUE).with_body(Value::from(entries).to_string())
                    }
                }
            }
            Step::Claim { limit, wait_s } => {
                state.open_claims += limit;
                let target =
                    format!("{QUEUE}?claim=true&limit={limit}&hide={HIDE_S}&wait={wait_s}");
                Request::new("POST", target)
            }
            Step::Delete(id, token) => {
                state.deleting(id);
                Request::new("DELETE", format!("{QUEUE}/{id}?claim={token}"))
            }
            Step::Release(id, token) => {
                if let Some(job) = state.jobs.get_mut(id) {
                    job.releasing = Some(token.clone());
                    job.held = None;
                }
                Request::new("POST", format!("{QUEUE}/{id}?hide=0&claim={token}"))
            }
            Step::Settle(entries) => {
                for (id, _) in entries {
                    state.deleting(id);
                }
                state
                    .open_settlements
                    .push(entries.iter().map(|(id, _)| id.clone()).collect());
                let entries: Vec<Value> = entries
                    .iter()
                    .map(|(id, token)| json!({ "id": id, "claim": token, "delete": true }))
                    .collect();
                Request::new("POST", QUEUE).with_body(Value::from(entries).to_string())
            }
        }
    }

    fn end(
        &self,
        step: Step,
        response: &Response,
        held: &mut Vec<(String, String)>,
    ) -> Result<(), String> {
        let mut state = self.state();
        let status = |expected: u16| match response.status {
            status if status == expected => Ok(()),
            status => Err(format!("status {status}: {}", response.text())),
        };
        match step {
            Step::Put(ids) => {
                status(201)?;
                for id in &ids {
                    if let Some(job) = state.jobs.get_mut(id) {
                        job.created = true;
                    }
                }
                state.open_batches.retain(|open| open != &ids);
            }
            Step::Claim { limit, .. } => {
                state.open_claims -= limit;
                if response.status != 404 {
                    status(200)?;
                    for listed in read_list(&response.json())? {
                        held.push(state.claimed(listed)?);
                    }
                }
            }
            Step::Delete(id, _) => {
                status(204)?;
                state.finish(id);
            }
            Step::Release(id, token) => {
                status(204)?;
                // By now somebody else may have claimed it, and be releasing it again.
                if let Some(job) = state.jobs.get_mut(&id) {
                    job.releasing.take_if(|releasing| *releasing == token);
                }
            }
            Step::Settle(entries) => {
                status(200)?;
                let ids: Vec<String> = entries.into_iter().map(|(id, _)| id).collect();
                state.open_settlements.retain(|open| open != &ids);
                for (id, result) in ids
                    .into_iter()
                    .zip(response.json().as_array().into_iter().flatten())
                {
                    if result.get("status").and_then(Value::as_u64) != Some(204) {
                        return Err(format!("the current claim of {id} was refused: {result}"));
                    }
                    state.finish(id);
                }
            }
        }
        Ok(())
    }

    /// The request was refused: nothing happened.
    fn undo(&self, step: Step, held: &mut Vec<(String, String)>) {
        let mut state = self.state();
        match step {
            Step::Put(ids) => {
                state.open_batches.retain(|open| open != &ids);
                for id in ids {
                    state.jobs.remove(&id);
                }
            }
            Step::Claim { limit, .. } => state.open_claims -= limit,
            Step::Delete(id, token) | Step::Release(id, token) => {
                state.keep(&id, &token);
                held.push((id, token));
            }
            Step::Settle(entries) => {
                state
                    .open_settlements
                    .retain(|open| !open.iter().eq(entries.iter().map(|(id, _)| id)));
                for (id, token) in entries {
                    state.keep(&id, &token);
                    held.push((id, token));
                }
            }
        }
    }

    /// Reads the queue back and holds it against the board; uses every token that must
    /// still be good; leaves all jobs visible.
    pub fn verify(&self, connection: &mut Connection) -> Result<(), String> {
        let mut state = self.state();
        let target = format!("{QUEUE}?match_hidden=true&detail=all");
        let response = connection
            .call(&Request::new("GET", target))
            .map_err(|error| error.to_string())?;
        let mut stored: HashMap<String, Listed> = match response.status {
            404 => HashMap::new(),
            _ => read_list(&response.json())?
                .into_iter()
                .map(|listed| (listed.id.clone(), listed))
                .collect(),
        };
        state.check_shared_fates(&stored)?;
        let mut taken_unknown = 0;
        let jobs = std::mem::take(&mut state.jobs);
        for (id, mut job) in jobs {
            let Some(listed) = stored.remove(&id) else {
                if job.created && !job.deleting {
                    return Err(format!("{id} was acknowledged and is gone: {job:?}"));
                }
                continue;
            };
            job.check(&id, &listed)?;
            if listed.hide_s > 0 {
                taken_unknown += u64::from(job.held.is_none() && job.releasing.is_none());
                job.release(&id, connection)?;
            }
            state.jobs.insert(id, job);
        }
        if let Some((id, _)) = stored.into_iter().next() {
            let deleted = state.done.contains(&id);
            return Err(if deleted {
                format!("{id} was deleted and came back")
            } else {
                format!("{id} is unknown")
            });
        }
        if taken_unknown > state.open_claims {
            let open = state.open_claims;
            return Err(format!(
                "{taken_unknown} jobs are claimed by nobody; unanswered claims explain {open}"
            ));
        }
        *state = State {
            jobs: std::mem::take(&mut state.jobs),
            done: std::mem::take(&mut state.done),
            named: state.named,
            ..State::default()
        };
        Ok(())
    }
}

impl State {
    fn name(&mut self) -> String {
        self.named += 1;
        format!("job-{}", self.named)
    }

    fn deleting(&mut self, id: &str) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.deleting = true;
        }
    }

    /// The job is held as before.
    fn keep(&mut self, id: &str, token: &str) {
        if let Some(job) = self.jobs.get_mut(id) {
            (job.held, job.releasing, job.deleting) = (Some(token.to_owned()), None, false);
        }
    }

    fn finish(&mut self, id: String) {
        self.jobs.remove(&id);
        self.done.insert(id);
    }

    /// One job of an answered claim: nobody else may have it.
    fn claimed(&mut self, listed: Listed) -> Result<(String, String), String> {
        let Some(job) = self.jobs.get_mut(&listed.id) else {
            return Err(format!(
                "{} was claimed but is deleted or unknown",
                listed.id
            ));
        };
        if listed.body != job.body.as_bytes() {
            return Err(format!("{} has another body: {:?}", listed.id, listed.body));
        }
        if job.held.is_some() || job.deleting {
            return Err(format!("{} was given to two clients: {job:?}", listed.id));
        }
        let attempts = listed.attempts.ok_or("a claim without attempts")?;
        if attempts <= job.attempts.0 || attempts > job.attempts.1 + 1 {
            return Err(format!("{} has attempts {attempts}: {job:?}", listed.id));
        }
        let token = listed.claim.ok_or("a claim without a token")?;
        job.attempts = (attempts, attempts);
        job.held = Some(token.clone());
        Ok((listed.id, token))
    }

    fn check_shared_fates(&self, stored: &HashMap<String, Listed>) -> Result<(), String> {
        for batch in &self.open_batches {
            let finished = |id: &String| {
                self.done.contains(id) || self.jobs.get(id).is_some_and(|job| job.deleting)
            };
            let there = batch
                .iter()
                .filter(|id| stored.contains_key(*id) || finished(id))
                .count();
            if there != 0 && there != batch.len() {
                return Err(format!(
                    "{there} of the {} messages of one batch are stored: {batch:?}",
                    batch.len()
                ));
            }
        }
        for settlement in &self.open_settlements {
            let there = settlement
                .iter()
                .filter(|id| stored.contains_key(*id))
                .count();
            if there != 0 && there != settlement.len() {
                return Err(format!(
                    "{there} of {} messages of one settlement are left: {settlement:?}",
                    settlement.len()
                ));
            }
        }
        Ok(())
    }
}

impl Job {
    fn asked_for(body: &str) -> Self {
        Self {
            body: body.to_owned(),
            created: false,
            held: None,
            releasing: None,
            deleting: false,
            attempts: (0, 0),
        }
    }

    /// Holds the stored message against what is known.
    fn check(&mut self, id: &str, listed: &Listed) -> Result<(), String> {
        if listed.body != self.body.as_bytes() {
            return Err(format!("{id} has another body: {:?}", listed.body));
        }
        let hidden = listed.hide_s > 0;
        if self.held.is_some() && !hidden {
            return Err(format!(
                "{id} is visible in spite of an acknowledged claim: {self:?}"
            ));
        }
        if hidden && self.held.is_none() {
            // A claim that was not answered has it, or a release that was not answered
            // did not happen, or both happened.
            self.attempts.1 += 1;
            self.attempts.0 += u64::from(self.releasing.is_none());
        }
        Ok(())
    }

    /// Makes it visible again: with its token if there is one, so that every
    /// acknowledged claim is seen to work.
    fn release(&mut self, id: &str, connection: &mut Connection) -> Result<(), String> {
        let token = self
            .held
            .as_ref()
            .map_or(String::new(), |token| format!("&claim={token}"));
        let request = Request::new("POST", format!("{QUEUE}/{id}?hide=0{token}"));
        let response = connection
            .call(&request)
            .map_err(|error| error.to_string())?;
        if response.status != 204 {
            return Err(format!(
                "{id}: {request:?} was refused: {} {}",
                response.status,
                response.text()
            ));
        }
        (self.created, self.held, self.releasing, self.deleting) = (true, None, None, false);
        Ok(())
    }
}
