//! `perf record` and `perf report`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Samples a second of a core that is busy. Not a divisor of what the kernel does regularly.
const SAMPLES_PER_SECOND: &str = "3989";

pub(super) fn is_usable() -> bool {
    let trial = Command::new("perf")
        .args(["record", "--quiet", "--event", "cpu-clock:k"])
        .args(["--output", "/dev/null", "true"])
        .output();
    trial.is_ok_and(|trial| trial.status.success())
}

/// Takes samples of a process until it is told to end.
pub(super) struct Perf {
    recording: Child,
    file: PathBuf,
}

/// What a sample was taken in.
pub(super) struct Sample<'s> {
    pub(super) thread: &'s str,
    pub(super) file: &'s str,
    /// With the level of the machine that it runs on in front, `[k]` for the kernel.
    pub(super) function: &'s str,
}

impl Perf {
    /// Of this process, with `file` to keep the samples in.
    pub(super) fn begin(process: u32, file: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("perf");
        command
            .args(["record", "--quiet", "--freq", SAMPLES_PER_SECOND, "--pid"])
            .arg(process.to_string())
            .args([OsStr::new("--output"), file.as_os_str()])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self {
            recording: command.spawn().context("cannot start perf")?,
            file: file.to_owned(),
        })
    }

    /// How many samples there were of each kind.
    pub(super) fn end<K: Ord>(
        mut self,
        kind: impl Fn(Sample<'_>) -> K,
    ) -> anyhow::Result<BTreeMap<K, u64>> {
        kill(
            Pid::from_raw(self.recording.id().try_into()?),
            Signal::SIGINT,
        )?;
        self.recording.wait()?;
        let output = Command::new("perf")
            .args(["report", "--stdio", "--quiet", "--no-children"])
            .args(["--field-separator=|", "--fields", "sample,comm,dso,sym"])
            .arg("--input")
            .arg(&self.file)
            .output()?;
        ensure!(
            output.status.success(),
            "perf report: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut samples = BTreeMap::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let mut fields = line.splitn(4, '|').map(str::trim);
            let (Some(count), Some(thread), Some(file), Some(function)) =
                (fields.next(), fields.next(), fields.next(), fields.next())
            else {
                continue;
            };
            let Ok(count) = count.parse::<u64>() else {
                continue;
            };
            let sample = Sample {
                thread,
                file,
                function,
            };
            *samples.entry(kind(sample)).or_insert(0) += count;
        }
        Ok(samples)
    }
}
