//! What passes between an instance and its JavaScript: little-endian numbers, and texts and
//! bytes with their lengths before them.

use alloc::vec::Vec;

use burrow_core::journal::Batch;
use burrow_core::rest::{Request, Response};

/// Stands for the length of a text that is not there.
const ABSENT: u32 = u32::MAX;

/// Reads what JavaScript wrote. `None` wherever it is not what it should be.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    pub fn number(&mut self) -> Option<u32> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*bytes))
    }

    pub fn text(&mut self) -> Option<&'a str> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        core::str::from_utf8(bytes).ok()
    }

    fn optional_text(&mut self) -> Option<Option<&'a str>> {
        let mut ahead = *self;
        if ahead.number()? == ABSENT {
            *self = ahead;
            return Some(None);
        }
        self.text().map(Some)
    }

    /// A request; its body is all that is left.
    pub fn request(mut self) -> Option<Request<'a>> {
        Some(Request {
            method: self.text()?,
            target: self.text()?,
            content_type: self.optional_text()?,
            origin: self.optional_text()?,
            access_control_request_method: self.optional_text()?,
            body: self.0,
        })
    }
}

/// The sequence numbers of stored blobs.
pub fn sequences(bytes: &[u8]) -> Vec<u64> {
    let (numbers, _) = bytes.as_chunks();
    numbers
        .iter()
        .map(|number| u64::from_le_bytes(*number))
        .collect()
}

pub fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&length(text.len()));
    out.extend_from_slice(text.as_bytes());
}

/// A response: status, whether it is to a `HEAD`, headers, and its body to the end.
pub fn put_response(out: &mut Vec<u8>, response: &Response) {
    out.extend_from_slice(&response.status.to_le_bytes());
    out.push(response.head.into());
    out.extend_from_slice(&length(response.headers.len()));
    for (name, value) in &response.headers {
        put_text(out, name);
        put_text(out, value);
    }
    out.extend_from_slice(&response.body);
}

/// A batch: sequence, ranges to drop, and the blob to the end.
pub fn put_batch(out: &mut Vec<u8>, batch: &Batch) {
    out.extend_from_slice(&batch.sequence.to_le_bytes());
    out.extend_from_slice(&length(batch.drops.len()));
    for range in &batch.drops {
        out.extend_from_slice(&range.start().to_le_bytes());
        out.extend_from_slice(&range.end().to_le_bytes());
    }
    out.extend_from_slice(&batch.blob);
}

/// Nothing that is written here comes near to 4 GiB.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(ABSENT).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn written(texts: &[Option<&str>], body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for text in texts {
            match text {
                Some(text) => put_text(&mut bytes, text),
                None => bytes.extend_from_slice(&ABSENT.to_le_bytes()),
            }
        }
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        let texts = [Some("PUT"), Some("/v1.0/a/q/ü"), None, Some(""), None];
        let bytes = written(&texts, b"\xffbody");
        let request = Input(&bytes).request().unwrap();
        assert_eq!((request.method, request.target), ("PUT", "/v1.0/a/q/ü"));
        assert_eq!((request.content_type, request.origin), (None, Some("")));
        assert_eq!(request.body, b"\xffbody");
    }

    #[test]
    fn what_is_cut_short_is_not_a_request() {
        let bytes = written(&[Some("PUT"), Some("/"), None, None, None], b"");
        for end in 0..bytes.len() {
            assert!(Input(&bytes[..end]).request().is_none(), "{end}");
        }
        assert!(Input(&bytes).request().is_some());
    }

    #[test]
    fn a_batch_has_its_drops_before_its_blob() {
        let batch = Batch {
            sequence: 7,
            blob: vec![1, 2],
            drops: vec![3..=5],
        };
        let mut out = Vec::new();
        put_batch(&mut out, &batch);
        let numbers = [
            7_u64.to_le_bytes(),
            3_u64.to_le_bytes(),
            5_u64.to_le_bytes(),
        ];
        let expected = [
            &numbers[0][..],
            &1_u32.to_le_bytes(),
            &numbers[1],
            &numbers[2],
            &[1, 2],
        ]
        .concat();
        assert_eq!(out, expected);
    }
}
