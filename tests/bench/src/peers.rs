//! The same work through other queues, each started here on a free port with a folder of its own.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::bare::Bare;
use crate::contest::{self, Contestant, Kind, Options, Shape};
use crate::load::Speech;
use crate::plot::{self, Bars};
use crate::report::{Header, Report, Run};
use crate::server::{LOAD_CORE, SERVER_CORE, Server, data_folder, pin, process_cpu, unpin};
use crate::{Size, layers};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);
const SINGLES: &[Shape] = &[Shape::OneAtATime, Shape::InFlight];

/// A queue to compare with.
struct Peer {
    name: &'static str,
    package: &'static str,
    program: &'static str,
    durability: &'static str,
    speech: Speech,
    command: fn(&mut Command, u16, &Path),
}

const PEERS: [Peer; 11] = [
    Peer {
        name: "beanstalkd, memory",
        package: "beanstalkd",
        program: "beanstalkd",
        durability: "none",
        speech: Speech::Beanstalk,
        command: |command, port, _| {
            command.args(["-l", "127.0.0.1", "-p", &port.to_string()]);
        },
    },
    Peer {
        name: "beanstalkd, journal",
        package: "beanstalkd",
        program: "beanstalkd",
        durability: "synced, each job",
        speech: Speech::Beanstalk,
        command: |command, port, folder| {
            command.args(["-l", "127.0.0.1", "-p", &port.to_string(), "-f0", "-b"]);
            command.arg(folder);
        },
    },
    redis(
        "Redis list, memory",
        Speech::RedisList,
        "none",
        redis_memory,
    ),
    redis(
        "Redis list, always",
        Speech::RedisList,
        "synced",
        redis_always,
    ),
    redis(
        "Redis stream, memory",
        Speech::RedisStream,
        "none",
        redis_memory,
    ),
    redis(
        "Redis stream, always",
        Speech::RedisStream,
        "synced",
        redis_always,
    ),
    Peer {
        name: "gearmand",
        package: "gearman-job-server",
        program: "gearmand",
        durability: "none",
        speech: Speech::Gearman,
        command: |command, port, _| {
            command.args(["-L", "127.0.0.1", "-l", "stderr", "-p", &port.to_string()]);
        },
    },
    rabbit(
        "RabbitMQ classic queue",
        Speech::AmqpClassic,
        "confirmed, deletes are not",
    ),
    rabbit(
        "RabbitMQ quorum queue",
        Speech::AmqpQuorum,
        "synced, deletes are not",
    ),
    nats("NATS JetStream, memory", Speech::NatsMemory, "none"),
    nats(
        "NATS JetStream, file",
        Speech::NatsFile,
        "written, synced every 2 min",
    ),
];

const fn redis(
    name: &'static str,
    speech: Speech,
    durability: &'static str,
    command: fn(&mut Command, u16, &Path),
) -> Peer {
    Peer {
        name,
        package: "redis-server",
        program: "redis-server",
        durability,
        speech,
        command,
    }
}

fn redis_memory(command: &mut Command, port: u16, folder: &Path) {
    command.args([
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--port",
        &port.to_string(),
        "--dir",
    ]);
    command.arg(folder);
}

fn redis_always(command: &mut Command, port: u16, folder: &Path) {
    redis_memory(command, port, folder);
    command.args(["--appendonly", "yes", "--appendfsync", "always"]);
}

const fn rabbit(name: &'static str, speech: Speech, durability: &'static str) -> Peer {
    Peer {
        name,
        package: "rabbitmq-server",
        // The one in the search path takes another user's rights.
        program: "/usr/lib/rabbitmq/bin/rabbitmq-server",
        durability,
        speech,
        command: |command, port, folder| {
            command
                .env("HOME", folder)
                .env("RABBITMQ_NODENAME", format!("burrow{port}@localhost"))
                .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
                .env("RABBITMQ_NODE_PORT", port.to_string())
                .env("RABBITMQ_DIST_PORT", free_port().unwrap_or(0).to_string())
                .env("ERL_EPMD_PORT", free_port().unwrap_or(0).to_string())
                .env("ERL_EPMD_ADDRESS", "127.0.0.1")
                .env("RABBITMQ_MNESIA_BASE", folder)
                .env("RABBITMQ_LOG_BASE", folder)
                .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"));
        },
    }
}

const fn nats(name: &'static str, speech: Speech, durability: &'static str) -> Peer {
    Peer {
        name,
        package: "nats-server",
        program: "nats-server",
        durability,
        speech,
        command: |command, port, folder| {
            command.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-js", "-sd"]);
            command.arg(folder);
        },
    }
}

/// Names the folder of a peer to all that it starts.
const MARK: &str = "BURROW_BENCH_PEER";

/// A peer that runs. It is killed when this is dropped, with all that it has started.
struct Running {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in started_by(self.folder.path()) {
            let _ =
                i32::try_from(process).map(|process| kill(Pid::from_raw(process), Signal::SIGKILL));
        }
    }
}

/// The processes that bear the mark. Some peers are scripts, and some start a helper that
/// outlives them.
fn started_by(folder: &Path) -> Vec<u32> {
    let mark = format!("{MARK}={}", folder.display());
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // Processes come and go while they are looked at.
    let is_marked = |process: &u32| {
        std::fs::read(format!("/proc/{process}/environ")).is_ok_and(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|line| line == mark.as_bytes())
        })
    };
    processes.filter(is_marked).collect()
}

pub fn run(size: Size, options: &Options) -> anyhow::Result<()> {
    let header = Header::take();
    header.print();
    let (rounds, insert_ms) = (options.rounds(size, 3), options.insert_ms(size, 300));
    pin(SERVER_CORE)?;
    let echo = Server::bare(Bare::Echo)?;
    let mut contestants = vec![
        contestant(
            "TCP echo",
            "",
            Speech::Echo,
            echo.address,
            echo.process(),
            echo,
        ),
        layers::burrow("Burrow, wire, memory", Speech::Wire, false)?,
        layers::burrow("Burrow, wire, SQLite", Speech::Wire, true)?,
        layers::burrow("Burrow, HTTP, SQLite", Speech::Http, true)?,
    ];
    let mut notes = Vec::new();
    for peer in &PEERS {
        match version(peer) {
            Some(version) => {
                let running = start(peer).with_context(|| peer.name)?;
                let (address, process) = (running.address, busiest(&running));
                let name = format!("{}, {version}", peer.name);
                contestants.push(contestant(
                    &name,
                    peer.durability,
                    peer.speech,
                    address,
                    process,
                    running,
                ));
            }
            None => notes.push(format!(
                "Missing: {}. `apt-get install {}`",
                peer.name, peer.package
            )),
        }
    }
    pin(LOAD_CORE)?;
    contest::warm_up(&mut contestants, size)?;
    let (mut tables, mut plots) = (Vec::new(), Vec::new());
    for shape in Shape::ALL {
        let rows = contest::measure(&mut contestants, shape, rounds, insert_ms)?;
        let title = format!("peers: {}", shape.describe());
        tables.push(contest::table(
            title.clone(),
            &contestants,
            &rows,
            |_, _| "",
        ));
        let bars = contest::bars(&contestants, &rows);
        plots.push(Bars {
            title: format!("{title}: messages to echoes"),
            bars,
        });
    }
    if let Some(last) = tables.last_mut() {
        explain(last, rounds, insert_ms);
        notes.into_iter().for_each(|note| last.note(note));
    }
    unpin()?;
    let run = Run { header, tables };
    options.publish("peers", &run, |file| plot::bars(file, &plots))
}

fn explain(table: &mut Report, rounds: u64, insert_ms: u64) {
    table.note(format!(
        "{rounds} rounds, inserts for {insert_ms} ms in each, then all that is claimed, then deleted; every body checked."
    ));
    table.note(
        "Redis list: LPUSH, LMOVE to a list of the connection, LREM. Redis stream: XADD, XREADGROUP, XACK and XDEL. \
         RabbitMQ: persistent messages, publisher confirms, basic.get, basic.ack; the last is not confirmed, so an answered \
         basic.qos follows. gearmand: background jobs, GRAB_JOB, WORK_COMPLETE with an answered ECHO_REQ. NATS: a work queue \
         stream, pulled one by one, acknowledgements answered.",
    );
}

fn contestant(
    name: &str,
    durability: &'static str,
    speech: Speech,
    address: SocketAddr,
    process: u32,
    keep: impl Sized + 'static,
) -> Contestant {
    let is_echo = speech == Speech::Echo;
    Contestant {
        name: name.to_owned(),
        durability,
        kind: Kind::Server {
            address,
            speech,
            process: Some(process),
            whole_life: !is_echo,
            rest: None,
        },
        shapes: if is_echo { &Shape::ALL } else { SINGLES },
        keep: Box::new(keep),
    }
}

/// The version of the installed package; none if its program is missing.
fn version(peer: &Peer) -> Option<String> {
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\"", peer.program])
        .env("PATH", search_path())
        .stdout(Stdio::null())
        .status();
    if !found.is_ok_and(|status| status.success()) {
        return None;
    }
    let told = Command::new("dpkg-query")
        .args(["-W", "-f", "${Version}", peer.package])
        .output();
    let told = told.map_or_else(|_| Vec::new(), |output| output.stdout);
    Some(String::from_utf8_lossy(&told).into_owned())
}

/// Servers are often where only the administrator looks.
fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/usr/local/sbin")
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn start(peer: &Peer) -> anyhow::Result<Running> {
    let folder = data_folder()?;
    let port = free_port()?;
    let mut command = Command::new(peer.program);
    (peer.command)(&mut command, port, folder.path());
    let child = command
        .env("PATH", search_path())
        .env(MARK, folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut running = Running {
        child,
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        folder,
    };
    let started = Instant::now();
    while TcpStream::connect(running.address).is_err() {
        let ended = running.child.try_wait()?;
        ensure!(ended.is_none(), "it ended: {ended:?}");
        ensure!(started.elapsed() < PATIENCE, "it does not answer");
        std::thread::sleep(LOOK);
    }
    Ok(running)
}

/// The one of its processes that has worked most: some are started by a script.
fn busiest(running: &Running) -> u32 {
    let cpu = |process: &u32| process_cpu(*process).unwrap_or_default();
    let processes = started_by(running.folder.path());
    processes
        .into_iter()
        .max_by_key(cpu)
        .unwrap_or(running.child.id())
}
