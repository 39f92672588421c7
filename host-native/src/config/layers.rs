//! The sources of settings: flags over variables over the file over the defaults.
//!
//! A value from the file or from a variable becomes the default of its flag, so there is
//! one parser and one precedence. Before that each is parsed by itself, so that an error
//! can name the source.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::{ConfigError, ProxySettings, Settings, Source};

/// What the names of variables begin with.
pub const PREFIX: &str = "BURROW_";

/// Variables of that prefix which are no settings: those of the verbs that use a queue, and
/// those that `burrow work` tells a message with.
const OTHERS: [&str; 5] = ["URL", "ID", "ATTEMPTS", "QUEUE", "COUNT"];

/// The values of all sources except flags, by key.
#[derive(Debug, Default)]
pub struct Layers {
    values: BTreeMap<String, (String, Source)>,
}

impl Layers {
    /// Reads the variables and the file, which may have the settings `S` of the command of
    /// that name. `config` is the file's path if a flag gives it, else a variable may.
    pub fn read<S: Args>(
        command: &'static str,
        config: Option<PathBuf>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let settings = S::augment_args(Command::new(command));
        let mut variables = own_variables(variables)?;
        let config = config.or(variables
            .remove("config")
            .map(|(path, _)| PathBuf::from(path)));
        let file = config
            .map(|path| read_file(&path))
            .transpose()?
            .unwrap_or_default();
        let mut layers = Self::default();
        for (key, (value, source)) in file.into_iter().chain(variables) {
            check(&settings, &key, &value, &source)?;
            layers.values.insert(key, (value, source));
        }
        Ok(layers)
    }

    /// Makes the values the defaults of the command's flags.
    pub fn apply(&self, command: Command) -> Command {
        self.values
            .iter()
            .fold(command, |command, (key, (value, _))| {
                command.mut_arg(key, |arg| arg.default_value(value))
            })
    }

    /// The settings that a command line gives on top of these layers. `matches` are those
    /// of a command that went through [`apply`](Self::apply).
    pub fn settings(&self, matches: &ArgMatches) -> Result<Settings, ConfigError> {
        let settings = Settings::from_arg_matches(matches).map_err(|error| bad_flag(&error))?;
        self.check_together(&settings, matches)?;
        Ok(settings)
    }

    /// As [`settings`](Self::settings), for a proxy.
    pub fn proxy_settings(&self, matches: &ArgMatches) -> Result<ProxySettings, ConfigError> {
        let settings =
            ProxySettings::from_arg_matches(matches).map_err(|error| bad_flag(&error))?;
        let servers = &settings.servers.server;
        if servers.is_empty() {
            return Err(ConfigError::NoServer);
        }
        let mut names: Vec<&str> = servers.iter().map(|server| &*server.name).collect();
        names.sort_unstable();
        let twice = names.windows(2).find(|pair| pair.first() == pair.last());
        match twice.and_then(<[_]>::first) {
            Some(name) => Err(ConfigError::BadValue {
                key: "server".to_owned(),
                value: (*name).to_owned(),
                source_of: self.source(matches, "server"),
                allowed: "allowed is each name once".to_owned(),
            }),
            None => Ok(settings),
        }
    }

    fn check_together(&self, settings: &Settings, matches: &ArgMatches) -> Result<(), ConfigError> {
        let memory = self.source(matches, "memory");
        if settings.data.memory && memory == self.source(matches, "data") {
            return Err(ConfigError::MemoryAndData(memory));
        }
        let (request, body) = (
            settings.connections.max_request_bytes,
            settings.messages.max_body_bytes,
        );
        if request.0 < body.0 {
            return Err(ConfigError::Less {
                smaller: format!("max_request_bytes = {request}"),
                source_of_smaller: self.source(matches, "max_request_bytes"),
                larger: format!("max_body_bytes = {body}"),
                source_of_larger: self.source(matches, "max_body_bytes"),
            });
        }
        Ok(())
    }

    fn source(&self, matches: &ArgMatches, key: &str) -> Source {
        if matches.value_source(key) == Some(ValueSource::CommandLine) {
            return Source::Flag;
        }
        self.values
            .get(key)
            .map_or(Source::Default, |(_, source)| source.clone())
    }
}

/// The error of a command line as one of ours, where it is about a value.
pub fn bad_flag(error: &clap::Error) -> ConfigError {
    let flag = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let name = flag.split([' ', '=', '[']).next().unwrap_or_default();
    bad_value(
        error,
        name.to_owned(),
        text(error, ContextKind::InvalidValue).unwrap_or_default(),
        Source::Flag,
    )
}

/// True if the error is about the value of a flag, and not about the form of the command.
pub fn is_bad_value(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ValueValidation | ErrorKind::InvalidValue
    ) && text(error, ContextKind::InvalidArg).is_some_and(|flag| flag.starts_with("--"))
        && text(error, ContextKind::InvalidValue).is_some_and(|value| !value.is_empty())
}

fn bad_value(error: &clap::Error, key: String, value: String, source_of: Source) -> ConfigError {
    let own = std::error::Error::source(error).map(|reason| reason.to_string());
    let listed = || match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(names)) if !names.is_empty() => {
            Some(format!("allowed is one of {}", names.join(", ")))
        }
        _ => None,
    };
    let allowed = own
        .or_else(listed)
        .unwrap_or_else(|| "a value is needed".to_owned());
    ConfigError::BadValue {
        key,
        value,
        source_of,
        allowed,
    }
}

/// Parses one value as its flag would.
fn check(settings: &Command, key: &str, value: &str, source: &Source) -> Result<(), ConfigError> {
    if !settings.get_arguments().any(|arg| arg.get_id() == key) {
        return Err(unknown(settings, key, source));
    }
    let flag = format!("--{}={value}", key.replace('_', "-"));
    match settings.clone().try_get_matches_from(["burrow", &flag]) {
        Ok(_) => Ok(()),
        Err(error) => Err(bad_value(
            &error,
            key.to_owned(),
            value.to_owned(),
            source.clone(),
        )),
    }
}

fn unknown(settings: &Command, key: &str, source: &Source) -> ConfigError {
    let flag = format!("--{}", key.replace('_', "-"));
    let parsed = settings.clone().try_get_matches_from(["burrow", &flag]);
    let similar = parsed
        .err()
        .and_then(|error| text(&error, ContextKind::SuggestedArg));
    let suggestion = similar.map(|flag| flag.trim_start_matches('-').replace('-', "_"));
    ConfigError::Unknown {
        key: key.to_owned(),
        source_of: source.clone(),
        suggestion,
        command: settings.get_name().to_owned(),
    }
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

type Values = BTreeMap<String, (String, Source)>;

fn own_variables(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Values, ConfigError> {
    let mut own = Values::new();
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        let Some(upper) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if OTHERS.contains(&upper) {
            continue;
        }
        let key = match upper.bytes().any(|byte| byte.is_ascii_lowercase()) {
            true => upper.to_owned(),
            false => upper.to_ascii_lowercase(),
        };
        let source = Source::Variable(name.clone());
        let value = value.into_string().map_err(|value| ConfigError::BadValue {
            key: key.clone(),
            value: value.to_string_lossy().into_owned(),
            source_of: source.clone(),
            allowed: "allowed is UTF-8".to_owned(),
        })?;
        if let Some((_, Source::Variable(other))) = own.insert(key.clone(), (value, source)) {
            return Err(ConfigError::Twice {
                key,
                one: other,
                other: name,
            });
        }
    }
    Ok(own)
}

fn read_file(path: &Path) -> Result<Values, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let content = fs::read_to_string(path).map_err(unreadable)?;
    let not_toml = |error| ConfigError::NotToml {
        path: path.to_owned(),
        error,
    };
    let table: toml::Table = content.parse().map_err(not_toml)?;
    let source = Source::File(path.to_owned());
    let plain = |(key, value): (String, toml::Value)| {
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Float(number) => number.to_string(),
            toml::Value::Boolean(truth) => truth.to_string(),
            toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                return Err(ConfigError::BadValue {
                    key,
                    value: format!("a TOML {}", value.type_str()),
                    source_of: source.clone(),
                    allowed: "allowed is a text, a number, true or false".to_owned(),
                });
            }
        };
        Ok((key, (text, source.clone())))
    };
    table.into_iter().map(plain).collect()
}
