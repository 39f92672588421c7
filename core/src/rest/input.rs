//! JSON that clients send: objects with known fields, alone, in an array, or one a line. One reader is for all of
//! them, told by a [`Form`] what to expect, as what serde derives is compiled anew for each kind of object.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::write_string;
use super::refused::respond;
use super::response::Response;
use super::seconds::{parse_span, parse_whole};
use crate::refusal::{Field, LimitName, Refusal};
use crate::time::MAX_SPAN_MS;

/// No object has more fields.
const MOST_FIELDS: usize = 8;

/// What an object may have. A field that is absent or null has no value.
pub(super) struct Form {
    /// What it is, for errors: "an object that is a message".
    pub(super) expected: &'static str,
    /// The values come in this order.
    pub(super) fields: &'static [(&'static str, Kind)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A text without which the object is none.
    NeededText,
    Flag,
    /// Anything, as it is written: for numbers, because a float would not keep decimals exact.
    Json,
}

/// What a field has. It is of the field's kind.
#[derive(Debug, Default)]
pub(super) enum Value<'a> {
    #[default]
    None,
    /// Borrowed where it has no escapes.
    Text(Cow<'a, str>),
    Flag(bool),
    Json(&'a str),
}

/// The values of an object's fields, in the order of its form.
pub(super) type Values<'a> = [Value<'a>; MOST_FIELDS];

impl<'a> Value<'a> {
    /// The text, which it has no more.
    pub(super) fn text(&mut self) -> Option<Cow<'a, str>> {
        match core::mem::take(self) {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn flag(&self) -> bool {
        matches!(self, Self::Flag(true))
    }

    pub(super) fn json(&self) -> Option<&'a str> {
        match self {
            Self::Json(json) => Some(json),
            _ => None,
        }
    }

    pub(super) fn span(&self, field: Field) -> Result<Option<u64>, String> {
        self.json()
            .map(|number| parse_span(field, number, MAX_SPAN_MS))
            .transpose()
    }

    pub(super) fn whole(&self, field: Field, maximum: u64) -> Result<Option<u64>, String> {
        self.json()
            .map(|number| parse_whole(field, number, 1, maximum))
            .transpose()
    }
}

/// Reads an object.
pub(super) fn read_object<'a>(form: &Form, json: &'a [u8]) -> Result<Values<'a>, String> {
    let mut values = Values::default();
    let (read, end) = read(json, Wanted::Object(form, &mut values));
    match read {
        Ok(Ok(())) => Ok(values),
        Ok(Err(why)) => Err(at(&why, json, end)),
        Err(error) => Err(error.to_string()),
    }
}

/// Reads a text.
pub(super) fn read_text(json: &str) -> Option<Cow<'_, str>> {
    let mut value = Value::None;
    let wanted = Wanted::Value(Kind::NeededText, &mut value);
    read(json.as_bytes(), wanted).0.ok()?.ok()?;
    value.text()
}

/// Tells also how far was read.
fn read<'a>(json: &'a [u8], wanted: Wanted<'_, 'a>) -> (serde_json::Result<Told>, usize) {
    let mut json = serde_json::Deserializer::from_slice(json);
    let read = match wanted.deserialize(&mut json) {
        Ok(Ok(())) => json.end().map(Ok),
        other => other,
    };
    (read, json.into_iter::<IgnoredAny>().byte_offset())
}

/// Says where reading has ended, as errors of serde_json do.
pub(super) fn at(why: &str, json: &[u8], end: usize) -> String {
    let before = json.get(..end).unwrap_or(json);
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let behind = before.iter().rev().take_while(|byte| **byte != b'\n');
    format!("{why} at line {line} column {}", behind.count())
}

/// Takes an object of a body; the error is for the client.
type Take<'t, 'a> = &'t mut (dyn FnMut(&mut Values<'a>) -> Result<(), String> + 't);

/// How the items of a body are read.
pub(super) struct Items<'s> {
    /// What the items are, for the error: "messages".
    pub(super) plural: &'s str,
    pub(super) max_items: u64,
    pub(super) form: &'s Form,
}

impl Items<'_> {
    /// Reads a JSON array of items.
    pub(super) fn read_array<'a>(
        &self,
        body: &'a [u8],
        take: Take<'_, 'a>,
    ) -> Result<(), Response> {
        let mut reached = Reached::default();
        let (read, end) = read(body, Wanted::Array(self, take, &mut reached));
        let error = match (reached.stop, read) {
            // That it was not read to its end is no news.
            (Some(Stop::TooMany), _) => return Err(self.too_many()),
            (Some(Stop::Refused(why)), _) => at(&why, body, end),
            (None, Ok(Ok(()))) => return Ok(()),
            (None, Ok(Err(why))) => at(&why, body, end),
            (None, Err(error)) => error.to_string(),
        };
        Err(self.bad(reached.items, &error))
    }

    /// Takes items that follow one another, as they are read.
    pub(super) fn read_lines<'a>(
        &self,
        lines: &mut dyn Iterator<Item = Result<Values<'a>, String>>,
        take: Take<'_, 'a>,
    ) -> Result<(), Response> {
        for (index, line) in (0..).zip(lines) {
            if index >= self.max_items {
                return Err(self.too_many());
            }
            line.and_then(|mut values| take(&mut values))
                .map_err(|error| self.bad(index, &error))?;
        }
        Ok(())
    }

    fn too_many(&self) -> Response {
        respond(&Refusal::TooLarge {
            limit: LimitName::BatchMessages,
            maximum: self.max_items,
        })
    }

    fn bad(&self, index: u64, error: &str) -> Response {
        Response::bad_request(format!("{}[{index}]: {error}", self.plural))
    }
}

/// How far an array was read.
#[derive(Default)]
pub(super) struct Reached {
    items: u64,
    stop: Option<Stop>,
}

/// Why an array was not read to its end.
enum Stop {
    TooMany,
    /// An item is not as it should be.
    Refused(String),
}

/// What is to be read next, and where it goes.
pub(super) enum Wanted<'r, 'a> {
    Array(&'r Items<'r>, Take<'r, 'a>, &'r mut Reached),
    Object(&'r Form, &'r mut Values<'a>),
    /// Of a kind that is not [`Kind::Json`].
    Value(Kind, &'r mut Value<'a>),
}

/// What was read, or why it is not what is wanted. That is no error of serde: those are searched for places in
/// texts, which takes a fortieth of a whole Worker.
pub(super) type Told = Result<(), Box<str>>;

fn refused(why: String) -> Told {
    Err(why.into())
}

impl Wanted<'_, '_> {
    fn refuse(&self, found: fmt::Arguments<'_>) -> Told {
        let start = format!("invalid type: {found}, expected ");
        refused(match self {
            Self::Array(items, ..) => format!("{start}an array of {}", items.plural),
            Self::Object(form, _) => start + form.expected,
            Self::Value(Kind::Flag, _) => start + "a boolean",
            Self::Value(..) => start + "a string",
        })
    }
}

impl<'a> DeserializeSeed<'a> for Wanted<'_, 'a> {
    type Value = Told;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Told, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Wanted<'_, 'a> {
    type Value = Told;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Told, E> {
        Ok(match self {
            Self::Value(Kind::Text | Kind::Flag, _) => Ok(()),
            other => other.refuse(format_args!("null")),
        })
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Told, E> {
        Ok(match self {
            Self::Value(Kind::Flag, value) => {
                *value = Value::Flag(flag);
                Ok(())
            }
            other => other.refuse(format_args!("boolean `{flag}`")),
        })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Told, E> {
        Ok(self.refuse(format_args!("integer `{number}`")))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Told, E> {
        Ok(self.refuse(format_args!("integer `{number}`")))
    }

    fn visit_f64<E>(self, _number: f64) -> Result<Told, E> {
        Ok(self.refuse(format_args!("floating point number")))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Told, E> {
        match self {
            Self::Value(Kind::Text | Kind::NeededText, value) => {
                *value = Value::Text(Cow::Borrowed(text));
                Ok(Ok(()))
            }
            other => other.visit_str(text),
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<Told, E> {
        Ok(match self {
            Self::Value(Kind::Text | Kind::NeededText, value) => {
                *value = Value::Text(Cow::Owned(text.into()));
                Ok(())
            }
            other => {
                let mut json = Vec::new();
                write_string(&mut json, text);
                let json = core::str::from_utf8(&json).unwrap_or_default();
                other.refuse(format_args!("string {json}"))
            }
        })
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<Told, A::Error> {
        let Self::Array(items, take, reached) = self else {
            while array.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(self.refuse(format_args!("sequence")));
        };
        while reached.items < items.max_items {
            let mut values = Values::default();
            let item = Wanted::Object(items.form, &mut values);
            let Some(told) = array.next_element_seed(item)? else {
                return Ok(Ok(()));
            };
            if let Err(error) = told.map_err(String::from).and_then(|()| take(&mut values)) {
                reached.stop = Some(Stop::Refused(error));
                return Ok(Ok(()));
            }
            reached.items += 1;
        }
        if array.next_element::<IgnoredAny>()?.is_some() {
            reached.stop = Some(Stop::TooMany);
        }
        Ok(Ok(()))
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<Told, A::Error> {
        let Self::Object(form, values) = self else {
            while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(self.refuse(format_args!("map")));
        };
        let (mut told, mut seen) = (Ok(()), 0);
        while let Some(place) = object.next_key_seed(Name(form, &mut seen, &mut told))? {
            let field = form.fields.get(place).zip(values.get_mut(place));
            match field.filter(|_| told.is_ok()) {
                Some((&(_, Kind::Json), value)) => {
                    let json = object.next_value::<&RawValue>()?.get();
                    if json != "null" {
                        *value = Value::Json(json);
                    }
                }
                Some((&(_, kind), value)) => {
                    told = object.next_value_seed(Wanted::Value(kind, value))?;
                }
                // What is left is read to find out whether it is JSON.
                None => {
                    object.next_value::<IgnoredAny>()?;
                }
            }
        }
        let missing =
            form.fields.iter().zip(values).find(|((_, kind), value)| {
                *kind == Kind::NeededText && matches!(value, Value::None)
            });
        Ok(match missing {
            Some(((name, _), _)) => told.and_then(|()| refused(format!("missing field `{name}`"))),
            None => told,
        })
    }
}

/// The place of a field with the name that is read; one that is not there, if the name is refused. The fields that
/// were read before are the bits of a number.
struct Name<'f>(&'f Form, &'f mut u32, &'f mut Told);

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, text: &str) -> Result<usize, E> {
        let Self(form, seen, told) = self;
        let mut fields = form.fields.iter();
        let place = fields.position(|(name, _)| *name == text);
        let before = *seen;
        *seen |= place.map_or(0, |place| 1 << place);
        if *seen != before {
            return Ok(place.unwrap_or(MOST_FIELDS));
        }
        if told.is_ok() {
            *told = refused(match place {
                Some(_) => format!("duplicate field `{text}`"),
                None => {
                    let names: Vec<&str> = form.fields.iter().map(|(name, _)| *name).collect();
                    let names = names.join("`, `");
                    format!("unknown field `{text}`, expected one of `{names}`")
                }
            });
        }
        Ok(MOST_FIELDS)
    }
}
