//! Programs that are measured from outside.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use burrow_tests::process::{Launch, program};
use clap::ValueEnum;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::bare::Bare;
use crate::heap::resident_bytes_of;

/// The core of the programs that are measured, and that of the load on them.
pub const SERVER_CORE: usize = 0;
pub const LOAD_CORE: usize = 1;

/// A running program that has said its address. It is killed when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    /// The line that named the address.
    pub greeting: String,
    /// From the start of the process to that line.
    pub start_time: Duration,
}

impl Server {
    /// A Burrow server on a free port, durable in `data` or, without it, in memory.
    pub fn burrow(data: Option<&Path>, arguments: &[&str]) -> anyhow::Result<Self> {
        let launch = Launch::new(program());
        let launch = match data {
            Some(folder) => launch.data(folder),
            None => launch.memory(),
        };
        let command = arguments.iter().fold(launch, Launch::argument).command();
        Self::start(command)
    }

    /// A proxy in front of a server that speaks the wire protocol at this address.
    pub fn proxy(server: SocketAddr) -> anyhow::Result<Self> {
        Self::start(Launch::proxy(program(), &[server.to_string()]).command())
    }

    /// One of the servers that this very program brings along.
    pub fn bare(kind: Bare) -> anyhow::Result<Self> {
        let kind = kind.to_possible_value().context("no name")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare", kind.get_name()]);
        Self::start(command)
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Where it speaks the wire protocol.
    pub fn wire_address(&self) -> anyhow::Result<SocketAddr> {
        let told = self.greeting.split_once(", wire on ");
        let (_, wire) = told.context("no wire address")?;
        Ok(wire.split(',').next().unwrap_or_default().parse()?)
    }

    fn start(mut command: Command) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = command
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let mut greeting = String::new();
        let stdout = child.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut greeting)?;
        let start_time = started.elapsed();
        let address = greeting
            .split(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | ':'))
            .find_map(|word| word.trim_start_matches(':').parse().ok());
        let address = address.with_context(|| format!("no address in {greeting:?}"))?;
        Ok(Self {
            child,
            address,
            greeting: greeting.trim().to_owned(),
            start_time,
        })
    }

    /// Bytes that the process has caused to be written to disk since it started.
    pub fn written_bytes(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/io", self.child.id());
        let text = crate::report::field(&path, "write_bytes").context("no write_bytes")?;
        Ok(text.parse()?)
    }

    /// Time that the process has had a core for.
    pub fn cpu_time(&self) -> anyhow::Result<Duration> {
        process_cpu(self.child.id())
    }

    /// Bytes of the process in memory.
    pub fn resident_bytes(&self) -> anyhow::Result<usize> {
        resident_bytes_of(self.child.id())
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(mut self) -> anyhow::Result<()> {
        kill(Pid::from_raw(self.child.id().try_into()?), Signal::SIGTERM)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the server ended with {status}");
        Ok(())
    }

    /// kill -9.
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Lets this process have as many open files as it may, and tells how many that is.
pub fn allow_open_files() -> anyhow::Result<u64> {
    let (_, files) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, files, files)?;
    Ok(files)
}

/// Time that a process has had a core for.
pub fn process_cpu(process: u32) -> anyhow::Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = text.rsplit_once(')').context("no fields")?;
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 10))
}

/// Time that the calling thread has had a core for.
pub fn thread_cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Lets the calling thread, and what it starts from now on, run on one core only.
pub fn pin(core: usize) -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &cores).context("cannot pin to a core")
}

/// Undoes [`pin`].
pub fn unpin() -> anyhow::Result<()> {
    let mut cores = CpuSet::new();
    for core in 0..std::thread::available_parallelism()?.get().max(2) {
        cores.set(core)?;
    }
    sched_setaffinity(Pid::from_raw(0), &cores).context("cannot unpin")
}

/// A new folder on the disk that this program is on: temporary folders are often in memory.
pub fn data_folder() -> anyhow::Result<tempfile::TempDir> {
    let own = std::env::current_exe()?;
    let parent = own.parent().context("no folder")?;
    Ok(tempfile::Builder::new()
        .prefix("bench-data-")
        .tempdir_in(parent)?)
}
