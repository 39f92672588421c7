//! Headings of steps and the count of tests.

use std::time::{Duration, Instant};

use crate::run::Failure;

/// Tests that were run, as their runners tell it in their closing lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Takes a line of a runner's output into account, if it is a closing line of
    /// cargo-nextest, of `cargo test`, of `node --test` or of a plain count.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(count) = nextest(line)
            .or_else(|| libtest(line))
            .or_else(|| node(line))
            .or_else(|| plain(line))
        {
            self.add(count);
        }
    }
}

/// `     Summary [   0.9s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped`
fn nextest(line: &str) -> Option<Count> {
    let plain = without_colour(line);
    let (_, counts) = plain
        .trim_start()
        .strip_prefix("Summary [")?
        .split_once("] ")?;
    let (run, outcome) = counts.split_once(" run: ")?;
    // A run that was cut short says `3/5 tests run`.
    let run: u64 = run.split([' ', '/']).next()?.parse().ok()?;
    let passed = outcome
        .split_once(" passed")
        .map_or(Some(0), |(passed, _)| passed.trim().parse().ok())?;
    Some(Count {
        passed,
        failed: run.checked_sub(passed)?,
    })
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …`
fn libtest(line: &str) -> Option<Count> {
    let plain = without_colour(line);
    let mut counts = plain
        .strip_prefix("test result: ")?
        .split_once(". ")?
        .1
        .split("; ");
    let passed = counts.next()?.strip_suffix(" passed")?.parse().ok()?;
    let failed = counts.next()?.strip_suffix(" failed")?.parse().ok()?;
    Some(Count { passed, failed })
}

/// `ℹ pass 3`, `ℹ fail 1` and `ℹ cancelled 1`, each on a line of its own.
fn node(line: &str) -> Option<Count> {
    let plain = without_colour(line);
    let (outcome, number) = plain.strip_prefix("ℹ ")?.split_once(' ')?;
    let number = number.parse().ok()?;
    match outcome {
        "pass" => Some(Count {
            passed: number,
            failed: 0,
        }),
        "fail" | "cancelled" => Some(Count {
            passed: 0,
            failed: number,
        }),
        _ => None,
    }
}

/// `142 passed, 0 failed, 1 skipped`
fn plain(line: &str) -> Option<Count> {
    let (passed, others) = line.split_once(" passed, ")?;
    let (failed, _) = others.split_once(" failed, ")?;
    Some(Count {
        passed: passed.parse().ok()?,
        failed: failed.parse().ok()?,
    })
}

fn without_colour(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |plain, part| {
        plain + part.split_once('m').map_or(part, |(_, text)| text)
    })
}

/// The steps of a task: each has a heading, one that fails does not stop the others.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Duration, bool)>,
    pub(crate) count: Count,
}

impl Steps {
    /// Carries out a step. `None` if it failed.
    pub(crate) fn step<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce(&mut Count) -> Result<T, Failure>,
    ) -> Option<T> {
        eprintln!("\n==> {name}");
        let start = Instant::now();
        let result = work(&mut self.count);
        self.done.push((name, start.elapsed(), result.is_ok()));
        result
            .map_err(|failure| eprintln!("==> {name} FAILED: {failure}"))
            .ok()
    }

    /// Tells how each step went and, on the last line, how many tests passed and failed.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        println!();
        for (name, time, passed) in &self.done {
            let verdict = if *passed { "ok" } else { "FAILED" };
            println!("{verdict:>6}  {:>6.1} s  {name}", time.as_secs_f64());
        }
        let failed: Vec<_> = self
            .done
            .iter()
            .filter(|(_, _, passed)| !passed)
            .map(|(name, _, _)| *name)
            .collect();
        println!("{} passed, {} failed", self.count.passed, self.count.failed);
        if failed.is_empty() {
            Ok(())
        } else {
            Err(Failure(format!("failed: {}", failed.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_counted() {
        for (line, passed, failed) in [
            (
                "     Summary [   0.012s] 5 tests run: 4 passed (1 slow), 1 failed, 2 skipped",
                4,
                1,
            ),
            (
                "     Summary [   9.100s] 3/5 tests run: 1 passed, 1 failed, 1 timed out, 0 skipped",
                1,
                2,
            ),
            (
                "     Summary [   9.100s] 2 tests run: 2 failed, 0 skipped",
                0,
                2,
            ),
            (
                "\u{1b}[32;1m     Summary\u{1b}[0m [   1.0s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped",
                1,
                0,
            ),
            (
                "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
                3,
                0,
            ),
            (
                "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out",
                3,
                2,
            ),
            ("ℹ pass 11", 11, 0),
            ("\u{1b}[34mℹ fail 2\u{1b}[39m", 0, 2),
            ("ℹ cancelled 1", 0, 1),
            ("ℹ skipped 4", 0, 0),
            ("142 passed, 1 failed, 2 skipped", 142, 1),
            (
                "a test that prints: test result: ok. 3 passed; 0 failed",
                0,
                0,
            ),
        ] {
            let mut count = Count::default();
            count.read(line);
            assert_eq!(count, Count { passed, failed }, "{line}");
        }
    }
}
