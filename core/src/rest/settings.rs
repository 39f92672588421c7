//! A queue's settings as a JSON object.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::input::{Form, Kind, Values, read_object, read_text};
use super::json::{write_display, write_string};
use super::response::Response;
use super::seconds::Seconds;
use crate::refusal::Field;
use crate::settings::{Order, Settings};

const SETTINGS: Form = Form {
    expected: "an object of settings",
    fields: &[
        ("default_ttl", Kind::Json),
        ("default_hide", Kind::Json),
        ("max_attempts", Kind::Json),
        ("dead_letter", Kind::Json),
        ("max_messages", Kind::Json),
        ("max_bytes", Kind::Json),
        ("order", Kind::Json),
        ("retention", Kind::Json),
    ],
};

/// Reads a settings object. A key that is absent or `null` leaves the server's value in
/// force. The error is the answer to the client.
pub fn read(body: &[u8]) -> Result<Settings, Response> {
    let values = read_object(&SETTINGS, body)
        .map_err(|error| Response::bad_request(format!("settings: {error}")))?;
    settings(&values).map_err(Response::bad_request)
}

/// Writes the settings that are not the server's own.
pub fn write(out: &mut Vec<u8>, settings: &Settings) {
    out.push(b'{');
    write_span(out, Field::DefaultTtl, settings.default_ttl_ms);
    write_span(out, Field::DefaultHide, settings.default_hide_ms);
    write_number(out, Field::MaxAttempts, settings.max_attempts);
    if let Some(queue) = settings.dead_letter.as_deref() {
        write_display(out, format_args!("\"{}\":", Field::DeadLetter));
        write_string(out, queue);
        out.push(b',');
    }
    write_number(out, Field::MaxMessages, settings.max_messages);
    write_number(out, Field::MaxBytes, settings.max_bytes);
    write_span(out, Field::Retention, settings.marker_retention_ms);
    let order = match settings.order {
        Order::Fifo => "fifo",
        Order::Lifo => "lifo",
    };
    write_display(out, format_args!("\"order\":\"{order}\"}}"));
}

fn settings(values: &Values<'_>) -> Result<Settings, String> {
    let [
        default_ttl,
        default_hide,
        max_attempts,
        dead_letter,
        max_messages,
        max_bytes,
        in_order,
        retention,
    ] = values;
    let max_attempts = max_attempts.whole(Field::MaxAttempts, u64::from(u32::MAX))?;
    Ok(Settings {
        default_ttl_ms: default_ttl.span(Field::DefaultTtl)?,
        default_hide_ms: default_hide.span(Field::DefaultHide)?,
        max_attempts: max_attempts
            .map(u32::try_from)
            .transpose()
            .map_err(|error| error.to_string())?,
        dead_letter: dead_letter.json().map(queue_name).transpose()?,
        max_messages: max_messages.whole(Field::MaxMessages, u64::MAX)?,
        max_bytes: max_bytes.whole(Field::MaxBytes, u64::MAX)?,
        order: in_order.json().map_or(Ok(Order::default()), order)?,
        marker_retention_ms: retention.span(Field::Retention)?,
    })
}

fn queue_name(json: &str) -> Result<Box<str>, String> {
    read_text(json)
        .map(Into::into)
        .ok_or_else(|| format!("{} is not the name of a queue", Field::DeadLetter))
}

fn order(json: &str) -> Result<Order, String> {
    match json {
        r#""fifo""# => Ok(Order::Fifo),
        r#""lifo""# => Ok(Order::Lifo),
        other => Err(format!("order is neither fifo nor lifo: {other}")),
    }
}

fn write_span(out: &mut Vec<u8>, field: Field, span_ms: Option<u64>) {
    write_number(out, field, span_ms.map(Seconds));
}

fn write_number(out: &mut Vec<u8>, field: Field, number: Option<impl core::fmt::Display>) {
    if let Some(number) = number {
        write_display(out, format_args!("\"{field}\":{number},"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let all = r#"{"default_ttl":0.25,"default_hide":0,"max_attempts":5,"dead_letter":"d\"/é","max_messages":10,"max_bytes":1000,"retention":3600,"order":"lifo"}"#;
        for json in [all, r#"{"order":"fifo"}"#] {
            let mut written = Vec::new();
            write(&mut written, &read(json.as_bytes()).unwrap());
            assert_eq!(String::from_utf8(written).unwrap(), json);
        }
    }

    #[test]
    fn absent_and_null_leave_the_servers_values() {
        assert_eq!(read(b"{}").unwrap(), Settings::default());
        assert_eq!(
            read(br#"{"max_attempts":null,"order":null,"dead_letter":null}"#).unwrap(),
            Settings::default()
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases: [(&str, &str); 12] = [
            ("", "settings: EOF"),
            ("[]", "settings: "),
            (
                "5",
                "settings: invalid type: integer `5`, expected an object of settings",
            ),
            (r#"{"colour":1}"#, "settings: unknown field `colour`"),
            (
                r#"{"order":"fifo","order":"lifo"}"#,
                "settings: duplicate field `order`",
            ),
            (
                r#"{"order":"random"}"#,
                "order is neither fifo nor lifo: \"random\"",
            ),
            (
                r#"{"dead_letter":5}"#,
                "dead_letter is not the name of a queue",
            ),
            (
                r#"{"default_ttl":-1}"#,
                "default_ttl is not a number of seconds in the range 0 to 1000000000",
            ),
            (
                r#"{"retention":"1h"}"#,
                "retention is not a number of seconds",
            ),
            (
                r#"{"max_attempts":4294967296}"#,
                "max_attempts is not a whole number in the range 1 to 4294967295",
            ),
            (
                r#"{"max_messages":0}"#,
                "max_messages is not a whole number in the range 1 to",
            ),
            (r#"{"max_bytes":1.5}"#, "max_bytes is not a whole number"),
        ];
        for (body, expected) in cases {
            let response = read(body.as_bytes()).unwrap_err();
            let text = String::from_utf8(response.body).unwrap();
            assert!(
                response.status == 400 && text.starts_with(expected),
                "{text}"
            );
        }
    }
}
