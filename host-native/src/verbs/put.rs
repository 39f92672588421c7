//! `burrow put`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::time::Duration;

use burrow_client::{Client, Put, Queue};
use indicatif::{ProgressBar, ProgressStyle};

use super::args::PutArgs;
use super::{VerbError, print_json};

/// Lines that are put in one step, at the most.
const BATCH_LINES: usize = 1_000;
/// Bytes of bodies that are put in one step, unless one body is larger.
const BATCH_BYTES: usize = 1 << 20;

pub(super) async fn put(args: PutArgs, client: &Client) -> Result<(), VerbError> {
    let queue = args.queue.queue.of(client);
    let sources = match args.bodies.is_empty() {
        true => vec!["-".to_owned()],
        false => args.bodies.clone(),
    };
    if args.lines {
        return put_lines(&args, &queue, &sources).await;
    }
    if args.id.is_some() && sources.len() > 1 {
        let text = "--id names one message, and there are several bodies";
        return Err(VerbError::Usage(text.to_owned()));
    }
    let mut ids = Vec::new();
    for source in &sources {
        let mut body = Vec::new();
        read(source, |reader| reader.read_to_end(&mut body).map(drop))?;
        let mut message = with_options(Put::new(body), &args);
        if let Some(id) = &args.id {
            message = message.id(id);
        }
        ids.push(queue.put(message).await?);
    }
    let mut out = io::stdout().lock();
    for id in ids {
        match args.queue.target.json {
            true => print_json(&mut out, &serde_json::json!({ "id": id }))?,
            false => writeln!(out, "{id}")?,
        }
    }
    Ok(())
}

async fn put_lines(args: &PutArgs, queue: &Queue, sources: &[String]) -> Result<(), VerbError> {
    let progress = progress(length(sources));
    let mut lines = Lines {
        args,
        queue,
        batch: Vec::new(),
        bytes: 0,
        messages: 0,
        read: 0,
        progress,
    };
    for source in sources {
        let mut reader = open(source)?;
        let mut line = Vec::new();
        let failed = |error| failed(source, error);
        loop {
            let bytes = reader.read_until(b'\n', &mut line).map_err(failed)?;
            if bytes == 0 {
                break;
            }
            lines.read += bytes as u64;
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            lines.add(std::mem::take(&mut line)).await?;
        }
    }
    lines.flush().await?;
    lines.progress.finish_and_clear();
    let mut out = io::stdout().lock();
    match args.queue.target.json {
        true => print_json(&mut out, &serde_json::json!({ "messages": lines.messages }))?,
        false => writeln!(out, "{} messages", lines.messages)?,
    }
    Ok(())
}

/// Lines on their way. Batches go one after the other, so that order holds.
struct Lines<'a> {
    args: &'a PutArgs,
    queue: &'a Queue,
    batch: Vec<Put>,
    bytes: usize,
    messages: u64,
    /// Bytes that were read.
    read: u64,
    progress: ProgressBar,
}

impl Lines<'_> {
    async fn add(&mut self, body: Vec<u8>) -> Result<(), VerbError> {
        if self.batch.len() >= BATCH_LINES || self.bytes + body.len() > BATCH_BYTES {
            self.flush().await?;
        }
        self.bytes += body.len();
        self.batch.push(with_options(Put::new(body), self.args));
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), VerbError> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let count = self.batch.len() as u64;
        let outcome = self.queue.put_batch(std::mem::take(&mut self.batch)).await;
        outcome.map_err(|error| VerbError::Part {
            error,
            messages: self.messages,
        })?;
        self.bytes = 0;
        self.messages += count;
        match self.progress.length() {
            Some(_) => {
                self.progress
                    .set_message(format!("{} messages", self.messages));
                self.progress.set_position(self.read);
            }
            None => self.progress.set_position(self.messages),
        }
        Ok(())
    }
}

/// Told on standard error, where a person is looking. With a length it is a bar, of bytes;
/// otherwise nobody knows how much is to come.
fn progress(length: Option<u64>) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match length {
        Some(length) => (
            ProgressBar::new(length).with_message("0 messages"),
            "{bar:30} {percent}%  {msg}, {bytes} of {total_bytes}, {eta} left",
        ),
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {human_pos} messages, {per_sec}",
        ),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

/// Bytes of all sources, if that can be known.
fn length(sources: &[String]) -> Option<u64> {
    let each = sources.iter().map(|source| match source.strip_prefix('@') {
        _ if source == "-" => None,
        Some(path) if !path.starts_with('@') => {
            let about = std::fs::metadata(path).ok()?;
            about.is_file().then_some(about.len())
        }
        Some(body) => Some(body.len() as u64),
        None => Some(source.len() as u64),
    });
    each.sum()
}

fn with_options(mut put: Put, args: &PutArgs) -> Put {
    if let Some(ttl) = args.ttl {
        put = put.ttl(ttl);
    }
    if let Some(hide) = args.hide {
        put = put.hide(hide);
    }
    if let Some(content_type) = &args.content_type {
        put = put.content_type(content_type);
    }
    put
}

fn read(
    source: &str,
    take: impl FnOnce(&mut dyn BufRead) -> io::Result<()>,
) -> Result<(), VerbError> {
    take(&mut *open(source)?).map_err(|error| failed(source, error))
}

fn open(source: &str) -> Result<Box<dyn BufRead + '_>, VerbError> {
    match (source, source.strip_prefix('@')) {
        ("-", _) => Ok(Box::new(BufReader::new(io::stdin()))),
        // A body that begins with @ is written with two.
        (_, Some(body)) if body.starts_with('@') => Ok(Box::new(body.as_bytes())),
        (_, Some(path)) => match File::open(path) {
            Ok(file) => Ok(Box::new(BufReader::new(file))),
            Err(error) => Err(failed(path, error)),
        },
        (body, None) => Ok(Box::new(body.as_bytes())),
    }
}

fn failed(source: &str, error: io::Error) -> VerbError {
    VerbError::File {
        path: source.trim_start_matches('@').to_owned(),
        error,
    }
}
