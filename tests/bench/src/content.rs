//! Ids and bodies of the messages that the figures are about: 16 and 100 bytes.

use std::sync::LazyLock;

use anyhow::Context;

pub const ID_BYTES: usize = 16;
pub const BODY_BYTES: usize = 100;

/// Larger than the nearest caches.
const POOL_BYTES: usize = 1_000_003;

static POOL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut random = fastrand::Rng::with_seed(1);
    (0..POOL_BYTES)
        .map(|_| random.alphanumeric() as u8)
        .collect()
});

/// An id whose order says nothing about when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id([u8; ID_BYTES]);

impl Id {
    pub fn of(number: u64) -> Self {
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Self(std::array::from_fn(|place| {
            b"0123456789abcdef"[(mixed >> (60 - 4 * place)) as usize & 15]
        }))
    }

    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }

    pub fn read(text: &str) -> anyhow::Result<Self> {
        Ok(Self(
            text.as_bytes()
                .try_into()
                .context("an id of another length")?,
        ))
    }
}

/// The body of a message: letters and digits that do not repeat.
pub fn body(number: u64) -> &'static [u8] {
    body_of(number, BODY_BYTES)
}

/// A body of so many bytes, at the most a megabyte.
pub fn body_of(number: u64, bytes: usize) -> &'static [u8] {
    let start = (number.wrapping_mul(7_919) % (POOL_BYTES - bytes) as u64) as usize;
    &POOL[start..start + bytes]
}

/// The same as text, which it is.
pub fn text(number: u64, bytes: usize) -> &'static str {
    str::from_utf8(body_of(number, bytes)).unwrap_or_default()
}
