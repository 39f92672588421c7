//! The wire protocol: commands and replies as frames on a stream of bytes.
//!
//! [`PROTOCOL.md`](https://github.com/burrow-mq/burrow/blob/main/core/src/wire/PROTOCOL.md),
//! beside this file, describes it for other languages. Nothing here does I/O. A server feeds
//! what it received to a [`Session`] and sends what that writes; a client writes frames with
//! [`encode_hello`], [`encode_request`] and [`encode_cancel`], and reads with a [`Decoder`]
//! and [`decode_answer`]. What is decoded from a request borrows from the bytes received.
//!
//! ```
//! use burrow_core::wire::{self, Answer, Event, Offer, Session};
//! use burrow_core::{Command, Page, Refusal};
//!
//! let mut sent = Vec::new();
//! wire::encode_hello(&mut sent);
//! let command = Command::ListAccounts { page: Page::default() };
//! wire::encode_request(&mut sent, 1, &command, wire::LEAST_FRAME_BYTES)?;
//!
//! let mut server = Session::new(Offer::default());
//! let mut answers = Vec::new();
//! server.received().extend_from_slice(&sent);
//! assert_eq!(server.next(&mut answers), Some(Event::Answered));
//! assert_eq!(server.next(&mut answers), Some(Event::Submit { id: 1, command }));
//! server.answer(1, &Err(Refusal::AccountNotFound.into()), &mut answers);
//!
//! let mut client = wire::Decoder::new(u32::MAX);
//! client.received().extend_from_slice(&answers);
//! assert_eq!(wire::take_welcome(&mut client)?, Some(wire::VERSION));
//! let hello = client.next_frame()?.expect("the server's limits");
//! assert_eq!(wire::decode_answer(&hello)?, Answer::Hello(Offer::default()));
//! let frame = client.next_frame()?.expect("the answer");
//! let Answer::Outcome { id: 1, outcome: Err(failure) } = wire::decode_answer(&frame)? else {
//!     panic!("the account is not there");
//! };
//! assert_eq!(failure, Refusal::AccountNotFound.into());
//! # Ok::<(), wire::DecodeError>(())
//! ```

mod answer;
mod codes;
mod command;
mod failure;
mod fields;
mod frame;
mod handshake;
mod kept;
mod message;
mod reply;
mod session;

pub use answer::{
    Answer, decode_answer, encode_failure, encode_goodbye, encode_outcome, encode_pong,
    encode_reply,
};
pub use command::{Request, decode_request, encode_cancel, encode_ping, encode_request};
pub use failure::{DecodeError, Failure};
pub use frame::{Decoder, Frame, Kind, decode_frame};
pub use handshake::{
    HELLO_BYTES, LEAST_FRAME_BYTES, LEAST_IN_FLIGHT, Offer, VERSION, WELCOME_BYTES, encode_hello,
    take_welcome,
};
pub use session::{Event, Session};
