//! Holds one conversation.

use std::collections::BTreeMap;
use std::fmt;

use super::host::{Answer, Host, Request, header};
use super::parse::{Action, Conversation, Expected, RequestPattern};
use super::pattern::Variables;

/// Where and how a server did not do what a conversation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub line: usize,
    pub title: String,
    pub problem: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.line, self.title, self.problem)
    }
}

impl std::error::Error for Failure {}

/// Holds a conversation with a host that is empty. At the end no request may be left
/// without the conversation saying what becomes of it.
pub fn run<H: Host>(host: &mut H, conversation: &Conversation) -> Result<(), Failure> {
    let mut talk = Talk {
        host,
        variables: Variables::new(),
        waiting: BTreeMap::new(),
    };
    let failure = |line, problem| Failure {
        line,
        title: conversation.title.clone(),
        problem,
    };
    for step in &conversation.steps {
        talk.step(&step.action)
            .map_err(|problem| failure(step.line, problem))?;
    }
    match talk.waiting.first_key_value() {
        Some((name, _)) => Err(failure(
            conversation.line,
            format!("nothing says what becomes of {name}"),
        )),
        None => Ok(()),
    }
}

struct Talk<'h, H: Host> {
    host: &'h mut H,
    variables: Variables,
    waiting: BTreeMap<String, H::Call>,
}

impl<H: Host> Talk<'_, H> {
    fn step(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Exchange { request, expected } => {
                let call = self.send(request)?;
                let answer = self.host.finish(call).map_err(|error| error.to_string())?;
                self.compare(&answer, expected)
            }
            Action::Start { name, request } => {
                let call = self.send(request)?;
                match self.waiting.insert(name.clone(), call) {
                    Some(_) => Err(format!("{name} is started twice")),
                    None => Ok(()),
                }
            }
            Action::Answer { name, expected } => {
                let call = self.take(name)?;
                let answer = self
                    .host
                    .finish(call)
                    .map_err(|error| format!("{name}: {error}"))?;
                self.compare(&answer, expected)
            }
            Action::Pending { name } => {
                let call = self
                    .waiting
                    .get_mut(name)
                    .ok_or_else(|| not_started(name))?;
                match self.host.poll(call).map_err(|error| error.to_string())? {
                    Some(answer) => Err(format!("{name} is answered already:\n{}", show(&answer))),
                    None => Ok(()),
                }
            }
            Action::Cancel { name } => {
                let call = self.take(name)?;
                self.host.cancel(call).map_err(|error| error.to_string())
            }
            Action::Advance(span) => self.host.advance(*span).map_err(|error| error.to_string()),
        }
    }

    fn send(&mut self, pattern: &RequestPattern) -> Result<H::Call, String> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).map_err(|error| error.to_string());
        let mut headers = Vec::new();
        for (name, value) in &pattern.headers {
            headers.push((name.clone(), text(value.fill(&self.variables)?)?));
        }
        let request = Request {
            method: pattern.method.clone(),
            target: text(pattern.target.fill(&self.variables)?)?,
            headers,
            body: pattern.body.fill(&self.variables)?,
        };
        self.host.send(&request).map_err(|error| error.to_string())
    }

    fn take(&mut self, name: &str) -> Result<H::Call, String> {
        self.waiting.remove(name).ok_or_else(|| not_started(name))
    }

    fn compare(&mut self, answer: &Answer, expected: &Expected) -> Result<(), String> {
        let mut alike = answer.status == expected.status;
        for (name, pattern) in &expected.headers {
            alike &= match (header(&answer.headers, name), pattern) {
                (Some(value), Some(pattern)) => {
                    pattern.matches(value.as_bytes(), &mut self.variables)
                }
                (found, wanted) => found.is_none() && wanted.is_none(),
            };
        }
        alike &= expected.body.matches(&answer.body, &mut self.variables);
        if self.host.shows_all_headers() {
            let named = |name: &str| {
                let mut names = expected.headers.iter().map(|(name, _)| name);
                names.any(|own| own.eq_ignore_ascii_case(name))
            };
            check_unnamed(answer, named)?;
        }
        if alike {
            Ok(())
        } else {
            Err(format!(
                "expected\n{}\nbut got\n{}",
                show_expected(expected),
                show(answer)
            ))
        }
    }
}

/// Headers that a transport adds.
const OF_TRANSPORT: [&str; 5] = [
    "Connection",
    "Content-Length",
    "Date",
    "Keep-Alive",
    "Transfer-Encoding",
];

/// What holds of every answer, whether or not a conversation names it: it has the headers that
/// its status asks for and no others, and without a body there is no type of one.
fn check_unnamed(answer: &Answer, named: impl Fn(&str) -> bool) -> Result<(), String> {
    let must: &[&str] = match answer.status {
        201 if answer.body.is_empty() => &[],
        204 => &[],
        405 => &["Allow", "Content-Type"],
        429 | 503 => &["Content-Type", "Retry-After"],
        _ => &["Content-Type"],
    };
    let is_in = |list: &[&str], name: &str| list.iter().any(|own| own.eq_ignore_ascii_case(name));
    if let Some(missing) = must
        .iter()
        .find(|name| header(&answer.headers, name).is_none())
    {
        return Err(format!("{missing} is missing:\n{}", show(answer)));
    }
    let surplus = answer
        .headers
        .iter()
        .find(|(name, _)| !is_in(must, name) && !is_in(&OF_TRANSPORT, name) && !named(name));
    match surplus {
        Some((name, _)) => Err(format!("{name} should not be there:\n{}", show(answer))),
        None => Ok(()),
    }
}

fn not_started(name: &str) -> String {
    format!("{name} is not started")
}

fn show(answer: &Answer) -> String {
    let headers = answer
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}"));
    show_block(answer.status, headers, &answer.body)
}

fn show_expected(expected: &Expected) -> String {
    let headers = expected
        .headers
        .iter()
        .map(|(name, pattern)| match pattern {
            Some(pattern) => format!("{name}: {}", String::from_utf8_lossy(&pattern.show())),
            None => format!("!{name}"),
        });
    show_block(expected.status, headers, &expected.body.show())
}

fn show_block(status: u16, headers: impl Iterator<Item = String>, body: &[u8]) -> String {
    const MAX_SHOWN_BYTES: usize = 2_000;
    let shown = body.get(..MAX_SHOWN_BYTES).unwrap_or(body);
    let headers: String = headers.map(|header| format!("\n    < {header}")).collect();
    format!(
        "    < {status}{headers}\n    <\n    < {}",
        shown.escape_ascii()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_headers_of_its_status_and_no_others() {
        let check = |status, names: &[&str], body: &[u8]| {
            let headers = names.iter().map(|name| ((*name).into(), "x".into()));
            let answer = Answer {
                status,
                headers: headers.collect(),
                body: body.to_vec(),
            };
            check_unnamed(&answer, |name| name == "Burrow-Next").is_ok()
        };
        assert!(check(200, &["content-type", "Date"], b"x"));
        assert!(check(200, &["Content-Type", "Burrow-Next"], b"x"));
        assert!(!check(200, &["Content-Type", "Burrow-More"], b"x"));
        assert!(!check(200, &[], b"x"));
        assert!(check(204, &[], b"") && !check(204, &["Content-Type"], b""));
        assert!(check(201, &[], b"") && !check(201, &["Content-Type"], b""));
        assert!(!check(201, &[], b"[]"));
        assert!(check(429, &["Content-Type", "Retry-After"], b"x"));
        assert!(!check(429, &["Content-Type"], b"x"));
        assert!(!check(413, &["Content-Type", "Retry-After"], b"x"));
        assert!(!check(405, &["Content-Type"], b"x"));
    }
}
