//! Proof of a claim.

use core::fmt;
use core::str::FromStr;

/// Names one claim of one message, once and for all: two claims never have the same
/// token, also not across restarts, so a late worker cannot act on a message that
/// somebody else has claimed since.
///
/// As text it is a lower-case hexadecimal number. Clients should take it as opaque.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimToken {
    /// The stamp of the claim, unique in the node and above 0.
    pub(crate) fence: u64,
}

impl fmt::Display for ClaimToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.fence)
    }
}

impl ClaimToken {
    /// The number that the text spells, for protocols that have numbers.
    pub const fn number(self) -> u64 {
        self.fence
    }

    /// The token of that number.
    pub const fn from_number(number: u64) -> Result<Self, InvalidToken> {
        match number {
            0 => Err(InvalidToken),
            fence => Ok(Self { fence }),
        }
    }
}

/// The text or number is not a claim token.
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
        // Zero is no stamp.
        let canonical = !text.starts_with('0');
        let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.is_empty() || !canonical || !lower {
            return Err(InvalidToken);
        }
        let fence = u64::from_str_radix(text, 16).map_err(|_| InvalidToken)?;
        Ok(Self { fence })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn text_round_trips_and_has_one_spelling() {
        for fence in [0x1f, 1, u64::MAX] {
            let token = ClaimToken { fence };
            assert_eq!(token.to_string().parse(), Ok(token));
            assert_eq!(ClaimToken::from_number(token.number()), Ok(token));
        }
        assert_eq!(ClaimToken::from_number(0), Err(InvalidToken));
        for bad in [
            "",
            "-",
            "0",
            "01",
            "A",
            "1-1",
            "10000000000000000",
            "+1",
            " 1",
            "é",
        ] {
            assert_eq!(bad.parse::<ClaimToken>(), Err(InvalidToken), "{bad}");
        }
    }
}
