//! The end: decided things are finished, and nothing new is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use burrow::config::ConnectionSettings;
use burrow::engine::{Clock, Engine, EngineConfig, Failure, Health, StoreConfig};
use burrow::server::{self, ServeError};
use burrow_core::rest::RestConfig;
use burrow_core::{Config, Reply, Timestamp};

use crate::faulty_store::{Disk, Fault};
use crate::support::{ManualClock, claim, look, poll_once, put, start};

#[tokio::test]
async fn a_stop_finishes_what_is_decided() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    let mut waiting = Box::pin(engine.execute(claim(60_000)));
    assert!(poll_once(&mut waiting).is_pending());
    disk.hold();
    let mut first = Box::pin(engine.execute(put("1")));
    assert!(poll_once(&mut first).is_pending());
    disk.wait_for_held_append();
    let mut second = Box::pin(engine.execute(put("2")));
    assert!(poll_once(&mut second).is_pending());
    let mut other_wait = Box::pin(engine.execute(claim(60_000)));
    let _ = poll_once(&mut other_wait);
    let mut third_wait = Box::pin(engine.execute(claim(60_000)));
    assert!(poll_once(&mut third_wait).is_pending());

    let mut stop = Box::pin(engine.stop());
    assert!(poll_once(&mut stop).is_pending());
    assert_eq!(engine.execute(put("3")).await, Err(Failure::Stopping));
    disk.release();
    stop.await;
    assert_eq!(first.await, Ok(Reply::Put { created: true }));
    assert_eq!(second.await, Ok(Reply::Put { created: true }));
    assert!(matches!(waiting.await, Ok(Reply::Messages(_))));
    assert!(matches!(other_wait.await, Ok(Reply::Messages(_))));
    assert_eq!(third_wait.await, Err(Failure::Stopping));
    assert_eq!(engine.health(), Health::Stopped { failure: None });
    assert!(disk.state().closed);
    engine.stop().await;

    let engine = start(&disk, ManualClock::new());
    assert_eq!(look(&engine, "1").await, Some((1, true)));
    assert_eq!(look(&engine, "2").await, Some((1, true)));
    assert_eq!(look(&engine, "3").await, None);
}

#[tokio::test]
async fn the_last_handle_stops_the_engine() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    let mut health = engine.watch_health();
    engine.execute(put("m")).await.unwrap();
    drop(engine);
    health
        .wait_for(|health| *health == Health::Stopped { failure: None })
        .await
        .unwrap();
    assert!(disk.state().closed);
}

#[tokio::test]
async fn a_stop_during_an_outage_does_not_hang() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    {
        let mut state = disk.state();
        state.fail_append = Some((1, Fault::NotStored));
        state.broken = true;
    }
    assert_eq!(engine.execute(put("m")).await, Err(Failure::NotStored));
    engine.stop().await;
    assert!(disk.state().closed);
}

#[tokio::test]
async fn waiters_are_released_on_demand() {
    let engine = start(&Disk::default(), ManualClock::new());
    let mut waiting = Box::pin(engine.execute(claim(60_000)));
    assert!(poll_once(&mut waiting).is_pending());
    engine.release_waiters();
    assert_eq!(waiting.await, Err(Failure::Stopping));
    engine.execute(put("m")).await.unwrap();
}

/// Panics once while the node is in the committer's hands, which leaves the lock poisoned.
struct PanickingClock {
    clock: Arc<ManualClock>,
    armed: AtomicBool,
}

impl Clock for PanickingClock {
    fn now(&self) -> Timestamp {
        let in_committer = std::thread::current().name() == Some("burrow-committer");
        assert!(
            !(in_committer && self.armed.swap(false, SeqCst)),
            "injected"
        );
        self.clock.now()
    }
}

#[tokio::test]
async fn a_node_that_panicked_is_restored() {
    let disk = Disk::default();
    let clock = Arc::new(PanickingClock {
        clock: ManualClock::new(),
        armed: AtomicBool::new(false),
    });
    let engine = start(&disk, Arc::clone(&clock) as _);
    engine.execute(put("1")).await.unwrap();
    let mut waiting = Box::pin(engine.execute(claim(60_000)));
    let _ = poll_once(&mut waiting);
    let mut health = engine.watch_health();
    clock.armed.store(true, SeqCst);
    engine.clock_changed();
    health.changed().await.unwrap();
    health
        .wait_for(|health| *health == Health::Serving)
        .await
        .unwrap();
    assert!(look(&engine, "1").await.is_some());
    engine.execute(put("2")).await.unwrap();
    engine.stop().await;
    let engine = start(&disk, ManualClock::new());
    assert!(look(&engine, "1").await.is_some());
    assert!(look(&engine, "2").await.is_some());
}

/// In memory everything is lost with the node. To go on empty would hide that.
#[tokio::test]
async fn a_node_that_panicked_in_memory_ends_the_engine() {
    let clock = Arc::new(PanickingClock {
        clock: ManualClock::new(),
        armed: AtomicBool::new(false),
    });
    let config = EngineConfig {
        node: Config::default(),
        store: StoreConfig::Memory,
    };
    let (engine, _) = Engine::start(config, Arc::clone(&clock) as _).unwrap();
    engine.execute(put("1")).await.unwrap();
    let mut waiting = Box::pin(engine.execute(burrow_core::Command::ListMessages {
        queue: crate::support::queue(),
        selection: burrow_core::Selection {
            marker: Some("1".into()),
            ..Default::default()
        },
        wait_ms: 60_000,
        detail: burrow_core::Detail::None,
    }));
    assert!(poll_once(&mut waiting).is_pending());
    let mut health = engine.watch_health();
    clock.armed.store(true, SeqCst);
    engine.clock_changed();
    health
        .wait_for(|health| matches!(health, Health::Stopped { failure: Some(_) }))
        .await
        .unwrap();
    assert_eq!(waiting.await, Err(Failure::OutcomeUnknown));
    assert_eq!(engine.execute(put("2")).await, Err(Failure::Stopping));
}

#[derive(clap::Parser)]
struct Defaults {
    #[command(flatten)]
    connections: ConnectionSettings,
}

#[tokio::test]
async fn a_server_stops_though_its_storage_hangs() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    disk.hold();
    let mut reply = Box::pin(engine.execute(put("m")));
    assert!(poll_once(&mut reply).is_pending());
    disk.wait_for_held_append();
    let listener = server::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let Defaults { connections } = clap::Parser::parse_from(["burrow"]);
    let rest = RestConfig::default();
    let stop = std::future::ready(());
    let served = server::serve(listener, engine.desk(), None, rest, connections, stop).await;
    assert!(matches!(served, Err(ServeError::Unfinished)), "{served:?}");
    disk.release();
    assert_eq!(reply.await, Ok(Reply::Put { created: true }));
}
