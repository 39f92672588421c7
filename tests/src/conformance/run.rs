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
