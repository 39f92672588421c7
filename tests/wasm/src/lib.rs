//! A conversation with the machine, as a module that imports nothing.
//!
//! Built for wasm32-unknown-unknown without `std` it shows that the core needs nothing
//! from outside, and its digest shows that the core does the same there as natively.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::format;
use alloc::vec::Vec;

use burrow_core::journal::{Batch, Load, LoadError};
use burrow_core::rest::{Request, Response, RestConfig, Routed, route};
use burrow_core::{Config, Node, Timestamp};

#[cfg(target_arch = "wasm32")]
mod platform {
    #[global_allocator]
    static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        core::arch::wasm32::unreachable()
    }
}

/// Puts `messages` messages, claims, extends and deletes some, restores the node from its
/// journal in between, and gives a digest of every response, every stored byte and the
/// node at the end. Traps, or panics, if a response is not the expected one.
#[unsafe(no_mangle)]
pub extern "C" fn converse(messages: u64) -> u64 {
    let mut host = Host::new();
    for number in 0..messages {
        host.expect(
            201,
            "PUT",
            &format!("/v1.0/account/queue/{number}?ttl=60"),
            &number.to_le_bytes(),
        );
    }
    for _ in 0..messages / 2 {
        host.expect(
            200,
            "POST",
            "/v1.0/account/queue?limit=1&hide=30&claim=true",
            b"",
        );
    }
    host.restart();
    host.expect(
        200,
        "GET",
        "/v1.0/account/queue?detail=all&match_hidden=true",
        b"",
    );
    for number in 0..messages / 4 {
        host.expect(204, "DELETE", &format!("/v1.0/account/queue/{number}"), b"");
    }
    host.expect(
        409,
        "DELETE",
        &format!("/v1.0/account/queue/{}?claim=1", messages - 1),
        b"",
    );
    host.expect(200, "DELETE", "/v1.0/account/queue?limit=1&detail=all", b"");
    host.now = host.now.after_ms(31_000);
    host.expect(
        200,
        "POST",
        "/v1.0/account/queue?limit=1&hide=30&claim=true",
        b"",
    );
    host.restart();
    host.now = host.now.after_ms(60_000);
    host.expect(404, "GET", "/v1.0/account/queue", b"");
    host.digest.finish()
}

/// The least that a host can be: a clock that it sets itself, and storage in memory.
struct Host {
    now: Timestamp,
    node: Node,
    stored: Stored,
    digest: Fnv,
}

impl Host {
    fn new() -> Self {
        let node = Node::new(Config::default());
        Self {
            now: Timestamp::from_millis(1_000),
            node,
            stored: Stored(Vec::new()),
            digest: Fnv::new(),
        }
    }

    fn expect(&mut self, status: u16, method: &str, target: &str, body: &[u8]) {
        let response = self.exchange(&Request {
            method,
            target,
            body,
            ..Request::default()
        });
        assert_eq!(response.status, status);
        self.digest.write(&response.status.to_le_bytes());
        for (name, value) in &response.headers {
            self.digest.write(name.as_bytes());
            self.digest.write(value.as_bytes());
        }
        self.digest.write(&response.body);
    }

    fn exchange(&mut self, request: &Request<'_>) -> Response {
        let (command, plan) = match route(request, &RestConfig::default()) {
            Routed::Respond(response) => return response,
            Routed::Submit(command, plan) => (command, plan),
            Routed::Clock(_) => unreachable!("the clock is not manual"),
        };
        let ticket = self.node.submit(self.now, command);
        self.store();
        let (answered, outcome) = self
            .node
            .poll_reply()
            .expect("a command that does not wait is answered");
        assert_eq!(answered, ticket);
        plan.respond(outcome)
    }

    fn store(&mut self) {
        while let Some(batch) = self.node.poll_batch() {
            self.digest.write(&batch.blob);
            self.node.handle_durable(batch.sequence);
            self.stored.append(batch);
        }
    }

    fn restart(&mut self) {
        let before = self.node.digest();
        (self.node, _) = Node::restore(Config::default(), self.now, &mut self.stored)
            .expect("what was stored is whole");
        assert_eq!(self.node.digest(), before);
        self.digest.write(&before.to_le_bytes());
    }
}

struct Stored(Vec<(u64, Vec<u8>)>);

impl Stored {
    fn append(&mut self, batch: Batch) {
        self.0.push((batch.sequence, batch.blob));
        for drop in batch.drops {
            self.0.retain(|(sequence, _)| !drop.contains(sequence));
        }
    }
}

impl Load for Stored {
    fn sequences(&mut self) -> Result<Vec<u64>, LoadError> {
        Ok(self.0.iter().map(|(sequence, _)| *sequence).collect())
    }

    fn read(&mut self, sequence: u64) -> Result<Vec<u8>, LoadError> {
        let blob = self.0.iter().find(|(stored, _)| *stored == sequence);
        blob.map(|(_, blob)| blob.clone())
            .ok_or_else(|| LoadError(format!("no blob {sequence}")))
    }
}

/// The FNV-1a hash: a dozen lines, the same on every platform.
struct Fnv(u64);

impl Fnv {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
