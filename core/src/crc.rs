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

    /// What each half of a byte makes of an empty checksum.
    const OF_HALF: [u32; 16] = {
        let mut table = [0; 16];
        let mut half = 0;
        while half < 16 {
            let mut value = half as u32;
            let mut bit = 0;
            while bit < 4 {
                let divides = value & 1 == 1;
                value >>= 1;
                if divides {
                    value ^= POLYNOMIAL;
                }
                bit += 1;
            }
            table[half] = value;
            half += 1;
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
        !rest.iter().fold(sum, |sum, byte| by_halves(sum, *byte))
    }

    /// Takes one more byte into a sum: twice as slowly as by a table of a kilobyte, which does not pack.
    const fn by_halves(sum: u32, byte: u8) -> u32 {
        let sum = sum ^ byte as u32;
        let sum = (sum >> 4) ^ OF_HALF[sum as usize & 15];
        (sum >> 4) ^ OF_HALF[sum as usize & 15]
    }

    /// What each byte makes if so many bytes follow it.
    fn tables() -> [Table; STEP] {
        let mut tables = [[0; BYTES]; STEP];
        for (byte, sum) in (0..=u8::MAX).zip(&mut tables[0]) {
            *sum = by_halves(0, byte);
        }
        for place in 1..STEP {
            tables[place] = tables[place - 1].map(|sum| {
                let [lowest, ..] = sum.to_le_bytes();
                (sum >> 8) ^ tables[0][usize::from(lowest)]
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
