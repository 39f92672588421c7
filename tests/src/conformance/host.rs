//! What a conversation needs of a server.

use std::io;
use std::time::Duration;

/// A request as it goes over the wire, but for what the transport adds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An answer as it came over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A server that conversations are held with.
pub trait Host {
    /// A request under way.
    type Call;

    /// True if time passes in [`advance`](Self::advance) only, and requests are served in
    /// the order in which they are sent.
    fn has_manual_clock(&self) -> bool;

    /// False if something between the server and the conversation adds headers.
    fn shows_all_headers(&self) -> bool {
        true
    }

    /// Makes the server empty.
    fn reset(&mut self) -> io::Result<()>;

    /// Sends a request, without waiting for the answer.
    fn send(&mut self, request: &Request) -> io::Result<Self::Call>;

    /// The answer if it is there already.
    fn poll(&mut self, call: &mut Self::Call) -> io::Result<Option<Answer>>;

    /// The answer. A host with a manual clock fails if it is not there already, another one
    /// waits for it for a while.
    fn finish(&mut self, call: Self::Call) -> io::Result<Answer>;

    /// The client goes away before it has the answer.
    fn cancel(&mut self, call: Self::Call) -> io::Result<()>;

    /// Lets at least so much time pass; exactly so much if the clock is manual.
    fn advance(&mut self, span: Duration) -> io::Result<()>;
}

pub fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(own, _)| own.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}
