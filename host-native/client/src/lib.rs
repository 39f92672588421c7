//! A client of the Burrow message queue.
//!
//! ```no_run
//! # async fn example() -> Result<(), burrow_client::Error> {
//! use std::time::Duration;
//! use burrow_client::{Claiming, Client, Put};
//!
//! let jobs = Client::connect("http://127.0.0.1:8080")?.queue("shop", "jobs");
//! jobs.put(Put::new("pack the parcel").ttl(Duration::from_secs(3600))).await?;
//!
//! let mut claims = jobs.claims(Claiming::default());
//! loop {
//!     let held = claims.next().await?; // extended until it is acknowledged or dropped
//!     println!("{:?}", held.messages());
//!     held.ack().await?;
//! }
//! # }
//! ```
//!
//! [`Queue::claims`] gives messages that are settled together; [`Queue::claim_stream`] a
//! `futures_core::Stream` of messages, each with a fate of its own:
//!
//! ```no_run
//! # async fn work(_: &[u8]) {}
//! # async fn example(jobs: burrow_client::Queue) -> Result<(), burrow_client::Error> {
//! use burrow_client::Claiming;
//!
//! let ahead = Claiming { batch: 10, ..Claiming::default() };
//! let mut stream = jobs.claim_stream(ahead);
//! while let Some(claimed) = stream.next().await {
//!     let claimed = claimed?;
//!     tokio::spawn(async move {
//!         tokio::select! {
//!             () = work(&claimed.message().body) => {}
//!             () = claimed.lost() => return Ok(()),
//!         }
//!         claimed.ack().await
//!     });
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Trying again.** What certainly did not happen is tried again, with growing pauses, until
//! the deadline. What may have happened is tried again only where a second time does no
//! harm: reads, puts (they carry an id, which the client gives if the caller does not),
//! and what shows a claim. Never a claim or a pop.
//!
//! **Bounds.** Each call has a deadline, for all its tries and beside the time that it asks the
//! server to wait; and there are never more calls under way than allowed, further ones wait
//! their turn.
//!
//! ```
//! # fn main() -> Result<(), burrow_client::Error> {
//! use std::time::Duration;
//! use burrow_client::Client;
//!
//! let client = Client::builder()
//!     .server("burrow://127.0.0.1:8081")?
//!     .deadline(Duration::from_secs(10))
//!     .max_in_flight(64)
//!     .on_first_failure(|error, left| eprintln!("{error}; trying again for {left:.0?}"))
//!     .build()?;
//! # Ok(())
//! # }
//! ```
//!
//! **Several servers.** Each queue lives on one of them, by rendezvous hashing of account and
//! queue with the servers' names and weights: the same place as with a proxy that was told
//! these. With [`Builder::failover`] above 1 the next in the queue's own order stand in for it:
//! a put goes to the first that takes it, and whoever takes or looks for messages asks each in
//! turn. A queue is then in order for each server, and a put whose outcome is unknown may
//! be on two: messages come at least once, as ever. A server knows nothing of the others, so
//! what it gives up goes to the dead-letter queue on itself: look for dead letters with a
//! failover of all servers, or put a proxy in front, which moves them to where they belong.
//!
//! **Without a server.** A data folder is opened in the same process by
//! `burrow::embedded::Embedded`, of the crate `burrow`, which gives a [`Client`] as well. The
//! example `client` does all this on either.

mod claims;
mod client;
mod error;
mod keeper;
mod options;
mod pages;
pub mod placement;
mod queue;
mod rest;
mod retry;
mod servers;
mod stream;
mod transport;
mod wire;

pub use burrow_core::{ClaimToken, Order, Settings};
pub use claims::{Claiming, Claims, Held};
pub use client::{Builder, Client};
pub use error::Error;
pub use options::{Listing, Put, QueueStats, Settle, Taking};
pub use pages::{Follow, Pages};
pub use queue::Queue;
pub use rest::{Rest, Trust};
pub use stream::{ClaimStream, Claimed};
pub use transport::{Answer, Calling, Message, Messages, Transport};
pub use wire::Wire;
