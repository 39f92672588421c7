//! HTTP, and the bare echo of the same bytes.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::Range;

use anyhow::{Context, ensure};
use memchr::memmem;
use serde::Deserialize;
use serde_json::json;

use super::client::{Claims, Client, Handle, Taken, number};
use super::{Plan, Work};
use crate::content::{self, Id};

/// What comes back is what was sent.
pub(super) struct Echo {
    http: Http,
    unanswered: VecDeque<Range<u64>>,
    expected: Vec<u8>,
}

impl Echo {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            http: Http::new(plan),
            unanswered: VecDeque::new(),
            expected: Vec::new(),
        }
    }
}

impl Client for Echo {
    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        self.unanswered.push_back(numbers.clone());
        self.http.write_insert(out, numbers)
    }

    fn claim(&mut self, _: &mut Vec<u8>, _: u64) -> anyhow::Result<()> {
        anyhow::bail!("an echo holds nothing")
    }

    fn delete(&mut self, _: &mut Vec<u8>, _: &[Handle]) -> anyhow::Result<()> {
        anyhow::bail!("an echo holds nothing")
    }

    fn answer(&mut self, input: &[u8], _: &mut Claims) -> anyhow::Result<Option<Taken>> {
        let Some(numbers) = self.unanswered.front() else {
            return Ok(None);
        };
        self.expected.clear();
        self.http
            .write_insert(&mut self.expected, numbers.clone())?;
        let Some(echo) = input.get(..self.expected.len()) else {
            return Ok(None);
        };
        ensure!(echo == self.expected, "another echo");
        let count = numbers.end - numbers.start;
        self.unanswered.pop_front();
        Ok(Taken::done(echo.len(), count))
    }
}

/// The REST front-end; also servers that answer a PUT with an empty 201.
pub(super) struct Http {
    path: String,
    batch: u64,
    body_bytes: usize,
    /// What the requests in flight ask for, and for how many messages.
    asked: VecDeque<(Work, u64)>,
}

impl Http {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            path: format!("/v1.0/bench/{}", plan.queue),
            batch: plan.batch,
            body_bytes: plan.body_bytes,
            asked: VecDeque::new(),
        }
    }

    fn write_insert(&self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        let first = Id::of(numbers.start);
        if self.batch > 1 {
            let entries: Vec<_> = numbers
                .map(|number| json!({ "id": Id::of(number).as_str(), "body": content::text(number, self.body_bytes) }))
                .collect();
            let body = serde_json::to_vec(&entries)?;
            return write(out, "PUT", &self.path, &[], &body);
        }
        let body = content::body_of(numbers.start, self.body_bytes);
        write(
            out,
            "PUT",
            &self.path,
            &[b"/", first.as_str().as_bytes()],
            body,
        )
    }
}

/// One request, put together without a detour: there may be a million a second.
fn write(
    out: &mut Vec<u8>,
    method: &str,
    path: &str,
    rest: &[&[u8]],
    body: &[u8],
) -> anyhow::Result<()> {
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_bytes());
    for part in rest {
        out.extend_from_slice(part);
    }
    out.extend_from_slice(b" HTTP/1.1\r\nhost: burrow\r\ncontent-length: ");
    write!(out, "{}\r\n\r\n", body.len())?;
    out.extend_from_slice(body);
    Ok(())
}

#[derive(Deserialize)]
struct Claimed<'a> {
    id: &'a str,
    claim: &'a str,
    #[serde(borrow)]
    body: std::borrow::Cow<'a, str>,
}

impl Client for Http {
    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        self.asked
            .push_back((Work::Insert, numbers.end - numbers.start));
        self.write_insert(out, numbers)
    }

    fn claim(&mut self, out: &mut Vec<u8>, count: u64) -> anyhow::Result<()> {
        self.asked.push_back((Work::Claim, count));
        let query = format!("?claim=true&limit={count}&hide=3600&detail=all");
        write(out, "POST", &self.path, &[query.as_bytes()], b"")
    }

    fn delete(&mut self, out: &mut Vec<u8>, handles: &[Handle]) -> anyhow::Result<()> {
        self.asked.push_back((Work::Delete, handles.len() as u64));
        let [handle] = handles else {
            let mut body = Vec::from(b"[");
            for handle in handles {
                let (id, claim) = handle.split_at(content::ID_BYTES);
                let separator = if body.len() > 1 { "," } else { "" };
                write!(
                    body,
                    r#"{separator}{{"id":"{}","claim":"{}","delete":true}}"#,
                    str::from_utf8(id)?,
                    str::from_utf8(claim)?
                )?;
            }
            body.push(b']');
            return write(out, "POST", &self.path, &[], &body);
        };
        let (id, claim) = handle.split_at(content::ID_BYTES);
        write(
            out,
            "DELETE",
            &self.path,
            &[b"/", id, b"?claim=", claim],
            b"",
        )
    }

    fn answer(&mut self, input: &[u8], claims: &mut Claims) -> anyhow::Result<Option<Taken>> {
        let Some(head_end) = memmem::find(input, b"\r\n\r\n") else {
            return Ok(None);
        };
        let (head, rest) = input.split_at(head_end + 4);
        let body_length = content_length(head)?;
        let Some(body) = rest.get(..body_length) else {
            return Ok(None);
        };
        let (work, count) = self.asked.pop_front().context("an answer too many")?;
        let wanted: &[u8] = match (work, self.batch) {
            (Work::Insert, _) => b"HTTP/1.1 201 ",
            (Work::Delete, 1) => b"HTTP/1.1 204 ",
            _ => b"HTTP/1.1 200 ",
        };
        ensure!(
            head.starts_with(wanted),
            "another answer to {work:?}: {}",
            String::from_utf8_lossy(input)
        );
        let messages = match (work, self.batch) {
            (Work::Claim, _) => {
                let claimed: Vec<Claimed<'_>> = serde_json::from_slice(body)?;
                for message in &claimed {
                    let handle = [message.id.as_bytes(), message.claim.as_bytes()].concat();
                    claims.add(handle, message.body.as_bytes())?;
                }
                claimed.len() as u64
            }
            (_, 1) => 1,
            (Work::Insert, _) => memmem::find_iter(body, b"\"").count() as u64 / 2,
            (Work::Delete, _) => memmem::find_iter(body, b"\"status\":204").count() as u64,
        };
        ensure!(messages == count, "{work:?}: {messages} of {count}");
        Ok(Taken::done(head.len() + body_length, messages))
    }
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    // workerd writes names of headers with capitals.
    let place = memmem::find(head, NAME).or_else(|| memmem::find(head, b"\r\nContent-Length: "));
    let Some(place) = place else { return Ok(0) };
    let digits = &head[place + NAME.len()..];
    number(&digits[..memmem::find(digits, b"\r\n").unwrap_or(digits.len())])
}
