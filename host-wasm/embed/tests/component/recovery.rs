//! An instance ends, and what was acknowledged is there in the next one.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use burrow_embed::{
    Answer, AppendError, CallError, Cause, Detail, Limits, OpenError, QueueConfig, Refusal,
    SettleAction, Settlement,
};

use crate::support::{Shared, done, first, ids, jobs, manual, message, plugin};

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn what_is_not_stored_did_not_happen() {
    let storage = Shared::default();
    let mut queue = plugin().instantiate(storage.clone(), manual()).unwrap();
    queue.put(&jobs(), &message(1, "kept")).unwrap();

    storage.lock().failure = Some(AppendError::NotStored("no space".into()));
    let error = queue.put(&jobs(), &message(2, "lost")).unwrap_err();
    assert_eq!(error, CallError::NotDone(Cause::Storage("no space".into())));
    assert_eq!(error.response().status, 503);

    assert_eq!(ids(&mut queue), ["1"]);
    assert_eq!(queue.lives(), 2);
    queue.put(&jobs(), &message(2, "again")).unwrap();
    assert_eq!(ids(&mut queue), ["1", "2"]);
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn an_outcome_that_is_unknown_is_told_so_and_found_out_later() {
    for stored in [false, true] {
        let storage = Shared::default();
        let mut queue = plugin().instantiate(storage.clone(), manual()).unwrap();
        queue.put(&jobs(), &message(1, "kept")).unwrap();
        {
            let mut inner = storage.lock();
            inner.failure = Some(AppendError::Unknown("timed out".into()));
            inner.stored_all_the_same = stored;
        }
        let error = queue.put(&jobs(), &message(2, "?")).unwrap_err();
        assert_eq!(
            error,
            CallError::Unknown(Cause::Storage("timed out".into()))
        );
        let expected: &[&str] = if stored { &["1", "2"] } else { &["1"] };
        assert_eq!(ids(&mut queue), expected);
    }
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_storage_that_cannot_be_read_is_told_and_tried_again() {
    let storage = Shared::default();
    let mut queue = plugin().instantiate(storage.clone(), manual()).unwrap();
    queue.put(&jobs(), &message(1, "kept")).unwrap();
    {
        let mut inner = storage.lock();
        inner.failure = Some(AppendError::NotStored("unplugged".into()));
        inner.unreadable = true;
    }
    queue.put(&jobs(), &message(2, "lost")).unwrap_err();
    assert!(matches!(
        queue.stats(),
        Err(CallError::Unopened(OpenError::Storage(_)))
    ));
    storage.lock().unreadable = false;
    assert_eq!(ids(&mut queue), ["1"]);

    storage.lock().damage = true;
    let opened = plugin().instantiate(storage.clone(), manual());
    assert!(matches!(opened.unwrap_err(), OpenError::Damaged(_)));
}

/// Every tick of the plugin ends the call that it finds: instances end at any point of any
/// command, some after the change was stored.
#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn nothing_acknowledged_is_lost_wherever_an_instance_ends() {
    let storage = Shared::default();
    let config = QueueConfig {
        limits: Limits {
            call_time: Duration::ZERO,
            ..Limits::default()
        },
        ..manual()
    };
    let mut queue = plugin().instantiate(storage.clone(), config).unwrap();
    let mut there = BTreeSet::new();
    let mut perhaps = BTreeSet::new();
    let mut tally = Tally::default();
    let began = Instant::now();
    for round in 0_u64.. {
        if tally.is_enough() || began.elapsed() > Duration::from_secs(60) {
            break;
        }
        let batch: Vec<String> = (0..300).map(|n| format!("{round}-{n}")).collect();
        let messages: Vec<_> = batch.iter().map(|id| message(id, vec![7; 50])).collect();
        match queue.put_batch(&jobs(), &messages) {
            Ok(_) => there.extend(batch),
            Err(error) if tally.may_be_done(&error) => perhaps.extend(batch),
            Err(_) => {}
        }
        // What a claim that was not answered has hidden comes back later.
        let claimed = match queue.claim(&jobs(), &first(200), 60_000, 0, Detail::Attributes) {
            Ok(answer) => done(answer),
            Err(CallError::Refused(
                Refusal::MessageNotFound | Refusal::QueueNotFound | Refusal::AccountNotFound,
            )) => continue,
            Err(error) => {
                tally.may_be_done(&error);
                continue;
            }
        };
        let settlements: Vec<_> = claimed
            .iter()
            .map(|message| Settlement {
                id: message.id.clone(),
                claim: message.claim,
                action: SettleAction::Ack,
            })
            .collect();
        let settled = queue.settle(&jobs(), &settlements);
        for message in claimed {
            match &settled {
                Ok(_) => {
                    there.remove(&message.id);
                    perhaps.remove(&message.id);
                }
                Err(error) if tally.may_be_done(error) => {
                    there.remove(&message.id);
                    perhaps.insert(message.id);
                }
                Err(_) => {}
            }
        }
    }
    drop(queue);
    let mut queue = plugin().instantiate(storage, manual()).unwrap();
    let found: BTreeSet<String> = ids(&mut queue).into_iter().collect();
    let lost: Vec<_> = there.difference(&found).collect();
    assert!(lost.is_empty(), "lost: {lost:?}");
    let revenants: Vec<_> = found
        .iter()
        .filter(|id| !there.contains(*id) && !perhaps.contains(*id))
        .collect();
    assert!(revenants.is_empty(), "came back: {revenants:?}");
    assert!(tally.is_enough(), "{tally:?}");
}

/// How instances have ended.
#[derive(Debug, Default)]
struct Tally {
    not_done: u32,
    unknown: u32,
}

impl Tally {
    fn is_enough(&self) -> bool {
        self.not_done >= 100 && self.unknown >= 10
    }

    fn may_be_done(&mut self, error: &CallError) -> bool {
        match error {
            CallError::NotDone(Cause::Time(_)) => {
                self.not_done += 1;
                false
            }
            CallError::Unknown(Cause::Time(_)) => {
                self.unknown += 1;
                true
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn who_waited_learns_that_the_instance_ended() {
    let storage = Shared::default();
    let mut queue = plugin().instantiate(storage.clone(), manual()).unwrap();
    let Answer::Pending(ticket) = queue.pop(&jobs(), &first(1), 60_000, Detail::All).unwrap()
    else {
        panic!("there is nothing to pop");
    };
    storage.lock().failure = Some(AppendError::NotStored("no space".into()));
    queue.put(&jobs(), &message(1, "lost")).unwrap_err();

    assert_eq!(queue.completed().unwrap(), [ticket]);
    let lost = queue.take(ticket).unwrap_err();
    assert_eq!(lost, CallError::Unknown(Cause::Storage("no space".into())));
    assert_eq!(queue.completed().unwrap(), []);
    // The next instance gives the same numbers to others.
    let Answer::Pending(other) = queue.pop(&jobs(), &first(1), 60_000, Detail::All).unwrap() else {
        panic!("there is nothing to pop");
    };
    assert_ne!(other, ticket);
    assert_eq!(queue.take(ticket).unwrap(), None);
}
