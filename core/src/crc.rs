//! CRC-32 (IEEE) of what is stored and moved. Where modules are downloaded, without the sixteen kilobytes of tables
//! that the crate of this name has.

#[cfg(any(not(target_family = "wasm"), feature = "fast-crc"))]
pub(crate) use crc32fast::hash;
#[cfg(all(target_family = "wasm", not(feature = "fast-crc")))]
pub(crate) use small::hash;

#[cfg(any(all(target_family = "wasm", not(feature = "fast-crc")), test))]
mod small {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    const BYTES: usize = 256;
    /// Bytes that are taken at a time.
    const STEP: usize = 8;
    /// From here on it is worth making more tables, for the time of the call.
    const LONG: usize = 16 << 10;

    type Table = [u32; BYTES];

    /// What each byte makes of an empty checksum.
    const OF_BYTE: Table = {
        let mut table = [0; BYTES];
        let mut byte = 0;
        while byte < BYTES {
            let mut value = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                let divides = value & 1 == 1;
                value >>= 1;
                if divides {
                    value ^= POLYNOMIAL;
                }
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };

    pub(crate) fn hash(bytes: &[u8]) -> u32 {
        let (steps, rest) = match bytes.len() {
            LONG.. => bytes.as_chunks::<STEP>(),
            _ => (&[] as &[[u8; STEP]], bytes),
        };
        let mut sum = !0;
        if !steps.is_empty() {
            let tables = tables();
            for step in steps {
                let [a, b, c, d, after @ ..] = *step;
                let [a, b, c, d] = (sum ^ u32::from_le_bytes([a, b, c, d])).to_le_bytes();
                let [e, f, g, h] = after;
                let bytes = [a, b, c, d, e, f, g, h];
                let behind = tables.iter().rev();
                sum = bytes
                    .iter()
                    .zip(behind)
                    .fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
            }
        }
        !rest.iter().fold(sum, |sum, byte| {
            let [lowest, ..] = sum.to_le_bytes();
            (sum >> 8) ^ OF_BYTE[usize::from(lowest ^ byte)]
        })
    }

    /// What each byte makes if so many bytes follow it.
    fn tables() -> [Table; STEP] {
        let mut tables = [OF_BYTE; STEP];
        for place in 1..STEP {
            tables[place] = tables[place - 1].map(|sum| {
                let [lowest, ..] = sum.to_le_bytes();
                (sum >> 8) ^ OF_BYTE[usize::from(lowest)]
            });
        }
        tables
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    #[test]
    fn the_small_one_tells_what_the_fast_one_does() {
        let bytes: Vec<u8> = (0..40_000_u32).map(|n| ((n * n) >> 7) as u8).collect();
        for length in [0, 1, 7, 8, 9, 1_000, 16_383, 16_384, 16_391, 40_000] {
            let part = &bytes[..length];
            assert_eq!(super::small::hash(part), crc32fast::hash(part), "{length}");
        }
    }
}
