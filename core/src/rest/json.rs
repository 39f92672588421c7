//! Answers as JSON, written straight to bytes.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::fmt::Write as _;

use base64ct::{Base64, Encoding as _};

use super::refused::{ForClients, status};
use crate::command::Detail;
use crate::refusal::Refusal;
use crate::reply::{MessageList, MessageRef, QueueStats};

/// Bytes that a message takes in a list beside its id and body, as a rule.
const MESSAGE_OVERHEAD_BYTES: usize = 48;

/// What is shown of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) detail: Detail,
    /// Show the claim and the attempts as well.
    pub(super) claims: bool,
}

/// `["a","b"]`
pub(super) fn write_ids<'a>(out: &mut Vec<u8>, ids: impl Iterator<Item = &'a str>) {
    write_array(out, ids, write_string);
}

/// `[{"id":"a"},{"id":"b"}]`
pub(super) fn write_id_objects(out: &mut Vec<u8>, ids: &[Box<str>]) {
    write_array(out, ids.iter(), |out, id| {
        out.extend_from_slice(b"{\"id\":");
        write_string(out, id);
        out.push(b'}');
    });
}

pub(super) fn write_messages(out: &mut Vec<u8>, messages: &MessageList, view: View) {
    out.reserve(messages.bytes.len() + messages.entries.len() * MESSAGE_OVERHEAD_BYTES);
    write_array(out, messages.iter(), |out, message| match view {
        View {
            detail: Detail::Id,
            claims: false,
        } => write_string(out, message.id),
        View {
            detail: Detail::Body,
            claims: false,
        } => match core::str::from_utf8(message.body) {
            Ok(text) => write_string(out, text),
            Err(_) => write_message(out, &message, view),
        },
        _ => write_message(out, &message, view),
    });
}

/// One message as an object.
pub(super) fn write_message(out: &mut Vec<u8>, message: &MessageRef<'_>, view: View) {
    out.extend_from_slice(b"{\"id\":");
    write_string(out, message.id);
    if matches!(view.detail, Detail::Attributes | Detail::All) {
        out.extend_from_slice(b",\"ttl\":");
        write_number(out, message.ttl_ms.div_ceil(1000));
        out.extend_from_slice(b",\"hide\":");
        write_number(out, message.hide_ms.div_ceil(1000));
    }
    if view.detail.has_body() {
        write_body(out, message.body);
    }
    if view.claims {
        if let Some(token) = message.claim {
            write_display(out, format_args!(",\"claim\":\"{token}\""));
        }
        out.extend_from_slice(b",\"attempts\":");
        write_number(out, u64::from(message.attempts));
    }
    out.push(b'}');
}

/// How much is in a queue.
pub(super) fn write_stats(out: &mut Vec<u8>, stats: &QueueStats) {
    let QueueStats {
        messages,
        hidden,
        bytes,
    } = *stats;
    let visible = messages.saturating_sub(hidden);
    write_display(
        out,
        format_args!(
            "{{\"messages\":{messages},\"visible\":{visible},\"hidden\":{hidden},\"bytes\":{bytes}}}"
        ),
    );
}

/// The results of a settle.
pub(super) fn write_settled(out: &mut Vec<u8>, ids: &[Box<str>], results: &[Result<(), Refusal>]) {
    write_array(out, ids.iter().zip(results), |out, (id, result)| {
        out.extend_from_slice(b"{\"id\":");
        write_string(out, id);
        match result {
            Ok(()) => out.extend_from_slice(b",\"status\":204}"),
            Err(refusal) => {
                write_display(
                    out,
                    format_args!(
                        ",\"status\":{},\"error\":\"{}\"}}",
                        status(refusal),
                        ForClients(refusal)
                    ),
                );
            }
        }
    });
}

pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    if has_plain_json(text) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Without std serde_json writes to a buffer of its own only. A string always has a
        // JSON form, so there is no error to tell.
        out.append(&mut serde_json::to_vec(text).unwrap_or_default());
    }
}

/// Writes text that needs no escapes.
pub(super) fn write_display(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    let written = Utf8(out).write_fmt(text);
    debug_assert!(written.is_ok(), "a growing buffer takes everything");
}

fn write_body(out: &mut Vec<u8>, body: &[u8]) {
    out.extend_from_slice(b",\"body\":");
    match core::str::from_utf8(body) {
        Ok(text) => write_string(out, text),
        Err(_) => {
            out.push(b'"');
            write_base64(out, body);
            out.extend_from_slice(b"\",\"encoding\":\"base64\"");
        }
    }
}

fn write_base64(out: &mut Vec<u8>, body: &[u8]) {
    let start = out.len();
    out.resize(start + Base64::encoded_len(body), 0);
    let written = out.get_mut(start..).map(|room| Base64::encode(body, room));
    debug_assert!(matches!(written, Some(Ok(_))), "there is room for it");
}

fn write_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// True if nothing in the text needs an escape. It looks at whole chunks, without an exit in
/// the middle of one, so that the compiler can use vector instructions.
fn has_plain_json(text: &str) -> bool {
    let needs_escape = |byte: &u8| (*byte < b' ') | (*byte == b'"') | (*byte == b'\\');
    text.as_bytes().chunks(64).all(|chunk| {
        !chunk
            .iter()
            .fold(false, |found, byte| found | needs_escape(byte))
    })
}

fn write_array<T>(
    out: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

struct Utf8<'a>(&'a mut Vec<u8>);

impl fmt::Write for Utf8<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::ClaimToken;
    use alloc::string::String;

    fn message<'a>(id: &'a str, body: &'a [u8]) -> MessageRef<'a> {
        MessageRef {
            id,
            body,
            content_type: None,
            ttl_ms: 0,
            hide_ms: 0,
            attempts: 0,
            claim: None,
        }
    }

    fn shown(message: &MessageRef<'_>, detail: Detail, claims: bool) -> String {
        let mut out = Vec::new();
        write_message(&mut out, message, View { detail, claims });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_detail_has_its_keys() {
        let message = MessageRef {
            ttl_ms: 600_000,
            hide_ms: 29_001,
            attempts: 3,
            claim: Some(ClaimToken { fence: 0x2f }),
            ..message("a", b"x")
        };
        let cases = [
            (
                Detail::All,
                false,
                r#"{"id":"a","ttl":600,"hide":30,"body":"x"}"#,
            ),
            (
                Detail::Attributes,
                false,
                r#"{"id":"a","ttl":600,"hide":30}"#,
            ),
            (
                Detail::All,
                true,
                r#"{"id":"a","ttl":600,"hide":30,"body":"x","claim":"2f","attempts":3}"#,
            ),
            (
                Detail::Attributes,
                true,
                r#"{"id":"a","ttl":600,"hide":30,"claim":"2f","attempts":3}"#,
            ),
            (Detail::Id, true, r#"{"id":"a","claim":"2f","attempts":3}"#),
            (
                Detail::Body,
                true,
                r#"{"id":"a","body":"x","claim":"2f","attempts":3}"#,
            ),
        ];
        for (detail, claims, expected) in cases {
            assert_eq!(shown(&message, detail, claims), expected);
        }
        let unclaimed = MessageRef {
            claim: None,
            ..message
        };
        assert_eq!(
            shown(&unclaimed, Detail::Id, true),
            r#"{"id":"a","attempts":3}"#
        );
    }

    #[test]
    fn remaining_times_are_rounded_up() {
        for (remaining_ms, seconds) in [
            (0, 0),
            (1, 1),
            (999, 1),
            (1000, 1),
            (1001, 2),
            (u64::MAX, u64::MAX / 1000 + 1),
        ] {
            let message = MessageRef {
                ttl_ms: remaining_ms,
                hide_ms: remaining_ms,
                ..message("a", b"")
            };
            let expected = alloc::format!(r#"{{"id":"a","ttl":{seconds},"hide":{seconds}}}"#);
            assert_eq!(shown(&message, Detail::Attributes, false), expected);
        }
    }

    #[test]
    fn text_is_escaped_and_bytes_are_base64() {
        let hostile = "\"\\\u{8}\n\0\u{7f}</script>\u{2028}é\u{10ffff}";
        let json = shown(&message(hostile, hostile.as_bytes()), Detail::Body, false);
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (read["id"].as_str(), read["body"].as_str()),
            (Some(hostile), Some(hostile))
        );
        assert_eq!(
            shown(&message("a", b"\xff\x00\xfe"), Detail::Body, false),
            r#"{"id":"a","body":"/wD+","encoding":"base64"}"#
        );
    }

    #[test]
    fn settled_items_carry_status_and_reason() {
        let ids: [Box<str>; 2] = ["a\"".into(), "b".into()];
        let mut out = Vec::new();
        write_settled(&mut out, &ids, &[Ok(()), Err(Refusal::ClaimLost)]);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"[{"id":"a\"","status":204},{"id":"b","status":409,"error":"Claim is not current"}]"#
        );
    }
}
