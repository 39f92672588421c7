//! JSON that clients send: arrays of items, or one item a line, and the values in them.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::reader::{Reader, Value};
use super::refused;
use super::response::Response;
use super::seconds::{parse_span, parse_whole};
use crate::refusal::{Field, LimitName, Refusal};
use crate::time::MAX_SPAN_MS;

/// What is no number is told as a number that is not in the range.
fn number<'a>(value: &Value<'a>) -> Option<&'a str> {
    match value {
        Value::Absent | Value::Null => None,
        Value::Number(number) => Some(number),
        Value::Bool(_) | Value::Text(_) => Some(""),
    }
}

pub(super) fn read_span(field: Field, value: &Value<'_>) -> Result<Option<u64>, String> {
    number(value)
        .map(|number| parse_span(field, number, MAX_SPAN_MS))
        .transpose()
}

pub(super) fn read_whole(
    field: Field,
    value: &Value<'_>,
    maximum: u64,
) -> Result<Option<u64>, String> {
    number(value)
        .map(|number| parse_whole(field, number, 1, maximum))
        .transpose()
}

pub(super) fn read_text<'a>(key: &str, value: Value<'a>) -> Result<Option<Cow<'a, str>>, String> {
    match value {
        Value::Absent | Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text)),
        Value::Bool(_) | Value::Number(_) => Err(format!("{key} is not a string")),
    }
}

/// As [`read_text`], for what must be there.
pub(super) fn need_text<'a>(key: &str, value: Value<'a>) -> Result<Cow<'a, str>, String> {
    match value {
        Value::Absent => Err(format!("missing field `{key}`")),
        value => read_text(key, value)?.ok_or_else(|| format!("{key} is not a string")),
    }
}

/// How the items of a body are read.
pub(super) struct Items<'s, R> {
    /// What the items are, for the error: "messages".
    pub(super) plural: &'s str,
    pub(super) max_items: u64,
    /// Reads an item; the error is for the client.
    pub(super) read: R,
}

impl<R> Items<'_, R> {
    /// Reads a JSON array of items.
    pub(super) fn read_array<'a, T>(&self, body: &'a [u8]) -> Result<Vec<T>, Response>
    where
        R: Fn(&mut Reader<'a>) -> Result<T, String>,
    {
        let mut json = Reader::new(body);
        let mut items = Vec::new();
        let begun = json.begin_array(self.plural);
        let mut goes_on = begun.map_err(|error| self.bad(0, error))?;
        while goes_on {
            self.add(&mut items, &mut json)?;
            let behind = json.goes_on(b']');
            goes_on = behind.map_err(|error| self.bad(items.len(), error))?;
        }
        json.end().map_err(|error| self.bad(items.len(), error))?;
        Ok(items)
    }

    /// Reads items that follow one another, with white space between them: NDJSON.
    pub(super) fn read_lines<'a, T>(&self, body: &'a [u8]) -> Result<Vec<T>, Response>
    where
        R: Fn(&mut Reader<'a>) -> Result<T, String>,
    {
        let mut json = Reader::new(body);
        let mut items = Vec::new();
        while !json.is_at_end() {
            self.add(&mut items, &mut json)?;
        }
        Ok(items)
    }

    fn add<'a, T>(&self, items: &mut Vec<T>, json: &mut Reader<'a>) -> Result<(), Response>
    where
        R: Fn(&mut Reader<'a>) -> Result<T, String>,
    {
        if items.len() as u64 >= self.max_items {
            return Err(refused::respond(&Refusal::TooLarge {
                limit: LimitName::BatchMessages,
                maximum: self.max_items,
            }));
        }
        let item = (self.read)(json);
        items.push(item.map_err(|error| self.bad(items.len(), error))?);
        Ok(())
    }

    fn bad(&self, index: usize, error: impl fmt::Display) -> Response {
        Response::bad_request(format!("{}[{index}]: {error}", self.plural))
    }
}
