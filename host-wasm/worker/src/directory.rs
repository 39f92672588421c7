//! Lists and removals of accounts and queues: read here, carried out by the directories,
//! answered here.

use burrow_core::rest::{Request, Response, RestConfig, Routed, route};
use burrow_core::{
    Command, Config, JournalConfig, Node, Page, QueueName, Refusal, Reply, Timestamp,
};

use crate::config::Settings;

/// What a request asks of a directory.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What is listed is removed as well.
    pub removes: bool,
    /// Only names behind this one.
    pub marker: Option<Vec<u8>>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// What becomes of a command.
pub type Outcome = Result<Reply, Refusal>;

/// What becomes of a request to a directory or to no place in particular.
#[derive(Debug)]
pub enum Read {
    Answered(Response),
    Wanted(Wanted),
}

/// Reads a request.
pub fn read(request: &Request<'_>, rest: &RestConfig) -> Read {
    let (command, plan) = match route(request, rest) {
        Routed::Respond(response) => return Read::Answered(response),
        // The object that has the clock has the list of accounts as well.
        Routed::Clock(_) => return Read::Wanted(Wanted::default()),
        Routed::Submit(command, plan) => (command, plan),
    };
    match examine(command) {
        Ok(wanted) => Read::Wanted(wanted),
        Err(outcome) => Read::Answered(plan.respond(outcome)),
    }
}

/// What a command asks of a directory.
///
/// # Errors
/// What becomes of it without one.
pub fn examine(command: Command<'_>) -> Result<Wanted, Outcome> {
    let none = Page::default();
    let (removes, page) = match &command {
        Command::ListAccounts { page } | Command::ListQueues { page, .. } => (false, page),
        Command::DeleteAccounts { page } | Command::DeleteQueues { page, .. } => (true, page),
        _ => (false, &none),
    };
    let wanted = Wanted {
        removes,
        marker: page.marker.as_ref().map(|name| name.as_bytes().to_vec()),
        limit: page.limit,
    };
    // An empty node tells what is wrong with the command, if anything is.
    let mut node = forgetful(u64::MAX);
    node.submit(Timestamp::ZERO, command);
    match node.poll_reply() {
        Some((_, Err(Refusal::AccountNotFound))) | None => Ok(wanted),
        Some((_, outcome)) => Err(outcome),
    }
}

/// Answers a request with the names that it covers, in order, as many as one answer may have; if there
/// are more, this is told. If there are none, it matters whether the account has any queues at all.
pub fn answer<'a>(
    request: &Request<'_>,
    settings: &Settings,
    account_exists: bool,
    names: impl Iterator<Item = &'a str>,
) -> Response {
    let (command, plan) = match route(request, &settings.rest) {
        Routed::Respond(response) => return response,
        Routed::Clock(clock) => return clock.respond(Timestamp::ZERO, 0, 0),
        Routed::Submit(command, plan) => (command, plan),
    };
    let most_bytes = settings.node.limits.max_answer_bytes;
    plan.respond(carry_out(command, most_bytes, account_exists, names))
}

/// What becomes of a command that covers these names, in order, of which one answer may have so many bytes.
/// If there are none, it matters whether the account has any queues at all.
///
/// # Errors
/// That there is none.
pub fn carry_out<'a>(
    command: Command<'_>,
    most_bytes: u64,
    account_exists: bool,
    names: impl Iterator<Item = &'a str>,
) -> Outcome {
    let mut node = forgetful(most_bytes);
    let mut names = names.peekable();
    if account_exists && names.peek().is_none() {
        return Err(Refusal::QueueNotFound);
    }
    for name in names {
        let queue = match &command {
            Command::ListQueues { account, .. } | Command::DeleteQueues { account, .. } => {
                QueueName {
                    account: account.clone(),
                    queue: name.into(),
                }
            }
            _ => QueueName {
                account: name.into(),
                queue: "any".into(),
            },
        };
        let settings = burrow_core::Settings::default();
        node.submit(Timestamp::ZERO, Command::PutSettings { queue, settings });
        node.poll_reply();
    }
    node.submit(Timestamp::ZERO, command);
    // It answers at once.
    node.poll_reply()
        .map_or(Err(Refusal::AccountNotFound), |(_, outcome)| outcome)
}

/// What becomes of a command on a queue whose name cannot be one.
///
/// # Errors
/// Why not.
pub fn refuse(command: Command<'_>) -> Outcome {
    let mut node = forgetful(u64::MAX);
    node.submit(Timestamp::ZERO, command);
    node.poll_reply()
        .map_or(Err(Refusal::QueueNotFound), |(_, outcome)| outcome)
}

/// Tells whether the Worker works: whoever gets an answer knows that it does.
pub fn health(request: &Request<'_>) -> Response {
    let mut response = match request.method {
        "GET" | "HEAD" => Response::healthy(),
        _ => Response {
            status: 405,
            headers: vec![
                ("Content-Type", "text/plain; charset=UTF-8".into()),
                ("Allow", "GET, HEAD".into()),
            ],
            body: b"Method not allowed".to_vec(),
            head: false,
        },
    };
    response.head = request.method == "HEAD";
    response
}

/// A node that answers at once, with so many bytes at the most.
fn forgetful(most_bytes: u64) -> Node {
    let mut config = Config {
        journal: JournalConfig {
            enabled: false,
            ..JournalConfig::default()
        },
        ..Config::default()
    };
    config.limits.max_answer_bytes = most_bytes;
    Node::new(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &'static str, target: &'static str) -> Request<'static> {
        Request {
            method,
            target,
            ..Request::default()
        }
    }

    fn reading(method: &'static str, target: &'static str) -> Read {
        read(&request(method, target), &RestConfig::default())
    }

    #[test]
    fn a_page_is_read() {
        let Read::Wanted(wanted) = reading("DELETE", "/v1.0/a?marker=q%2F&limit=3") else {
            panic!("the directory is asked")
        };
        let expected = Wanted {
            removes: true,
            marker: Some(b"q/".to_vec()),
            limit: Some(3),
        };
        assert_eq!(wanted, expected);
    }

    #[test]
    fn what_is_wrong_with_a_request_is_told_before_anybody_is_asked() {
        for (method, target, status) in [
            ("GET", "/", 200),
            ("POST", "/v1.0", 405),
            ("GET", "/v1.0/a?limit=0", 400),
            ("GET", "/v1.0?detail=body", 400),
            ("GET", "/v2", 404),
        ] {
            let Read::Answered(response) = reading(method, target) else {
                panic!("{target} is answered")
            };
            assert_eq!(response.status, status, "{target}");
        }
    }

    #[test]
    fn names_are_answered_as_by_a_node_that_has_them() {
        let answered = |method, target, names: &[&'static str]| {
            let response = answer(
                &request(method, target),
                &Settings::default(),
                false,
                names.iter().copied(),
            );
            (response.status, response.body)
        };
        assert_eq!(
            answered("GET", "/v1.0/a", &["p", "q"]),
            (200, br#"["p","q"]"#.to_vec())
        );
        assert_eq!(
            answered("DELETE", "/v1.0?detail=all", &["a"]),
            (200, br#"[{"id":"a"}]"#.to_vec())
        );
        assert_eq!(answered("DELETE", "/v1.0/a", &["q"]), (204, Vec::new()));
        assert_eq!(
            answered("GET", "/v1.0/a", &[]),
            (404, b"Account not found".to_vec())
        );
    }
}
