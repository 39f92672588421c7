//! The body of a batch: messages to create.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use base64ct::{Base64, Encoding as _};
use serde::de::{Deserialize, DeserializeSeed, Deserializer};

use super::input::{Form, Items, Kind, Values, Wanted, at};
use super::response::Response;
use crate::command::NewMessage;
use crate::refusal::Field;

const MESSAGE: Form = Form {
    expected: "an object that is a message",
    fields: &[
        ("id", Kind::Text),
        ("body", Kind::NeededText),
        ("encoding", Kind::Text),
        ("content_type", Kind::Text),
        ("ttl", Kind::Json),
        ("hide", Kind::Json),
    ],
};

/// A message by itself, not in an array, or what is wrong with it.
struct Line<'a>(Result<Values<'a>, Box<str>>);

impl<'a> Deserialize<'a> for Line<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Values::default();
        let told = Wanted::Object(&MESSAGE, &mut values).deserialize(deserializer)?;
        Ok(Self(told.map(|()| values)))
    }
}

/// Reads a JSON array of messages, or the same as NDJSON; the first character tells which.
pub(super) fn read<'a>(body: &'a [u8], max_messages: u64) -> Result<Vec<NewMessage<'a>>, Response> {
    let items = Items {
        plural: "messages",
        max_items: max_messages,
        form: &MESSAGE,
    };
    let mut messages = Vec::new();
    let mut take = |values: &mut Values<'a>| {
        messages.push(message(values)?);
        Ok(())
    };
    match body.trim_ascii_start().first() {
        Some(b'{') => {
            let mut lines = serde_json::Deserializer::from_slice(body).into_iter();
            let mut lines = core::iter::from_fn(|| {
                Some(match lines.next()? {
                    Ok(Line(Ok(values))) => Ok(values),
                    Ok(Line(Err(why))) => Err(at(&why, body, lines.byte_offset())),
                    Err(error) => Err(error.to_string()),
                })
            });
            items.read_lines(&mut lines, &mut take)?;
        }
        Some(_) => items.read_array(body, &mut take)?,
        None => {
            return Err(Response::bad_request(
                "The body is neither a JSON array of messages nor NDJSON",
            ));
        }
    }
    Ok(messages)
}

/// True if a content type can stand in a header of an answer, whatever the host.
pub(super) fn is_header_value(content_type: &str) -> bool {
    content_type
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\t'))
}

fn message<'a>(values: &mut Values<'a>) -> Result<NewMessage<'a>, String> {
    let [id, body, encoding, content_type, ttl, hide, ..] = values;
    let content_type = content_type.text();
    if content_type
        .as_deref()
        .is_some_and(|text| !is_header_value(text))
    {
        return Err(format!(
            "{} has characters that are not printable ASCII",
            Field::ContentType
        ));
    }
    Ok(NewMessage {
        id: id.text(),
        body: decode(body.text().unwrap_or_default(), encoding.text().as_deref())?,
        content_type,
        ttl_ms: ttl.span(Field::Ttl)?,
        hide_ms: hide.span(Field::Hide)?,
    })
}

fn decode<'a>(body: Cow<'a, str>, encoding: Option<&str>) -> Result<Cow<'a, [u8]>, String> {
    match encoding {
        None => Ok(match body {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }),
        Some("base64") => {
            let bytes = Base64::decode_vec(&body);
            bytes
                .map(Cow::Owned)
                .map_err(|error| format!("body is not base64: {error}"))
        }
        Some(other) => Err(format!("encoding is not base64: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(body: &[u8]) -> String {
        let response = read(body, 3).unwrap_err();
        assert_eq!(response.status, 400);
        String::from_utf8(response.body).unwrap()
    }

    #[test]
    fn an_array_and_lines_give_the_same_messages() {
        let array = br#" [{"id":"a","body":"x","ttl":0.25},{"body":"/w==","encoding":"base64","hide":5,"content_type":"t"}] "#;
        let lines = b"{\"id\":\"a\",\"body\":\"x\",\"ttl\":0.25}\r\n\n{\"body\":\"/w==\",\"encoding\":\"base64\",\"hide\":5,\"content_type\":\"t\"}\n";
        let messages = read(array, 3).unwrap();
        assert_eq!(messages, read(lines, 3).unwrap());
        let [first, second] = messages.as_slice() else {
            panic!("{messages:?}")
        };
        assert_eq!(
            (first.id.as_deref(), first.ttl_ms, first.hide_ms),
            (Some("a"), Some(250), None)
        );
        assert!(matches!(
            (&first.id, &first.body),
            (Some(Cow::Borrowed("a")), Cow::Borrowed(b"x"))
        ));
        assert_eq!(
            (second.id.as_deref(), second.body.as_ref(), second.hide_ms),
            (None, b"\xff".as_slice(), Some(5_000))
        );
        assert_eq!(second.content_type.as_deref(), Some("t"));
    }

    #[test]
    fn null_is_as_good_as_absent_except_for_the_body() {
        let messages = read(br#"[{"id":null,"body":"","encoding":null,"ttl":null,"hide":null,"content_type":null}]"#, 3).unwrap();
        assert_eq!(messages, [NewMessage::default()]);
        assert!(error(br#"[{"body":null}]"#).starts_with("messages[0]: "));
        assert!(read(b"[]", 3).unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let cases: [(&[u8], &str); 12] = [
            (
                br#"[{"body":"","colour":1}]"#,
                "messages[0]: unknown field `colour`",
            ),
            (
                br#"[{"body":""},{"id":"a"}]"#,
                "messages[1]: missing field `body`",
            ),
            (
                br#"[{"body":"","ttl":-1}]"#,
                "messages[0]: ttl is not a number of seconds in the range 0 to 1000000000",
            ),
            (
                br#"[{"body":"","hide":"5"}]"#,
                "messages[0]: hide is not a number",
            ),
            (
                br#"[{"body":"","ttl":1e3}]"#,
                "messages[0]: ttl is not a number",
            ),
            (
                br#"[{"body":"*","encoding":"base64"}]"#,
                "messages[0]: body is not base64: ",
            ),
            (
                br#"[{"body":"","encoding":"hex"}]"#,
                "messages[0]: encoding is not base64: hex",
            ),
            (
                br#"[{"body":"","content_type":"a\r\nb: c"}]"#,
                "messages[0]: content type has characters",
            ),
            (br#"[{"body":""}] x"#, "messages[1]: trailing characters"),
            (
                b"{\"body\":\"\"}\n{\"body\":\"\",\"x\":1}",
                "messages[1]: unknown field `x`",
            ),
            (
                br#""text""#,
                "messages[0]: invalid type: string \"text\", expected an array of messages",
            ),
            (
                b"[{\"body\":\"\xff\"}]",
                "messages[0]: invalid unicode code point",
            ),
        ];
        for (body, expected) in cases {
            let text = error(body);
            assert!(text.starts_with(expected), "{text}");
        }
        assert_eq!(
            error(b" \n"),
            "The body is neither a JSON array of messages nor NDJSON"
        );
    }

    #[test]
    fn what_is_of_another_type_is_named_with_its_field() {
        let cases: [(&str, &str); 12] = [
            (r#"{"body":null}"#, "null, expected a string"),
            (r#"{"body":true}"#, "boolean `true`, expected a string"),
            (r#"{"body":-5}"#, "integer `-5`, expected a string"),
            (
                r#"{"body":1.5}"#,
                "floating point number, expected a string",
            ),
            (
                r#"{"body":1e300}"#,
                "floating point number, expected a string",
            ),
            (r#"{"id":[["a"]],"body":""}"#, "sequence, expected a string"),
            (
                r#"{"body":"","encoding":{"a":[]}}"#,
                "map, expected a string",
            ),
            (
                r#"["a","b"]"#,
                "sequence, expected an object that is a message",
            ),
            ("null", "null, expected an object that is a message"),
            ("7", "integer `7`, expected an object that is a message"),
            (
                r#""a\"b""#,
                r#"string "a\"b", expected an object that is a message"#,
            ),
            (
                "2.5",
                "floating point number, expected an object that is a message",
            ),
        ];
        for (item, expected) in cases {
            let text = error(format!("[{item}]").as_bytes());
            let expected = format!("messages[0]: invalid type: {expected} at line 1 column ");
            assert!(text.starts_with(&expected), "{text}");
        }
    }

    #[test]
    fn the_first_mistake_is_told_unless_it_is_no_json() {
        let twice = br#"[{"body":""},{"id":null,"id":"a","colour":1,"body":5}]"#;
        let expected = "messages[1]: duplicate field `id` at line 1 column 54";
        assert_eq!(error(twice), expected);
        let unknown = br#"{"body":""}
{"colour":{"a":1},"body":5}"#;
        let names = "`id`, `body`, `encoding`, `content_type`, `ttl`, `hide`";
        let expected = format!(
            "messages[1]: unknown field `colour`, expected one of {names} at line 2 column 27"
        );
        assert_eq!(error(unknown), expected);
        let cut = br#"[{"colour":1,"body":"" "id":"a"}]"#;
        let expected = "messages[0]: expected `,` or `}` at line 1 column 24";
        assert_eq!(error(cut), expected);
    }

    #[test]
    fn base64_has_its_padding_and_nothing_else() {
        let read_one = |text: &str| {
            let body = format!(r#"[{{"body":"{text}","encoding":"base64"}}]"#);
            let messages = read(body.as_bytes(), 1).ok()?;
            messages.first().map(|message| message.body.to_vec())
        };
        for (text, bytes) in [
            ("", "".as_bytes()),
            ("/w==", b"\xff"),
            ("/+8=", b"\xff\xef"),
            ("AAEC", b"\0\x01\x02"),
            ("\\u0041AEC/w==", b"\0\x01\x02\xff"),
        ] {
            assert_eq!(read_one(text).as_deref(), Some(bytes), "{text}");
        }
        let bad = [
            "/w", "/w=", "/w===", "=", "====", "/===", "/x==", "/+9=", "_w==", "/w==AAEC",
            "/w==\\n", " /w==", "/w=A", "é===", "AAECA",
        ];
        for text in bad {
            assert_eq!(read_one(text), None, "{text}");
        }
        let text = error(br#"[{"body":"/w","encoding":"base64"}]"#);
        assert_eq!(
            text,
            "messages[0]: body is not base64: invalid Base64 encoding at line 1 column 35"
        );
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let one = r#"{"body":""}"#;
        assert_eq!(
            read(alloc::format!("[{one},{one},{one}]").as_bytes(), 3)
                .unwrap()
                .len(),
            3
        );
        // What follows the item that is too many is not even looked at.
        for body in [
            alloc::format!("[{one},{one},{one},{one},???"),
            alloc::format!("{one}{one}{one}{one}"),
        ] {
            let response = read(body.as_bytes(), 3).unwrap_err();
            assert_eq!(
                (response.status, response.body.as_slice()),
                (413, b"Larger than max_batch_messages = 3".as_slice())
            );
        }
    }

    #[test]
    fn deep_and_cut_json_is_an_error() {
        let deep = "[".repeat(100_000);
        assert!(error(deep.as_bytes()).starts_with("messages[0]: "));
        let whole = r#"[{"id":"é\u00e9","body":"b","ttl":0.25}]"#.as_bytes();
        for length in 1..whole.len() {
            assert!(read(&whole[..length], 3).is_err(), "{length}");
        }
    }
}
