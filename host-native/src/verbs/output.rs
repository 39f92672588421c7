//! What the commands of `burrow work` print: all of it, by line, so that nothing of one command
//! stands in a line of another.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::net::unix::pipe::{self, Receiver};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

/// Bytes that are read at once: what a pipe holds. A longer line may be cut by those of others.
const MOST_BYTES: usize = 64 << 10;

/// The standard output, which all commands share.
#[derive(Debug, Default)]
pub(super) struct Output {
    commands: AtomicU64,
    /// The command whose line has no end yet.
    unended: Mutex<Option<u64>>,
}

/// What is to be printed of one command.
#[derive(Debug)]
pub(super) struct Printing {
    /// Tells that the command has ended, and whom to tell when all of it is printed.
    end: oneshot::Sender<oneshot::Sender<()>>,
    follower: JoinHandle<io::Result<()>>,
}

impl Output {
    /// What a command is to write to.
    pub(super) fn of_command(self: &Arc<Self>) -> io::Result<(Stdio, Printing)> {
        let (sender, receiver) = pipe::pipe()?;
        let command = self.commands.fetch_add(1, Relaxed);
        let (end, ended) = oneshot::channel();
        let follower = tokio::spawn(Arc::clone(self).follow(command, receiver, ended));
        let printing = Printing { end, follower };
        Ok((sender.into_blocking_fd()?.into(), printing))
    }

    /// Prints until nobody can write any more; that may be later than the command's end, if
    /// it has left something running.
    async fn follow(
        self: Arc<Self>,
        command: u64,
        receiver: Receiver,
        mut ended: oneshot::Receiver<oneshot::Sender<()>>,
    ) -> io::Result<()> {
        let mut unprinted = Vec::new();
        let mut is_running = true;
        loop {
            let told = tokio::select! {
                biased;
                // First, as what was left running may write without a pause.
                told = &mut ended, if is_running => {
                    is_running = false;
                    told.ok()
                }
                readable = receiver.readable() => {
                    readable?;
                    None
                }
            };
            let is_over = match told {
                Some(_) => read_rest(&receiver, &mut unprinted)?,
                None => read(&receiver, &mut unprinted)?,
            };
            let is_last = is_over || told.is_some();
            let end = unprinted.iter().rposition(|byte| *byte == b'\n');
            let whole = match is_last || unprinted.len() >= MOST_BYTES {
                true => unprinted.len(),
                false => end.map_or(0, |end| end + 1),
            };
            let rest = unprinted.split_off(whole);
            let printed = std::mem::replace(&mut unprinted, rest);
            self.print(command, printed, is_last).await?;
            if let Some(caught_up) = told {
                // Whoever asked may have left.
                let _ = caught_up.send(());
            }
            if is_over {
                return Ok(());
            }
        }
    }

    /// A line that another command has left open is ended first. On a terminal each is, when
    /// its command ends; elsewhere nothing is added to what a single command has written.
    async fn print(&self, command: u64, mut bytes: Vec<u8>, is_last: bool) -> io::Result<()> {
        let mut unended = self.unended.lock().await;
        if !bytes.is_empty() {
            let is_open = bytes.last() != Some(&b'\n');
            if unended.is_some_and(|other| other != command) {
                bytes.insert(0, b'\n');
            }
            *unended = is_open.then_some(command);
        }
        if is_last && *unended == Some(command) && io::stdout().is_terminal() {
            bytes.push(b'\n');
            *unended = None;
        }
        if bytes.is_empty() {
            return Ok(());
        }
        // It may take as long as whoever reads it likes, and claims are to be extended meanwhile.
        let written = tokio::task::spawn_blocking(move || {
            let mut out = io::stdout().lock();
            out.write_all(&bytes)?;
            out.flush()
        });
        written.await.map_err(io::Error::other)?
    }
}

impl Printing {
    /// The command has ended: completes when all that it has written is printed.
    ///
    /// # Errors
    /// Some of it could not be printed.
    pub(super) async fn catch_up(self) -> io::Result<()> {
        let (tell, caught_up) = oneshot::channel();
        if self.end.send(tell).is_ok() && caught_up.await.is_ok() {
            return Ok(());
        }
        // It has ended before it was asked: with the output, or because of an error.
        self.follower.await.map_err(io::Error::other)?
    }
}

/// True if nobody can write any more.
fn read(receiver: &Receiver, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut chunk = [0; 8 << 10];
    match receiver.try_read(&mut chunk) {
        Ok(0) => Ok(true),
        Ok(count) => {
            bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
            Ok(false)
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads what is in the pipe, whether the runtime has heard of it yet or not.
fn read_rest(receiver: &Receiver, bytes: &mut Vec<u8>) -> io::Result<bool> {
    let mut file = File::from(receiver.as_fd().try_clone_to_owned()?);
    let mut chunk = [0; 8 << 10];
    let most = bytes.len() + MOST_BYTES;
    while bytes.len() < most {
        match file.read(&mut chunk) {
            Ok(0) => return Ok(true),
            Ok(count) => bytes.extend_from_slice(chunk.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
