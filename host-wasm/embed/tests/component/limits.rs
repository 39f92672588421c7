//! What a queue may take of its host.

use std::time::Duration;

use burrow_embed::{
    CallError, Cause, Detail, Limits, MemoryStorage, NodeLimits, QueueConfig, Refusal,
};

use crate::support::{Shared, all, ids, jobs, manual, message, plugin, walk};

const SMALL: usize = 24 << 20;

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_queue_refuses_messages_before_its_memory_is_full() {
    for body_bytes in [0, 100, 100_000] {
        let storage = Shared::default();
        let config = QueueConfig {
            limits: Limits {
                memory_bytes: SMALL,
                ..Limits::default()
            },
            ..manual()
        };
        let mut queue = plugin()
            .instantiate(storage.clone(), config.clone())
            .unwrap();
        let mut put = 0;
        let refused = loop {
            let count = if body_bytes > 10_000 { 5 } else { 1000 };
            let batch: Vec<_> = (put..put + count)
                .map(|number| message(number, vec![b'x'; body_bytes]))
                .collect();
            match queue.put_batch(&jobs(), &batch) {
                Ok(ids) => put += ids.len(),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(refused, CallError::Refused(Refusal::Exhausted(_))),
            "{body_bytes}: {refused}"
        );
        assert_eq!(queue.lives(), 1);
        // All of it can be looked at, and restored, within the same memory.
        assert_eq!(walk(&mut queue, Detail::All).len(), put);
        drop(queue);
        let mut queue = plugin().instantiate(storage, config).unwrap();
        assert_eq!(ids(&mut queue).len(), put);
    }
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_queue_that_wants_more_memory_ends_and_loses_nothing() {
    let storage = Shared::default();
    let config = QueueConfig {
        limits: Limits {
            memory_bytes: SMALL,
            ..Limits::default()
        },
        node: NodeLimits {
            max_bytes: Some(1 << 40),
            max_messages: Some(1 << 40),
            ..NodeLimits::default()
        },
        ..manual()
    };
    let mut queue = plugin().instantiate(storage.clone(), config).unwrap();
    let mut put = 0;
    let error = loop {
        match queue.put(&jobs(), &message(put, vec![b'x'; 100_000])) {
            Ok(_) => put += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error, CallError::NotDone(Cause::Memory(SMALL)));
    let mut queue = plugin().instantiate(storage, manual()).unwrap();
    assert_eq!(ids(&mut queue).len(), put);
    assert!(put > 50, "{put}");
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_call_that_computes_too_long_is_ended() {
    let storage = Shared::default();
    let mut queue = plugin().instantiate(storage.clone(), manual()).unwrap();
    for batch in 0..20 {
        let messages: Vec<_> = (0..5_000)
            .map(|number| message(batch * 5_000 + number, "x"))
            .collect();
        queue.put_batch(&jobs(), &messages).unwrap();
    }
    let digest = queue.digest().unwrap();
    drop(queue);

    let limits = Limits {
        call_time: Duration::from_millis(1),
        ..Limits::default()
    };
    let config = QueueConfig {
        limits: limits.clone(),
        ..manual()
    };
    let mut queue = plugin().instantiate(storage.clone(), config).unwrap();
    let error = queue.list(&jobs(), &all(), 0, Detail::All).unwrap_err();
    assert_eq!(error, CallError::NotDone(Cause::Time(limits.call_time)));
    drop(queue);
    let mut queue = plugin().instantiate(storage, manual()).unwrap();
    assert_eq!(queue.digest().unwrap(), digest);
    assert_eq!(queue.stats().unwrap().messages, 100_000);
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn one_queue_does_not_notice_that_another_ends() {
    let plugin = plugin();
    let storage = Shared::default();
    let mut failing = plugin.instantiate(storage.clone(), manual()).unwrap();
    let mut other = plugin
        .instantiate(MemoryStorage::default(), manual())
        .unwrap();
    other.put(&jobs(), &message(1, "x")).unwrap();
    storage.lock().failure = Some(burrow_embed::AppendError::NotStored("full".into()));
    failing.put(&jobs(), &message(1, "x")).unwrap_err();
    assert_eq!(ids(&mut other), ["1"]);
    assert_eq!(other.lives(), 1);
}
