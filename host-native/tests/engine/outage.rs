//! A storage that fails, at any write and in any way.

use std::collections::BTreeMap;

use burrow::engine::{Engine, Failure, Health};
use burrow_core::{Refusal, Reply};

use crate::faulty_store::{Disk, Fault};
use crate::support::{ManualClock, claim, delete, look, poll_once, put, start};

async fn serving_again(engine: &Engine) {
    engine
        .watch_health()
        .wait_for(|health| *health == Health::Serving)
        .await
        .unwrap();
}

/// What is known of a message after its commands were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    There,
    Gone,
    Either,
}

/// Puts and deletes in a fixed order, with the answers noted.
async fn script(engine: &Engine, known: &mut BTreeMap<String, Known>) {
    for n in 0..12 {
        let deletes = n % 4 == 3;
        let id = if deletes { n - 2 } else { n }.to_string();
        let before = known.get(&id).copied().unwrap_or(Known::Gone);
        let after = if deletes { Known::Gone } else { Known::There };
        let outcome = engine
            .execute(if deletes { delete(&id) } else { put(&id) })
            .await;
        let now = match outcome {
            Ok(_) => after,
            Err(Failure::NotStored) => before,
            Err(Failure::OutcomeUnknown) => Known::Either,
            Err(Failure::Refused(Refusal::MessageNotFound)) => {
                assert_ne!(before, Known::There);
                Known::Gone
            }
            Err(failure) => panic!("{failure}"),
        };
        known.insert(id, now);
        serving_again(engine).await;
    }
}

async fn verify(engine: &Engine, known: &BTreeMap<String, Known>, context: &str) {
    for (id, known) in known {
        let there = look(engine, id).await.is_some();
        let expected = match known {
            Known::There => true,
            Known::Gone => false,
            Known::Either => there,
        };
        assert_eq!(there, expected, "message {id}, {context}");
    }
}

#[tokio::test]
async fn every_write_may_fail_in_every_way() {
    for fault in [
        Fault::NotStored,
        Fault::UnknownAndLost,
        Fault::UnknownButStored,
    ] {
        for append in 1..=12 {
            let context = format!("{fault:?} at append {append}");
            let disk = Disk::default();
            disk.state().fail_append = Some((append, fault));
            let engine = start(&disk, ManualClock::new());
            let mut known = BTreeMap::new();
            script(&engine, &mut known).await;
            assert!(disk.state().appends >= append, "{context}");
            // The store could tell at once how things stand, so that nothing is unknown.
            assert!(
                !known.values().any(|known| *known == Known::Either),
                "{context}"
            );
            verify(&engine, &known, &context).await;
            engine.stop().await;
            verify(&start(&disk, ManualClock::new()), &known, &context).await;
        }
    }
}

#[tokio::test]
async fn an_outcome_is_unknown_while_the_store_cannot_tell() {
    for fault in [
        Fault::UnknownAndLost,
        Fault::UnknownButStored,
        Fault::UnknownButFound,
    ] {
        let disk = Disk::default();
        let engine = start(&disk, ManualClock::new());
        engine.execute(put("1")).await.unwrap();
        {
            let mut state = disk.state();
            state.fail_append = Some((2, fault));
            state.broken = true;
        }
        assert_eq!(engine.execute(put("2")).await, Err(Failure::OutcomeUnknown));
        disk.wait_for_probes(2);
        disk.state().broken = false;
        serving_again(&engine).await;
        let stored = fault != Fault::UnknownAndLost;
        assert_eq!(look(&engine, "2").await.is_some(), stored);
        engine.execute(put("3")).await.unwrap();
        engine.stop().await;
        let engine = start(&disk, ManualClock::new());
        assert_eq!(look(&engine, "2").await.is_some(), stored);
        assert!(look(&engine, "3").await.is_some());
    }
}

#[tokio::test]
async fn during_an_outage_reads_go_on_and_changes_are_refused_at_once() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    engine.execute(put("1")).await.unwrap();
    engine.execute(claim(0)).await.unwrap();
    {
        let mut state = disk.state();
        state.fail_append = Some((3, Fault::NotStored));
        state.broken = true;
    }
    assert_eq!(engine.execute(put("2")).await, Err(Failure::NotStored));
    let Health::NotStoring { reason } = engine.health() else {
        panic!("{:?}", engine.health())
    };
    assert!(
        reason.contains("injected") || reason.contains("broken"),
        "{reason}"
    );
    // The engine may still be restoring its node.
    disk.wait_for_probes(1);
    let appends = disk.state().appends;
    let loads = disk.state().loads;
    for n in 0..100 {
        let id = format!("x{n}");
        let mut refused = Box::pin(engine.execute(put(&id)));
        assert_eq!(
            poll_once(&mut refused),
            std::task::Poll::Ready(Err(Failure::NotStored))
        );
        assert_eq!(look(&engine, "1").await, Some((1, true)));
    }
    assert_eq!(engine.execute(claim(60_000)).await, Err(Failure::NotStored));
    assert_eq!(disk.state().appends, appends, "nothing is written");
    assert_eq!(disk.state().loads, loads, "nothing is restored again");
    disk.state().broken = false;
    serving_again(&engine).await;
    engine.execute(put("2")).await.unwrap();
    assert_eq!(engine.stats().outages, 1);
}

/// To restore takes long when there is much. While a full disk is tried again and again,
/// the node stays.
#[tokio::test]
async fn one_outage_is_one_restore() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    engine.execute(put("1")).await.unwrap();
    {
        let mut state = disk.state();
        state.fail_append = Some((2, Fault::NotStored));
        state.full = true;
    }
    assert_eq!(engine.execute(put("2")).await, Err(Failure::NotStored));
    disk.wait_for_probes(3);
    disk.state().full = false;
    serving_again(&engine).await;
    assert_eq!(disk.state().loads, 2, "one at the start and one more");
    engine.execute(put("2")).await.unwrap();
}

#[tokio::test]
async fn all_who_share_a_failed_write_learn_of_it() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    disk.hold();
    disk.state().fail_append = Some((1, Fault::NotStored));
    let mut waiting = Box::pin(engine.execute(claim(60_000)));
    assert!(poll_once(&mut waiting).is_pending());
    let ids: Vec<String> = (0..20).map(|n| n.to_string()).collect();
    let mut replies = Vec::new();
    for id in &ids {
        let mut reply = Box::pin(engine.execute(put(id)));
        assert!(poll_once(&mut reply).is_pending());
        if replies.is_empty() {
            disk.wait_for_held_append();
        }
        replies.push(reply);
    }
    disk.release();
    for reply in replies {
        assert_eq!(reply.await, Err(Failure::NotStored));
    }
    assert_eq!(waiting.await, Err(Failure::NotStored));
    serving_again(&engine).await;
    assert!(disk.state().blobs.is_empty());
    engine.execute(put("0")).await.unwrap();
}

/// Its ticket may be that of a command of the restored node: to cancel it must not harm that.
#[tokio::test]
async fn dropping_a_command_of_a_lost_node_harms_nobody() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    disk.hold();
    disk.state().fail_append = Some((1, Fault::NotStored));
    let mut lost = Box::pin(engine.execute(put("1")));
    assert!(poll_once(&mut lost).is_pending());
    disk.wait_for_held_append();
    let mut other = Box::pin(engine.execute(put("2")));
    assert!(poll_once(&mut other).is_pending());
    disk.release();
    assert_eq!(other.await, Err(Failure::NotStored));
    serving_again(&engine).await;
    let mut waiting = Box::pin(engine.execute(claim(60_000)));
    assert!(poll_once(&mut waiting).is_pending());
    drop(lost);
    assert_eq!(engine.stats().node.waiters, 1);
    engine.execute(put("3")).await.unwrap();
    assert!(matches!(waiting.await, Ok(Reply::Messages(_))));
}

#[tokio::test]
async fn an_unreadable_store_is_tried_again() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    engine.execute(put("1")).await.unwrap();
    {
        let mut state = disk.state();
        state.fail_append = Some((2, Fault::NotStored));
        state.unreadable = true;
    }
    assert_eq!(engine.execute(put("2")).await, Err(Failure::NotStored));
    disk.wait_for_probes(1);
    assert_eq!(
        engine.execute(crate::support::get("1")).await,
        Err(Failure::NotStored)
    );
    disk.state().unreadable = false;
    serving_again(&engine).await;
    assert_eq!(look(&engine, "1").await, Some((0, false)));
}
