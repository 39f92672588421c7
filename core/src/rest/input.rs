//! JSON that clients send: objects with known fields, alone, in an array, or one a line. One reader is for all of
//! them, told by a [`Form`] what to expect, as what serde derives is compiled anew for each kind of object.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::refused;
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
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
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
pub(super) fn read_object<'a>(form: &Form, json: &'a [u8]) -> serde_json::Result<Values<'a>> {
    let mut values = Values::default();
    read(json, Wanted::Object(form, &mut values))?;
    Ok(values)
}

/// Reads a text.
pub(super) fn read_text(json: &str) -> serde_json::Result<Value<'_>> {
    let mut value = Value::None;
    read(
        json.as_bytes(),
        Wanted::Value(Kind::NeededText, &mut value),
    )?;
    Ok(value)
}

fn read<'a>(json: &'a [u8], wanted: Wanted<'_, 'a>) -> serde_json::Result<()> {
    let mut json = serde_json::Deserializer::from_slice(json);
    wanted.deserialize(&mut json)?;
    json.end()
}

/// Takes an object of a body; the error is for the client.
type Take<'t, 'a> = &'t mut (dyn FnMut(Values<'a>) -> Result<(), String> + 't);

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
        match read(body, Wanted::Array(self, take, &mut reached)) {
            Ok(()) => Ok(()),
            Err(_) if reached.too_many => Err(self.too_many()),
            Err(error) => Err(self.bad(reached.items, error)),
        }
    }

    /// Reads items that follow one another, with white space between them: NDJSON.
    pub(super) fn read_lines<'a, L>(
        &self,
        body: &'a [u8],
        take: Take<'_, 'a>,
    ) -> Result<(), Response>
    where
        L: Deserialize<'a> + Into<Values<'a>>,
    {
        let lines = serde_json::Deserializer::from_slice(body).into_iter::<L>();
        for (index, line) in (0..).zip(lines) {
            if index >= self.max_items {
                return Err(self.too_many());
            }
            let line = line.map_err(|error| self.bad(index, error))?;
            take(line.into()).map_err(|error| self.bad(index, error))?;
        }
        Ok(())
    }

    fn too_many(&self) -> Response {
        refused::respond(&Refusal::TooLarge {
            limit: LimitName::BatchMessages,
            maximum: self.max_items,
        })
    }

    fn bad(&self, index: u64, error: impl fmt::Display) -> Response {
        Response::bad_request(format!("{}[{index}]: {error}", self.plural))
    }
}

/// How far an array was read.
#[derive(Default)]
pub(super) struct Reached {
    items: u64,
    too_many: bool,
}

/// What is to be read next, and where it goes.
pub(super) enum Wanted<'r, 'a> {
    Array(&'r Items<'r>, Take<'r, 'a>, &'r mut Reached),
    Object(&'r Form, &'r mut Values<'a>),
    /// Of a kind that is not [`Kind::Json`].
    Value(Kind, &'r mut Value<'a>),
}

impl Wanted<'_, '_> {
    fn refuse<E: Error>(&self, found: fmt::Arguments<'_>) -> Result<(), E> {
        Err(E::custom(format_args!(
            "invalid type: {found}, expected {}",
            self as &dyn serde::de::Expected
        )))
    }
}

impl<'a> DeserializeSeed<'a> for Wanted<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Wanted<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Array(items, ..) => write!(f, "an array of {}", items.plural),
            Self::Object(form, _) => f.write_str(form.expected),
            Self::Value(Kind::Flag, _) => f.write_str("a boolean"),
            Self::Value(..) => f.write_str("a string"),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self {
            Self::Value(Kind::Text | Kind::Flag, _) => Ok(()),
            other => other.refuse(format_args!("null")),
        }
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        match self {
            Self::Value(Kind::Flag, value) => {
                *value = Value::Flag(flag);
                Ok(())
            }
            other => other.refuse(format_args!("boolean `{flag}`")),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.refuse(format_args!("integer `{number}`"))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.refuse(format_args!("integer `{number}`"))
    }

    fn visit_f64<E: Error>(self, _number: f64) -> Result<(), E> {
        self.refuse(format_args!("floating point number"))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<(), E> {
        match self {
            Self::Value(Kind::Text | Kind::NeededText, value) => {
                *value = Value::Text(Cow::Borrowed(text));
                Ok(())
            }
            other => other.visit_str(text),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        match self {
            Self::Value(Kind::Text | Kind::NeededText, value) => {
                *value = Value::Text(Cow::Owned(text.into()));
                Ok(())
            }
            other => other.refuse(format_args!("string {text:?}")),
        }
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<(), A::Error> {
        let Self::Array(items, take, reached) = self else {
            return self.refuse(format_args!("sequence"));
        };
        while reached.items < items.max_items {
            let mut values = Values::default();
            let item = Wanted::Object(items.form, &mut values);
            if array.next_element_seed(item)?.is_none() {
                return Ok(());
            }
            take(values).map_err(A::Error::custom)?;
            reached.items += 1;
        }
        if array.next_element::<IgnoredAny>()?.is_some() {
            reached.too_many = true;
            return Err(A::Error::custom("too many"));
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<(), A::Error> {
        let Self::Object(form, values) = self else {
            return self.refuse(format_args!("map"));
        };
        let mut seen = [false; MOST_FIELDS];
        while let Some(place) = object.next_key_seed(Name(form))? {
            let fields = form.fields.iter().zip(&mut *values).zip(&mut seen);
            let Some(((&(name, kind), value), seen)) = { fields }.nth(place) else {
                continue;
            };
            if core::mem::replace(seen, true) {
                return Err(A::Error::duplicate_field(name));
            }
            if kind == Kind::Json {
                let json = object.next_value::<&RawValue>()?.get();
                if json != "null" {
                    *value = Value::Json(json);
                }
            } else {
                object.next_value_seed(Wanted::Value(kind, value))?;
            }
        }
        for ((name, kind), value) in form.fields.iter().zip(values) {
            if *kind == Kind::NeededText && matches!(value, Value::None) {
                return Err(A::Error::missing_field(name));
            }
        }
        Ok(())
    }
}

/// The place of a field with the name that is read.
struct Name<'f>(&'f Form);

impl<'a> DeserializeSeed<'a> for Name<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("field identifier")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
        let Self(form) = self;
        let place = form.fields.iter().position(|(name, _)| *name == text);
        place.ok_or_else(|| E::custom(format_args!("unknown field `{text}`, expected {form}")))
    }
}

/// The names of its fields.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "one of ";
        for (name, _) in self.fields {
            write!(f, "{separator}`{name}`")?;
            separator = ", ";
        }
        Ok(())
    }
}
