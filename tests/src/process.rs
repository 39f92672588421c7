//! The real `burrow` program, run by tests.
//!
//! A [`Server`] that is dropped is killed, and a test process that dies takes its servers
//! along, so no test leaves a process behind.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// How long a server may take for anything before it counts as hung.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a process that is to end is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// How to start a server.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
}

/// A running server.
pub struct Server {
    child: Child,
    first_line: String,
    address: SocketAddr,
    logs: Arc<Mutex<String>>,
    readers: Vec<thread::JoinHandle<()>>,
    // Held open: a server must not fail because nobody reads what it prints.
    _stdout: Arc<Mutex<Option<BufReader<ChildStdout>>>>,
}

/// A server that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    /// All that was written to standard error.
    pub logs: String,
}

/// A server that did not come up.
#[derive(Debug)]
pub struct NotStarted {
    /// `None` if it had to be killed, because it neither printed its first line nor ended.
    pub status: Option<ExitStatus>,
    pub logs: String,
}

/// The `burrow` program of this workspace: the one that `BURROW_PROGRAM` names, else built
/// anew if it is not up to date. A build for this package alone has other features than one
/// for the workspace, so after the latter it would compile a good deal again.
///
/// # Panics
/// If it cannot be built.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(built) = std::env::var_os("BURROW_PROGRAM") {
            return built.into();
        }
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "burrow", "--bin", "burrow"]);
        // Test programs lie in `deps`, next to which the other programs are put.
        let own = std::env::current_exe().expect("the test program has a path");
        let profile = own
            .ancestors()
            .find(|path| path.ends_with("deps"))
            .and_then(Path::parent);
        let profile = profile.unwrap_or_else(|| own.parent().expect("a program lies in a folder"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let status = build
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(status.success(), "burrow cannot be built");
        profile.join("burrow")
    })
}

/// A command that does not see those of our variables that are settings.
pub fn plain(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BURROW_") {
            command.env_remove(name);
        }
    }
    command
}

impl Launch {
    /// `burrow serve` on a free port of 127.0.0.1, with none of the caller's variables
    /// that are settings.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        let arguments = ["serve", "--listen=127.0.0.1:0"]
            .map(OsString::from)
            .to_vec();
        Self {
            program: program.into(),
            arguments,
            variables: Vec::new(),
            folder: None,
        }
    }

    /// `burrow proxy` in front of servers at these addresses, on free ports of 127.0.0.1. The
    /// first is called `s0`, and so on.
    pub fn proxy(program: impl Into<PathBuf>, servers: &[String]) -> Self {
        let launch = Self {
            program: program.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            folder: None,
        };
        let listening = ["proxy", "--listen=127.0.0.1:0", "--listen-wire=127.0.0.1:0"];
        let launch = listening.iter().fold(launch, Self::argument);
        let servers = servers.iter().enumerate();
        servers.fold(launch, |launch, (number, address)| {
            launch.argument(format!("--server=s{number}={address}"))
        })
    }

    /// `workerd serve` with this configuration, on a free port of 127.0.0.1.
    pub fn workerd(program: impl Into<PathBuf>, config: &Path) -> Self {
        let arguments = ["serve", "--socket-addr=http=127.0.0.1:0", "--control-fd=1"]
            .map(OsString::from)
            .to_vec();
        let launch = Self {
            program: program.into(),
            arguments,
            variables: Vec::new(),
            folder: None,
        };
        launch.argument(config)
    }

    /// A server in another language, which prints its address as `burrow` does.
    pub fn other(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            folder: None,
        }
    }

    /// Keeps everything in memory.
    pub fn memory(self) -> Self {
        self.argument("--memory")
    }

    /// Keeps the data in this folder.
    pub fn data(self, folder: impl AsRef<Path>) -> Self {
        self.argument("--data").argument(folder.as_ref())
    }

    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub fn variable(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.variables
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The working directory.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The command as it is run, for callers that want all of its output and wait for its end.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("BURROW_") {
                command.env_remove(name);
            }
        }
        command
            .args(&self.arguments)
            .envs(self.variables.iter().cloned());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// Starts the server and waits for its first line.
    pub fn start(&self) -> Result<Server, NotStarted> {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child =
            spawn(command).unwrap_or_else(|error| panic!("cannot run {:?}: {error}", self.program));
        let logs = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("standard error is piped");
        let stdout = child.stdout.take().expect("standard output is piped");
        let kept_stdout = Arc::new(Mutex::new(None));
        let (send, receive) = mpsc::channel();
        let readers = vec![
            capture(stderr, Arc::clone(&logs)),
            first_line(stdout, send, Arc::clone(&kept_stdout)),
        ];
        let line = receive.recv_timeout(PATIENCE);
        let address = line.as_deref().ok().and_then(address_in);
        // From here on the process cannot be forgotten, whatever happens.
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let server = Server {
            child,
            first_line: line.clone().unwrap_or_default(),
            address: address.unwrap_or(unknown),
            logs,
            readers,
            _stdout: kept_stdout,
        };
        if address.is_some() {
            return Ok(server);
        }
        let hung = line == Err(RecvTimeoutError::Timeout);
        Err(server.not_started(hung))
    }
}

impl Server {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it speaks the wire protocol over TCP, if it was told to.
    pub fn wire_address(&self) -> Option<SocketAddr> {
        let (_, wire) = self.first_line.split_once(", wire on ")?;
        wire.split(',').next()?.parse().ok()
    }

    /// The first line that it printed, without its end.
    pub fn first_line(&self) -> &str {
        &self.first_line
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What was written to standard error so far.
    pub fn logs(&self) -> String {
        self.logs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until this was written there: what a process has done is seen before what it wrote.
    pub fn assert_logs(&self, text: &str) {
        let started = Instant::now();
        while !self.logs().contains(text) {
            assert!(
                started.elapsed() < PATIENCE,
                "no {text:?}:\n{}",
                self.logs()
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.child.id().try_into().expect("a process id"));
        // The process may have ended by itself, but it was not waited for: the id is its own.
        let _ = signal::kill(id, signal);
    }

    /// Stops it as it is, until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Asks it to stop, and waits until it has.
    pub fn terminate(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Ends it as a power cut would, and waits until it is gone.
    pub fn kill(self) -> Ended {
        self.signal(Signal::SIGKILL);
        self.wait()
    }

    /// The status if it has ended by itself.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// If it hangs; it is killed then.
    pub fn wait(mut self) -> Ended {
        let status = self
            .wait_at_most(PATIENCE)
            .unwrap_or_else(|| panic!("hangs; its logs:\n{}", self.logs()));
        self.end(status)
    }

    /// Waits so long at the most.
    pub fn wait_at_most(&mut self, time: Duration) -> Option<ExitStatus> {
        for _ in 0..time.as_millis() / LOOK.as_millis() {
            if let Some(status) = self.try_wait() {
                return Some(status);
            }
            thread::sleep(LOOK);
        }
        self.try_wait()
    }

    fn end(&mut self, status: ExitStatus) -> Ended {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        Ended {
            status,
            logs: self.logs(),
        }
    }

    fn not_started(mut self, hung: bool) -> NotStarted {
        if hung {
            self.signal(Signal::SIGKILL);
        }
        let status = self.child.wait().expect("a child can be waited for");
        let ended = self.end(status);
        NotStarted {
            status: (!hung).then_some(status),
            logs: ended.logs,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.id())
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Ended {
    /// True if it was killed by this signal.
    pub fn was_killed_by(&self, signal: Signal) -> bool {
        self.status.signal() == Some(signal as i32)
    }
}

/// Starts a process that is killed when this process ends.
///
/// The kernel watches the thread that starts a process, not all of ours, so one thread
/// that never ends does it for everybody.
fn spawn(command: Command) -> io::Result<Child> {
    type Request = (Command, Sender<io::Result<Child>>);
    static STARTER: OnceLock<Mutex<Sender<Request>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (send, requests) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, answer) in requests {
                let _ = answer.send(die_with_parent(&mut command).spawn());
            }
        });
        Mutex::new(send)
    });
    let (send, answer) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts processes is gone");
    let starter = starter.lock().unwrap_or_else(PoisonError::into_inner);
    starter.send((command, send)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn die_with_parent(command: &mut Command) -> &mut Command {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; prctl is one,
    // and nothing here allocates or takes a lock.
    unsafe { command.pre_exec(|| prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from)) }
}

fn capture(
    mut from: impl Read + Send + 'static,
    into: Arc<Mutex<String>>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = from.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..bytes]);
            into.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&text);
        }
    })
}

fn first_line(
    stdout: ChildStdout,
    send: Sender<String>,
    keep: Arc<Mutex<Option<BufReader<ChildStdout>>>>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        if stdout.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
            let _ = send.send(line.trim_end().to_owned());
            *keep.lock().unwrap_or_else(PoisonError::into_inner) = Some(stdout);
        }
    })
}

/// The address in `burrow listening on http://127.0.0.1:8080, …`, or in what workerd tells:
/// `{"event":"listen","socket":"http","port":8080}`.
fn address_in(line: &str) -> Option<SocketAddr> {
    if let Some((_, port)) = line.split_once(r#""port":"#) {
        let port = port.trim_end_matches('}').parse().ok()?;
        return Some(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    line.split_once("http://")?
        .1
        .split(',')
        .next()?
        .parse()
        .ok()
}
