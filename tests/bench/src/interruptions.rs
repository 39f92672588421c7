//! How long a program is kept from its core that does nothing but look at the clock: what no answer
//! on this machine can be without.

use std::time::{Duration, Instant};

use crate::Size;
use crate::report::{Report, decimal};
use crate::server::{LOAD_CORE, SERVER_CORE, pin};

/// What is longer than this between two looks at the clock is none of the program's own.
const LEAST: Duration = Duration::from_micros(50);
const LONG: Duration = Duration::from_millis(1);

/// What was seen on one core.
struct Seen {
    looked: Duration,
    gaps: Vec<Duration>,
}

/// Both cores are looked at at the same time, as both are busy while latency is measured.
pub fn table(size: Size) -> anyhow::Result<Report> {
    let span = Duration::from_millis(size.of(10_000, 50));
    let title =
        "interruptions: what a program misses that only looks at the clock, both cores busy";
    let columns = [
        "core",
        "seconds",
        "above 50 us",
        "above 1 ms",
        "longest us",
        "time missed",
    ];
    let mut report = Report::new(title, &columns);
    let other = std::thread::spawn(move || look(LOAD_CORE, span));
    let own = look(SERVER_CORE, span)?;
    let Ok(other) = other.join() else {
        anyhow::bail!("the other core's thread panicked");
    };
    pin(LOAD_CORE)?;
    for (core, seen) in [(SERVER_CORE, own), (LOAD_CORE, other?)] {
        let longest = seen.gaps.iter().max().copied().unwrap_or_default();
        let missed = seen.gaps.iter().sum::<Duration>().as_secs_f64() / seen.looked.as_secs_f64();
        let long = seen.gaps.iter().filter(|gap| **gap > LONG).count();
        report.row(&[
            &core,
            &decimal(seen.looked.as_secs_f64(), 1),
            &seen.gaps.len(),
            &long,
            &decimal(longest.as_secs_f64() * 1e6, 0),
            &format!("{:.2} %", missed * 100.0),
        ]);
    }
    report.note(
        "At 70 % of its throughput a server that misses a millisecond needs more than two others to catch up, so what is missed counts threefold: \
         above 0.3 % it is one answer in a hundred.",
    );
    Ok(report)
}

fn look(core: usize, span: Duration) -> anyhow::Result<Seen> {
    pin(core)?;
    let began = Instant::now();
    let (mut gaps, mut last) = (Vec::new(), began);
    while last - began < span {
        let now = Instant::now();
        if now - last > LEAST {
            gaps.push(now - last);
        }
        last = now;
    }
    Ok(Seen {
        looked: last - began,
        gaps,
    })
}
