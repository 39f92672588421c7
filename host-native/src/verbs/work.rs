//! `burrow work`: a command for each message.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use burrow_client::{Claiming, Client, Error, Held, Queue};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::args::WorkArgs;
use super::output::{Output, Printing};
use super::{BETWEEN_TRIES, VerbError, is_outage};

/// How long one request waits for messages.
const TURN: Duration = Duration::from_secs(20);
/// Time for a command to end after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);
const LONGEST_DELAY: Duration = Duration::from_secs(3600);

/// What the workers share.
struct Job {
    queue: Queue,
    name: String,
    command: Vec<OsString>,
    claiming: Claiming,
    delay: Duration,
    output: Arc<Output>,
    is_endless: bool,
    /// For how long a server may be away for one who ends.
    deadline: Duration,
    /// Messages whose command failed last. Not kept by one who never ends.
    failed: Mutex<BTreeSet<String>>,
    /// How often the program was told to stop.
    stop: watch::Receiver<u32>,
    /// The server was away when it was asked last, and that was told.
    is_away: AtomicBool,
}

pub(super) async fn work(args: WorkArgs, client: &Client) -> Result<(), VerbError> {
    let (tell, stop) = watch::channel(0);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = tell.closed() => return,
            }
            tell.send_modify(|times| *times += 1);
        }
    });
    let job = Arc::new(Job {
        queue: args.queue.queue.of(client),
        name: args.queue.queue.to_string(),
        claiming: Claiming {
            batch: args.batch,
            hide: args.hide,
            wait: args.wait.unwrap_or(TURN),
        },
        command: args.command,
        delay: args.delay,
        output: Arc::default(),
        is_endless: args.wait.is_none(),
        deadline: args.queue.target.deadline,
        failed: Mutex::default(),
        stop,
        is_away: AtomicBool::new(false),
    });
    let mut workers = JoinSet::new();
    for _ in 0..args.parallel {
        workers.spawn(Arc::clone(&job).run());
    }
    let mut outcome = Ok(());
    while let Some(ended) = workers.join_next().await {
        let ended = ended.map_err(std::io::Error::other)?;
        if outcome.is_ok() {
            outcome = ended;
        }
    }
    match (outcome, job.failed().len()) {
        (Ok(()), failed @ 1..) => Err(VerbError::CommandsFailed(failed)),
        (outcome, _) => outcome,
    }
}

impl Job {
    fn failed(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, held: &Held, is_success: bool) {
        if self.is_endless {
            return;
        }
        let mut failed = self.failed();
        for message in held.messages() {
            match is_success {
                true => failed.remove(&message.id),
                false => failed.insert(message.id.clone()),
            };
        }
    }

    async fn run(self: Arc<Self>) -> Result<(), VerbError> {
        let mut claims = self.queue.claims(self.claiming);
        let mut away_since = None;
        loop {
            let next = tokio::select! {
                biased;
                () = self.told(1) => return Ok(()),
                next = claims.next_within(self.claiming.wait) => next,
            };
            let handled = match next {
                Ok(Some(held)) => {
                    self.is_away.store(false, Relaxed);
                    self.handle(held).await
                }
                Ok(None) if self.is_endless => {
                    self.is_away.store(false, Relaxed);
                    Ok(())
                }
                Ok(None) => return Ok(()),
                Err(error) => Err(error.into()),
            };
            match handled {
                Ok(()) => away_since = None,
                // What was claimed comes back when its time is over.
                Err(VerbError::Client(error)) if self.outlasts(&error, &mut away_since) => {
                    if !self.is_away.swap(true, Relaxed) {
                        eprintln!("burrow: {error}; trying again");
                    }
                    tokio::select! {
                        () = self.told(1) => {}
                        () = sleep(BETWEEN_TRIES) => {}
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// True if this error is no reason to end. The client itself has tried for the deadline where nothing was done.
    fn outlasts(&self, error: &Error, away_since: &mut Option<Instant>) -> bool {
        let since = away_since.get_or_insert_with(Instant::now);
        match error {
            Error::OutcomeUnknown(_) => self.is_endless || since.elapsed() < self.deadline,
            error => self.is_endless && is_outage(error),
        }
    }

    /// Completes when the program was told to stop so often.
    async fn told(&self, times: u32) {
        let mut stop = self.stop.clone();
        if stop.wait_for(|stop| *stop >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn handle(&self, held: Held) -> Result<(), VerbError> {
        let Started {
            mut child,
            feeding,
            printing,
        } = match self.start(&held) {
            Ok(started) => started,
            Err(error) => {
                self.unless_hurried(held.release(Duration::ZERO)).await?;
                return Err(error);
            }
        };
        let status = tokio::select! {
            status = child.wait() => status,
            () = self.told(1) => {
                self.end(&mut child).await?;
                feeding.abort();
                let printed = self.print_all(printing).await;
                self.unless_hurried(held.release(Duration::ZERO)).await?;
                return Ok(printed?);
            }
            () = held.lost() => {
                self.end(&mut child).await?;
                feeding.abort();
                tell(&held, "the claim is lost, somebody else has the message");
                return Ok(self.print_all(printing).await?);
            }
        };
        // A command need not read its input.
        feeding.abort();
        if let Err(error) = self.print_all(printing).await {
            // What nobody got to see is not done.
            self.unless_hurried(held.release(Duration::ZERO)).await?;
            return Err(error.into());
        }
        self.settle(held, status?).await
    }

    /// Prints what a command that has ended has written, unless the program is told to stop for
    /// the second time.
    async fn print_all(&self, printing: Printing) -> std::io::Result<()> {
        tokio::select! {
            printed = printing.catch_up() => printed,
            () = self.told(2) => Ok(()),
        }
    }

    /// What the call comes to, if it comes to that before the program is told to stop for the
    /// second time.
    async fn unless_hurried<T>(
        &self,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, VerbError> {
        tokio::select! {
            biased;
            outcome = call => Ok(outcome?),
            () = self.told(2) => Err(VerbError::Abandoned),
        }
    }

    /// Asks the command, and what it has started, to end, and ends it if it does not.
    async fn end(&self, child: &mut Child) -> std::io::Result<()> {
        let group = child.id().and_then(|id| i32::try_from(id).ok());
        let send = |signal| {
            if let Some(group) = group {
                // It may have ended just now.
                let _ = killpg(Pid::from_raw(group), signal);
            }
        };
        send(Signal::SIGTERM);
        tokio::select! {
            status = child.wait() => return status.map(drop),
            () = sleep(PATIENCE) => {}
            () = self.told(2) => {}
        }
        send(Signal::SIGKILL);
        child.wait().await.map(drop)
    }

    async fn settle(&self, held: Held, status: ExitStatus) -> Result<(), VerbError> {
        self.note(&held, status.success());
        let lost = if status.success() {
            self.unless_hurried(held.ack()).await?
        } else {
            let delay = self.delay_of(&held);
            let text = format!("{status}; again in {delay:.0?}");
            tell(&held, &text);
            self.unless_hurried(held.release(delay)).await?
        };
        for id in lost {
            eprintln!(
                "burrow: {id}: the claim was lost: the message has expired, or it will be worked on again"
            );
        }
        Ok(())
    }

    /// Doubled with each attempt.
    fn delay_of(&self, held: &Held) -> Duration {
        let attempts = held.messages().iter().map(|message| message.attempts);
        let doublings = attempts.max().unwrap_or(1).saturating_sub(1).min(31);
        self.delay
            .saturating_mul(1 << doublings)
            .min(LONGEST_DELAY.max(self.delay))
    }

    fn start(&self, held: &Held) -> Result<Started, VerbError> {
        let (program, arguments) = self
            .command
            .split_first()
            .ok_or_else(|| VerbError::Usage("no command is given".to_owned()))?;
        let first = held.messages().first();
        // No environment holds this sign.
        let id = first.map(|first| first.id.replace('\0', "\u{fffd}"));
        let (output, printing) = self.output.of_command()?;
        let mut child = Command::new(program)
            .args(arguments)
            .env("BURROW_ID", id.unwrap_or_default())
            .env(
                "BURROW_ATTEMPTS",
                first.map_or(0, |first| first.attempts).to_string(),
            )
            .env("BURROW_QUEUE", &self.name)
            .env("BURROW_COUNT", held.messages().len().to_string())
            .stdin(Stdio::piped())
            .stdout(output)
            // A group of its own: Ctrl-C on a terminal is for this program to pass on.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| VerbError::Command {
                command: program.display().to_string(),
                error,
            })?;
        let mut input = Vec::new();
        for message in held.messages() {
            input.extend_from_slice(&message.body);
            if self.claiming.batch > 1 {
                input.push(b'\n');
            }
        }
        let stdin = child.stdin.take();
        let feeding = tokio::spawn(async move {
            if let Some(mut stdin) = stdin {
                // A command that does not want its input is no failure.
                let _ = stdin.write_all(&input).await;
            }
        });
        Ok(Started {
            child,
            feeding,
            printing,
        })
    }
}

/// A command that runs.
struct Started {
    child: Child,
    /// Gives it its input.
    feeding: JoinHandle<()>,
    printing: Printing,
}

fn tell(held: &Held, text: &str) {
    let id = held.messages().first().map_or("", |first| &first.id);
    match held.messages().len() {
        1 => eprintln!("burrow: {id}: {text}"),
        count => eprintln!("burrow: {count} messages from {id}: {text}"),
    }
}
