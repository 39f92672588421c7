//! What is wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration is refused. Each says what to change, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}: {error}", path.display())]
    Unreadable {
        path: PathBuf,
        error: std::io::Error,
    },
    #[error("the configuration file {} is not TOML: {error}", path.display())]
    NotToml {
        path: PathBuf,
        error: toml::de::Error,
    },
    #[error(
        "unknown setting {key} ({source_of}){}; `burrow help {command}` lists the settings",
        similar(suggestion)
    )]
    Unknown {
        key: String,
        source_of: Source,
        suggestion: Option<String>,
        command: String,
    },
    #[error("{key} is given twice, by the variables {one} and {other}; keep one of them")]
    Twice {
        key: String,
        one: String,
        other: String,
    },
    #[error("no server is given; give each as server, such as --server 10.0.0.1:8081")]
    NoServer,
    #[error("bad value for {key}: {value:?} ({source_of}); {allowed}")]
    BadValue {
        key: String,
        value: String,
        source_of: Source,
        allowed: String,
    },
    #[error(
        "{smaller} ({source_of_smaller}) is less than {larger} ({source_of_larger}); allowed is at least as much"
    )]
    Less {
        smaller: String,
        source_of_smaller: Source,
        larger: String,
        source_of_larger: Source,
    },
    #[error(
        "memory and data exclude each other, and both come from the same place ({0}); give one of them"
    )]
    MemoryAndData(Source),
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Flag,
    Variable(String),
    File(PathBuf),
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("from the command line"),
            Self::Variable(name) => write!(f, "from the variable {name}"),
            Self::File(path) => write!(f, "from the file {}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

fn similar(suggestion: &Option<String>) -> String {
    suggestion
        .as_ref()
        .map(|name| format!(", similar is {name}"))
        .unwrap_or_default()
}
