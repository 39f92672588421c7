//! A queue that outlives its process, and moves into and out of others.

use burrow_embed::{MemoryStorage, SqliteStorage};

use crate::support::{first, ids, jobs, manual, message, plugin};

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_queue_in_sqlite_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let open = || SqliteStorage::open(folder.path()).unwrap();
    let plugin = plugin();

    let mut queue = plugin.instantiate(open(), manual()).unwrap();
    for round in 0..50 {
        let batch: Vec<_> = (0..100)
            .map(|number| message(round * 100 + number, vec![b'x'; 1_000]))
            .collect();
        queue.put_batch(&jobs(), &batch).unwrap();
    }
    let popped = queue.pop(&jobs(), &first(4_990), 0, burrow_embed::Detail::None);
    popped.unwrap();
    let digest = queue.digest().unwrap();
    drop(queue);

    let mut queue = plugin.instantiate(open(), manual()).unwrap();
    assert_eq!(queue.opened().messages, 10);
    assert_eq!(queue.digest().unwrap(), digest);
    assert_eq!(ids(&mut queue).len(), 10);
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn a_queue_moves_to_another_node() {
    let plugin = plugin();
    let open = || {
        plugin
            .instantiate(MemoryStorage::default(), manual())
            .unwrap()
    };
    let (mut from, mut to) = (open(), open());
    for number in 0..100 {
        from.put(&jobs(), &message(number, vec![b'x'; 100]))
            .unwrap();
    }
    let mut after = None;
    loop {
        let piece = from.export_piece(&jobs(), after, 2_000).unwrap();
        to.import_piece(&jobs(), &piece.bytes).unwrap();
        after = piece.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(to.digest().unwrap(), from.digest().unwrap());
    assert_eq!(ids(&mut to).len(), 100);
}
