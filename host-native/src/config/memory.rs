//! How much memory there is.

use std::fs::read_to_string;

use burrow_core::Limits;

/// Bytes of ids and bodies that a server takes unless it is told otherwise: half of the
/// memory that this process may use, since indexes, answers and batches that are on their
/// way need some too. So a server refuses what is too much before the system ends it.
pub(super) fn default_max_bytes() -> u64 {
    let most = Limits::default().max_bytes;
    let machine = read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(total_of);
    // Where no container limits it, the file is not there or says "max".
    let container = read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse().ok());
    let memory: Option<u64> = machine.into_iter().chain(container).min();
    memory.map_or(most, |memory| most.min(memory / 2))
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

    #[cfg(target_os = "linux")]
    #[test]
    fn the_default_is_within_the_memory_of_this_machine() {
        let text = read_to_string("/proc/meminfo").unwrap();
        let total = total_of(&text).unwrap();
        assert!((1 << 20..=total / 2).contains(&default_max_bytes()));
    }
}
