//! Child processes: how they are started, shown and judged.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::thread;

use crate::report::Count;

/// Why a task did not succeed, in words for the person who started it.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The root of the workspace. Cargo says where it is as it runs this program, which another
/// clone may have compiled into a folder that both use.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let package = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        package.ancestors().nth(2).unwrap_or(&package).into()
    });
    &ROOT
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |folder| root().join(folder))
}

/// A command that is about to run at the root of the workspace.
#[derive(Debug)]
pub(crate) struct Task(Command);

/// The cargo that runs this program, with these arguments.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Task {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    program(cargo).args(arguments)
}

/// Any other program.
pub(crate) fn program(name: impl AsRef<OsStr>) -> Task {
    let mut command = Command::new(name);
    command.current_dir(root()).stdin(Stdio::null());
    Task(command)
}

impl Task {
    pub(crate) fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.0.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// What it has as its standard input.
    pub(crate) fn input(mut self, file: File) -> Self {
        self.0.stdin(file);
        self
    }

    /// Runs it with its output shown.
    pub(crate) fn run(mut self) -> Result<(), Failure> {
        let status = self.0.status().map_err(|error| self.unstarted(&error))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(&status.to_string()))
        }
    }

    /// Runs it and gives what it writes to its standard output.
    pub(crate) fn read(mut self) -> Result<String, Failure> {
        let output = self
            .0
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| self.unstarted(&error))?;
        if !output.status.success() {
            return Err(self.failed(&output.status.to_string()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// Starts it, to read its standard output while it runs.
    pub(crate) fn start(mut self) -> Result<Running, Failure> {
        self.0.stdout(Stdio::piped());
        let mut child = self.0.spawn().map_err(|error| self.unstarted(&error))?;
        let output = child.stdout.take().map(BufReader::new);
        Ok(Running {
            task: self,
            child,
            output,
        })
    }

    /// Runs a test runner with its output shown, and counts the tests that it closes on.
    pub(crate) fn run_tests(mut self, count: &mut Count) -> Result<(), Failure> {
        if io::stderr().is_terminal() {
            self.0.env("CARGO_TERM_COLOR", "always");
        }
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.0.spawn().map_err(|error| self.unstarted(&error))?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        thread::scope(|scope| {
            let errors =
                scope.spawn(|| err.map_or_else(Count::default, |err| show(err, io::stderr())));
            if let Some(out) = out {
                count.add(show(out, io::stdout()));
            }
            count.add(errors.join().unwrap_or_default());
        });
        let status = child.wait().map_err(|error| self.unstarted(&error))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.failed(&status.to_string()))
        }
    }

    fn unstarted(&self, error: &io::Error) -> Failure {
        Failure(format!("{} cannot be run: {error}", self.text()))
    }

    fn failed(&self, how: &str) -> Failure {
        Failure(format!("`{}` failed ({how})", self.text()))
    }

    fn text(&self) -> String {
        let name = Path::new(self.0.get_program())
            .file_name()
            .unwrap_or_default();
        let words = std::iter::once(name).chain(self.0.get_args());
        words
            .map(OsStr::to_string_lossy)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// A program that runs, and is killed if this is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    task: Task,
    child: Child,
    output: Option<BufReader<ChildStdout>>,
}

impl Running {
    /// The next line of its standard output. None where that has ended.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        match self.output.as_mut()?.read_until(b'\n', &mut line) {
            Ok(1..) => Some(String::from_utf8_lossy(&line).trim_end().to_owned()),
            Ok(0) | Err(_) => None,
        }
    }

    /// Shows the rest of its output, until it ends.
    pub(crate) fn wait(mut self) -> Result<(), Failure> {
        if let Some(output) = self.output.take() {
            show(output, io::stdout());
        }
        let status = self.child.wait();
        let status = status.map_err(|error| self.task.unstarted(&error))?;
        if status.success() {
            Ok(())
        } else {
            Err(self.task.failed(&status.to_string()))
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, and been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn show(from: impl io::Read, mut to: impl Write) -> Count {
    let mut count = Count::default();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        count.read(&line);
        // A reader who has gone away must not stop the tests.
        let _ = writeln!(to, "{line}");
    }
    count
}
