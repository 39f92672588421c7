//! What the verbs that use a queue can be told.

use std::path::PathBuf;
use std::time::Duration;

use burrow::config::{Seconds, seconds};
use burrow_core::MAX_SPAN_MS;
use clap::{Args, Subcommand};

use crate::moving::QueuePath;

/// The verbs that use queues, on a server or in a data folder.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Put messages: arguments, files, standard input, or each line of these
    #[command(after_help = PUT_HELP)]
    Put(PutArgs),
    /// Claim messages: nobody else gets them until the claim is over
    ///
    /// Prints for each its id, claim, attempts and body, with tabs between.
    #[command(after_help = TAKE_HELP)]
    Claim(ClaimArgs),
    /// Acknowledge a message: the work is done, and it goes
    #[command(after_help = SETTLE_HELP)]
    Ack(SettleArgs),
    /// Hold a claim for some time from now
    #[command(after_help = SETTLE_HELP)]
    Extend(ExtendArgs),
    /// Give a claimed message back to be claimed again
    #[command(after_help = SETTLE_HELP)]
    Release(ReleaseArgs),
    /// Take messages and remove them in one step; prints their bodies
    #[command(after_help = TAKE_HELP)]
    Pop(TakeArgs),
    /// Look at messages without taking them; prints their bodies
    #[command(after_help = TAKE_HELP)]
    Peek(PeekArgs),
    /// List accounts, the queues of an account, or the messages of a queue
    #[command(after_help = LOOK_HELP)]
    Ls(LsArgs),
    /// Follow a queue: print bodies as messages come, and take nothing
    #[command(after_help = TAKE_HELP)]
    Watch(WatchArgs),
    /// Remove all messages of a queue, hidden ones too; its settings stay
    #[command(after_help = LOOK_HELP)]
    Purge(QueueArgs),
    /// Show, change or clear a queue's settings
    #[command(after_help = SETTINGS_HELP)]
    Settings(SettingsArgs),
    /// How much is in a queue, or in every queue: messages, and bytes of their ids and bodies
    #[command(after_help = LOOK_HELP)]
    Stats(LsArgs),
    /// Run a command for each message: xargs for a queue
    #[command(after_help = WORK_HELP)]
    Work(WorkArgs),
}

/// Where the queues are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// The server, http://127.0.0.1:8080 if none is given; several: queues are hashed over them by
    /// name and weight, as by a proxy that is told the same. Without a name it is the URL, or of
    /// burrow:// what is behind that [variable: BURROW_URL, with spaces between several]
    #[arg(long, value_name = "[NAME=]URL[@WEIGHT]", conflicts_with = "data")]
    pub(crate) url: Vec<String>,
    /// The data folder of a server that does not run, used by this process itself
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Certificates, in PEM, of which one must have signed that of a server behind https://, in
    /// place of the authorities that browsers trust
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) ca: Option<PathBuf>,
    /// With several servers: how many a queue may be on, its own and those that stand in for it
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    pub(crate) failover: usize,
    /// Time for a request with all its tries, besides what it waits: for so long it goes on trying
    /// while a server is away, and says so
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = span)]
    pub(crate) deadline: Duration,
    /// Print JSON, one value a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct QueueArgs {
    /// The queue, both names percent-encoded as in a URL
    #[arg(value_name = "ACCOUNT/QUEUE")]
    pub(crate) queue: QueuePath,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    /// A body; @FILE: what is in the file; -: standard input, which is read if none is given
    #[arg(value_name = "BODY")]
    pub(crate) bodies: Vec<String>,
    /// Each line is a message
    #[arg(long)]
    pub(crate) lines: bool,
    /// Make the data folder if there is none
    #[arg(long, requires = "data")]
    pub(crate) create: bool,
    /// The message's id; takes the place of the one that has it
    #[arg(long, conflicts_with = "lines")]
    pub(crate) id: Option<String>,
    /// Time until it expires, 0 = never; otherwise as the queue says
    #[arg(long, value_name = "SECONDS", value_parser = span)]
    pub(crate) ttl: Option<Duration>,
    /// Time until it is visible
    #[arg(long, value_name = "SECONDS", value_parser = span)]
    pub(crate) hide: Option<Duration>,
    /// Kept, and given back with the body: as a header by HTTP, and with --json where the server
    /// is not reached by HTTP
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct TakeArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: u64,
    /// If there is none, wait so long for one
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = span)]
    pub(crate) wait: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct ClaimArgs {
    #[command(flatten)]
    pub(crate) take: TakeArgs,
    /// Time for which the claim holds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = positive_span)]
    pub(crate) hide: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct PeekArgs {
    #[command(flatten)]
    pub(crate) take: TakeArgs,
    /// Only what comes after the message with this id
    #[arg(long, value_name = "ID")]
    pub(crate) marker: Option<String>,
    /// Hidden ones as well
    #[arg(long)]
    pub(crate) hidden: bool,
    /// The message with this id, hidden or not
    #[arg(long, conflicts_with_all = ["marker", "hidden"])]
    pub(crate) id: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    /// Begin after the message with this id, rather than with the first that is there
    #[arg(long, value_name = "ID")]
    pub(crate) marker: Option<String>,
    /// End after so many
    #[arg(long, value_name = "COUNT")]
    pub(crate) limit: Option<u64>,
    /// End with 4 when nothing has come for so long
    #[arg(long, value_name = "SECONDS", value_parser = span)]
    pub(crate) wait: Option<Duration>,
}

#[derive(Args, Debug)]
pub(crate) struct LsArgs {
    /// An account, or ACCOUNT/QUEUE, percent-encoded as in a URL; nothing: all accounts
    #[arg(value_name = "ACCOUNT[/QUEUE]")]
    pub(crate) place: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct SettleArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    /// The message's id
    pub(crate) id: String,
    /// The claim, as it was printed; without it whoever holds the message is overruled
    pub(crate) claim: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ExtendArgs {
    #[command(flatten)]
    pub(crate) settle: SettleArgs,
    /// Time for which the claim holds from now
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = positive_span)]
    pub(crate) hide: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct ReleaseArgs {
    #[command(flatten)]
    pub(crate) settle: SettleArgs,
    /// Time until it can be claimed again
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = span)]
    pub(crate) delay: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct SettingsArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    /// What to change; an empty value leaves it to the server again
    #[arg(value_name = "NAME=VALUE", conflicts_with = "clear")]
    pub(crate) changes: Vec<String>,
    /// Take all settings away
    #[arg(long)]
    pub(crate) clear: bool,
    /// Make the data folder if there is none
    #[arg(long, requires = "data")]
    pub(crate) create: bool,
}

#[derive(Args, Debug)]
pub(crate) struct WorkArgs {
    #[command(flatten)]
    pub(crate) queue: QueueArgs,
    /// Commands at a time
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) parallel: u64,
    /// Messages for one command, at the most: each body is a line of its input
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) batch: u64,
    /// Time after which messages come back if this program dies; extended while a command runs
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = positive_span)]
    pub(crate) hide: Duration,
    /// Time until a failed message is tried again; doubled with each attempt, up to an hour
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = span)]
    pub(crate) delay: Duration,
    /// End when nothing has come for so long, or a server has been away for --deadline; otherwise
    /// never
    #[arg(long, value_name = "SECONDS", value_parser = span)]
    pub(crate) wait: Option<Duration>,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

fn span(text: &str) -> Result<Duration, String> {
    seconds(0..=MAX_SPAN_MS)(text).map(Seconds::duration)
}

fn positive_span(text: &str) -> Result<Duration, String> {
    match span(text)? {
        Duration::ZERO => Err("must be above 0".to_owned()),
        span => Ok(span),
    }
}

macro_rules! codes {
    () => {
        "
Exit codes:
  0  done
  1  it could not be done, for the reason told
  2  wrong usage
  3  the stored data is damaged
  4  there is nothing, also after waiting
  5  the claim is lost: somebody else has the message, or it is gone"
    };
}

const PUT_HELP: &str = concat!(
    "Examples:
  burrow put shop/jobs 'pack the parcel'
  burrow put shop/jobs --id 17 @parcel.json
  seq 100000 | burrow put shop/jobs --lines
",
    codes!()
);

const TAKE_HELP: &str = concat!(
    "Examples:
  burrow claim shop/jobs --hide 60 --wait 20
  burrow pop shop/jobs --limit 10
  burrow peek shop/jobs --json
  burrow watch shop/news
",
    codes!()
);

const SETTLE_HELP: &str = concat!(
    "Examples:
  IFS=$'\\t' read -r id claim attempts body < <(burrow claim shop/jobs)
  burrow extend shop/jobs \"$id\" \"$claim\" --hide 120
  burrow ack shop/jobs \"$id\" \"$claim\"
",
    codes!()
);

const LOOK_HELP: &str = concat!(
    "Examples:
  burrow ls
  burrow ls shop/jobs --data burrow-data
  burrow stats shop --json
  burrow purge shop/jobs
",
    codes!()
);

const SETTINGS_HELP: &str = concat!(
    "Settings:
  default_ttl   seconds until a message expires, 0 = never, where its put does not say
  default_hide  seconds until a message is visible, where its put does not say
  max_attempts  claims of a message, at least 1; the next one gives it up instead
  dead_letter   queue of the same account for what was given up; both or neither
  max_messages  messages that the queue takes
  max_bytes     bytes of ids and bodies that it takes, as a plain number
  order         fifo or lifo
  retention     seconds for which the id of a message that is gone serves as a marker
  What is not set is as the server has it. Seconds may have a fraction, 0.25.

Examples:
  burrow settings shop/jobs
  burrow settings shop/jobs max_attempts=5 dead_letter=failed default_ttl=86400
  burrow settings shop/jobs order=
",
    codes!()
);

const WORK_HELP: &str = concat!(
    "The command:
  Its input is the body; with --batch above 1, a line for each body. BURROW_ID,
  BURROW_ATTEMPTS, BURROW_QUEUE tell which message it is (with --batch: the first), and
  BURROW_COUNT how many. Exit code 0 acknowledges; anything else gives the messages back.
  What commands print comes line by line; a last line without an end is ended before the
  next command's, and on a terminal.
  Ctrl-C and SIGTERM end the commands with SIGTERM, after 5 seconds with SIGKILL, and give
  back what is not done. If this program is killed, its messages come back after --hide.
  A second one kills them at once and gives back nothing: that comes back after --hide.
  While the server is away it goes on trying; with --wait, for --deadline at the most.
  With --wait this program ends by itself: with 123, like xargs, if there are messages whose
  command failed and did not succeed later. They were given back.

Examples:
  burrow work shop/jobs -- ./pack-parcel
  burrow work shop/jobs --parallel 8 --wait 60 -- ./pack-parcel
  burrow work shop/logs --batch 1000 -- sh -c 'cat >> log'
",
    codes!(),
    "
  123 commands failed, and messages were given back"
);
