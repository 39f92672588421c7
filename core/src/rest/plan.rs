//! How the reply to one request is rendered.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::batch;
use super::cors;
use super::json::{self, View};
use super::refused;
use super::response::{BYTES, Response};
use super::settings;
use crate::command::Detail;
use crate::refusal::Refusal;
use crate::reply::{MessageList, NameList, Reply};

/// Tells with a piece of a queue that there is more, and the `after` to ask for it with.
const NEXT_PIECE: &str = "Burrow-Next";
/// Tells that a list ends because the answer is full, and not because nothing else matches.
const MORE: &str = "Burrow-More";

/// How the reply of one request is rendered.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) shape: Shape,
    pub(super) head: bool,
    /// The origin that may read the answer, if the request came from another one.
    pub(super) origin: Option<Box<str>>,
}

#[derive(Clone, Debug)]
pub(super) enum Shape {
    Names(Detail),
    /// An array.
    Messages(View),
    /// One message by itself.
    Message(Detail),
    Put,
    PutBatch,
    /// The ids that were settled, in order.
    Settled(Vec<Box<str>>),
    Settings,
    Stats,
    Exported,
    Imported,
    Done,
}

impl Plan {
    /// Renders the outcome of the command that came with this plan.
    ///
    /// A reply to some other command is a mistake of the host: it is answered with 500.
    pub fn respond(&self, outcome: Result<Reply, Refusal>) -> Response {
        let mut response = match outcome {
            Ok(reply) => self.shape.render(&reply),
            Err(refusal) => refused::respond(&refusal),
        };
        response.head = self.head;
        if let Some(origin) = &self.origin {
            cors::grant(&mut response, origin);
        }
        response
    }
}

impl Shape {
    fn render(&self, reply: &Reply) -> Response {
        let mut body = Vec::new();
        match (self, reply) {
            (Self::Names(detail), Reply::Names(names)) => return render_names(names, *detail),
            (
                Self::Messages(View {
                    detail: Detail::None,
                    ..
                })
                | Self::Message(Detail::None),
                Reply::Messages(_),
            )
            | (Self::Put, Reply::Put { created: false })
            | (Self::Imported, Reply::Imported { .. })
            | (Self::Done, Reply::Done) => return Response::empty(204),
            (Self::Exported, Reply::Exported { piece, next }) => {
                let mut response = Response::with_body(200, BYTES, piece.clone());
                if let Some(next) = next {
                    response.headers.push((NEXT_PIECE, next.to_string().into()));
                }
                return response;
            }
            (Self::Put, Reply::Put { created: true }) => return Response::empty(201),
            (Self::Message(detail), Reply::Messages(messages)) => {
                return render_message(messages, *detail);
            }
            (Self::Messages(view), Reply::Messages(messages)) => {
                json::write_messages(&mut body, messages, *view);
                let mut response = Response::json(200, body);
                if messages.has_more() {
                    response.headers.push((MORE, "true".into()));
                }
                return response;
            }
            (Self::PutBatch, Reply::PutBatch(ids)) => {
                json::write_ids(&mut body, ids.iter());
                return Response::json(201, body);
            }
            (Self::Settled(ids), Reply::Settled(results)) => {
                json::write_settled(&mut body, ids, results)
            }
            (Self::Settings, Reply::Settings(settings)) => settings::write(&mut body, settings),
            (Self::Stats, Reply::Stats(stats)) => json::write_stats(&mut body, stats),
            _ => return Response::text(500, "The reply is not one to this request"),
        }
        Response::json(200, body)
    }
}

fn render_names(names: &NameList, detail: Detail) -> Response {
    let mut body = Vec::new();
    let mut response = match detail {
        Detail::None => Response::empty(204),
        Detail::Id => {
            json::write_ids(&mut body, names.iter().map(AsRef::as_ref));
            Response::json(200, body)
        }
        _ => {
            json::write_id_objects(&mut body, names);
            Response::json(200, body)
        }
    };
    if names.has_more() {
        response.headers.push((MORE, "true".into()));
    }
    response
}

fn render_message(messages: &MessageList, detail: Detail) -> Response {
    let Some(message) = messages.iter().next() else {
        return refused::respond(&Refusal::MessageNotFound);
    };
    match detail {
        Detail::Id => Response::with_body(200, BYTES, message.id.as_bytes().to_vec()),
        Detail::Body => {
            let content_type = message
                .content_type
                .filter(|own| batch::is_header_value(own))
                .map_or(Cow::Borrowed(BYTES), |own| Cow::Owned(own.into()));
            Response::with_body(200, content_type, message.body.to_vec())
        }
        Detail::None | Detail::Attributes | Detail::All => {
            let mut body = Vec::new();
            json::write_message(
                &mut body,
                &message,
                View {
                    detail,
                    claims: false,
                },
            );
            Response::json(200, body)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Entry;

    fn plan(shape: Shape) -> Plan {
        Plan {
            shape,
            head: false,
            origin: None,
        }
    }

    fn one_message(body: &[u8], content_type: Option<&str>) -> Reply {
        let mut bytes = b"id".to_vec();
        bytes.extend_from_slice(body);
        let body = 2..bytes.len();
        let content_type = content_type.map(|text| {
            bytes.extend_from_slice(text.as_bytes());
            body.end..bytes.len()
        });
        let entry = Entry {
            id: 0..2,
            content_type,
            body,
            ttl_ms: 0,
            hide_ms: 0,
            attempts: 0,
            claim: None,
        };
        Reply::Messages(MessageList {
            bytes,
            entries: [entry].into(),
            matched: 1,
            has_more: false,
        })
    }

    #[test]
    fn one_message_is_raw_or_an_object() {
        let cases = [
            (Detail::Id, b"id".as_slice(), BYTES),
            (Detail::Body, b"\xff", "image/png"),
            (
                Detail::Attributes,
                br#"{"id":"id","ttl":0,"hide":0}"#,
                "application/json; charset=UTF-8",
            ),
            (
                Detail::All,
                br#"{"id":"id","ttl":0,"hide":0,"body":"/w==","encoding":"base64"}"#,
                "application/json; charset=UTF-8",
            ),
        ];
        for (detail, body, content_type) in cases {
            let response =
                plan(Shape::Message(detail)).respond(Ok(one_message(b"\xff", Some("image/png"))));
            assert_eq!((response.status, response.body.as_slice()), (200, body));
            assert_eq!(response.header("Content-Type"), Some(content_type));
        }
        let untyped = plan(Shape::Message(Detail::Body)).respond(Ok(one_message(b"", None)));
        assert_eq!(untyped.header("Content-Type"), Some(BYTES));
    }

    /// Other front-ends and imports take any text, which some hosts would make further headers of.
    #[test]
    fn a_content_type_that_no_header_can_hold_is_not_told() {
        for text in ["a\r\nb: c", "a\nb\nc", "\0", "a\x7f", "\u{e9}", "\u{20ac}"] {
            let reply = Ok(one_message(b"x", Some(text)));
            let response = plan(Shape::Message(Detail::Body)).respond(reply);
            assert_eq!(response.header("Content-Type"), Some(BYTES), "{text:?}");
        }
    }

    #[test]
    fn a_list_of_bodies_shows_bytes_as_an_object() {
        let view = View {
            detail: Detail::Body,
            claims: false,
        };
        let respond = |body| {
            plan(Shape::Messages(view))
                .respond(Ok(one_message(body, None)))
                .body
        };
        assert_eq!(respond(b"text"), br#"["text"]"#);
        assert_eq!(
            respond(b"\xff"),
            br#"[{"id":"id","body":"/w==","encoding":"base64"}]"#
        );
    }

    #[test]
    fn without_detail_there_is_no_body_and_no_content_type() {
        let names = || Reply::Names(alloc::vec!["a".into()].into());
        for (shape, reply) in [
            (Shape::Names(Detail::None), names()),
            (Shape::Message(Detail::None), one_message(b"", None)),
            (
                Shape::Messages(View {
                    detail: Detail::None,
                    claims: true,
                }),
                one_message(b"", None),
            ),
            (Shape::Done, Reply::Done),
        ] {
            assert_eq!(plan(shape).respond(Ok(reply)), Response::empty(204));
        }
        assert_eq!(
            plan(Shape::Names(Detail::All)).respond(Ok(names())).body,
            br#"[{"id":"a"}]"#
        );
        assert_eq!(
            plan(Shape::Names(Detail::Id)).respond(Ok(names())).body,
            br#"["a"]"#
        );
    }

    #[test]
    fn a_reply_to_something_else_is_an_error() {
        assert_eq!(plan(Shape::Put).respond(Ok(Reply::Done)).status, 500);
    }
}
