//! HTTP/1.1 to a server at an address, on its real clock.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};

use super::host::{Answer, Host, Request, header};

/// How long an answer may take before the server counts as stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A server at an address. Connections are kept and used again.
#[derive(Debug)]
pub struct ServerHost {
    address: SocketAddr,
    idle: Vec<TcpStream>,
}

/// A request to a [`ServerHost`].
#[derive(Debug)]
pub struct Call {
    stream: TcpStream,
    received: Vec<u8>,
    head: bool,
}

impl ServerHost {
    /// The server at `address`; it is connected to when the first request is sent.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            idle: Vec::new(),
        }
    }

    fn connect(&mut self) -> io::Result<TcpStream> {
        while let Some(stream) = self.idle.pop() {
            if is_open(&stream)? {
                return Ok(stream);
            }
        }
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Host for ServerHost {
    type Call = Call;

    fn has_manual_clock(&self) -> bool {
        false
    }

    fn reset(&mut self) -> io::Result<()> {
        let call = self.send(&Request {
            method: "DELETE".into(),
            target: "/v1.0".into(),
            ..Request::default()
        })?;
        match self.finish(call)?.status {
            204 | 404 => Ok(()),
            status => Err(io::Error::other(format!(
                "the server could not be emptied: {status}"
            ))),
        }
    }

    fn send(&mut self, request: &Request) -> io::Result<Call> {
        let mut stream = self.connect()?;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\n",
            request.method, request.target, self.address
        );
        for (name, value) in &request.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", request.body.len()));
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(&request.body);
        stream.write_all(&bytes)?;
        Ok(Call {
            stream,
            received: Vec::new(),
            head: request.method == "HEAD",
        })
    }

    fn poll(&mut self, call: &mut Call) -> io::Result<Option<Answer>> {
        call.stream.set_nonblocking(true)?;
        let answer = loop {
            match call.receive() {
                Ok(None) => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(None),
                other => break other,
            }
        };
        call.stream.set_nonblocking(false)?;
        answer
    }

    fn finish(&mut self, mut call: Call) -> io::Result<Answer> {
        call.stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        loop {
            if let Some(answer) = call.receive()? {
                let closes = header(&answer.headers, "Connection")
                    .is_some_and(|value| value.eq_ignore_ascii_case("close"));
                if !closes {
                    self.idle.push(call.stream);
                }
                return Ok(answer);
            }
        }
    }

    fn cancel(&mut self, call: Call) -> io::Result<()> {
        drop(call.stream);
        Ok(())
    }

    fn advance(&mut self, span: Duration) -> io::Result<()> {
        thread::sleep(span);
        Ok(())
    }
}

impl Call {
    /// Closes the connection in the way that every server notices at once: by a reset.
    pub fn break_off(self) -> io::Result<()> {
        let linger = nix::libc::linger {
            l_onoff: 1,
            l_linger: 0,
        };
        setsockopt(&self.stream, sockopt::Linger, &linger)?;
        Ok(())
    }

    /// Reads once, and gives the answer if that completes it.
    fn receive(&mut self) -> io::Result<Option<Answer>> {
        let mut chunk = [0; 64 << 10];
        let length = self.stream.read(&mut chunk)?;
        if length == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the server closed the connection",
            ));
        }
        self.received.extend_from_slice(&chunk[..length]);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut head = httparse::Response::new(&mut headers);
        let head_length = match head.parse(&self.received).map_err(io::Error::other)? {
            httparse::Status::Complete(length) => length,
            httparse::Status::Partial => return Ok(None),
        };
        let status = head.code.unwrap_or_default();
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        let headers: Vec<(String, String)> = head
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), text(header.value)))
            .collect();
        let body_length = if self.head || status == 204 {
            0
        } else {
            content_length(&headers)?
        };
        let body = &self.received[head_length..];
        if body.len() < body_length {
            return Ok(None);
        }
        if body.len() > body_length {
            return Err(io::Error::other("the server sent more than the answer"));
        }
        Ok(Some(Answer {
            status,
            headers,
            body: body.to_vec(),
        }))
    }
}

/// False if the server has closed the connection meanwhile, as some do that are idle.
fn is_open(stream: &TcpStream) -> io::Result<bool> {
    stream.set_nonblocking(true)?;
    let ahead = stream.peek(&mut [0]);
    stream.set_nonblocking(false)?;
    Ok(ahead.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock))
}

fn content_length(headers: &[(String, String)]) -> io::Result<usize> {
    let value = header(headers, "Content-Length")
        .ok_or_else(|| io::Error::other("an answer without Content-Length"))?;
    value.parse().map_err(io::Error::other)
}
