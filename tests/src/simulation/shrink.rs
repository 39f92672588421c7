//! A failing run, with as many steps left out as one can without much thought.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{Failure, Run, run};

/// Steps to leave out; as text ranges with commas, `0-5,8`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skip(BTreeSet<usize>);

impl Skip {
    pub fn contains(&self, step: usize) -> bool {
        self.0.contains(&step)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = self.0.iter().copied().peekable();
        let mut comma = "";
        while let Some(first) = steps.next() {
            let mut last = first;
            while let Some(next) = steps.next_if_eq(&(last + 1)) {
                last = next;
            }
            write!(f, "{comma}{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

impl FromStr for Skip {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut steps = BTreeSet::new();
        for range in text.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last): (usize, usize) = (first.parse()?, last.parse()?);
            steps.extend(first..=last);
        }
        Ok(Self(steps))
    }
}

/// Leaves out ever smaller chunks of steps while the run fails, however it fails.
pub fn shrink(failure: Failure) -> Failure {
    let mut best = failure;
    let mut chunk = best.step.max(1);
    while chunk > 0 {
        let mut end = best.step;
        while end > 0 {
            let start = end.saturating_sub(chunk);
            let mut shorter = Run {
                commands: best.run.commands.min(best.step + 1),
                ..best.run.clone()
            };
            shorter.skip.0.extend(start..end);
            if let Err(failure) = run(&shorter)
                && shorter.skip != best.run.skip
            {
                best = failure;
            }
            end = start.min(best.step);
        }
        chunk /= 2;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_read_as_they_are_written() {
        for text in ["3", "0-5", "0-5,8", "1,3,5-9"] {
            assert_eq!(
                text.parse::<Skip>().map(|skip| skip.to_string()).as_deref(),
                Ok(text)
            );
        }
        assert!("a".parse::<Skip>().is_err());
    }
}
