//! Frames as they come, by the bindings themselves: what is none is answered, and no instance ends.

use burrow_core::wire::{self, Answer as Told, Failure};
use burrow_core::{Command, Page, Refusal};
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

mod bindings {
    #![allow(unreachable_pub, missing_debug_implementations, unsafe_code)]
    wasmtime::component::bindgen!({ path: "wit", world: "plugin" });
}

use bindings::Plugin;
use bindings::exports::burrow::queue::frames::Answer;
use bindings::exports::burrow::queue::node::{ClockKind, Config, Limits};

struct Instance {
    store: Store<()>,
    plugin: Plugin,
}

impl Instance {
    /// A new queue whose storage is empty, and takes nothing.
    fn new() -> Self {
        let path = std::env::var_os("BURROW_COMPONENT").unwrap();
        let engine = Engine::default();
        let component = Component::from_file(&engine, path).unwrap();
        let mut linker = Linker::new(&engine);
        let mut storage = linker.instance("burrow:queue/storage@0.1.0").unwrap();
        storage
            .func_wrap("sequences", |_, ()| {
                Ok((Ok::<Vec<u64>, String>(Vec::new()),))
            })
            .unwrap();
        linker.define_unknown_imports_as_traps(&component).unwrap();
        let mut store = Store::new(&engine, ());
        let plugin = Plugin::instantiate(&mut store, &component, &linker).unwrap();
        Self { store, plugin }
    }

    fn open(mut self) -> Self {
        let config = Config {
            clock: ClockKind::Manual,
            seed: 7,
            default_ttl_ms: None,
            limits: Limits {
                max_body_bytes: None,
                max_batch_messages: Some(3),
                max_answer_bytes: None,
                max_messages: None,
                max_bytes: None,
                max_queues: None,
                max_waiters: None,
                max_wait_ms: None,
                max_markers: None,
            },
            cors_origin: None,
            claim_delay_ms: None,
        };
        let opened = self.plugin.burrow_queue_node();
        opened.call_open(&mut self.store, &config).unwrap().unwrap();
        self
    }

    fn told(&mut self, frame: &[u8]) -> Told {
        let frames = self.plugin.burrow_queue_frames();
        let Answer::Frame(answer) = frames.call_submit(&mut self.store, frame).unwrap() else {
            panic!("it waits");
        };
        wire::decode_answer(&wire::decode_frame(&answer).unwrap()).unwrap()
    }

    fn failure(&mut self, frame: &[u8]) -> (u64, Failure) {
        match self.told(frame) {
            Told::Outcome {
                id,
                outcome: Err(failure),
            } => (id, failure),
            other => panic!("{other:?}"),
        }
    }
}

fn request(id: u64, command: &Command<'_>) -> Vec<u8> {
    let mut frame = Vec::new();
    wire::encode_request(&mut frame, id, command, u32::MAX).unwrap();
    frame
}

fn list_accounts(id: u64) -> Vec<u8> {
    let page = Page::default();
    request(id, &Command::ListAccounts { page })
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_frame_is_answered_with_its_id() {
    let mut instance = Instance::new().open();
    let nothing = Failure::Refused(Refusal::AccountNotFound);
    for id in [u64::MAX, 1, 1] {
        assert_eq!(instance.failure(&list_accounts(id)), (id, nothing.clone()));
    }
    let mut ping = Vec::new();
    wire::encode_ping(&mut ping, 9);
    assert_eq!(instance.told(&ping), Told::Pong { id: 9 });
    let mut cancel = Vec::new();
    wire::encode_cancel(&mut cancel, 9);
    assert_eq!(instance.failure(&cancel), (9, Failure::Protocol));
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn what_is_no_frame_is_told_so() {
    let mut instance = Instance::new().open();
    let whole = list_accounts(5);
    for length in 0..whole.len() {
        assert_eq!(
            instance.failure(&whole[..length]),
            (0, Failure::Malformed),
            "{length} bytes"
        );
    }
    let twice = [whole.clone(), whole.clone()].concat();
    assert_eq!(instance.failure(&twice), (0, Failure::Malformed));
    let mut unknown = whole.clone();
    *unknown.get_mut(6).unwrap() = 99;
    assert_eq!(instance.failure(&unknown), (5, Failure::UnknownCommand));
    let mut reply = Vec::new();
    wire::encode_failure(&mut reply, 5, &Failure::Busy);
    assert_eq!(instance.failure(&reply), (5, Failure::Protocol));
    let many = request(
        6,
        &Command::PutBatch {
            queue: burrow_core::QueueName {
                account: "a".into(),
                queue: "q".into(),
            },
            messages: vec![burrow_core::NewMessage::default(); 4],
        },
    );
    let (6, Failure::Refused(Refusal::TooLarge { maximum: 3, .. })) = instance.failure(&many)
    else {
        panic!("three are as many as it takes");
    };
    let nothing = Failure::Refused(Refusal::AccountNotFound);
    assert_eq!(instance.failure(&whole), (5, nothing));
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn before_it_is_opened_nothing_is_carried_out() {
    let mut instance = Instance::new();
    assert_eq!(instance.failure(&list_accounts(3)), (3, Failure::Stopping));
}
