//! What no client may know.

use std::collections::BTreeSet;

use crate::support::{Worker, batch, column, databases};

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn queues_that_are_told_the_same_hash_apart() {
    let blobs = [(); 2].map(|()| {
        let mut worker = Worker::start(&[("CLOCK", "manual"), ("CHECKPOINT_BYTES", "1000")]);
        for _ in 0..20 {
            worker.expect(201, "PUT", "/v1.0/a/q", &batch(10, "a body of some bytes"));
        }
        let path = databases(worker.data.path(), "burrow-queue").remove(0);
        let blobs = column::<Vec<u8>>(&path, "SELECT blob FROM journal").unwrap();
        BTreeSet::from_iter(blobs)
    });
    // Nothing but the seed tells them apart, which is in the checkpoints.
    let same = blobs[0].intersection(&blobs[1]).count();
    assert!(same > 0, "nothing is the same");
    assert!(blobs[0] != blobs[1], "all is the same");
}
