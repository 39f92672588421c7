//! How much memory there is.

use std::fs::read_to_string;

use burrow_core::Limits;

/// Memory for each message that a server takes. Beside its id and body one needs some 30
/// bytes, and some 100 more while it is claimed.
const BYTES_PER_MESSAGE: u64 = 512;
/// Memory for each queue: one with a short message needs some 1,000 bytes.
const BYTES_PER_QUEUE: u64 = 8 << 10;
/// Memory for each marker, which needs some 50 bytes.
const BYTES_PER_MARKER: u64 = 2 << 10;
/// Enough for an hour in which 2,700 messages go each second.
const MAX_MARKERS: u64 = 10_000_000;

/// What a server takes unless it is told otherwise, so that it refuses what is too much before
/// the system ends it.
///
/// Half of the memory that this process may use is for ids and bodies, as indexes, answers
/// and batches that are on their way need some too. What else grows with the number of
/// messages, queues and markers has its share of the other half.
pub(super) fn default_limits() -> Limits {
    limits_within(memory())
}

/// The limits of a server with so much memory; nothing is known of it if it is `None`.
fn limits_within(memory: Option<u64>) -> Limits {
    let usual = Limits::default();
    let within = |most: u64, share: u64| memory.map_or(most, |memory| most.min(memory / share));
    Limits {
        max_bytes: within(usual.max_bytes, 2),
        max_messages: within(usual.max_messages, BYTES_PER_MESSAGE),
        max_queues: within(usual.max_queues, BYTES_PER_QUEUE),
        max_markers: within(MAX_MARKERS, BYTES_PER_MARKER),
        ..usual
    }
}

fn memory() -> Option<u64> {
    let machine = read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total_of);
    // Where no container limits it, the file is not there or says "max".
    let container = read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(container).min()
}

/// `MemTotal:       24579012 kB`, see proc_meminfo(5).
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kilobytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_read() {
        let text = "MemFree:  1 kB\nMemTotal:       24579012 kB\nSwapTotal: 3 kB\n";
        assert_eq!(total_of(text), Some(24_579_012 << 10));
        assert_eq!(total_of("MemTotal: many\n"), None);
    }

    #[test]
    fn what_is_taken_fits_into_the_memory() {
        for gibibytes in [1, 2, 8, 24, 1024] {
            let memory = gibibytes << 30;
            let limits = limits_within(Some(memory));
            // Bytes beside ids and bodies, as measured, with all messages claimed.
            let needed = limits.max_bytes
                + limits.max_messages * 115
                + limits.max_queues * 1_010
                + limits.max_markers * 55;
            assert!(needed < memory, "{gibibytes} GiB: {needed} for {limits:?}");
        }
        let unknown = limits_within(None);
        assert_eq!(unknown.max_messages, Limits::default().max_messages);
        assert_eq!(unknown.max_markers, MAX_MARKERS);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_memory_of_this_machine_is_found() {
        let text = read_to_string("/proc/meminfo").unwrap();
        let total = total_of(&text).unwrap();
        assert!((1 << 20..=total).contains(&memory().unwrap()));
    }
}
