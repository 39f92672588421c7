//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use burrow::config::layers::{Layers, bad_flag, is_bad_value};
use burrow::config::{ConfigError, DEFAULT_FOLDER, ProxySettings, Settings, Source};
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::moving::{QueuePath, Site};
use crate::verbs::DEFAULT_URL;

/// A message queue in one program: HTTP in front, SQLite or memory behind
#[derive(Debug, Parser)]
#[command(name = "burrow", version, after_help = EXAMPLES, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the server until SIGTERM or Ctrl-C
    #[command(after_help = SERVE_HELP)]
    Serve(Box<ServeArgs>),
    /// Make many servers one: each queue lives on one of them, and clients need not know which
    #[command(after_help = PROXY_HELP)]
    Proxy(Box<ProxyArgs>),
    /// Verify the data of a server that does not run; changes nothing
    ///
    /// Reads everything that is stored, checks the checksums, and says what it found; of damage, where it is.
    #[command(after_help = CHECK_HELP)]
    Check(FolderArgs),
    /// Print the data of a server that does not run as JSON lines; changes nothing
    ///
    /// One line for each queue, then one for each of its messages, in the queue's order.
    #[command(after_help = DUMP_HELP)]
    Dump(FolderArgs),
    /// Write a queue to standard output, to be imported elsewhere; changes nothing
    ///
    /// Its settings, and its messages as they are: bodies, times, attempts and claims, whose tokens stay good.
    #[command(after_help = EXPORT_HELP, allow_missing_positional = true)]
    Export(MoveArgs),
    /// Put an exported queue from standard input behind what is there
    ///
    /// A message whose id is there takes the place of the other one, so an import that was cut short can be repeated.
    #[command(after_help = IMPORT_HELP, allow_missing_positional = true)]
    Import(ImportArgs),
    #[command(flatten)]
    Use(crate::verbs::Verb),
    /// Print completions for a shell, to be sourced by it
    Completions { shell: Shell },
    /// Print the manual page of this program, or of one of its commands
    Man {
        /// Without one, that of the program
        command: Option<String>,
    },
}

#[derive(Args, Debug)]
struct MoveArgs {
    /// A server, as http://127.0.0.1:8080, or the data folder of one that does not run; otherwise
    /// the server of BURROW_URL, or of this machine
    #[arg(value_name = "URL|DIR")]
    site: Option<Site>,
    /// The queue, both names percent-encoded as in a URL
    #[arg(value_name = "ACCOUNT/QUEUE")]
    queue: QueuePath,
}

#[derive(Args, Debug)]
struct ImportArgs {
    #[command(flatten)]
    place: MoveArgs,
    /// Make the data folder if there is none
    #[arg(long)]
    create: bool,
}

#[derive(Args, Debug)]
struct ServeArgs {
    /// TOML file with settings [variable: BURROW_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
struct ProxyArgs {
    /// TOML file with settings [variable: BURROW_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: ProxySettings,
}

#[derive(Args, Debug)]
struct FolderArgs {
    /// The folder that the server was given as --data
    #[arg(value_name = "DIR", default_value = DEFAULT_FOLDER)]
    folder: PathBuf,
}

/// What the user wants.
#[derive(Debug)]
pub(crate) enum Action {
    Serve(Box<Settings>),
    Proxy(Box<ProxySettings>),
    Check(PathBuf),
    Dump(PathBuf),
    Export(Site, QueuePath),
    /// The last tells whether a folder that is not there is to be made.
    Import(Site, QueuePath, bool),
    /// To use a queue, on the server of the variable if no other is given.
    Use(Box<crate::verbs::Verb>, Option<OsString>),
    Print(Vec<u8>),
}

/// Why there is nothing to do.
#[derive(Debug)]
pub(crate) enum Rejected {
    /// Help or the version was asked for, or the command is not of the right form.
    Usage(clap::Error),
    Config(ConfigError),
}

/// Reads the command line, the variables and the configuration file.
pub(crate) fn read(
    arguments: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Action, Rejected> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let first = Cli::try_parse_from(&arguments).map_err(rejected)?;
    match first.command {
        Verb::Serve(serve) => read_serve(serve.config, &arguments, variables),
        Verb::Proxy(proxy) => read_proxy(proxy.config, &arguments, variables),
        Verb::Check(args) => Ok(Action::Check(args.folder)),
        Verb::Dump(args) => Ok(Action::Dump(args.folder)),
        Verb::Export(args) => Ok(Action::Export(site(args.site, variables)?, args.queue)),
        Verb::Import(args) => {
            let site = site(args.place.site, variables)?;
            if args.create && matches!(site, Site::Server(_)) {
                let text = "--create makes a data folder, and the queue is to go to a server\n";
                return Err(rejected(
                    Cli::command().error(ErrorKind::ArgumentConflict, text),
                ));
            }
            Ok(Action::Import(site, args.place.queue, args.create))
        }
        Verb::Use(verb) => Ok(Action::Use(Box::new(verb), url(variables))),
        Verb::Completions { shell } => Ok(Action::Print(completions(shell))),
        Verb::Man { command } => man(command.as_deref()).map(Action::Print),
    }
}

fn url(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Option<OsString> {
    let mut variables = variables.into_iter();
    let found = variables.find(|(name, _)| name == "BURROW_URL");
    found.map(|(_, url)| url)
}

/// Where the queue is, if need be by the variable, which must name one server.
fn site(
    given: Option<Site>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Site, Rejected> {
    if let Some(site) = given {
        return Ok(site);
    }
    let urls = url(variables).unwrap_or_default();
    let urls = urls.to_string_lossy();
    let mut each = urls.split_whitespace();
    match (each.next(), each.next()) {
        (None, _) => Ok(Site::Server(DEFAULT_URL.to_owned())),
        (Some(url), None) if Site::is_url(url) => Ok(Site::Server(url.to_owned())),
        _ => Err(Rejected::Config(ConfigError::BadValue {
            key: "url".to_owned(),
            value: urls.to_string(),
            source_of: Source::Variable("BURROW_URL".to_owned()),
            allowed: "allowed is one server, such as http://127.0.0.1:8080".to_owned(),
        })),
    }
}

fn read_serve(
    config: Option<PathBuf>,
    arguments: &[OsString],
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Action, Rejected> {
    let layers = Layers::read::<Settings>("serve", config, variables).map_err(Rejected::Config)?;
    let matches = matches_of("serve", &layers, arguments)?;
    let settings = layers.settings(&matches).map_err(Rejected::Config)?;
    Ok(Action::Serve(Box::new(settings)))
}

fn read_proxy(
    config: Option<PathBuf>,
    arguments: &[OsString],
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Action, Rejected> {
    let layers =
        Layers::read::<ProxySettings>("proxy", config, variables).map_err(Rejected::Config)?;
    let matches = matches_of("proxy", &layers, arguments)?;
    let settings = layers.proxy_settings(&matches).map_err(Rejected::Config)?;
    Ok(Action::Proxy(Box::new(settings)))
}

/// What the command line says on top of the layers.
fn matches_of(verb: &str, layers: &Layers, arguments: &[OsString]) -> Result<ArgMatches, Rejected> {
    let command = Cli::command().mut_subcommand(verb, |command| layers.apply(command));
    let mut matches = command.try_get_matches_from(arguments).map_err(rejected)?;
    Ok(match matches.remove_subcommand() {
        Some((_, own)) => own,
        None => matches,
    })
}

fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "burrow", &mut script);
    script
}

fn man(command: Option<&str>) -> Result<Vec<u8>, Rejected> {
    let mut program = Cli::command();
    program.build();
    let described = match command {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(command) => command.clone(),
            None => {
                let text = format!("there is no command {name}\n");
                return Err(rejected(program.error(ErrorKind::InvalidSubcommand, text)));
            }
        },
    };
    let mut page = Vec::new();
    let behind_dashes = described.get_positionals().find(|arg| arg.is_last_set());
    let behind_dashes = behind_dashes.and_then(|arg| {
        let name = arg.get_value_names()?.first()?;
        Some(format!("<\\fI{name}\\fR>"))
    });
    let rendered = clap_mangen::Man::new(described).render(&mut page);
    rendered.map_err(|error| rejected(Cli::command().error(ErrorKind::Io, error)))?;
    // The renderer leaves the dashes out of the synopsis.
    Ok(match (behind_dashes, String::from_utf8(page)) {
        (Some(name), Ok(text)) => text.replacen(&name, &format!("\\-\\- {name}..."), 1).into(),
        (None, Ok(text)) => text.into(),
        (_, Err(error)) => error.into_bytes(),
    })
}

fn rejected(error: clap::Error) -> Rejected {
    if is_bad_value(&error) {
        Rejected::Config(bad_flag(&error))
    } else {
        Rejected::Usage(error)
    }
}

const EXAMPLES: &str = "\
Examples:
  burrow serve                     durable, in ./burrow-data, on 127.0.0.1:8080
  burrow serve --memory            nothing on disk
  burrow put shop/jobs hello       a message, to the server of BURROW_URL or this machine
  burrow work shop/jobs -- cat     a command for each message
  burrow completions bash          for the shell; burrow man: the manual page
  burrow check                     is the data in ./burrow-data sound?
  burrow export burrow-data shop/jobs > jobs
  burrow proxy --server 10.0.0.1:8081 --server 10.0.0.2:8081
                                   two servers as one
  burrow help serve                every setting; burrow help proxy: those of a proxy

Exit codes:
  0  done; or the server was asked to stop, and has
  1  it could not be done, for the reason told
  2  wrong usage, or a bad setting
  3  the stored data is damaged
  4  there is nothing, also after waiting
  5  the claim is lost
  123 burrow work: commands failed";

const SERVE_HELP: &str = "\
Settings:
  Every option except --config can be given in two more ways, here for --max-wait 60:
    as a variable           BURROW_MAX_WAIT=60
    in the file (--config)  max_wait = 60
  A flag wins over a variable, a variable over the file, the file over the default. An
  unknown name or a bad value stops the start. Bytes are written 65536, 64KiB, 1MiB or
  1GiB; seconds may have a fraction, 0.25.

Examples:
  burrow serve --listen 0.0.0.0:8080 --data /var/lib/burrow
  burrow serve --memory --default-ttl 60 --log-format json
  BURROW_MAX_BODY_BYTES=64KiB burrow serve --config /etc/burrow.toml

Running:
  The first line on standard output tells the address, the data folder and how much was
  restored. GET /healthz answers 200, or 503 while nothing can be stored. SIGTERM and
  Ctrl-C finish what is under way and stop within 5 seconds; a second one stops at once.

Exit codes:
  0  stopped as asked
  1  could not start or go on, for the reason told
  2  wrong usage, or a bad setting
  3  the stored data is damaged";

const PROXY_HELP: &str = "\
Where a queue lives:
  On one server, which follows from the names of the queue and of the servers alone. A proxy
  keeps nothing: start as many as you like, with the same servers and spread queues. A further
  server takes its share of the queues from all others; move those that hold something with
  burrow export and burrow import. To move a server, keep its name: --server east=10.0.0.9:8081

  A queue that is too much for one server is given as --spread ACCOUNT/QUEUE: equal ids are
  put on the same server, takers get messages from all, and the order is each server's own.

While a server is down:
  What concerns its queues, or all queues, is answered 503 with Retry-After: 1; the other
  queues do not notice. The proxy connects again by itself. It sends nothing twice: where it
  does not know what became of a change, it says so (503, outcome unknown). Of a spread
  queue, lists and stats are answered 503 as well, and claims and pops with a limit take
  from the other servers. GET /healthz answers 200 while any server can be reached.

Settings:
  Every option except --config can be given in two more ways, here for --spread a/b:
    as a variable           BURROW_SPREAD=a/b
    in the file (--config)  spread = \"a/b\"
  A flag wins over a variable, a variable over the file, the file over the default. An
  unknown name or a bad value stops the start.

Examples:
  burrow serve --listen-wire 10.0.0.1:8081 --data /var/lib/burrow      on each server
  burrow proxy --listen 0.0.0.0:8080 --server 10.0.0.1:8081 --server 10.0.0.2:8081
  burrow proxy --server big=10.0.0.1:8081@3,small=10.0.0.2:8081 --spread shop/clicks

Exit codes:
  0  stopped as asked
  1  could not start or go on, for the reason told
  2  wrong usage, or a bad setting";

const CHECK_HELP: &str = "\
Examples:
  burrow check /var/lib/burrow

Exit codes:
  0  the data is sound
  1  it could not be read, as when a server runs on it
  2  wrong usage
  3  the data is damaged";

const DUMP_HELP: &str = "\
Examples:
  burrow dump /var/lib/burrow | jq -r 'select(.id) | .id'

Exit codes:
  0  everything was printed
  1  it could not be read, as when a server runs on it
  2  wrong usage
  3  the data is damaged";

const EXPORT_HELP: &str = "\
Examples:
  burrow export burrow-data shop/jobs > jobs
  burrow export http://127.0.0.1:8080 shop/jobs | burrow import https://queue.example.org shop/jobs

What changes while a server's queue is exported may be told or not: let it rest meanwhile.

Exit codes:
  0  everything was written
  1  it could not be read, as when there is no such queue
  2  wrong usage
  3  the stored data is damaged";

const IMPORT_HELP: &str = "\
Examples:
  burrow import http://127.0.0.1:8080 shop/jobs < jobs

Exit codes:
  0  everything is stored
  1  it is not, for the reason told: a part may be
  2  wrong usage
  3  the stored data is damaged";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        Cli::command().debug_assert();
    }
}
