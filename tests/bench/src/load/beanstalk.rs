//! beanstalkd's text protocol. It has no batches: those are commands sent in one go.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::Range;

use anyhow::{Context, bail, ensure};

use super::client::{Claims, Client, Handle, Taken, line_length, number};
use crate::content;

#[derive(Default)]
pub(super) struct Beanstalk {
    /// Answers that are still to come for each request, and the messages of it.
    asked: VecDeque<(u64, u64)>,
}

impl Beanstalk {
    fn ask(&mut self, count: u64) {
        self.asked.push_back((count, count));
    }
}

impl Client for Beanstalk {
    fn insert(&mut self, out: &mut Vec<u8>, numbers: Range<u64>) -> anyhow::Result<()> {
        self.ask(numbers.end - numbers.start);
        for number in numbers {
            let body = content::body(number);
            write!(out, "put 0 0 3600 {}\r\n", body.len())?;
            out.extend_from_slice(body);
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn claim(&mut self, out: &mut Vec<u8>, count: u64) -> anyhow::Result<()> {
        self.ask(count);
        (0..count).for_each(|_| out.extend_from_slice(b"reserve-with-timeout 0\r\n"));
        Ok(())
    }

    fn delete(&mut self, out: &mut Vec<u8>, handles: &[Handle]) -> anyhow::Result<()> {
        self.ask(handles.len() as u64);
        for handle in handles {
            out.extend_from_slice(b"delete ");
            out.extend_from_slice(handle);
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn answer(&mut self, input: &[u8], claims: &mut Claims) -> anyhow::Result<Option<Taken>> {
        let Some(line_bytes) = line_length(input) else {
            return Ok(None);
        };
        let line = &input[..line_bytes - 2];
        let mut bytes = line_bytes;
        if let Some(rest) = line.strip_prefix(b"RESERVED ") {
            let space = memchr::memchr(b' ', rest).context("no length")?;
            let length = number(&rest[space + 1..])?;
            let Some(body) = input.get(line_bytes..line_bytes + length + 2) else {
                return Ok(None);
            };
            claims.add(rest[..space].to_vec(), &body[..length])?;
            bytes += length + 2;
        } else {
            let is_done = line.starts_with(b"INSERTED ") || line == b"DELETED";
            ensure!(is_done, "answered {}", String::from_utf8_lossy(line));
        }
        let Some((left, messages)) = self.asked.front_mut() else {
            bail!("an answer too many")
        };
        *left -= 1;
        if *left > 0 {
            return Ok(Taken::more(bytes));
        }
        let messages = *messages;
        self.asked.pop_front();
        Ok(Taken::done(bytes, messages))
    }
}
