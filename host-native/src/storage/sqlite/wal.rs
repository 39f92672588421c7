//! Tells a torn tail of SQLite's write-ahead log from damage inside it.
//!
//! SQLite reads its log up to the first frame whose checksum is wrong and forgets the
//! rest. That is right for a commit that a crash cut short, which nobody was told about.
//! It is wrong when a byte in the middle has gone bad: the commits behind it were
//! acknowledged. Every commit is synced before the next one is written, so if anything
//! of a later commit follows the first bad frame, the bad frame was once whole.
//!
//! The layout is that of <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
const MAGIC: u32 = 0x377f_0682;

/// Acknowledged commits that SQLite would silently forget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WalDamage {
    /// Where in the log file the first bad header or frame begins.
    pub(crate) offset: u64,
}

impl fmt::Display for WalDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the bytes from {} on are not what was written, and commits follow them",
            self.offset
        )
    }
}

/// Looks for damage in front of intact commits. A missing or empty log is fine.
pub(crate) fn verify(path: &Path) -> io::Result<Option<WalDamage>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    scan(&mut BufReader::with_capacity(1 << 18, file))
}

fn scan(log: &mut dyn Read) -> io::Result<Option<WalDamage>> {
    let mut header = [0; HEADER_BYTES];
    if !read_whole(log, &mut header)? {
        return Ok(None);
    }
    let header = Header::read(&header);
    let mut frame = vec![0; FRAME_HEADER_BYTES + header.page_bytes];
    let mut offset = HEADER_BYTES as u64;
    // Each checksum goes on from that of the frame before: from the one that is stored
    // there, or, should that be what has gone bad, from what it ought to be.
    let mut seeds = [header.checksum; 2];
    // The header is synced before the first frame is written: a bad one was once whole.
    let mut bad_at = (!header.intact).then_some(0);
    let mut commit_seen = !header.intact;
    while read_whole(log, &mut frame)? {
        let salts_match = !header.intact || word_pair(&frame, 8) == header.salts;
        let stored = word_pair(&frame, 16);
        let sum = |seed| {
            let head = checksum(seed, &frame[..8], header.big_endian);
            checksum(head, &frame[FRAME_HEADER_BYTES..], header.big_endian)
        };
        let summed = sum(seeds[0]);
        let intact = salts_match && (summed == stored || sum(seeds[1]) == stored);
        let commits = salts_match && word(&frame, 4) != 0;
        match bad_at {
            None if !intact => {
                bad_at = Some(offset);
                // Which part of the frame is bad is not known: one of its salts may be. If
                // both are others, it is a frame of the log's earlier round, over which the
                // commit that was cut short had not been written yet.
                let salts = word_pair(&frame, 8);
                let is_own = salts.0 == header.salts.0 || salts.1 == header.salts.1;
                commit_seen = (is_own || !header.intact) && word(&frame, 4) != 0;
            }
            Some(offset) if intact && commit_seen => return Ok(Some(WalDamage { offset })),
            Some(_) => commit_seen |= commits,
            None => {}
        }
        seeds = [stored, summed];
        offset += frame.len() as u64;
    }
    Ok(None)
}

struct Header {
    intact: bool,
    big_endian: bool,
    page_bytes: usize,
    salts: (u32, u32),
    checksum: (u32, u32),
}

impl Header {
    /// Of a header that is not intact the fields are those that this program would write.
    fn read(bytes: &[u8; HEADER_BYTES]) -> Self {
        let magic = word(bytes, 0);
        let big_endian = magic & 1 == 1;
        let checksum_stored = word_pair(bytes, 24);
        let page_bytes = word(bytes, 8) as usize;
        let intact = magic & !1 == MAGIC
            && checksum((0, 0), &bytes[..24], big_endian) == checksum_stored
            && page_bytes.is_power_of_two()
            && (512..=65_536).contains(&page_bytes);
        Self {
            intact,
            big_endian: if intact {
                big_endian
            } else {
                cfg!(target_endian = "big")
            },
            page_bytes: if intact {
                page_bytes
            } else {
                super::layout::PAGE_BYTES
            },
            salts: word_pair(bytes, 16),
            checksum: checksum_stored,
        }
    }
}

/// SQLite's own checksum, over a multiple of 8 bytes.
fn checksum(seed: (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let (mut first, mut second) = seed;
    let (pairs, _) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in pairs {
        let (low, high) = if big_endian {
            (
                u32::from_be_bytes([a, b, c, d]),
                u32::from_be_bytes([e, f, g, h]),
            )
        } else {
            (
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            )
        };
        first = first.wrapping_add(low).wrapping_add(second);
        second = second.wrapping_add(high).wrapping_add(first);
    }
    (first, second)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

fn word_pair(bytes: &[u8], at: usize) -> (u32, u32) {
    (word(bytes, at), word(bytes, at + 4))
}

/// False if the log ends before the buffer is full.
fn read_whole(log: &mut dyn Read, buffer: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 512;
    const OWN: (u32, u32) = (8, 0x1234_5678);
    const EARLIER: (u32, u32) = (7, 0x9abc_def0);

    struct Log {
        bytes: Vec<u8>,
        seed: (u32, u32),
        salts: (u32, u32),
    }

    impl Log {
        fn new(salts: (u32, u32)) -> Self {
            let words = [MAGIC, 3_007_000, PAGE as u32, 0, salts.0, salts.1];
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let seed = checksum((0, 0), &bytes, false);
            bytes.extend(seed.0.to_be_bytes());
            bytes.extend(seed.1.to_be_bytes());
            Self { bytes, seed, salts }
        }

        /// A commit of so many frames, each filled with `fill`.
        fn commit(mut self, frames: u32, fill: u8) -> Self {
            for frame in 1..=frames {
                let size = if frame == frames { 100 } else { 0 };
                let mut head: Vec<u8> = [frame, size]
                    .iter()
                    .flat_map(|word| word.to_be_bytes())
                    .collect();
                let page = [fill; PAGE];
                self.seed = checksum(checksum(self.seed, &head, false), &page, false);
                for word in [self.salts.0, self.salts.1, self.seed.0, self.seed.1] {
                    head.extend(word.to_be_bytes());
                }
                self.bytes.extend(head);
                self.bytes.extend(page);
            }
            self
        }
    }

    fn frame(number: usize) -> std::ops::Range<usize> {
        let bytes = FRAME_HEADER_BYTES + PAGE;
        HEADER_BYTES + number * bytes..HEADER_BYTES + (number + 1) * bytes
    }

    fn damage(bytes: &[u8]) -> Option<WalDamage> {
        scan(&mut &*bytes).unwrap()
    }

    /// Whatever part of the last commit did not reach the disk, so that the log's earlier
    /// round still shows there: nobody was told about that commit.
    #[test]
    fn a_last_commit_that_is_torn_in_any_way_is_no_damage() {
        let earlier = (0..12).fold(Log::new(EARLIER), |log, fill| log.commit(1, fill));
        let log = Log::new(OWN).commit(2, 1).commit(1, 2).commit(8, 3);
        assert_eq!(log.bytes.len(), frame(10).end);
        for lost in 0..1_u32 << 8 {
            let mut torn = log.bytes.clone();
            for number in (3..11).filter(|number| lost & 1 << (number - 3) != 0) {
                torn[frame(number)].copy_from_slice(&earlier.bytes[frame(number)]);
            }
            assert_eq!(damage(&torn), None, "{lost:b}");
        }
    }

    #[test]
    fn a_byte_that_has_gone_bad_in_front_of_a_commit_is_damage() {
        let log = Log::new(OWN).commit(1, 1).commit(1, 2).commit(1, 3);
        for at in frame(0) {
            let mut bad = log.bytes.clone();
            bad[at] ^= 0x10;
            let offset = HEADER_BYTES as u64;
            assert_eq!(damage(&bad), Some(WalDamage { offset }), "byte {at}");
        }
    }
}
