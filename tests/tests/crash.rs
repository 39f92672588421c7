//! The real server, killed and stopped under load, on disks that are full or read-only.
//!
//! `BURROW_CRASH_ROUNDS` sets the number of kills, `BURROW_CRASH_SEED` the draw of the
//! operations. Tests that mount a file system need root; where that cannot be had,
//! `BURROW_CRASH_WITHOUT_MOUNTS=1` leaves them out.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use burrow_tests::crash::disk::Disk;
use burrow_tests::crash::hoard::Hoard;
use burrow_tests::crash::{Load, Watch};
use burrow_tests::process::{Launch, Server, program};
use nix::sys::signal::Signal;
use rusqlite::{Connection, OptionalExtension};
use tempfile::TempDir;

/// Small, so that checkpoints, drops and copying forward happen all the time.
const JOURNALS: [(&str, &str); 3] = [("64KiB", "4KiB"), ("64KiB", "16KiB"), ("256KiB", "64KiB")];
/// Kills of servers on one data folder.
const ROUNDS_PER_FOLDER: u64 = 10;

#[test]
fn acknowledged_work_survives_kills() {
    let rounds = number("BURROW_CRASH_ROUNDS").unwrap_or(50);
    let seed = number("BURROW_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("BURROW_CRASH_ROUNDS={rounds} BURROW_CRASH_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut answered = 0;
    for life in 0..rounds.div_ceil(ROUNDS_PER_FOLDER) {
        let journal = JOURNALS[life as usize % JOURNALS.len()];
        let kills = ROUNDS_PER_FOLDER.min(rounds - life * ROUNDS_PER_FOLDER);
        answered += kill_over_and_over(kills, journal, random.fork());
    }
    println!("{rounds} kills, {answered} requests acknowledged");
}

/// The number of requests that were acknowledged.
fn kill_over_and_over(
    kills: u64,
    (checkpoint_bytes, extent_bytes): (&str, &str),
    mut random: fastrand::Rng,
) -> u64 {
    let folder = DataFolder::new();
    let launch = durable(folder.path())
        .argument(format!("--checkpoint-bytes={checkpoint_bytes}"))
        .argument(format!("--extent-bytes={extent_bytes}"));
    let mut load = Load::new(random.u64(..));
    let (mut answered, mut dropped_by) = (0, 0);
    for kill in 0..kills {
        if kill > 0 && random.u8(..3) == 0 {
            kill_while_starting(&launch, &mut random);
        }
        let server = start(&launch);
        let address = server.address();
        let told = server.first_line().to_owned();
        load.verify(address).unwrap_or_else(|problem| {
            panic!("after kill {kill}: {problem}\n{told}\n{}", server.logs())
        });
        let watch = Watch::default();
        let (requests, delay) = (
            random.u64(..1_500),
            Duration::from_micros(random.u64(..5_000)),
        );
        let killed = load.run(address, &watch, || {
            watch.wait_for(requests);
            std::thread::sleep(delay);
            server.kill()
        });
        let ended = killed.unwrap_or_else(|problem| panic!("before kill {kill}: {problem}"));
        assert!(
            ended.was_killed_by(Signal::SIGKILL),
            "ended by itself: {ended:?}"
        );
        answered += watch.answered();
        check(folder.path());
        if kill == 0 {
            dropped_by = last_drop(folder.path());
        }
    }
    let server = start(&launch);
    load.verify(server.address())
        .unwrap_or_else(|problem| panic!("after the last kill: {problem}"));
    let ended = server.terminate();
    assert!(ended.status.success(), "{ended:?}");
    check(folder.path());
    if kills > 1 {
        let dropped = last_drop(folder.path()) > dropped_by;
        assert!(
            dropped,
            "nothing of the journal was dropped: no checkpoint was put to the test"
        );
    }
    answered
}

/// A recovery that is cut short must leave everything as it was.
fn kill_while_starting(launch: &Launch, random: &mut fastrand::Rng) {
    let mut child = launch
        .command()
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the server starts");
    std::thread::sleep(Duration::from_micros(random.u64(..30_000)));
    child.kill().expect("the server can be killed");
    child.wait().expect("the server can be waited for");
}

#[test]
fn a_stopped_server_goes_on_where_it_was() {
    let folder = DataFolder::new();
    let launch = durable(folder.path())
        .argument("--checkpoint-bytes=64KiB")
        .argument("--extent-bytes=4KiB");
    let server = start(&launch);
    let mut load = Load::new(fastrand::u64(..));
    let watch = Watch::default();
    let worked = load.run(server.address(), &watch, || {
        for _ in 0..5 {
            watch.wait_for(200);
            server.pause();
            std::thread::sleep(Duration::from_millis(fastrand::u64(50..300)));
            server.resume();
        }
        watch.wait_for(500);
    });
    worked.unwrap_or_else(|problem| panic!("{problem}"));
    assert!(
        watch.answered() >= 1_500,
        "only {} requests were answered",
        watch.answered()
    );
    load.verify(server.address())
        .unwrap_or_else(|problem| panic!("while it runs: {problem}"));
    server.kill();
    check(folder.path());
    let server = start(&launch);
    load.verify(server.address())
        .unwrap_or_else(|problem| panic!("after a kill: {problem}"));
}

#[test]
fn a_full_disk_refuses_and_forgets_nothing() {
    let Some(disk) = mounted("a_full_disk_refuses_and_forgets_nothing") else {
        return;
    };
    disk.occupy(6 << 20)
        .expect("the disk has room for the filler");
    let folder = disk.path().join("data");
    let launch = durable(&folder)
        .argument("--checkpoint-bytes=256KiB")
        .argument("--extent-bytes=16KiB");
    let server = start(&launch);
    let address = server.address();
    let mut load = Load::new(fastrand::u64(..));
    let mut hoard = Hoard::default();

    run(&mut load, address, &Watch::default(), 500);
    hoard
        .fill(address, 8)
        .unwrap_or_else(|problem| panic!("{problem}"));
    let full = Watch::allowing_refusals();
    run(&mut load, address, &full, 1_000);
    assert!(
        full.refusals() > 0,
        "nothing was refused, so the disk was not full"
    );
    hoard
        .verify(address)
        .unwrap_or_else(|problem| panic!("while the disk is full: {problem}"));

    disk.free().expect("the filler can be removed");
    hoard
        .wait_for_room(address)
        .unwrap_or_else(|problem| panic!("{problem}\n{}", server.logs()));
    load.verify(address)
        .unwrap_or_else(|problem| panic!("when there is room again: {problem}"));
    run(&mut load, address, &Watch::default(), 500);

    let ended = server.kill();
    assert!(
        ended.was_killed_by(Signal::SIGKILL),
        "ended by itself: {ended:?}"
    );
    check(&folder);
    let server = start(&launch);
    load.verify(server.address())
        .unwrap_or_else(|problem| panic!("after a kill: {problem}"));
    hoard
        .verify(server.address())
        .unwrap_or_else(|problem| panic!("after a kill: {problem}"));
}

#[test]
fn a_read_only_folder_can_be_read_but_not_served() {
    let Some(disk) = mounted("a_read_only_folder_can_be_read_but_not_served") else {
        return;
    };
    let folder = disk.path().join("data");
    let launch = durable(&folder);
    let server = start(&launch);
    let mut load = Load::new(fastrand::u64(..));
    run(&mut load, server.address(), &Watch::default(), 500);
    server.kill();
    disk.make_read_only().expect("nobody writes to the disk");

    let failure = launch.start().expect_err("a server needs to write");
    let status = failure.status.and_then(|status| status.code());
    let told = failure.logs;
    assert_eq!(status, Some(1), "{told}");
    assert!(
        told.contains(&folder.display().to_string()),
        "the folder is not named: {told}"
    );
    check(&folder);
    let dump = Command::new(program())
        .arg("dump")
        .arg(&folder)
        .output()
        .expect("burrow dump runs");
    assert!(
        dump.status.success() && !dump.stdout.is_empty(),
        "burrow dump: {dump:?}"
    );
}

/// A small disk; `None` if the user has chosen to do without.
fn mounted(test: &str) -> Option<Disk> {
    if std::env::var_os("BURROW_CRASH_WITHOUT_MOUNTS").is_some() {
        println!("LEFT OUT: {test}");
        return None;
    }
    match Disk::new(16) {
        Ok(disk) => Some(disk),
        Err(error) => panic!(
            "{test} cannot mount a tmpfs ({error}): run it as root, or set BURROW_CRASH_WITHOUT_MOUNTS=1 to leave it out"
        ),
    }
}

/// Lets the clients work until so many requests were answered.
fn run(load: &mut Load, address: SocketAddr, watch: &Watch, requests: u64) {
    load.run(address, watch, || watch.wait_for(requests))
        .unwrap_or_else(|problem| panic!("{problem}"));
}

/// A server whose clients know when their messages expire.
fn durable(folder: &Path) -> Launch {
    Launch::new(program()).data(folder).argument(format!(
        "--default-ttl={}",
        burrow_tests::crash::record::SERVER_TTL_S
    ))
}

fn start(launch: &Launch) -> Server {
    launch
        .start()
        .unwrap_or_else(|failure| panic!("the server does not start: {failure:?}"))
}

/// A folder that stays where it is if the test fails.
struct DataFolder(TempDir);

impl DataFolder {
    fn new() -> Self {
        Self(
            tempfile::Builder::new()
                .prefix("burrow-crash-")
                .tempdir()
                .expect("a temporary folder"),
        )
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the data is left in {}", self.path().display());
            self.0.disable_cleanup(true);
        }
    }
}

/// The data must be sound.
fn check(folder: &Path) {
    let output = Command::new(program())
        .arg("check")
        .arg(folder)
        .output()
        .expect("burrow check runs");
    let told = [output.stdout, output.stderr]
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .concat();
    assert!(
        output.status.success(),
        "burrow check: {}: {told}",
        output.status
    );
}

/// The commit that last dropped something of the journal, 0 if none did. Looks at a copy: to
/// open the file would repair it.
fn last_drop(folder: &Path) -> u64 {
    let copies = tempfile::tempdir().expect("a temporary folder");
    for name in ["journal.db", "journal.db-wal"] {
        if folder.join(name).exists() {
            std::fs::copy(folder.join(name), copies.path().join(name))
                .expect("the data can be copied");
        }
    }
    let data = Connection::open(copies.path().join("journal.db")).expect("the copy opens");
    let roll: Option<Vec<u8>> = data
        .query_row("SELECT bytes FROM notes WHERE key = 1", [], |row| {
            row.get(0)
        })
        .optional()
        .expect("the journal can be read");
    roll.map_or(0, |roll| {
        let last = roll[..8].try_into().expect("eight bytes");
        u64::from_le_bytes(last)
    })
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}={text} is not a number")),
    )
}
