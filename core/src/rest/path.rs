//! What a path names.

use alloc::borrow::Cow;
use alloc::format;

use super::percent::{cut, decode_segment};
use super::response::Response;
use crate::command::QueueName;
use crate::refusal::Field;

/// Where a request belongs, for hosts that keep queues in several nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// All accounts, or nothing that exists: any node gives the same answer.
    Root,
    /// The queues of an account.
    Account(Cow<'a, str>),
    /// A queue or a message in it.
    Queue(QueueName<'a>),
}

/// Where a request with this target belongs.
pub fn place(target: &str) -> Place<'_> {
    let (path, _) = cut(target, b'?');
    match Resource::parse(path) {
        Err(_) | Ok(Resource::Versions | Resource::Accounts) => Place::Root,
        Ok(Resource::Account(account)) => Place::Account(account),
        Ok(Resource::Queue(queue) | Resource::Message(queue, _)) => Place::Queue(queue),
    }
}

/// What a path names. Names are decoded; whether they are too long is for the machine to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    Versions,
    Accounts,
    Account(Cow<'a, str>),
    Queue(QueueName<'a>),
    Message(QueueName<'a>, Cow<'a, str>),
}

impl<'a> Resource<'a> {
    /// Reads a path. The error is the answer to the client: 404 for a path that names
    /// nothing, 400 for a name that cannot be decoded.
    pub(super) fn parse(path: &'a str) -> Result<Self, Response> {
        if path == "/" {
            return Ok(Self::Versions);
        }
        let mut rest = Some(path);
        let mut next = || {
            let (segment, behind) = cut(rest?, b'/');
            rest = behind;
            Some(segment)
        };
        if next() != Some("") || next() != Some("v1.0") {
            return Err(unknown_path());
        }
        let (account, queue, message, beyond) = (next(), next(), next(), next());
        if beyond.is_some() || [account, queue, message].contains(&Some("")) {
            return Err(unknown_path());
        }
        let Some(account) = account else {
            return Ok(Self::Accounts);
        };
        let account = decode(Field::Account, account)?;
        let Some(queue) = queue else {
            return Ok(Self::Account(account));
        };
        let queue = QueueName {
            account,
            queue: decode(Field::Queue, queue)?,
        };
        let Some(message) = message else {
            return Ok(Self::Queue(queue));
        };
        Ok(Self::Message(queue, decode(Field::Id, message)?))
    }
}

fn decode(field: Field, segment: &str) -> Result<Cow<'_, str>, Response> {
    decode_segment(segment).map_err(|problem| Response::bad_request(format!("{field} {problem}")))
}

fn unknown_path() -> Response {
    Response::text(404, "Not found")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(account: &'static str, queue: &'static str) -> QueueName<'static> {
        QueueName {
            account: account.into(),
            queue: queue.into(),
        }
    }

    #[test]
    fn each_depth_names_a_thing() {
        assert_eq!(Resource::parse("/"), Ok(Resource::Versions));
        assert_eq!(Resource::parse("/v1.0"), Ok(Resource::Accounts));
        assert_eq!(
            Resource::parse("/v1.0/a"),
            Ok(Resource::Account("a".into()))
        );
        assert_eq!(
            Resource::parse("/v1.0/a/q"),
            Ok(Resource::Queue(queue("a", "q")))
        );
        assert_eq!(
            Resource::parse("/v1.0/a/q/m"),
            Ok(Resource::Message(queue("a", "q"), "m".into()))
        );
    }

    #[test]
    fn a_slash_in_a_name_does_not_split_it() {
        assert_eq!(
            Resource::parse("/v1.0/a/q/%2F"),
            Ok(Resource::Message(queue("a", "q"), "/".into()))
        );
        assert_eq!(
            Resource::parse("/v1.0/a%2Fq"),
            Ok(Resource::Account("a/q".into()))
        );
        assert_eq!(
            Resource::parse("/v1.0/%252F"),
            Ok(Resource::Account("%2F".into()))
        );
    }

    #[test]
    fn plain_names_are_borrowed() {
        let Ok(Resource::Message(queue, id)) = Resource::parse("/v1.0/a/q/m") else {
            panic!()
        };
        assert!(matches!(
            (queue.account, queue.queue, id),
            (Cow::Borrowed(_), Cow::Borrowed(_), Cow::Borrowed(_))
        ));
    }

    #[test]
    fn other_paths_are_unknown() {
        let deep = "/a".repeat(100_000);
        for path in [
            "",
            "*",
            "v1.0",
            "//",
            "/v1.0/",
            "/v1.0//q",
            "/v1.0/a/",
            "/v1.0/a//m",
            "/v1.0/a/q/",
            "/v1.0/a/q/m/",
            "/v1.0/a/q/m/x",
            "/v1",
            "/V1.0/a",
            "/v1.1",
            "/%761.0",
            "http://x/v1.0",
            &deep,
        ] {
            assert_eq!(Resource::parse(path).unwrap_err().status, 404, "{path}");
        }
    }

    #[test]
    fn a_bad_name_is_named() {
        for (path, expected) in [
            (
                "/v1.0/%",
                "account has a % without two hexadecimal digits after it",
            ),
            ("/v1.0/a/%ff", "queue is not UTF-8"),
            ("/v1.0/a/q/%c3%28", "id is not UTF-8"),
        ] {
            let response = Resource::parse(path).unwrap_err();
            assert_eq!(
                (response.status, response.body.as_slice()),
                (400, expected.as_bytes())
            );
        }
    }
}
