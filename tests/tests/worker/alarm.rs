//! The alarm gives back what nobody needs any more. It may be late, and come after a crash.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::support::Worker;

const LOOK: Duration = Duration::from_millis(50);
const LOOKS: u32 = 1_200;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn a_queue_that_is_over_leaves_nothing_behind() {
    let variables = [("ALARM_SLACK_MS", "1000"), ("MARKER_RETENTION_MS", "1")];
    let mut worker = Worker::start(&variables);
    worker.expect(201, "PUT", "/v1.0/a/q/1?ttl=0.5", b"");
    worker.expect(201, "PUT", "/v1.0/a/stays/1?ttl=0", b"");
    assert_eq!(tables_of(worker.data.path(), "burrow-queue").len(), 2);
    // The alarm is due while there is nobody whom it could call.
    let mut worker = worker.kill_and_restart();
    let is_gone = |worker: &Worker| {
        let queues = tables_of(worker.data.path(), "burrow-queue");
        queues.iter().filter(|tables| !tables.is_empty()).count() == 1
    };
    let mut looks = 0..LOOKS;
    while !is_gone(&worker) {
        assert!(looks.next().is_some(), "it stays\n{}", worker.server.logs());
        std::thread::sleep(LOOK);
    }
    assert_eq!(
        worker.expect(200, "GET", "/v1.0/a", b""),
        serde_json::json!(["stays"])
    );
    // It can come again.
    worker.expect(201, "PUT", "/v1.0/a/q/2", b"");
    assert_eq!(
        worker.expect(200, "GET", "/v1.0/a", b""),
        serde_json::json!(["q", "stays"])
    );
}

/// The tables of each object of a class.
fn tables_of(data: &Path, class: &str) -> Vec<Vec<String>> {
    let files = std::fs::read_dir(data.join(class)).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let databases = paths.filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "sqlite")
            && path.file_stem().is_some_and(|stem| stem != "metadata")
    });
    databases.map(tables).collect()
}

fn tables(path: PathBuf) -> Vec<String> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = database
        .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf\\_%' ESCAPE '\\'")
        .unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}
