//! Proof of a claim.

use core::fmt;
use core::str::FromStr;

/// Names one claim of one message, once and for all: two claims never have the same
/// token, also not across restarts, so a late worker cannot act on a message that
/// somebody else has claimed since.
///
/// As text it is two lower-case hexadecimal numbers, `position-fence`. Clients should
/// take it as opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimToken {
    /// The message's place in the order of its queue, unique in the node.
    pub(crate) position: u64,
    /// The number of the claim, unique in the node; restarts skip ahead.
    pub(crate) fence: u64,
}

impl fmt::Display for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.position, self.fence)
    }
}

/// The text is not a claim token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidToken;

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a claim token")
    }
}

impl core::error::Error for InvalidToken {}

impl FromStr for ClaimToken {
    type Err = InvalidToken;

    /// Takes exactly what `Display` writes: a token has one spelling.
    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (position, fence) = text.split_once('-').ok_or(InvalidToken)?;
        Ok(Self {
            position: parse_hex(position)?,
            fence: parse_hex(fence)?,
        })
    }
}

fn parse_hex(digits: &str) -> Result<u64, InvalidToken> {
    let canonical = digits == "0" || !digits.starts_with('0');
    let lower = digits
        .bytes()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if digits.is_empty() || !canonical || !lower {
        return Err(InvalidToken);
    }
    u64::from_str_radix(digits, 16).map_err(|_| InvalidToken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_round_trips_and_has_one_spelling() {
        let token = ClaimToken {
            position: 0x1f,
            fence: u64::MAX,
        };
        assert_eq!(token.to_string().parse(), Ok(token));
        for bad in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "01-1",
            "A-1",
            "1-1-1",
            "1-10000000000000000",
            "+1-1",
            " 1-1",
            "1-é",
        ] {
            assert_eq!(bad.parse::<ClaimToken>(), Err(InvalidToken), "{bad}");
        }
    }
}
