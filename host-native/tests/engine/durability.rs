//! Replies leave when their batch is durable, and many share one.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use burrow::engine::{Engine, EngineConfig, Failure, StoreConfig, SystemClock};
use burrow_core::{Command, Config, Refusal, Reply};

use crate::faulty_store::Disk;
use crate::support::{ManualClock, claim, look, poll_once, put, start};

fn in_memory(clock: Arc<ManualClock>) -> Engine {
    let config = EngineConfig {
        node: Config::default(),
        store: StoreConfig::Memory,
    };
    Engine::start(config, clock).unwrap().0
}

#[tokio::test]
async fn a_reply_waits_for_its_batch() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    disk.hold();
    let mut reply = Box::pin(engine.execute(put("m")));
    assert!(poll_once(&mut reply).is_pending());
    disk.wait_for_held_append();
    assert!(poll_once(&mut reply).is_pending());
    assert_eq!(engine.stats().commits, 0);
    disk.release();
    assert_eq!(reply.await, Ok(Reply::Put { created: true }));
    assert_eq!(disk.state().blobs.len(), 1);
}

#[tokio::test]
async fn what_gathers_during_a_write_shares_the_next() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    disk.hold();
    let ids: Vec<String> = (0..=100).map(|n| n.to_string()).collect();
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
        assert_eq!(reply.await, Ok(Reply::Put { created: true }));
    }
    assert_eq!(engine.stats().commits, 2);
}

#[tokio::test]
async fn in_memory_a_command_is_answered_at_its_first_poll() {
    let engine = in_memory(ManualClock::new());
    let mut reply = Box::pin(engine.execute(put("m")));
    assert!(poll_once(&mut reply).is_ready());
    let mut claimed = Box::pin(engine.execute(claim(0)));
    assert!(poll_once(&mut claimed).is_ready());
    assert_eq!(look(&engine, "m").await, Some((1, true)));
}

#[tokio::test]
async fn a_put_answers_who_waits_for_it() {
    for engine in [
        in_memory(ManualClock::new()),
        start(&Disk::default(), ManualClock::new()),
    ] {
        let mut waiting = Box::pin(engine.execute(claim(60_000)));
        assert!(poll_once(&mut waiting).is_pending());
        engine.execute(put("m")).await.unwrap();
        let Ok(Reply::Messages(list)) = waiting.await else {
            panic!()
        };
        assert_eq!(list.iter().next().unwrap().id, "m");
    }
}

#[tokio::test]
async fn waiting_ends_when_its_time_is_over() {
    let disk = Disk::default();
    let clock = ManualClock::new();
    for engine in [
        in_memory(Arc::clone(&clock)),
        start(&disk, Arc::clone(&clock) as _),
    ] {
        let mut long = Box::pin(engine.execute(claim(60_000)));
        let mut short = Box::pin(engine.execute(claim(5_000)));
        assert!(poll_once(&mut long).is_pending() && poll_once(&mut short).is_pending());
        clock.advance_ms(5_000);
        engine.clock_changed();
        assert_eq!(short.await, Err(Failure::Refused(Refusal::AccountNotFound)));
        assert!(poll_once(&mut long).is_pending());
        clock.advance_ms(55_000);
        engine.clock_changed();
        assert_eq!(long.await, Err(Failure::Refused(Refusal::AccountNotFound)));
    }
}

/// The committer sleeps for the message's expiry when the wait, which ends earlier,
/// begins. It would look at the clock by itself in ten seconds only.
#[tokio::test]
async fn an_earlier_deadline_wakes_the_committer() {
    let config = EngineConfig {
        node: Config::default(),
        store: StoreConfig::Memory,
    };
    let (engine, _) = Engine::start(config, Arc::new(SystemClock::new())).unwrap();
    engine.execute(put("m")).await.unwrap();
    engine.execute(claim(0)).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    let waited = tokio::time::timeout(Duration::from_secs(5), engine.execute(claim(30))).await;
    assert_eq!(waited, Ok(Err(Failure::Refused(Refusal::MessageNotFound))));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_lose_no_reply() {
    let disk = Disk::default();
    for engine in [
        in_memory(ManualClock::new()),
        start(&disk, ManualClock::new()),
    ] {
        let mut tasks = Vec::new();
        for task in 0..50 {
            let engine = engine.clone();
            tasks.push(tokio::spawn(async move {
                for n in 0..100 {
                    let id = format!("{task}-{n}");
                    assert_eq!(
                        engine.execute(put(&id)).await,
                        Ok(Reply::Put { created: true })
                    );
                    if n % 3 == 0 {
                        // A claim that may wait for a moment, beside others that do.
                        assert!(engine.execute(claim(60_000)).await.is_ok());
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        let stats = engine.stats();
        assert_eq!(stats.node.messages, 5_000);
        assert_eq!((stats.node.waiters, stats.node.replies), (0, 0));
    }
}

#[tokio::test]
async fn time_goes_on_when_the_clock_was_set_back_between_two_runs() {
    let disk = Disk::default();
    let clock = ManualClock::new();
    clock.advance_ms(500_000);
    let engine = start(&disk, clock);
    engine.execute(put("m")).await.unwrap();
    engine.stop().await;

    let clock = ManualClock::new();
    let engine = start(&disk, Arc::clone(&clock) as _);
    engine.execute(claim(0)).await.unwrap();
    let mut waiting = Box::pin(engine.execute(claim(1_000)));
    assert!(poll_once(&mut waiting).is_pending());
    clock.advance_ms(1_000);
    engine.clock_changed();
    let outcome = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert_eq!(
        outcome.expect("the wait ends with its time"),
        Err(Failure::Refused(Refusal::MessageNotFound))
    );
}

#[tokio::test]
async fn what_waits_for_a_storage_that_hangs_is_bounded() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    disk.hold();
    let body = vec![7; 1 << 20];
    let large = |id: u64| {
        let mut command = put("large");
        if let Command::Put { message, .. } = &mut command {
            message.id = Some(id.to_string().into());
            message.body = body.clone().into();
        }
        engine.execute(command)
    };
    let mut replies = Vec::new();
    let refused = loop {
        let mut reply = Box::pin(large(replies.len() as u64));
        match poll_once(&mut reply) {
            Poll::Pending => replies.push(reply),
            Poll::Ready(outcome) => break outcome,
        }
        assert!(replies.len() < 1_000, "there is no bound");
    };
    assert_eq!(refused, Err(Failure::Busy));
    assert_eq!(engine.stats().node.messages, replies.len() as u64);
    disk.release();
    for reply in replies {
        assert_eq!(reply.await, Ok(Reply::Put { created: true }));
    }
    assert_eq!(large(0).await, Ok(Reply::Put { created: false }));
}
