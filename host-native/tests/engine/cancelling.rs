//! A client that goes away claims nothing.

use burrow_core::Reply;

use crate::faulty_store::Disk;
use crate::support::{ManualClock, claim, look, poll_once, put, start};

#[tokio::test]
async fn a_wait_that_is_dropped_claims_nothing() {
    let engine = start(&Disk::default(), ManualClock::new());
    let mut gone = Box::pin(engine.execute(claim(60_000)));
    assert!(poll_once(&mut gone).is_pending());
    drop(gone);
    assert_eq!(engine.stats().node.waiters, 0);
    engine.execute(put("m")).await.unwrap();
    assert_eq!(look(&engine, "m").await, Some((0, false)));
}

#[tokio::test]
async fn a_claim_that_is_dropped_before_it_is_durable_is_undone() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    engine.execute(put("m")).await.unwrap();
    disk.hold();
    let mut gone = Box::pin(engine.execute(claim(0)));
    assert!(poll_once(&mut gone).is_pending());
    disk.wait_for_held_append();
    drop(gone);
    disk.release();
    let Ok(Reply::Messages(list)) = engine.execute(claim(0)).await else {
        panic!()
    };
    assert_eq!(list.iter().next().unwrap().id, "m");
    assert_eq!(disk.state().blobs.len(), engine.stats().commits as usize);
}

/// The claim of the one who left goes to the next who waits, and not to nobody.
#[tokio::test]
async fn an_undone_claim_serves_the_next() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    let mut gone = Box::pin(engine.execute(claim(60_000)));
    let mut next = Box::pin(engine.execute(claim(60_000)));
    assert!(poll_once(&mut gone).is_pending() && poll_once(&mut next).is_pending());
    disk.hold();
    let mut stored = Box::pin(engine.execute(put("m")));
    assert!(poll_once(&mut stored).is_pending());
    disk.wait_for_held_append();
    drop(gone);
    disk.release();
    assert_eq!(stored.await, Ok(Reply::Put { created: true }));
    let Ok(Reply::Messages(list)) = next.await else {
        panic!()
    };
    assert_eq!(list.iter().next().unwrap().id, "m");
}

#[tokio::test]
async fn a_change_that_is_dropped_stays_made() {
    let disk = Disk::default();
    let engine = start(&disk, ManualClock::new());
    disk.hold();
    let mut gone = Box::pin(engine.execute(put("m")));
    assert!(poll_once(&mut gone).is_pending());
    drop(gone);
    disk.release();
    assert_eq!(look(&engine, "m").await, Some((0, false)));
}
