//! gearmand's binary protocol: background jobs, and a worker that grabs and completes them.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::ops::Range;

use anyhow::{Context, bail};

use super::client::{Claims, Client, Handle, Taken};
use crate::content::{self, Id};

const CAN_DO: u32 = 1;
const JOB_CREATED: u32 = 8;
const GRAB_JOB: u32 = 9;
const JOB_ASSIGN: u32 = 11;
const WORK_COMPLETE: u32 = 13;
const ECHO_REQ: u32 = 16;
const ECHO_RES: u32 = 17;
const SUBMIT_JOB_BG: u32 = 18;

#[derive(Default)]
pub(super) struct Gearman {
    /// Answers that are still to come for each request, and the messages of it.
    asked: VecDeque<(u64, u64)>,
    is_worker: bool,
}

fn packet(out: &mut Vec<u8>, kind: u32, parts: &[&[u8]]) -> anyhow::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = length + parts.len().saturating_sub(1);
    out.extend_from_slice(b"\0REQ");
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&u32::try_from(length)?.to_be_bytes());
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            out.push(0);
        }
        out.extend_from_slice(part);
    }
    Ok(())
}

impl Client for Gearman {
    fn open(&mut self, _: &mut TcpStream) -> anyhow::Result<()> {
        self.is_worker = false;
        Ok(())
    }

    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        let count = numbers.end - numbers.start;
        self.asked.push_back((count, count));
        numbers.into_iter().try_for_each(|number| {
            let (id, body) = (Id::of(number), content::body(number));
            packet(out, SUBMIT_JOB_BG, &[b"jobs", id.as_str().as_bytes(), body])
        })
    }

    fn claim(&mut self, out: &mut Vec<u8>, count: u64) -> anyhow::Result<()> {
        // Only now: a worker that sleeps is woken by each job that comes.
        if !self.is_worker {
            packet(out, CAN_DO, &[b"jobs"])?;
            self.is_worker = true;
        }
        self.asked.push_back((count, count));
        (0..count).try_for_each(|_| packet(out, GRAB_JOB, &[]))
    }

    fn delete(&mut self, out: &mut Vec<u8>, handles: &[Handle]) -> anyhow::Result<()> {
        self.asked.push_back((1, handles.len() as u64));
        for handle in handles {
            packet(out, WORK_COMPLETE, &[handle, b""])?;
        }
        // Completion of a background job is not answered; this is, after it.
        packet(out, ECHO_REQ, &[b"done"])
    }

    fn answer(&mut self, input: &[u8], claims: &mut Claims) -> anyhow::Result<Option<Taken>> {
        let Some((head, rest)) = input.split_first_chunk::<12>() else {
            return Ok(None);
        };
        let [_, _, _, _, k0, k1, k2, k3, l0, l1, l2, l3] = *head;
        let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize;
        let Some(data) = rest.get(..length) else {
            return Ok(None);
        };
        match u32::from_be_bytes([k0, k1, k2, k3]) {
            JOB_CREATED | ECHO_RES => {}
            JOB_ASSIGN => {
                let mut parts = data.splitn(3, |byte| *byte == 0);
                let handle = parts.next().context("no handle")?;
                claims.add(handle.to_vec(), parts.nth(1).context("no body")?)?;
            }
            other => bail!("answered {other}: {}", String::from_utf8_lossy(data)),
        }
        let (left, messages) = self.asked.front_mut().context("an answer too many")?;
        *left -= 1;
        if *left > 0 {
            return Ok(Taken::more(12 + length));
        }
        let messages = *messages;
        self.asked.pop_front();
        Ok(Taken::done(12 + length, messages))
    }
}
