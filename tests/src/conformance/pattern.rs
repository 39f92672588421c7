//! Texts with variables: filled in where they are sent, compared and captured where they
//! are expected.

use std::collections::BTreeMap;

/// Values by name.
pub(super) type Variables = BTreeMap<String, Vec<u8>>;

/// Bytes in which `{{name}}` stands for a variable and `{{*}}` for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Vec<u8>),
    Variable(String),
    Anything,
}

impl Pattern {
    /// Reads a pattern; `{{text*3}}` is written out as `texttexttext` at once.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = Vec::new();
        let mut rest = text;
        while let Some(start) = find(rest, b"{{") {
            literal.extend_from_slice(&rest[..start]);
            let inner = &rest[start + 2..];
            let end = find(inner, b"}}").ok_or("{{ without }}")?;
            let name = std::str::from_utf8(&inner[..end]).map_err(|_| "a name is not UTF-8")?;
            rest = &inner[end + 2..];
            if let Some((text, count)) = repetition(name) {
                literal.extend_from_slice(text.repeat(count).as_bytes());
                continue;
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            } else if !pieces.is_empty() {
                return Err(format!(
                    "nothing tells where the text before {{{{{name}}}}} ends"
                ));
            }
            pieces.push(match name {
                "*" => Piece::Anything,
                _ if is_name(name) => Piece::Variable(name.to_owned()),
                _ => {
                    return Err(format!(
                        "{{{{{name}}}}} is neither a variable nor a repetition"
                    ));
                }
            });
        }
        literal.extend_from_slice(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self(pieces))
    }

    /// The bytes with all variables filled in.
    pub(super) fn fill(&self, variables: &Variables) -> Result<Vec<u8>, String> {
        let mut filled = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => filled.extend_from_slice(text),
                Piece::Variable(name) => {
                    filled.extend_from_slice(
                        variables
                            .get(name)
                            .ok_or(format!("{name} has no value yet"))?,
                    );
                }
                Piece::Anything => return Err("{{*}} has no value".to_owned()),
            }
        }
        Ok(filled)
    }

    /// True if the bytes are as expected. A variable without a value takes what stands in
    /// its place: at least one byte, and as little as the text after it allows.
    pub(super) fn matches(&self, bytes: &[u8], variables: &mut Variables) -> bool {
        let mut rest = bytes;
        let mut open: Option<&Piece> = None;
        let mut captured = Variables::new();
        for piece in &self.0 {
            let literal = match piece {
                Piece::Literal(text) => Some(text),
                Piece::Variable(name) => captured.get(name).or_else(|| variables.get(name)),
                Piece::Anything => None,
            };
            let Some(literal) = literal.cloned() else {
                open = Some(piece);
                continue;
            };
            let at = match open {
                None if rest.starts_with(&literal) => 0,
                Some(_) if rest.is_empty() => return false,
                Some(_) => match find(&rest[1..], &literal) {
                    Some(found) => found + 1,
                    None => return false,
                },
                None => return false,
            };
            capture(open.take(), &rest[..at], &mut captured);
            rest = &rest[at + literal.len()..];
        }
        if open.is_none() != rest.is_empty() {
            return false;
        }
        capture(open, rest, &mut captured);
        variables.extend(captured);
        true
    }

    /// The pattern as text, for messages.
    pub(super) fn show(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|piece| match piece {
                Piece::Literal(text) => text.clone(),
                Piece::Variable(name) => format!("{{{{{name}}}}}").into_bytes(),
                Piece::Anything => b"{{*}}".to_vec(),
            })
            .collect()
    }
}

fn capture(piece: Option<&Piece>, bytes: &[u8], captured: &mut Variables) {
    if let Some(Piece::Variable(name)) = piece {
        captured.insert(name.clone(), bytes.to_vec());
    }
}

fn repetition(inner: &str) -> Option<(&str, usize)> {
    let (text, count) = inner.rsplit_once('*')?;
    Some((text, count.parse().ok()?))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len().max(1))
        .position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_unknown_variable_captures_and_a_known_one_compares() {
        let mut variables = Variables::new();
        assert!(
            pattern(r#"[{"id":"{{id}}"},{"id":"{{id}}"}]"#)
                .matches(br#"[{"id":"7"},{"id":"7"}]"#, &mut variables)
        );
        assert_eq!(pattern("/{{id}}").fill(&variables).unwrap(), b"/7");
        assert!(pattern("{{id}}").matches(b"7", &mut variables));
        assert!(!pattern("{{id}}").matches(b"8", &mut variables));
        assert!(!pattern(r#"{{new}},{{new}}"#).matches(b"1,2", &mut variables));
        assert!(pattern("{{other}}").fill(&variables).is_err());
    }

    #[test]
    fn a_failed_match_captures_nothing() {
        let mut variables = Variables::new();
        assert!(!pattern("{{a}},x").matches(b"1,y", &mut variables));
        assert!(variables.is_empty());
    }

    #[test]
    fn anything_is_at_least_one_byte() {
        let mut variables = Variables::new();
        for (text, bytes, expected) in [
            ("{{*}}", "x", true),
            ("{{*}}", "", false),
            ("a{{*}}", "a", false),
            ("a{{*}}c", "abbc", true),
            ("a{{*}}c", "ac", false),
            ("", "", true),
            ("", "x", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(
                pattern(text).matches(bytes.as_bytes(), &mut variables),
                expected,
                "{text} {bytes}"
            );
        }
    }

    #[test]
    fn repetitions_are_written_out() {
        assert_eq!(
            pattern(r#"[{{{"b":""},*2}}1]"#)
                .fill(&Variables::new())
                .unwrap(),
            br#"[{"b":""},{"b":""},1]"#
        );
    }

    #[test]
    fn what_is_unclear_is_an_error() {
        for text in ["{{", "{{}}", "{{a b}}", "{{a}}{{b}}"] {
            assert!(Pattern::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
