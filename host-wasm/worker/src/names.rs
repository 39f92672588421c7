//! What directories have in common. A name is written when a queue appears for the first time, and
//! taken off when its object has given everything back; whether it exists in between is for the
//! queue itself to say.

use std::cell::RefCell;

use burrow_core::{ENTRY_BYTES, Node};
use worker::Env;
use worker::web_sys::{Request, Response};
use worker::worker_sys::{DurableObjectState, SqlStorage};

use crate::directory::{self, Read, Wanted};
use crate::error::Result;
use crate::http::{Described, respond};
use crate::places::{self, ADVANCE, About, Asked, IS_ALIVE, REMOVE, YES};
use crate::sql::{execute, has_table, query, text};
use crate::turns::Turns;
use crate::variables::Variables;

/// So many are asked at a time.
const CHUNK: usize = 16;
/// So many are asked at the most where only the words of an answer depend on it.
const MOST_FOR_WORDS: usize = 4 * CHUNK;

/// What queues hold after their clocks were moved.
#[derive(Default)]
pub(crate) struct Contents {
    pub(crate) digest: u64,
    /// Requests that wait.
    pub(crate) waiters: u64,
}

impl Contents {
    pub(crate) fn of(node: &Node) -> Self {
        Self {
            digest: node.digest(),
            waiters: node.stats().waiters,
        }
    }

    /// As one object tells another.
    pub(crate) fn to_text(&self) -> String {
        format!("{} {}", self.digest, self.waiters)
    }

    fn read(text: &str) -> Option<Self> {
        let (digest, waiters) = text.split_once(' ')?;
        Some(Self {
            digest: digest.parse().ok()?,
            waiters: waiters.parse().ok()?,
        })
    }
}

/// A list of names in an object's storage.
pub(crate) struct Names {
    pub(crate) sql: SqlStorage,
    /// In order of their bytes; none until they are read.
    read: RefCell<Option<Vec<String>>>,
    /// One that was there when it was asked last.
    seen: RefCell<Option<String>>,
    /// Changes of the list are made one after the other.
    line: Turns,
}

impl Names {
    pub(crate) fn new(state: &DurableObjectState) -> Result<Self> {
        Ok(Self {
            sql: state.storage()?.sql(),
            read: RefCell::new(None),
            seen: RefCell::new(None),
            line: Turns::default(),
        })
    }

    pub(crate) fn all(&self) -> Result<Vec<String>> {
        if let Some(names) = &*self.read.borrow() {
            return Ok(names.clone());
        }
        let mut names = Vec::new();
        if has_table(&self.sql, "names")? {
            for row in query(&self.sql, "SELECT name FROM names ORDER BY name", &[])? {
                names.push(text(&row, 0)?);
            }
        }
        *self.read.borrow_mut() = Some(names.clone());
        Ok(names)
    }

    /// Adds a name. Before the first, `root` is told.
    pub(crate) async fn add(&self, name: &str, root: Option<&Below<'_>>) -> Result<()> {
        let _turn = self.line.line_up().turn().await;
        let names = self.all()?;
        if names.iter().any(|known| known == name) {
            return Ok(());
        }
        if names.is_empty() {
            tell("register", root).await?;
        }
        let create = "CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY) WITHOUT ROWID";
        execute(&self.sql, create, &[])?;
        execute(&self.sql, "INSERT INTO names VALUES (?)", &[name.into()])?;
        *self.read.borrow_mut() = None;
        Ok(())
    }

    /// Takes a name off. When none is left, `root` is told.
    pub(crate) async fn drop(&self, name: &str, root: Option<&Below<'_>>) -> Result<()> {
        let _turn = self.line.line_up().turn().await;
        if !self.all()?.iter().any(|known| known == name) {
            return Ok(());
        }
        let delete = "DELETE FROM names WHERE name = ?";
        execute(&self.sql, delete, &[name.into()])?;
        *self.read.borrow_mut() = None;
        if self.all()?.is_empty() {
            tell("forget", root).await?;
        }
        Ok(())
    }

    /// The answer to a request for a list, or to remove what it lists.
    pub(crate) async fn list(&self, below: &Below<'_>, request: &Request) -> Result<Response> {
        let settings = &Variables::of(below.env)?.settings;
        let rest = &settings.rest;
        let described = Described::of(request);
        let wanted = match directory::read(&described.with_body(&[]), rest) {
            Read::Answered(response) => return respond(response),
            Read::Wanted(wanted) => wanted,
        };
        let (found, exists) = self.covered(below, &wanted).await?;
        let names = found.iter().map(String::as_str);
        respond(directory::answer(
            &described.with_body(&[]),
            settings,
            exists,
            names,
        ))
    }

    /// The names that are wanted, as many as one answer may have; if there are more, one more, which is not
    /// removed. If there are none behind the marker, it is also told whether there are any before it.
    pub(crate) async fn covered(
        &self,
        below: &Below<'_>,
        wanted: &Wanted,
    ) -> Result<(Vec<String>, bool)> {
        let names = self.all()?;
        let marker = wanted.marker.as_deref();
        let behind = marker.map_or(0, |marker| {
            names.partition_point(|name| name.as_bytes() <= marker)
        });
        let limit = wanted.limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.unwrap_or(usize::MAX);
        let question = if wanted.removes { REMOVE } else { IS_ALIVE };
        let names = names.get(behind..).unwrap_or_default();
        let most_bytes = Variables::of(below.env)?
            .settings
            .node
            .limits
            .max_answer_bytes;
        let found = below.find(question, names, limit, most_bytes).await?;
        // An account that has nothing behind the marker may have something before it.
        let is_doubtful = found.is_empty() && behind > 0 && !below.are_accounts;
        let exists = is_doubtful && self.any(below, None).await?;
        Ok((found, exists))
    }

    /// True if one of them exists, other than this one. The one that was there last time is asked first.
    pub(crate) async fn any(&self, below: &Below<'_>, but: Option<&str>) -> Result<bool> {
        let mut names = self.all()?;
        names.retain(|name| Some(name.as_str()) != but);
        let seen = self.seen.borrow().clone();
        if let Some(seen) = seen.filter(|seen| names.contains(seen))
            && below.begin(IS_ALIVE, &seen)?.told().await? == YES
        {
            return Ok(true);
        }
        if but.is_some() {
            names.truncate(MOST_FOR_WORDS);
        }
        let found = below.find(IS_ALIVE, &names, 1, u64::MAX).await?;
        let is_there = !found.is_empty();
        self.seen.replace(found.into_iter().next());
        Ok(is_there)
    }

    /// Removes all, and tells whether there were any.
    pub(crate) async fn remove_all(&self, below: &Below<'_>) -> Result<bool> {
        let names = self.all()?;
        let removed = below.find(REMOVE, &names, usize::MAX, u64::MAX).await?;
        Ok(!removed.is_empty())
    }

    /// Moves the clocks of all on, and adds up what they hold.
    pub(crate) async fn advance(&self, below: &Below<'_>) -> Result<Contents> {
        let mut sum = Contents::default();
        for chunk in self.all()?.chunks(CHUNK) {
            for asked in below.ask_all(ADVANCE, chunk)? {
                let told = Contents::read(&asked.told().await?);
                let told = told.ok_or("what a queue holds is no number")?;
                sum.digest = sum.digest.wrapping_add(told.digest);
                sum.waiters += told.waiters;
            }
        }
        Ok(sum)
    }
}

/// Tells the list of accounts of an account, which is given as it asks.
async fn tell(what: &str, of: Option<&Below<'_>>) -> Result<()> {
    if let Some(below) = of {
        places::root(below.env)?.ask(what, below.about, &[]).await?;
    }
    Ok(())
}

/// The objects whose names a directory has.
pub(crate) struct Below<'a> {
    pub(crate) env: &'a Env,
    pub(crate) about: &'a About,
    pub(crate) are_accounts: bool,
}

impl Below<'_> {
    fn begin(&self, question: &str, name: &str) -> Result<Asked> {
        let (place, about) = if self.are_accounts {
            let about = self.about.with_account(name);
            (places::account(self.env, name)?, about)
        } else {
            let about = self.about.with_queue(name);
            (places::queue(self.env, &about.account, name)?, about)
        };
        place.begin(question, &about, &[])
    }

    /// Asks about all these names at once.
    fn ask_all(&self, question: &str, names: &[String]) -> Result<Vec<Asked>> {
        let asked = names.iter().map(|name| self.begin(question, name));
        asked.collect()
    }

    /// Asks about each name; those for which the answer is yes, in order, at most so many. Once they are so large,
    /// one more is told that is there, and no more are removed. Beyond the limit some may be asked in vain.
    async fn find(
        &self,
        question: &str,
        names: &[String],
        limit: usize,
        most_bytes: u64,
    ) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut bytes = 0;
        let mut rest = names;
        let mut most_found = limit;
        while !rest.is_empty() && found.len() < most_found {
            let is_full = bytes >= most_bytes;
            let question = if is_full { IS_ALIVE } else { question };
            let mut most = CHUNK;
            if is_full {
                most_found = limit.min(found.len() + 1);
            } else {
                if question == REMOVE {
                    most = most.min(limit - found.len());
                }
                // As many as are told even if all of them are there.
                let mut with_all = bytes;
                let fits = |name: &&String| {
                    let is_told = with_all < most_bytes;
                    with_all += bytes_of(name);
                    is_told
                };
                most = rest.iter().take(most).take_while(fits).count();
            }
            let (chunk, behind) = rest.split_at(rest.len().min(most));
            for (name, asked) in chunk.iter().zip(self.ask_all(question, chunk)?) {
                if asked.told().await? == YES {
                    bytes += bytes_of(name);
                    found.push(name.clone());
                }
            }
            rest = behind;
        }
        found.truncate(most_found);
        Ok(found)
    }
}

/// What a name counts for in an answer.
fn bytes_of(name: &str) -> u64 {
    ENTRY_BYTES + name.len() as u64
}
