//! What directories have in common. A name is written when a queue appears for the first time, and
//! taken off when its object has given everything back; whether it exists in between is for the
//! queue itself to say.

use std::cell::RefCell;

use futures_util::future::join_all;
use futures_util::lock::Mutex;
use worker::{Env, Request, Response, Result, SqlStorage, State};

use crate::directory::{self, Read};
use crate::http::{Described, respond};
use crate::sql::{execute, has_table, query, text};
use crate::variables::Variables;

/// So many are asked at a time.
const CHUNK: usize = 16;

/// A list of names in an object's storage.
pub(crate) struct Names {
    pub(crate) sql: SqlStorage,
    /// In order of their bytes; none until they are read.
    read: RefCell<Option<Vec<String>>>,
    /// Changes of the list are made one after the other.
    line: Mutex<()>,
}

impl Names {
    pub(crate) fn new(state: &State) -> Self {
        Self {
            sql: state.storage().sql(),
            read: RefCell::new(None),
            line: Mutex::new(()),
        }
    }

    pub(crate) fn all(&self) -> Result<Vec<String>> {
        if let Some(names) = &*self.read.borrow() {
            return Ok(names.clone());
        }
        let mut names = Vec::new();
        if has_table(&self.sql, "names")? {
            for row in query(&self.sql, "SELECT name FROM names ORDER BY name", vec![])? {
                names.push(text(row.first())?.to_owned());
            }
        }
        *self.read.borrow_mut() = Some(names.clone());
        Ok(names)
    }

    pub(crate) async fn add(
        &self,
        name: &str,
        before_first: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let _turn = self.line.lock().await;
        let names = self.all()?;
        if names.iter().any(|known| known == name) {
            return Ok(());
        }
        if names.is_empty() {
            before_first.await?;
        }
        let create = "CREATE TABLE IF NOT EXISTS names (name TEXT PRIMARY KEY) WITHOUT ROWID";
        execute(&self.sql, create, vec![])?;
        execute(&self.sql, "INSERT INTO names VALUES (?)", vec![name.into()])?;
        *self.read.borrow_mut() = None;
        Ok(())
    }

    pub(crate) async fn drop(
        &self,
        name: &str,
        when_empty: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        let _turn = self.line.lock().await;
        if !self.all()?.iter().any(|known| known == name) {
            return Ok(());
        }
        let delete = "DELETE FROM names WHERE name = ?";
        execute(&self.sql, delete, vec![name.into()])?;
        *self.read.borrow_mut() = None;
        if self.all()?.is_empty() {
            when_empty.await?;
        }
        Ok(())
    }

    /// The answer to a request for a list, or to remove what it lists. `act` removes a name, or
    /// tells whether it exists; `exists` is asked where nothing is listed behind the marker.
    pub(crate) async fn list(
        &self,
        env: &Env,
        request: &Request,
        act: impl AsyncFn(&str, &str) -> Result<bool>,
        exists: impl AsyncFnOnce() -> Result<bool>,
    ) -> Result<Response> {
        let rest = &Variables::of(env)?.settings.rest;
        let described = Described::of(request)?;
        let wanted = match directory::read(&described.with_body(&[]), rest) {
            Read::Answered(response) => return respond(response),
            Read::Wanted(wanted) => wanted,
        };
        let names = self.all()?;
        let marker = wanted.marker.as_deref();
        let behind = marker.map_or(0, |marker| {
            names.partition_point(|name| name.as_bytes() <= marker)
        });
        let limit = wanted.limit.and_then(|limit| usize::try_from(limit).ok());
        let question = if wanted.removes { "remove" } else { "is-alive" };
        let found = find(
            names.get(behind..).unwrap_or_default(),
            limit.unwrap_or(usize::MAX),
            async |name| act(name, question).await,
        );
        let found = found.await?;
        let exists = found.is_empty() && behind > 0 && exists().await?;
        let names = found.iter().map(String::as_str);
        respond(directory::answer(
            &described.with_body(&[]),
            rest,
            exists,
            names,
        ))
    }

    /// Asks all for their digests, and adds them up.
    pub(crate) async fn digests(&self, ask: impl AsyncFn(&str) -> Result<String>) -> Result<u64> {
        let mut sum = 0_u64;
        for chunk in self.all()?.chunks(CHUNK) {
            for digest in join_all(chunk.iter().map(|name| ask(name))).await {
                let digest: u64 = digest?.parse().map_err(|_| "a digest is no number")?;
                sum = sum.wrapping_add(digest);
            }
        }
        Ok(sum)
    }
}

/// Does something with each name; those for which it is true, in order, at most so many.
pub(crate) async fn find(
    names: &[String],
    limit: usize,
    act: impl AsyncFn(&str) -> Result<bool>,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = names;
    while !rest.is_empty() && found.len() < limit {
        let (chunk, behind) = rest.split_at(rest.len().min(CHUNK).min(limit - found.len()));
        let results = join_all(chunk.iter().map(|name| act(name))).await;
        for (name, result) in chunk.iter().zip(results) {
            if result? {
                found.push(name.clone());
            }
        }
        rest = behind;
    }
    Ok(found)
}
