//! Spans as clients write them, in decimal seconds; inside they are whole milliseconds.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::percent::cut;
use crate::refusal::Field;

/// Reads decimal seconds, exactly; what is finer than a millisecond counts as a whole one, so
/// that nothing above 0 becomes 0, which means something else. `None` for anything else, also
/// for a span that 64 bits cannot hold.
pub(super) fn parse_ms(text: &str) -> Option<u64> {
    let (whole, fraction) = cut(text, b'.');
    let milliseconds = digits(whole)?.checked_mul(1000)?;
    let Some(fraction) = fraction else {
        return Some(milliseconds);
    };
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exact = fraction.len().min(3);
    let (first, finer) = (fraction.get(..exact)?, fraction.get(exact..)?);
    let scale = [100, 10, 1].get(first.len() - 1)?;
    let is_more = finer.bytes().any(|byte| byte != b'0');
    milliseconds.checked_add(digits(first)? * scale + u64::from(is_more))
}

/// Reads the span of a parameter or JSON field; the error is for the client.
pub(super) fn parse_span(field: Field, text: &str, maximum_ms: u64) -> Result<u64, String> {
    parse_ms(text)
        .filter(|&span_ms| span_ms <= maximum_ms)
        .ok_or_else(|| {
            format!(
                "{field} is not a number of seconds in the range 0 to {}",
                Seconds(maximum_ms)
            )
        })
}

/// Reads a whole number; the error is for the client.
pub(super) fn parse_whole(
    field: Field,
    text: &str,
    minimum: u64,
    maximum: u64,
) -> Result<u64, String> {
    digits(text)
        .filter(|number| (minimum..=maximum).contains(number))
        .ok_or_else(|| format!("{field} is not a whole number in the range {minimum} to {maximum}"))
}

fn digits(text: &str) -> Option<u64> {
    // `parse` alone would take a leading `+`.
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

/// Milliseconds, shown as the shortest exact number of seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seconds(pub(super) u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, thousandths) = (self.0 / 1000, self.0 % 1000);
        match thousandths {
            0 => write!(f, "{whole}"),
            hundreds if hundreds % 100 == 0 => write!(f, "{whole}.{}", hundreds / 100),
            tens if tens % 10 == 0 => write!(f, "{whole}.{:02}", tens / 10),
            ones => write!(f, "{whole}.{ones:03}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::MAX_SPAN_MS;
    use alloc::string::ToString;

    #[test]
    fn decimal_seconds_are_read_exactly() {
        let cases = [
            ("0", 0),
            ("600", 600_000),
            ("0.25", 250),
            ("0.1", 100),
            ("0.001", 1),
            ("2.010", 2_010),
            ("007.5", 7_500),
            // As a double this would be off by far more than a millisecond.
            ("9007199254740.993", 9_007_199_254_740_993),
            ("18446744073709551.615", u64::MAX),
            ("18446744073709551.61500", u64::MAX),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_ms(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_finer_than_a_millisecond_counts_as_a_whole_one() {
        let cases = [
            ("0.2500", 250),
            ("0.2501", 251),
            ("0.0001", 1),
            ("0.0000", 0),
            ("1.9999", 2_000),
            // As JavaScript writes 0.1 + 0.2.
            ("0.30000000000000004", 301),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_ms(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let cases = [
            "",
            " ",
            "x",
            "-1",
            "-0",
            "+1",
            "1e3",
            "1E3",
            "NaN",
            "inf",
            ".5",
            "5.",
            ".",
            "1.2.3",
            "1,5",
            "0x10",
            "1 ",
            " 1",
            "1_000",
            "١",
            "18446744073709551.616",
            "18446744073709551.6151",
            "0.2500x",
            "0.250.0",
            "99999999999999999999",
            "0.-1",
            "0.+1",
        ];
        for text in cases {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }

    #[test]
    fn the_error_names_the_field_and_its_range_in_seconds() {
        assert_eq!(
            parse_span(Field::Ttl, "1000000000", MAX_SPAN_MS),
            Ok(MAX_SPAN_MS)
        );
        assert_eq!(
            parse_span(Field::Ttl, "1000000000.001", MAX_SPAN_MS).unwrap_err(),
            "ttl is not a number of seconds in the range 0 to 1000000000"
        );
        assert_eq!(
            parse_whole(Field::Limit, "0", 1, 9).unwrap_err(),
            "limit is not a whole number in the range 1 to 9"
        );
    }

    #[test]
    fn what_is_shown_reads_back_as_itself() {
        for (milliseconds, text) in [
            (0, "0"),
            (1, "0.001"),
            (10, "0.01"),
            (250, "0.25"),
            (100, "0.1"),
            (61_000, "61"),
        ] {
            assert_eq!(Seconds(milliseconds).to_string(), text);
            assert_eq!(parse_ms(text), Some(milliseconds));
        }
    }
}
