//! The wire protocol, over TCP or a Unix socket: one connection, and on it many calls at a time.
//!
//! What waits for messages has connections of its own, as many as it takes: a server takes so
//! many requests on each, and no acknowledgement is to stand behind a long wait.

mod line;

use std::fmt;
use std::sync::Arc;

use burrow_core::wire::Failure;
use burrow_core::{Command, Reply};
use tokio::sync::Mutex;

use crate::error::Error;
use crate::transport::{Answer, Calling, Transport};
use line::{Broken, Line, Place};

const TCP: &str = "burrow://";
const UNIX: &str = "burrow+unix://";

/// A server that is reached by the wire protocol. Connects when it is used, and again after
/// the connection was lost.
pub struct Wire {
    address: Address,
    /// Locked while a connection is made, so that all calls share it.
    line: Mutex<Option<Arc<Line>>>,
    /// The connections for what waits.
    waiting: Mutex<Vec<Arc<Line>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Address {
    /// Host and port.
    Tcp(String),
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

impl Wire {
    /// True if a URL is one of the wire protocol.
    pub(crate) fn is_meant(url: &str) -> bool {
        url.starts_with(TCP) || url.starts_with(UNIX)
    }

    /// A server, as `burrow://127.0.0.1:8081` or `burrow+unix:///run/burrow.sock`.
    ///
    /// # Errors
    /// `Invalid` if the URL is neither.
    pub fn new(url: &str) -> Result<Self, Error> {
        Ok(Self {
            address: Address::read(url)?,
            line: Mutex::new(None),
            waiting: Mutex::default(),
        })
    }

    /// Carries a command out, and gives the machine's own reply.
    ///
    /// Dropping the future takes the command back: a wait is given up, a claim undone.
    ///
    /// # Errors
    /// What the machine refuses; `NotDone` if the command certainly was not carried out;
    /// `Foreign` if what answers does not speak this protocol; `OutcomeUnknown` if the connection
    /// was lost on the way.
    pub async fn execute(&self, command: &Command<'_>) -> Result<Reply, Error> {
        let called = match command.wait_ms() {
            0 => {
                let line = self.line().await?;
                match line.place().await {
                    Some(place) => line.call(command, place).await,
                    None => None,
                }
            }
            _ => {
                let (line, place) = self.waiting_line().await?;
                line.call(command, place).await
            }
        };
        called.unwrap_or_else(|| {
            let text = format!("{}: the connection was lost", self.address);
            Err(Error::NotDone(text))
        })
    }

    /// What queues are hashed with unless a name is given, as a proxy has it.
    pub(crate) fn placed_name(&self) -> String {
        match &self.address {
            Address::Tcp(host) => host.clone(),
            #[cfg(unix)]
            Address::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    async fn line(&self) -> Result<Arc<Line>, Error> {
        let mut line = self.line.lock().await;
        if let Some(line) = &*line
            && line.is_open()
        {
            return Ok(Arc::clone(line));
        }
        let opened = self.open().await?;
        *line = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// A connection with a place for one more that waits. Those that nobody needs are closed.
    async fn waiting_line(&self) -> Result<(Arc<Line>, Place), Error> {
        let mut lines = self.waiting.lock().await;
        lines.retain(|line| line.is_open());
        let mut found = None;
        lines.retain(|line| {
            if found.is_none() {
                found = line.try_place().map(|place| (Arc::clone(line), place));
                return true;
            }
            let is_idle = line.is_idle();
            if is_idle {
                line.close(&Broken::Dropped);
            }
            !is_idle
        });
        if let Some(found) = found {
            return Ok(found);
        }
        let line = self.open().await?;
        let place = line
            .try_place()
            .ok_or_else(|| Error::NotDone(format!("{}: the connection was lost", self.address)))?;
        lines.push(Arc::clone(&line));
        Ok((line, place))
    }

    async fn open(&self) -> Result<Arc<Line>, Error> {
        let opened = Line::open(&self.address).await;
        opened.map_err(|reason| {
            let text = format!("{}: {reason}", self.address);
            match reason {
                Broken::Decode(_) | Broken::Protocol => Error::Foreign(text),
                // It may be starting again.
                Broken::Io(_)
                | Broken::Closed
                | Broken::Dropped
                | Broken::Goodbye(_)
                | Broken::Silent => Error::NotDone(text),
            }
        })
    }
}

impl Transport for Wire {
    fn call<'a>(&'a self, command: &'a Command<'a>) -> Calling<'a> {
        Box::pin(async { self.execute(command).await.map(Answer::from) })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let lines = self
            .line
            .get_mut()
            .iter()
            .chain(self.waiting.get_mut().iter());
        lines.for_each(|line| line.close(&Broken::Dropped));
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Wire").field(&self.address).finish()
    }
}

impl Address {
    fn read(url: &str) -> Result<Self, Error> {
        let invalid = |why: &str| Err(Error::Invalid(format!("{url}: {why}")));
        if let Some(path) = url.strip_prefix(UNIX) {
            if !path.starts_with('/') {
                return invalid("a Unix socket is given as burrow+unix:///path");
            }
            #[cfg(unix)]
            return Ok(Self::Unix(path.into()));
            #[cfg(not(unix))]
            return invalid("there are no Unix sockets here");
        }
        let host = url.strip_prefix(TCP).unwrap_or(url).trim_end_matches('/');
        let problem = match host.rsplit_once(':') {
            _ if host.is_empty() => "no host and no port is named".to_owned(),
            Some(("", _)) => "no host is named".to_owned(),
            Some((_, port)) if !port.ends_with(']') => match port.parse::<u16>() {
                Ok(_) => return Ok(Self::Tcp(host.to_owned())),
                Err(_) => format!("the port {port:?} is no number from 0 to 65535"),
            },
            _ => "no port is named".to_owned(),
        };
        invalid(&format!(
            "{problem}; a server is given as burrow://host:port"
        ))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host) => write!(f, "{TCP}{host}"),
            #[cfg(unix)]
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// What the caller can do about a failure that a server told.
fn told(failure: Failure) -> Error {
    let text = failure.to_string();
    match failure {
        Failure::Refused(refusal) => refusal.into(),
        Failure::NotStored
        | Failure::Stopping
        | Failure::Unreachable
        | Failure::Busy
        | Failure::TooManyInFlight { .. } => Error::NotDone(text),
        // What that means for a change is told where there is one.
        Failure::OutcomeUnknown => {
            Error::OutcomeUnknown("the storage or the connection to it failed".to_owned())
        }
        Failure::Cancelled => Error::OutcomeUnknown(text),
        Failure::Malformed
        | Failure::UnknownCommand
        | Failure::UnknownField
        | Failure::FrameTooLarge { .. }
        | Failure::Protocol
        | Failure::TooSlow => Error::Invalid(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_outcome_is_told_without_a_change_that_there_may_not_be() {
        let Error::OutcomeUnknown(text) = told(Failure::OutcomeUnknown) else {
            panic!("it is known");
        };
        assert!(!text.contains("change"), "{text}");
    }

    #[test]
    fn addresses_are_read_and_others_are_named() {
        for (url, shown) in [
            ("burrow://localhost:8081", "burrow://localhost:8081"),
            ("burrow://[::1]:8081/", "burrow://[::1]:8081"),
            ("burrow+unix:///run/b.sock", "burrow+unix:///run/b.sock"),
        ] {
            assert_eq!(Address::read(url).unwrap().to_string(), shown);
        }
        for (url, problem) in [
            ("burrow://", "no host and no port is named"),
            ("burrow://host", "no port is named"),
            ("burrow://[::1]", "no port is named"),
            ("burrow://:8081", "no host is named"),
            ("burrow://host:x", r#"the port "x" is no number"#),
            ("burrow+unix://b", "burrow+unix:///path"),
        ] {
            let error = Address::read(url).unwrap_err().to_string();
            assert!(error.starts_with(url) && error.contains(problem), "{error}");
        }
    }
}
