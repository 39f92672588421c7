//! A client that sends exactly the bytes it is told to.
#![allow(dead_code, reason = "each test program uses a part of this")]

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use burrow_tests::process::{Launch, Server};

/// How long anything may take before it counts as hanging.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn launch() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_burrow"))
}

/// A server in memory, with these further arguments.
pub(crate) fn server(arguments: &[&str]) -> Server {
    let launch = arguments
        .iter()
        .fold(launch().memory(), |launch, argument| {
            launch.argument(argument)
        });
    launch.start().expect("the server starts")
}

pub(crate) fn resident_bytes(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .expect("the resident set");
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .expect("the server reads");
    }

    /// Sends what the server may well refuse to read.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    pub(crate) fn close_sending_side(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// A request with a body, if only an empty one.
    pub(crate) fn request(&mut self, method: &str, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(request(method, target, body));
        self.answer()
    }

    /// The next answer.
    pub(crate) fn answer(&mut self) -> Answer {
        self.try_answer().expect("an answer")
    }

    /// The next answer; `None` if the connection ended instead.
    pub(crate) fn try_answer(&mut self) -> Option<Answer> {
        loop {
            if let Some((answer, length)) = parse(&self.unread) {
                self.unread.drain(..length);
                return Some(answer);
            }
            if self.read_more() == 0 {
                assert!(
                    self.unread.is_empty(),
                    "cut off: {:?}",
                    String::from_utf8_lossy(&self.unread)
                );
                return None;
            }
        }
    }

    /// True if an answer, or the end, has come already.
    pub(crate) fn has_answer(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let has_answer = self.stream.peek(&mut [0]).is_ok();
        self.stream.set_nonblocking(false).unwrap();
        has_answer
    }

    /// What comes until the connection ends.
    pub(crate) fn rest(&mut self) -> String {
        while self.read_more() > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    /// Waits until the server has closed the connection, whatever it says before.
    pub(crate) fn wait_for_end(&mut self) {
        self.rest();
    }

    /// 0 at the end. A reset is an end as well.
    fn read_more(&mut self) -> usize {
        let mut buffer = [0; 16 << 10];
        match self.stream.read(&mut buffer) {
            Ok(bytes) => {
                self.unread.extend_from_slice(&buffer[..bytes]);
                bytes
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
                ) =>
            {
                0
            }
            Err(error) => panic!("nothing comes and the connection stays open: {error}"),
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(own, _)| own.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

pub(crate) fn request(method: &str, target: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: burrow\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Asserts that the server answers a new client as it should.
pub(crate) fn assert_serves(server: &Server) {
    let mut client = Client::connect(server.address());
    let answer = client.request("PUT", "/v1.0/alive/queue/message", "yes");
    assert!(
        matches!(answer.status, 201 | 204),
        "{answer:?}; logs:\n{}",
        server.logs()
    );
    let answer = client.request("DELETE", "/v1.0/alive/queue/message?detail=body", "");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "yes"),
        "logs:\n{}",
        server.logs()
    );
    assert!(!server.logs().contains("panicked"), "{}", server.logs());
}

fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).expect("an answer's head is text");
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().expect("a status");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().expect("a length"));
    let body = bytes.get(end..end + length)?;
    let body = String::from_utf8_lossy(body).into_owned();
    Some((
        Answer {
            status,
            headers,
            body,
        },
        end + length,
    ))
}
