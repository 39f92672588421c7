//! Texts of a request target: cutting them up, and percent-decoding. The decoding is strict:
//! what is not a well-formed escape is an error, not itself.

use alloc::borrow::Cow;
use core::fmt;

use percent_encoding::percent_decode_str;

/// Why a text cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadText {
    Escape,
    Utf8,
}

impl fmt::Display for BadText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Escape => "has a % without two hexadecimal digits after it",
            Self::Utf8 => "is not UTF-8",
        })
    }
}

/// What stands before the first `mark`, an ASCII character, and what stands after it.
///
/// A plain loop, because for texts as short as these it is faster than `split_once`.
pub(super) fn cut(text: &str, mark: u8) -> (&str, Option<&str>) {
    match text.bytes().position(|byte| byte == mark) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}

/// One segment of a path.
pub(super) fn decode_segment(text: &str) -> Result<Cow<'_, str>, BadText> {
    if !has(text, b'%') {
        return Ok(Cow::Borrowed(text));
    }
    if !has_only_escapes(text) {
        return Err(BadText::Escape);
    }
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| BadText::Utf8)
}

/// A name or value of a query, where `+` stands for a space.
pub(super) fn decode_query(text: &str) -> Result<Cow<'_, str>, BadText> {
    if !has(text, b'+') {
        return decode_segment(text);
    }
    let spaced = text.replace('+', " ");
    decode_segment(&spaced).map(|decoded| Cow::Owned(decoded.into_owned()))
}

fn has(text: &str, mark: u8) -> bool {
    text.bytes().any(|byte| byte == mark)
}

/// True if every `%` starts an escape.
fn has_only_escapes(text: &str) -> bool {
    let behind = text.as_bytes().split(|byte| *byte == b'%').skip(1);
    { behind }.all(|rest| matches!(rest, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_the_first_mark() {
        assert_eq!(cut("a=b=c", b'='), ("a", Some("b=c")));
        assert_eq!(cut("é=", b'='), ("é", Some("")));
        assert_eq!(cut("=", b'='), ("", Some("")));
        assert_eq!(cut("aé", b'='), ("aé", None));
    }

    #[test]
    fn a_text_without_escapes_is_borrowed() {
        assert!(matches!(
            decode_segment("a+b é"),
            Ok(Cow::Borrowed("a+b é"))
        ));
        assert!(matches!(decode_query("plain"), Ok(Cow::Borrowed("plain"))));
    }

    #[test]
    fn escapes_are_decoded_once() {
        assert_eq!(decode_segment("%2F%25%32%35%c3%A9").unwrap(), "/%25é");
        assert_eq!(decode_query("a+b%2Bc").unwrap(), "a b+c");
        assert_eq!(decode_segment("%00").unwrap(), "\0");
    }

    #[test]
    fn what_is_no_escape_or_no_utf8_is_an_error() {
        for bad in ["%", "%2", "a%", "%zz", "%2g", "%%41", "%é1", "% 41", "%+1"] {
            assert_eq!(decode_segment(bad), Err(BadText::Escape), "{bad}");
        }
        for bad in ["%ff", "%c3", "%c3%28", "%ed%a0%80", "é%80"] {
            assert_eq!(decode_segment(bad), Err(BadText::Utf8), "{bad}");
        }
        assert_eq!(decode_query("+%"), Err(BadText::Escape));
        assert_eq!(decode_query("+%ff"), Err(BadText::Utf8));
    }
}
