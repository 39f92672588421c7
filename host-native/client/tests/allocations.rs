//! What the wire codec and the placement of queues allocate: nothing, once their buffers have
//! the size of what passes through them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use burrow_client::placement;
use burrow_core::wire::{self, Decoder, Event, Failure, Offer, Session};
use burrow_core::{
    Command, Config, Detail, JournalConfig, NewMessage, Node, QueueName, Refusal, Reply, Selection,
    Timestamp, Update,
};

/// So many frames of each kind.
const FRAMES: u64 = 10_000;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, with a count of each thread's calls.
struct Counting;

// SAFETY: every call goes to `System` unchanged; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations that the work makes beyond those of a first time.
fn allocations(mut work: impl FnMut(u64)) -> u64 {
    // As ids, all of them take as many bytes.
    const FIRST: u64 = 1 << 14;
    work(FIRST);
    let before = ALLOCATIONS.with(Cell::get);
    (FIRST + 1..=FIRST + FRAMES).for_each(work);
    ALLOCATIONS.with(Cell::get) - before
}

fn queue() -> QueueName<'static> {
    QueueName {
        account: "shop".into(),
        queue: "jobs".into(),
    }
}

fn put() -> Command<'static> {
    Command::Put {
        queue: queue(),
        message: NewMessage {
            id: Some("0123456789abcdef".into()),
            body: [b'x'; 100].as_slice().to_vec().into(),
            content_type: Some("text/plain".into()),
            ttl_ms: Some(60_000),
            hide_ms: None,
        },
    }
}

fn claim() -> Command<'static> {
    Command::UpdateMessages {
        queue: queue(),
        selection: Selection {
            limit: Some(1),
            ..Selection::default()
        },
        update: Update {
            hide_ms: Some(30_000),
            ttl_ms: None,
        },
        wait_ms: 20_000,
        detail: Detail::All,
    }
}

fn requests() -> [Command<'static>; 5] {
    [
        put(),
        claim(),
        Command::GetMessage {
            queue: queue(),
            id: "0123456789abcdef".into(),
            detail: Detail::All,
        },
        Command::UpdateMessage {
            queue: queue(),
            id: "0123456789abcdef".into(),
            update: Update {
                hide_ms: Some(30_000),
                ttl_ms: None,
            },
            claim: "2f".parse().ok(),
            detail: Detail::None,
        },
        Command::DeleteMessage {
            queue: queue(),
            id: "0123456789abcdef".into(),
            claim: "2f".parse().ok(),
            detail: Detail::None,
        },
    ]
}

/// A message as a claim gives it.
fn claimed() -> Reply {
    let mut node = Node::new(Config {
        journal: JournalConfig {
            enabled: false,
            ..JournalConfig::default()
        },
        ..Config::default()
    });
    let now = Timestamp::from_millis(1_000);
    node.submit(now, put());
    node.submit(now, claim());
    let replies = std::iter::from_fn(|| node.poll_reply());
    replies.last().unwrap().1.unwrap()
}

#[test]
fn requests_are_written_and_read_without_an_allocation() {
    for command in &requests() {
        let mut bytes = Vec::new();
        let written = allocations(|id| {
            bytes.clear();
            wire::encode_request(&mut bytes, id, command, u32::MAX).unwrap();
        });
        assert_eq!(written, 0, "{command:?}");

        let (mut out, mut frame) = (Vec::new(), Vec::new());
        let mut session = Session::new(Offer::default());
        wire::encode_hello(session.received());
        assert_eq!(session.next(&mut out), Some(Event::Answered));
        let read = allocations(|id| {
            out.clear();
            frame.clear();
            wire::encode_request(&mut frame, id, command, u32::MAX).unwrap();
            session.received().extend_from_slice(&frame);
            match session.next(&mut out) {
                Some(Event::Submit { command, .. }) => drop(black_box(command)),
                other => panic!("{other:?}"),
            }
            let refused = Err(Failure::Refused(Refusal::MessageNotFound));
            session.answer(id, &refused, &mut out);
        });
        assert_eq!(read, 0, "{command:?}");
    }
}

#[test]
fn answers_are_written_and_read_without_an_allocation() {
    let limit = Refusal::Exhausted {
        limit: burrow_core::LimitName::NodeWaiters,
        maximum: 200_000,
    };
    let outcomes = [
        Ok(Reply::Put { created: true }),
        Ok(Reply::Done),
        Ok(claimed()),
        Err(Failure::Refused(Refusal::ClaimLost)),
        Err(Failure::Refused(limit)),
        Err(Failure::Unreachable),
        Err(Failure::TooManyInFlight { maximum: 1_024 }),
    ];
    for outcome in &outcomes {
        let mut bytes = Vec::new();
        let written = allocations(|id| {
            bytes.clear();
            wire::encode_outcome(&mut bytes, id, outcome);
        });
        assert_eq!(written, 0, "{outcome:?}");

        let mut decoder = Decoder::new(u32::MAX);
        let read = allocations(|id| {
            bytes.clear();
            wire::encode_outcome(&mut bytes, id, outcome);
            decoder.received().extend_from_slice(&bytes);
            let frame = decoder.next_frame().unwrap().unwrap();
            drop(black_box(wire::decode_answer(&frame).unwrap()));
        });
        // A list of messages is given as the machine gives it: entries, and the bytes.
        let of_its_own = if matches!(outcome, Ok(Reply::Messages(_))) {
            2
        } else {
            0
        };
        assert!(read <= of_its_own * FRAMES, "{outcome:?}: {read}");
    }
}

#[test]
fn a_queue_finds_its_server_without_an_allocation() {
    let servers = [("east", 1), ("west", 3), ("10.0.0.3:8081", 1)];
    let thing = ["shop", "jobs"];
    let placed = allocations(|_| {
        black_box(placement::home(servers.into_iter(), &thing));
    });
    assert_eq!(placed, 0);
}
