//! JSON that clients send: arrays of items, or one item a line, and the values in them.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::refused;
use super::response::Response;
use super::seconds::{parse_span, parse_whole};
use crate::refusal::{Field, LimitName, Refusal};
use crate::time::MAX_SPAN_MS;

/// A JSON string; borrowed where it has no escapes.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// A JSON number as it is written, because a float would not keep decimals exact.
pub(super) type Number<'a> = &'a RawValue;

pub(super) fn read_span(field: Field, number: Option<Number<'_>>) -> Result<Option<u64>, String> {
    number
        .map(|number| parse_span(field, number.get(), MAX_SPAN_MS))
        .transpose()
}

pub(super) fn read_whole(
    field: Field,
    number: Option<Number<'_>>,
    maximum: u64,
) -> Result<Option<u64>, String> {
    number
        .map(|number| parse_whole(field, number.get(), 1, maximum))
        .transpose()
}

/// How the items of a body are read.
pub(super) struct Items<'s, C> {
    /// What the items are, for the error: "messages".
    pub(super) plural: &'s str,
    pub(super) max_items: u64,
    /// Makes of an item what a command takes; the error is for the client.
    pub(super) convert: C,
}

impl<C> Items<'_, C> {
    /// Reads a JSON array of items.
    pub(super) fn read_array<'a, I, T>(&self, body: &'a [u8]) -> Result<Vec<T>, Response>
    where
        I: Deserialize<'a>,
        C: Fn(I) -> Result<T, String>,
    {
        let mut reading = Reading {
            items: self,
            read: Vec::new(),
            too_many: false,
            item: core::marker::PhantomData,
        };
        let mut json = serde_json::Deserializer::from_slice(body);
        let outcome = ArrayOf(&mut reading)
            .deserialize(&mut json)
            .and_then(|()| json.end());
        let index = reading.read.len();
        match outcome {
            Ok(()) => Ok(reading.read),
            Err(_) if reading.too_many => Err(self.too_many()),
            Err(error) => Err(self.bad(index, error)),
        }
    }

    /// Reads items that follow one another, with white space between them: NDJSON.
    pub(super) fn read_lines<'a, I, T>(&self, body: &'a [u8]) -> Result<Vec<T>, Response>
    where
        I: Deserialize<'a>,
        C: Fn(I) -> Result<T, String>,
    {
        let mut read = Vec::new();
        for item in serde_json::Deserializer::from_slice(body).into_iter::<I>() {
            if read.len() as u64 >= self.max_items {
                return Err(self.too_many());
            }
            let item = item.map_err(|error| self.bad(read.len(), error))?;
            let item = (self.convert)(item).map_err(|error| self.bad(read.len(), error))?;
            read.push(item);
        }
        Ok(read)
    }

    fn too_many(&self) -> Response {
        refused::respond(&Refusal::TooLarge {
            limit: LimitName::BatchMessages,
            maximum: self.max_items,
        })
    }

    fn bad(&self, index: usize, error: impl fmt::Display) -> Response {
        Response::bad_request(format!("{}[{index}]: {error}", self.plural))
    }
}

struct Reading<'r, 's, C, I, T> {
    items: &'r Items<'s, C>,
    read: Vec<T>,
    too_many: bool,
    item: core::marker::PhantomData<fn(I)>,
}

struct ArrayOf<'r, R>(&'r mut R);

impl<'a, C, I, T> DeserializeSeed<'a> for ArrayOf<'_, Reading<'_, '_, C, I, T>>
where
    I: Deserialize<'a>,
    C: Fn(I) -> Result<T, String>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'a, C, I, T> Visitor<'a> for ArrayOf<'_, Reading<'_, '_, C, I, T>>
where
    I: Deserialize<'a>,
    C: Fn(I) -> Result<T, String>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of {}", self.0.items.plural)
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<(), A::Error> {
        let reading = self.0;
        while (reading.read.len() as u64) < reading.items.max_items {
            let Some(item) = array.next_element()? else {
                return Ok(());
            };
            reading
                .read
                .push((reading.items.convert)(item).map_err(A::Error::custom)?);
        }
        if array.next_element::<IgnoredAny>()?.is_some() {
            reading.too_many = true;
            return Err(A::Error::custom("too many"));
        }
        Ok(())
    }
}
