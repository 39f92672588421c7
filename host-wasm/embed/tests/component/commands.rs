//! Commands of the machine: what waits, what fails, and what is no command.

use burrow_core::{Command, Detail, NewMessage, QueueName, Refusal, Reply, Selection};
use burrow_embed::{
    AppendError, CallError, Carried, Limits, MemoryStorage, Outcome, Queue, QueueConfig,
};

use crate::support::{Shared, manual, plugin};

fn jobs() -> QueueName<'static> {
    QueueName {
        account: "shop".into(),
        queue: "jobs".into(),
    }
}

fn put(id: &'static str, body: &'static [u8]) -> Command<'static> {
    Command::Put {
        queue: jobs(),
        message: NewMessage {
            id: Some(id.into()),
            body: body.into(),
            ..NewMessage::default()
        },
    }
}

fn pop(wait_ms: u64) -> Command<'static> {
    Command::DeleteMessages {
        queue: jobs(),
        selection: Selection {
            limit: Some(1),
            ..Selection::default()
        },
        wait_ms,
        detail: Detail::All,
    }
}

fn in_memory() -> Queue {
    plugin()
        .instantiate(MemoryStorage::default(), manual())
        .unwrap()
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_command_waits_for_a_message() {
    let mut queue = in_memory();
    let Carried::Pending(ticket) = queue.command(&pop(60_000)).unwrap() else {
        panic!("there is nothing to pop");
    };
    assert_eq!(queue.take(ticket).unwrap(), None);
    queue.command(&put("1", b"work")).unwrap();
    assert_eq!(queue.completed().unwrap(), [ticket]);
    let Some(Outcome::Reply(Ok(Reply::Messages(list)))) = queue.take(ticket).unwrap() else {
        panic!("it is popped");
    };
    let popped: Vec<_> = list.iter().map(|one| (one.id, one.body)).collect();
    assert_eq!(popped, [("1", b"work".as_slice())]);

    let Carried::Pending(cancelled) = queue.command(&pop(60_000)).unwrap() else {
        panic!("it is gone");
    };
    queue.cancel(cancelled).unwrap();
    assert_eq!(queue.stats().unwrap().waiters, 0);
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn what_the_machine_refuses_is_its_answer() {
    let mut queue = in_memory();
    let refused = queue.command(&pop(0)).unwrap();
    assert_eq!(refused, Carried::Done(Err(Refusal::AccountNotFound)));
    let Carried::Done(Err(Refusal::Invalid { .. })) = queue.command(&put("", b"x")).unwrap() else {
        panic!("an id is not empty");
    };
    assert_eq!(queue.lives(), 1);
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_command_that_is_not_stored_says_whether_it_may_be() {
    let storage = Shared::default();
    let mut queue = plugin().instantiate(storage.clone(), manual()).unwrap();
    queue.command(&put("1", b"kept")).unwrap();

    storage.lock().failure = Some(AppendError::NotStored("no room".into()));
    let failed = queue.command(&put("2", b"x")).unwrap_err();
    assert!(matches!(failed, CallError::NotDone(_)), "{failed:?}");

    let Carried::Done(Ok(Reply::Messages(list))) = queue.command(&pop(0)).unwrap() else {
        panic!("the first one is there");
    };
    assert_eq!(list.iter().map(|one| one.id).collect::<Vec<_>>(), ["1"]);
    storage.lock().failure = Some(AppendError::Unknown("gone away".into()));
    let unknown = queue.command(&put("3", b"x")).unwrap_err();
    assert!(matches!(unknown, CallError::Unknown(_)), "{unknown:?}");
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_command_larger_than_a_call_is_not_passed_on() {
    let config = QueueConfig {
        limits: Limits {
            memory_bytes: 16 << 20,
            ..Limits::default()
        },
        ..manual()
    };
    let mut queue = plugin()
        .instantiate(MemoryStorage::default(), config)
        .unwrap();
    let body = vec![0; 1 << 20];
    let command = Command::Put {
        queue: jobs(),
        message: NewMessage {
            id: Some("1".into()),
            body: body.as_slice().into(),
            ..NewMessage::default()
        },
    };
    let CallError::Refused(refusal) = queue.command(&command).unwrap_err() else {
        panic!("a sixteenth of the memory is less");
    };
    assert!(refusal.to_string().contains("call_bytes"), "{refusal}");
}
