//! The text form of conversations; `tests/conformance/README.md` describes it.

use std::fmt;
use std::time::Duration;

use super::pattern::Pattern;

/// A conversation with a server that is empty at first.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub title: String,
    pub line: usize,
    pub clock: Clock,
    pub(super) steps: Vec<Step>,
}

/// Which clocks a conversation can be held with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Also a real one.
    Any,
    /// Only one that the runner moves.
    Manual,
}

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) line: usize,
    pub(super) action: Action,
}

#[derive(Clone, Debug)]
pub(super) enum Action {
    Exchange {
        request: RequestPattern,
        expected: Expected,
    },
    /// Send, and let it wait under a name.
    Start {
        name: String,
        request: RequestPattern,
    },
    /// The request of this name has its answer now.
    Answer {
        name: String,
        expected: Expected,
    },
    /// The request of this name has no answer yet.
    Pending {
        name: String,
    },
    /// The client of the request of this name goes away.
    Cancel {
        name: String,
    },
    Advance(Duration),
}

#[derive(Clone, Debug)]
pub(super) struct RequestPattern {
    pub(super) method: String,
    pub(super) target: Pattern,
    pub(super) headers: Vec<(String, Pattern)>,
    pub(super) body: Pattern,
}

#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) status: u16,
    /// `None` for a header that must not be there.
    pub(super) headers: Vec<(String, Option<Pattern>)>,
    pub(super) body: Pattern,
}

/// A text is no conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    pub line: usize,
    pub problem: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.problem)
    }
}

impl std::error::Error for ParseError {}

/// Reads the conversations of a file.
pub fn parse(text: &str) -> Result<Vec<Conversation>, ParseError> {
    let mut parser = Parser {
        lines: text.lines().collect(),
        next: 0,
        conversations: Vec::new(),
    };
    while parser.next < parser.lines.len() {
        let line = parser.next + 1;
        parser
            .read_one(line)
            .map_err(|problem| ParseError { line, problem })?;
    }
    Ok(parser.conversations)
}

struct Parser<'a> {
    lines: Vec<&'a str>,
    next: usize,
    conversations: Vec<Conversation>,
}

impl<'a> Parser<'a> {
    /// Reads one step, title or option; an exchange is one step.
    fn read_one(&mut self, line: usize) -> Result<(), String> {
        let text = self.lines[self.next];
        if text.trim().is_empty() || text.starts_with('#') {
            self.next += 1;
        } else if let Some(title) = text.strip_prefix("== ") {
            self.next += 1;
            let title = title.to_owned();
            self.conversations.push(Conversation {
                title,
                line,
                clock: Clock::Any,
                steps: Vec::new(),
            });
        } else {
            let action = if text == "clock: manual" {
                self.next += 1;
                self.conversation()?.clock = Clock::Manual;
                return Ok(());
            } else if let Some(directive) = text.strip_prefix("@ ") {
                self.next += 1;
                self.read_directive(directive)?
            } else if text.starts_with('>') {
                Action::Exchange {
                    request: self.read_request()?,
                    expected: self.read_expected()?,
                }
            } else {
                return Err(format!("not understood: {text}"));
            };
            self.conversation()?.steps.push(Step { line, action });
        }
        Ok(())
    }

    fn conversation(&mut self) -> Result<&mut Conversation, String> {
        self.conversations
            .last_mut()
            .ok_or_else(|| "before the first title".to_owned())
    }

    fn read_directive(&mut self, directive: &str) -> Result<Action, String> {
        if let Some(span) = directive.strip_prefix('+') {
            return parse_span(span)
                .map(Action::Advance)
                .ok_or_else(|| format!("not a span: {span}"));
        }
        let (verb, name) = directive
            .split_once(' ')
            .ok_or("a directive without a name")?;
        let name = name.to_owned();
        match verb {
            "start" => Ok(Action::Start {
                name,
                request: self.read_request()?,
            }),
            "answer" => Ok(Action::Answer {
                name,
                expected: self.read_expected()?,
            }),
            "pending" => Ok(Action::Pending { name }),
            "cancel" => Ok(Action::Cancel { name }),
            other => Err(format!("unknown directive: {other}")),
        }
    }

    fn read_request(&mut self) -> Result<RequestPattern, String> {
        let block = self.read_block('>')?;
        let (method, target) = block
            .first
            .split_once(' ')
            .ok_or("a request is a method and a target")?;
        let mut headers = Vec::new();
        for header in block.headers {
            let (name, value) = header
                .split_once(": ")
                .ok_or_else(|| format!("not a header: {header}"))?;
            headers.push((name.to_owned(), Pattern::parse(value.as_bytes())?));
        }
        let target = Pattern::parse(target.as_bytes())?;
        Ok(RequestPattern {
            method: method.to_owned(),
            target,
            headers,
            body: Pattern::parse(&block.body)?,
        })
    }

    fn read_expected(&mut self) -> Result<Expected, String> {
        let block = self.read_block('<')?;
        let status = block
            .first
            .parse()
            .map_err(|_| format!("not a status: {}", block.first))?;
        let mut headers = Vec::new();
        for header in block.headers {
            headers.push(match (header.strip_prefix('!'), header.split_once(": ")) {
                (Some(name), _) => (name.to_owned(), None),
                (None, Some((name, value))) => {
                    (name.to_owned(), Some(Pattern::parse(value.as_bytes())?))
                }
                (None, None) => return Err(format!("not a header: {header}")),
            });
        }
        Ok(Expected {
            status,
            headers,
            body: Pattern::parse(&block.body)?,
        })
    }

    /// Reads lines that start with `mark`: a first line, headers, an empty line, a body.
    fn read_block(&mut self, mark: char) -> Result<Block<'a>, String> {
        let lines: Vec<&'a str> = self.lines[self.next..]
            .iter()
            .map_while(|line| line.strip_prefix(mark))
            .collect();
        self.next += lines.len();
        let (first, rest) = lines
            .split_first()
            .ok_or_else(|| format!("lines with {mark} are expected"))?;
        let head_length = rest
            .iter()
            .position(|line| line.is_empty())
            .unwrap_or(rest.len());
        let (headers, body) = rest.split_at(head_length);
        let headers = headers.iter().map(|line| line.trim_start()).collect();
        Ok(Block {
            first: first.trim(),
            headers,
            body: read_body(body.get(1..).unwrap_or_default())?,
        })
    }
}

struct Block<'a> {
    first: &'a str,
    headers: Vec<&'a str>,
    body: Vec<u8>,
}

/// Text lines have a line feed between them, lines of hexadecimal bytes have none around.
fn read_body(lines: &[&str]) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    let mut after_text = false;
    for line in lines {
        if let Some(bytes) = line.strip_prefix('x') {
            for byte in bytes.split_whitespace() {
                body.push(
                    u8::from_str_radix(byte, 16)
                        .map_err(|_| format!("not a hexadecimal byte: {byte}"))?,
                );
            }
            after_text = false;
        } else {
            if after_text {
                body.push(b'\n');
            }
            body.extend_from_slice(line.strip_prefix(' ').unwrap_or(line).as_bytes());
            after_text = true;
        }
    }
    Ok(body)
}

fn parse_span(text: &str) -> Option<Duration> {
    if let Some(milliseconds) = text.strip_suffix("ms") {
        return Some(Duration::from_millis(milliseconds.parse().ok()?));
    }
    Some(Duration::from_secs(text.strip_suffix('s')?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Variables;
    use super::*;

    #[test]
    fn all_that_the_format_has() {
        let text = "# about\n\n== title\nclock: manual\n@ start w\n> GET /a?wait=1\n@ +1500ms\n@ pending w\n@ +2s\n\
                    @ answer w\n< 404\n@ cancel v\n> PUT /a\n> Content-Type: text/plain\n>\n> one\n>\n>  two\n>x 00 ff\n> x\n\
                    < 201\n< !Content-Type\n< ETag: {{tag}}\n<\n< body\n";
        let conversations = parse(text).unwrap();
        let [conversation] = conversations.as_slice() else {
            panic!()
        };
        assert_eq!(
            (
                conversation.title.as_str(),
                conversation.line,
                conversation.clock
            ),
            ("title", 3, Clock::Manual)
        );
        let lines: Vec<usize> = conversation.steps.iter().map(|step| step.line).collect();
        assert_eq!(lines, [5, 7, 8, 9, 10, 12, 13]);
        assert!(
            matches!(conversation.steps[1].action, Action::Advance(span) if span.as_millis() == 1_500)
        );
        let Action::Exchange { request, expected } = &conversation.steps[6].action else {
            panic!()
        };
        assert_eq!(request.headers[0].0, "Content-Type");
        assert_eq!(
            request.body.fill(&Variables::new()).unwrap(),
            b"one\n\n two\x00\xffx"
        );
        assert_eq!((expected.status, expected.headers.len()), (201, 2));
        assert_eq!(expected.body.show(), b"body");
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        for (text, line) in [
            ("> GET /\n< 200", 1),
            ("== t\n> GET /\n\n< 200", 2),
            ("== t\n\n< 200", 3),
            ("== t\n> GET /\n< ok", 2),
            ("== t\n@ later w", 2),
            ("== t\n@ +1h", 2),
            ("== t\nclock: real", 2),
            ("== t\n> GET\n< 200", 2),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text}");
        }
    }
}
