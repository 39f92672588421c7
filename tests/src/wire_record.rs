//! The conversations of the wire protocol on record, `tests/conformance/wire.hex`, and how a server is held to
//! them.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::path::Path;

use burrow_core::wire::{self, Decoder};

/// A conversation on record.
#[derive(Debug)]
pub struct Recorded {
    pub title: String,
    pub sent: Vec<u8>,
    pub received: Vec<u8>,
}

/// All of them.
///
/// # Panics
/// If the file cannot be read.
pub fn recorded() -> Vec<Recorded> {
    read("wire.hex")
}

/// Every failure, as the frame that a server sends.
///
/// # Panics
/// If the file cannot be read.
pub fn recorded_failures() -> Vec<Recorded> {
    read("wire_failures.hex")
}

fn read(file: &str) -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let mut all: Vec<Recorded> = Vec::new();
    for line in text.lines() {
        let bytes = |hex: &str| -> Vec<u8> {
            hex.split_whitespace()
                .map(|byte| u8::from_str_radix(byte, 16).unwrap())
                .collect()
        };
        if let Some(title) = line.strip_prefix("== ") {
            all.push(Recorded {
                title: title.to_owned(),
                sent: Vec::new(),
                received: Vec::new(),
            });
        } else if let Some(hex) = line.strip_prefix("> ") {
            all.last_mut().unwrap().sent.extend(bytes(hex));
        } else if let Some(hex) = line.strip_prefix("< ") {
            all.last_mut().unwrap().received.extend(bytes(hex));
        } else {
            assert!(line.is_empty() || line.starts_with('#'), "{line}");
        }
    }
    all
}

/// As the file has it.
pub fn hex(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, line| {
        text.push('<');
        for byte in line {
            write!(text, " {byte:02x}").unwrap();
        }
        text.push('\n');
        text
    })
}

/// Kind, id and payload.
type AnyFrame = (u8, u64, Vec<u8>);

/// What comes before the first frame, and the frames, sorted by kind and id.
fn in_order_of_id(answered: &[u8]) -> (Vec<u8>, Vec<AnyFrame>) {
    let (start, rest) = answered.split_at(answered.len().min(wire::WELCOME_BYTES));
    let mut decoder = Decoder::new(u32::MAX);
    if start.last() != Some(&wire::VERSION) {
        return (answered.to_vec(), Vec::new());
    }
    decoder.received().extend_from_slice(rest);
    let mut frames = Vec::new();
    while let Some(frame) = decoder.next_frame().unwrap() {
        frames.push((frame.kind as u8, frame.id, frame.payload.to_vec()));
    }
    frames.sort();
    (start.to_vec(), frames)
}

/// Sends what is on record, reads as much as is to come, and asserts that it is the same and
/// that nothing more comes after `leave`.
///
/// # Panics
/// If it is not.
pub fn assert_holds<S: Read + Write>(stream: &mut S, recorded: &Recorded, leave: fn(&mut S)) {
    let title = &recorded.title;
    stream.write_all(&recorded.sent).unwrap();
    let mut answered = vec![0; recorded.received.len()];
    stream.read_exact(&mut answered).unwrap();
    // Answers leave as they are ready: their order is the server's own affair.
    assert!(
        in_order_of_id(&answered) == in_order_of_id(&recorded.received),
        "== {title}\n{}",
        hex(&answered)
    );
    leave(stream);
    let mut more = Vec::new();
    stream.read_to_end(&mut more).unwrap();
    assert!(more.is_empty(), "== {title}: more came\n{}", hex(&more));
}
