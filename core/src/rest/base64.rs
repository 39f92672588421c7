//! Base64 with padding, strictly: RFC 4648, section 4.

use alloc::vec::Vec;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// What each byte stands for as a digit.
const VALUES: [u8; 256] = values();
const NO_DIGIT: u8 = 0xff;

const fn values() -> [u8; 256] {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < DIGITS.len() {
        values[DIGITS[value] as usize] = value as u8;
        value += 1;
    }
    values
}

/// Appends the bytes as base64.
pub(super) fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len().div_ceil(3) * 4);
    let (groups, rest) = bytes.as_chunks();
    for group in groups {
        out.extend_from_slice(&digits(*group));
    }
    match rest {
        [a, b] => {
            let [first, second, third, _] = digits([*a, *b, 0]);
            out.extend_from_slice(&[first, second, third, b'=']);
        }
        [a] => {
            let [first, second, ..] = digits([*a, 0, 0]);
            out.extend_from_slice(&[first, second, b'=', b'=']);
        }
        _ => {}
    }
}

/// The bytes; `None` for what is not exactly what [`encode`] gives for them.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, rest) = text.as_chunks();
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    let Some((last, groups)) = groups.split_last() else {
        return Some(bytes);
    };
    for group in groups {
        bytes.extend_from_slice(&group_of(*group)?);
    }
    match *last {
        [a, b, b'=', b'='] => match group_of([a, b, b'A', b'A'])? {
            [first, 0, 0] => bytes.push(first),
            _ => return None,
        },
        [a, b, c, b'='] => match group_of([a, b, c, b'A'])? {
            [first, second, 0] => bytes.extend_from_slice(&[first, second]),
            _ => return None,
        },
        whole => bytes.extend_from_slice(&group_of(whole)?),
    }
    Some(bytes)
}

fn digits([a, b, c]: [u8; 3]) -> [u8; 4] {
    let bits = u32::from_be_bytes([0, a, b, c]);
    [18, 12, 6, 0].map(|shift| DIGITS[(bits >> shift) as usize % 64])
}

fn group_of(digits: [u8; 4]) -> Option<[u8; 3]> {
    let values = digits.map(|digit| VALUES[usize::from(digit)]);
    let bits = values
        .iter()
        .fold(0, |bits, value| bits << 6 | u32::from(*value));
    let all = values.iter().fold(0, |all, value| all | value);
    let [_, a, b, c] = bits.to_be_bytes();
    (all < 64).then_some([a, b, c])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;

    fn is_read_as_elsewhere(text: &[u8]) {
        assert_eq!(
            decode(text),
            STANDARD.decode(text).ok(),
            "{}",
            text.escape_ascii()
        );
    }

    #[test]
    fn it_is_what_others_write_and_read() {
        let bytes: Vec<u8> = (0..=255).rev().chain(0..=255).collect();
        for length in 0..bytes.len() {
            let mut text = b"before".to_vec();
            encode(&mut text, &bytes[..length]);
            let text = &text[6..];
            assert_eq!(text, STANDARD.encode(&bytes[..length]).as_bytes());
            is_read_as_elsewhere(text);
        }
    }

    #[test]
    fn whatever_is_wrong_is_refused_as_elsewhere() {
        for text in ["AAECAwQ=", "AAECAw==", "AAEC"] {
            for place in 0..text.len() {
                for byte in 0..=255 {
                    let mut wrong = text.as_bytes().to_vec();
                    wrong[place] = byte;
                    is_read_as_elsewhere(&wrong);
                }
                is_read_as_elsewhere(&text.as_bytes()[..place]);
            }
        }
        for text in [
            "=", "==", "====", "A===", "AA=A", "AA==AA==", "AA== ", " AA==", "AA\n==",
        ] {
            is_read_as_elsewhere(text.as_bytes());
        }
    }
}
