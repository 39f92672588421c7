//! The name of a queue: a short one lies where the rest of the queue is, so that it takes no look elsewhere to compare it.

use alloc::boxed::Box;

/// Bytes of a short name.
const SHORT: usize = 38;

#[derive(Debug)]
pub(crate) enum Name {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl Name {
    pub(crate) fn new(name: &str) -> Self {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..name.len()) {
            Some(own) => {
                own.copy_from_slice(name.as_bytes());
                Self::Short {
                    length: name.len() as u8,
                    bytes,
                }
            }
            None => Self::Long(name.into()),
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(name) => name.as_bytes(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_lengths_stay_what_they_are() {
        for length in 0..60 {
            let name = "äb€defghijklmnopqrstuvwxyz".repeat(3);
            let mut end = length;
            while !name.is_char_boundary(end) {
                end += 1;
            }
            let name = &name[..end];
            assert_eq!(Name::new(name).as_str(), name);
        }
        assert_eq!(size_of::<Name>(), 40);
    }
}
