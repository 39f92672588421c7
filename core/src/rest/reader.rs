//! Reads JSON as clients send it: objects of strings, numbers, `true`, `false` and `null`. No request has
//! anything deeper.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// A value of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// The object has no such key.
    #[default]
    Absent,
    Null,
    Bool(bool),
    /// As it is written, because a float would not keep decimals exact.
    Number(&'a str),
    /// Borrowed if it has no escapes.
    Text(Cow<'a, str>),
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// What of them is UTF-8.
    text: &'a str,
    at: usize,
}

/// The error is for the client.
type Read<T> = Result<T, String>;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        let text = match core::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(valid).unwrap_or_default()
            }
        };
        Self { bytes, text, at: 0 }
    }

    /// Passes the start of an array; true if it has an item.
    pub(super) fn begin_array(&mut self, of: &str) -> Read<bool> {
        if self.next() != Some(b'[') {
            return Err(self.wrong(&format!("there is no array of {of}")));
        }
        self.at += 1;
        let is_empty = self.next() == Some(b']');
        self.at += usize::from(is_empty);
        Ok(!is_empty)
    }

    /// Passes what stands behind an item; true if another one follows.
    pub(super) fn goes_on(&mut self, end: u8) -> Read<bool> {
        let goes_on = match self.next() {
            Some(b',') => true,
            Some(other) if other == end => false,
            _ => return Err(self.wrong("there is neither a comma nor the end")),
        };
        self.at += 1;
        Ok(goes_on)
    }

    /// True if nothing but white space is left.
    pub(super) fn is_at_end(&mut self) -> bool {
        self.next().is_none() && self.text.len() == self.bytes.len()
    }

    /// Fails if anything is left.
    pub(super) fn end(&mut self) -> Read<()> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(self.wrong("trailing characters"))
        }
    }

    /// Reads an object that has no other keys than these, each once at the most.
    pub(super) fn object<const N: usize>(
        &mut self,
        what: &str,
        keys: [&str; N],
    ) -> Read<[Value<'a>; N]> {
        let mut values = [const { Value::Absent }; N];
        self.read_object(what, &keys, &mut values)?;
        Ok(values)
    }

    fn read_object(&mut self, what: &str, keys: &[&str], values: &mut [Value<'a>]) -> Read<()> {
        if self.next() != Some(b'{') {
            return Err(self.wrong(&format!("there is no object {what}")));
        }
        self.at += 1;
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.next() != Some(b'"') {
                return Err(self.wrong("there is no key"));
            }
            let key = self.string()?;
            let place = keys.iter().position(|known| *known == key);
            let Some(value) = place.and_then(|place| values.get_mut(place)) else {
                return Err(self.wrong(&format!("unknown field `{key}`")));
            };
            if *value != Value::Absent {
                return Err(self.wrong(&format!("duplicate field `{key}`")));
            }
            if self.next() != Some(b':') {
                return Err(self.wrong("there is no colon"));
            }
            self.at += 1;
            *value = self.value()?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    fn value(&mut self) -> Read<Value<'a>> {
        match self.next() {
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'[' | b'{') => Err(self.wrong("there is an array or an object in an object")),
            _ => {
                let word = self.take_while(|byte| byte.is_ascii_alphabetic());
                match word {
                    "null" => Ok(Value::Null),
                    "true" => Ok(Value::Bool(true)),
                    "false" => Ok(Value::Bool(false)),
                    _ => Err(self.wrong("there is no value")),
                }
            }
        }
    }

    fn number(&mut self) -> Read<Value<'a>> {
        let is_part = |byte: u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let number = self.take_while(is_part);
        match number.trim_start_matches('-').as_bytes() {
            [b'0', b'0'..=b'9', ..] => Err(self.wrong("a number begins with 0")),
            _ => Ok(Value::Number(number)),
        }
    }

    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.bytes().position(|byte| !is_part(byte));
        let taken = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
        self.at += taken.len();
        taken
    }

    /// Reads a string, at its first quote.
    fn string(&mut self) -> Read<Cow<'a, str>> {
        self.at += 1;
        let mut read = Cow::Borrowed("");
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.get(..plain_bytes(rest.as_bytes())).unwrap_or_default();
            self.at += plain.len();
            if read.is_empty() {
                read = Cow::Borrowed(plain);
            } else {
                read.to_mut().push_str(plain);
            }
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(read);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let character = self.escape()?;
                    read.to_mut().push(character);
                }
                Some(_) => return Err(self.wrong("there is a control character in a string")),
                None => return Err(self.wrong("a string does not end")),
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Read<char> {
        let escaped = self.text.as_bytes().get(self.at).copied();
        self.at += 1;
        Ok(match escaped {
            Some(same @ (b'"' | b'\\' | b'/')) => char::from(same),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.wrong("there is no such escape")),
        })
    }

    /// Reads four hexadecimal digits, or twice as many with `\u` in between.
    fn unicode(&mut self) -> Read<char> {
        let mut units = [self.unit(), None];
        let rest = self.text.get(self.at..).unwrap_or_default();
        if matches!(units, [Some(0xd800..0xdc00), _]) && rest.starts_with("\\u") {
            self.at += 2;
            units[1] = self.unit();
        }
        let mut characters = char::decode_utf16(units.into_iter().flatten());
        match (characters.next(), characters.next()) {
            (Some(Ok(character)), None) => Ok(character),
            _ => Err(self.wrong("there is no such character")),
        }
    }

    fn unit(&mut self) -> Option<u16> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hexadecimal.then(|| u16::from_str_radix(digits, 16).ok())?
    }

    /// The next byte that is no white space, which is not passed.
    fn next(&mut self) -> Option<u8> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let spaces = rest.iter().take_while(|byte| is_space(byte)).count();
        self.at += spaces;
        rest.get(spaces).copied()
    }

    /// Tells what is wrong, and where.
    fn wrong(&self, what: &str) -> String {
        let at = self.at.min(self.text.len());
        let is_cut = at == self.text.len() && at < self.bytes.len();
        let what = if is_cut { "this is not UTF-8" } else { what };
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        format!("{what} at line {line}, after {at} bytes")
    }
}

/// Bytes before the first that ends a string or cannot stand in one. It looks at whole chunks, without an exit in
/// the middle of one, so that the compiler can use vector instructions.
pub(super) fn plain_bytes(text: &[u8]) -> usize {
    const CHUNK: usize = 32;
    let is_plain = |byte: u8| (byte >= b' ') & (byte != b'"') & (byte != b'\\');
    let is_all_plain =
        |chunk: &&[u8; CHUNK]| chunk.iter().fold(true, |all, byte| all & is_plain(*byte));
    let (chunks, _) = text.as_chunks();
    let passed = chunks.iter().take_while(is_all_plain).count() * CHUNK;
    let rest = text.get(passed..).unwrap_or_default();
    passed + rest.iter().take_while(|byte| is_plain(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    /// The values under `a` and `b`, as JSON again.
    fn read(bytes: &[u8]) -> Option<[Option<String>; 2]> {
        let mut json = Reader::new(bytes);
        let values = json.object("of a test", ["a", "b"]).ok()?;
        json.end().ok()?;
        Some(values.map(|value| match value {
            Value::Absent => None,
            Value::Null => Some("null".to_string()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Number(number) => Some(number.to_string()),
            Value::Text(text) => Some(serde_json::Value::from(text).to_string()),
        }))
    }

    fn expected(bytes: &[u8]) -> Option<[Option<String>; 2]> {
        let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        let object = json.as_object()?;
        Some(["a", "b"].map(|key| object.get(key).map(ToString::to_string)))
    }

    #[test]
    fn it_takes_and_refuses_what_others_do() {
        let documents: [&[u8]; 46] = [
            b"{}",
            b" { } ",
            b"",
            b"{",
            b"{}}",
            b"[]",
            b"null",
            b"\"a\"",
            br#"{"a":1,"b":2}"#,
            b"\t{\r\n\"a\" : -0.5 ,\n\"b\":null }\n",
            br#"{"a":1,}"#,
            br#"{,"a":1}"#,
            br#"{"a":1 "b":2}"#,
            br#"{"a" 1}"#,
            br#"{"a"}"#,
            br#"{a:1}"#,
            br#"{"a":}"#,
            br#"{"a":true,"b":false}"#,
            br#"{"a":TRUE}"#,
            br#"{"a":tru}"#,
            br#"{"a":truee}"#,
            br#"{"a":00}"#,
            br#"{"a":-01}"#,
            br#"{"a":0}"#,
            br#"{"a":+1}"#,
            br#"{"a":.5}"#,
            br#"{"a":""}"#,
            br#"{"\u0061":"\"\\\/\b\f\n\r\t"}"#,
            br#"{"a":"\u00e9\u20ac\ud83d\ude00"}"#,
            br#"{"a":"\ud83d"}"#,
            br#"{"a":"\ud83d\u0041"}"#,
            br#"{"a":"\ud83dx"}"#,
            br#"{"a":"\ude00"}"#,
            br#"{"a":"\u12"}"#,
            br#"{"a":"\u+123"}"#,
            br#"{"a":"\x41"}"#,
            b"{\"a\":\"\\\xc3\xa9\"}",
            b"{\"a\":\"\n\"}",
            b"{\"a\":\"\0\"}",
            br#"{"a":"b}"#,
            br#"{"a":"b\"}"#,
            br#"{"a":"\u"#,
            "{\"a\":\"é€😀\u{7f}\u{2028}\"}".as_bytes(),
            b"{\"a\":\"\xff\"}",
            b"{\"a\":\"\xed\xa0\x80\"}",
            b"{}\xff",
        ];
        for document in documents {
            let shown = document.escape_ascii();
            assert_eq!(read(document), expected(document), "{shown}");
            for end in 0..document.len() {
                let cut = &document[..end];
                assert_eq!(read(cut), expected(cut), "{shown}, cut after {end}");
            }
        }
    }

    #[test]
    fn a_string_of_any_length_is_read_wherever_it_ends() {
        for length in 0..100 {
            for special in ["", "\\n", "\\u0041", "é", "\\\""] {
                let document = format!("{{\"a\":\"{}{special}x\"}}", "y".repeat(length));
                assert_eq!(
                    read(document.as_bytes()),
                    expected(document.as_bytes()),
                    "{document}"
                );
            }
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let errors = [
            (
                "{\n\n \"c\":1}",
                "unknown field `c` at line 3, after 7 bytes",
            ),
            (
                r#"{"a":1,"a":null}"#,
                "duplicate field `a` at line 1, after 10 bytes",
            ),
            (
                r#"{"a":[1]}"#,
                "there is an array or an object in an object at line 1, after 5 bytes",
            ),
        ];
        for (document, error) in errors {
            let mut json = Reader::new(document.as_bytes());
            assert_eq!(json.object("of a test", ["a", "b"]), Err(error.to_string()));
        }
    }

    #[test]
    fn a_text_is_copied_only_for_its_escapes() {
        let mut json = Reader::new(br#"{"a":"plain","b":"\n"}"#);
        let values = json.object("of a test", ["a", "b"]).unwrap();
        let is_borrowed = |value| matches!(value, Value::Text(Cow::Borrowed(_)));
        assert_eq!(values.map(is_borrowed), [true, false]);
    }

    #[test]
    fn items_follow_one_another() {
        let mut json = Reader::new(b" [ 1 , 2 ] ");
        let mut items = Vec::new();
        let mut goes_on = json.begin_array("numbers").unwrap();
        while goes_on {
            items.push(json.value().unwrap());
            goes_on = json.goes_on(b']').unwrap();
        }
        assert_eq!(items, [Value::Number("1"), Value::Number("2")]);
        assert!(json.is_at_end());
        for bad in ["", "{}", "[1 2]", "[1", "[1}"] {
            let mut json = Reader::new(bad.as_bytes());
            let begun = json.begin_array("numbers");
            let read = begun
                .and_then(|_| json.value())
                .and_then(|_| json.goes_on(b']'));
            assert!(read.is_err(), "{bad}");
        }
    }
}
