//! A blocking HTTP/1.1 client, for callers who must know which requests were answered.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a call may go unanswered before the server counts as hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// One request, ready to be sent any number of times.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: &'static str,
    pub target: String,
    pub body: Vec<u8>,
}

impl Request {
    pub fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            body: Vec::new(),
        }
    }

    pub fn with_body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Appends the request as it stands on the wire.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let Self {
            method,
            target,
            body,
        } = self;
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: burrow\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(body);
    }
}

/// A response that has arrived as a whole.
#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Response {
    /// The body as JSON; null if it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A keep-alive connection. Responses come in the order of the requests.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            input: Vec::new(),
            output: Vec::new(),
        })
    }

    /// Sends requests in one write, without waiting for answers.
    pub fn send(&mut self, requests: &[Request]) -> io::Result<()> {
        self.output.clear();
        for request in requests {
            request.write_to(&mut self.output);
        }
        self.stream.write_all(&self.output)
    }

    /// Waits for the next response.
    pub fn receive(&mut self) -> io::Result<Response> {
        loop {
            if let Some((response, used)) = parse(&self.input)? {
                self.input.drain(..used);
                return Ok(response);
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => self.input.extend_from_slice(&chunk[..count]),
            }
        }
    }

    pub fn call(&mut self, request: &Request) -> io::Result<Response> {
        self.send(std::slice::from_ref(request))?;
        self.receive()
    }
}

/// The first response in `input` and its length, once all of it is there.
fn parse(input: &[u8]) -> io::Result<Option<(Response, usize)>> {
    let Some(head_end) = input.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = str::from_utf8(&input[..head_end]).map_err(|_| malformed("head is not UTF-8"))?;
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|line| line.get(..3)?.parse::<u16>().ok())
        .ok_or_else(|| malformed("no status line"))?;
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value
                .trim()
                .parse()
                .map_err(|_| malformed("content-length is not a number"))?;
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(malformed("unexpected transfer-encoding"));
        }
    }
    let body_start = head_end + 4;
    let body = input.get(body_start..body_start + length);
    Ok(body.map(|body| {
        (
            Response {
                status,
                body: body.to_vec(),
            },
            body_start + length,
        )
    }))
}

fn malformed(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
