//! The wire protocol to a server at an address, whose clock its HTTP side moves.
//!
//! A request is routed here, by the front-end of REST; its command goes over the wire, and
//! what comes back is rendered here. So each conversation shows that the wire carries every
//! command and every reply unchanged.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use burrow_core::rest::{self, Plan, RestConfig, Routed, route};
use burrow_core::wire::{self, Answer as Told, Failure, Offer};
use burrow_core::{Command, Page, Refusal, Reply};

use super::host::{Answer, Host, Request, header};
use super::pure::on_the_wire;
use super::server::ServerHost;
use crate::web_socket::WebSocket;

/// How long an answer may take before the server counts as stuck.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What carries the protocol.
trait Line: Read + Write + Debug + Send {
    /// The socket beneath.
    fn stream(&self) -> &TcpStream;
}

impl Line for TcpStream {
    fn stream(&self) -> &TcpStream {
        self
    }
}

impl Line for WebSocket {
    fn stream(&self) -> &TcpStream {
        self.stream()
    }
}

/// A server, with a manual clock unless it is said otherwise. All requests share one connection.
#[derive(Debug)]
pub struct WireHost {
    http: ServerHost,
    line: Box<dyn Line>,
    decoder: wire::Decoder,
    offer: Offer,
    rest: RestConfig,
    last_id: u64,
    has_manual_clock: bool,
    outcomes: BTreeMap<u64, Result<Reply, Failure>>,
    pongs: u64,
}

/// A request to a [`WireHost`].
#[derive(Debug)]
pub enum Call {
    Answered(Answer),
    Submitted(u64, Plan),
}

impl WireHost {
    /// Connects to the `wire` address of the server that speaks HTTP at `http`.
    pub fn connect(http: SocketAddr, wire: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(wire)?;
        stream.set_nodelay(true)?;
        Self::greet(http, Box::new(stream))
    }

    /// Connects to the server that speaks HTTP at `http`, by WebSocket.
    pub fn web_socket(http: SocketAddr) -> io::Result<Self> {
        Self::greet(http, Box::new(WebSocket::connect(http)?))
    }

    fn greet(http: SocketAddr, mut line: Box<dyn Line>) -> io::Result<Self> {
        let mut hello = Vec::new();
        wire::encode_hello(&mut hello);
        line.write_all(&hello)?;
        let mut host = Self {
            http: ServerHost::new(http),
            line,
            decoder: wire::Decoder::new(u32::MAX),
            offer: Offer::default(),
            rest: RestConfig::default(),
            last_id: 0,
            has_manual_clock: true,
            outcomes: BTreeMap::new(),
            pongs: 0,
        };
        while wire::take_welcome(&mut host.decoder)
            .map_err(io::Error::other)?
            .is_none()
        {
            host.read(Some(ANSWER_TIMEOUT))?;
        }
        Ok(host)
    }

    /// The same, where time passes by itself.
    pub fn on_real_clock(mut self) -> Self {
        self.has_manual_clock = false;
        self
    }

    /// The outcome of a command.
    pub fn call(&mut self, command: &Command<'_>) -> io::Result<Result<Reply, Failure>> {
        let id = self.submit(command)?;
        loop {
            if let Some(outcome) = self.outcomes.remove(&id) {
                return Ok(outcome);
            }
            self.receive(Some(ANSWER_TIMEOUT))?;
        }
    }

    fn submit(&mut self, command: &Command<'_>) -> io::Result<u64> {
        self.last_id += 1;
        let mut frame = Vec::new();
        wire::encode_request(
            &mut frame,
            self.last_id,
            command,
            self.offer.max_frame_bytes,
        )
        .map_err(io::Error::other)?;
        self.line.write_all(&frame)?;
        Ok(self.last_id)
    }

    /// Waits until the server has read all that was sent.
    fn catch_up(&mut self) -> io::Result<()> {
        let wanted = self.pongs + 1;
        let mut ping = Vec::new();
        wire::encode_ping(&mut ping, wanted);
        self.line.write_all(&ping)?;
        while self.pongs < wanted {
            self.receive(Some(ANSWER_TIMEOUT))?;
        }
        Ok(())
    }

    /// Reads once, and takes the frames that this completes.
    fn receive(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.read(wait)?;
        while let Some(frame) = self.decoder.next_frame().map_err(io::Error::other)? {
            match wire::decode_answer(&frame).map_err(io::Error::other)? {
                Told::Hello(offer) => self.offer = offer,
                Told::Outcome { id, outcome } => {
                    self.outcomes.insert(id, outcome);
                }
                Told::Pong { id } => self.pongs = id,
                Told::Goodbye(failure) => return Err(io::Error::other(failure)),
            }
        }
        Ok(())
    }

    /// Reads once. Without a time to wait, reads what is there.
    fn read(&mut self, wait: Option<Duration>) -> io::Result<()> {
        self.line.stream().set_nonblocking(wait.is_none())?;
        self.line.stream().set_read_timeout(wait)?;
        let mut chunk = [0; 64 << 10];
        let read = self.line.read(&mut chunk);
        self.line.stream().set_nonblocking(false)?;
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => {
                let received = self.decoder.received();
                received.extend_from_slice(&chunk[..length]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && wait.is_none() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

impl Host for WireHost {
    type Call = Call;

    fn has_manual_clock(&self) -> bool {
        self.has_manual_clock
    }

    fn reset(&mut self) -> io::Result<()> {
        let everything = Command::DeleteAccounts {
            page: Page::default(),
        };
        match self.call(&everything)? {
            Ok(_) | Err(Failure::Refused(Refusal::AccountNotFound)) => Ok(()),
            Err(failure) => Err(io::Error::other(failure)),
        }
    }

    fn send(&mut self, request: &Request) -> io::Result<Call> {
        let request = rest::Request {
            method: &request.method,
            target: &request.target,
            content_type: header(&request.headers, "Content-Type"),
            origin: header(&request.headers, "Origin"),
            access_control_request_method: header(
                &request.headers,
                "Access-Control-Request-Method",
            ),
            body: &request.body,
        };
        match route(&request, &self.rest.clone()) {
            Routed::Respond(response) => Ok(Call::Answered(on_the_wire(response))),
            Routed::Submit(command, plan) => Ok(Call::Submitted(self.submit(&command)?, plan)),
            Routed::Clock(_) => Err(io::Error::other("its clock is the test's own")),
        }
    }

    fn poll(&mut self, call: &mut Call) -> io::Result<Option<Answer>> {
        let (id, plan) = match call {
            Call::Answered(answer) => return Ok(Some(answer.clone())),
            Call::Submitted(id, plan) => (*id, plan),
        };
        // What is there to be told has been told when the ping is answered: in memory a
        // command is answered before the next frame is read.
        self.catch_up()?;
        let outcome = self.outcomes.get(&id).cloned();
        outcome.map(|outcome| render(plan, outcome)).transpose()
    }

    fn finish(&mut self, call: Call) -> io::Result<Answer> {
        let (id, plan) = match call {
            Call::Answered(answer) => return Ok(answer),
            Call::Submitted(id, plan) => (id, plan),
        };
        loop {
            if let Some(outcome) = self.outcomes.remove(&id) {
                return render(&plan, outcome);
            }
            self.receive(Some(ANSWER_TIMEOUT))?;
        }
    }

    fn cancel(&mut self, call: Call) -> io::Result<()> {
        let Call::Submitted(id, _) = call else {
            return Ok(());
        };
        let mut frame = Vec::new();
        wire::encode_cancel(&mut frame, id);
        self.line.write_all(&frame)?;
        while self.outcomes.remove(&id).is_none() {
            self.receive(Some(ANSWER_TIMEOUT))?;
        }
        self.catch_up()
    }

    fn advance(&mut self, span: Duration) -> io::Result<()> {
        self.catch_up()?;
        if !self.has_manual_clock {
            thread::sleep(span);
            return self.catch_up();
        }
        let call = self.http.send(&Request {
            method: "POST".into(),
            target: format!("/clock?advance={}ms", span.as_millis()),
            ..Request::default()
        })?;
        match self.http.finish(call)?.status {
            200 => self.catch_up(),
            status => Err(io::Error::other(format!(
                "the clock did not move: {status}"
            ))),
        }
    }
}

fn render(plan: &Plan, outcome: Result<Reply, Failure>) -> io::Result<Answer> {
    let outcome = match outcome {
        Ok(reply) => Ok(reply),
        Err(Failure::Refused(refusal)) => Err(refusal),
        Err(failure) => return Err(io::Error::other(failure)),
    };
    Ok(on_the_wire(plan.respond(outcome)))
}
