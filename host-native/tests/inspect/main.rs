//! What `check` and `dump` say of a stopped server's data, and that they leave no trace.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burrow::engine::{Engine, EngineConfig, StoreConfig, SystemClock};
use burrow::inspect::{self, Damage};
use burrow::storage::OpenError;
use burrow_core::journal::RestoreError;
use burrow_core::{Command, Config, NewMessage, QueueName, Settings};
use serde_json::{Value, json};
use tempfile::TempDir;

fn start(dir: &Path) -> Engine {
    let config = EngineConfig {
        node: Config::default(),
        store: StoreConfig::Sqlite {
            dir: dir.to_owned(),
        },
    };
    Engine::start(config, Arc::new(SystemClock::new()))
        .unwrap()
        .0
}

fn queue<'a>(account: &'a str, queue: &'a str) -> QueueName<'a> {
    QueueName {
        account: account.into(),
        queue: queue.into(),
    }
}

fn put<'a>(queue: QueueName<'a>, id: &'a str, body: &'a [u8]) -> Command<'a> {
    let message = NewMessage {
        id: Some(id.into()),
        body: body.into(),
        ttl_ms: Some(0),
        ..NewMessage::default()
    };
    Command::Put { queue, message }
}

/// The folder of a killed server with 30 messages, one a commit.
async fn killed(stop: bool) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    for n in 0..30 {
        let (id, body) = (format!("m{n}"), format!("needle {n};"));
        engine
            .execute(put(queue("a", "q"), &id, body.as_bytes()))
            .await
            .unwrap();
    }
    if stop {
        engine.stop().await;
        return dir;
    }
    let image = tempfile::tempdir().unwrap();
    for name in ["journal.db", "journal.db-wal", "lock"] {
        std::fs::copy(dir.path().join(name), image.path().join(name)).unwrap();
    }
    image
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                std::fs::read(entry.path()).unwrap(),
            )
        })
        .collect()
}

#[tokio::test]
async fn sound_data_is_counted_and_left_alone() {
    for stop in [true, false] {
        let dir = killed(stop).await;
        let before = files(dir.path());
        let report = inspect::check(dir.path()).unwrap();
        assert_eq!(report.damage, []);
        assert_eq!((report.blobs, report.restored.unwrap().messages), (30, 30));
        let mut lines = Vec::new();
        assert_eq!(inspect::dump(dir.path(), &mut lines).unwrap().messages, 30);
        assert!(before == files(dir.path()), "files were changed or made");
    }
}

#[tokio::test]
async fn odd_paths_are_read_too() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a?b#c%20 d");
    let engine = start(&dir);
    engine
        .execute(put(queue("a", "q"), "m", b"x"))
        .await
        .unwrap();
    engine.stop().await;
    assert_eq!(inspect::check(&dir).unwrap().restored.unwrap().messages, 1);
}

#[tokio::test]
async fn a_running_server_is_not_disturbed() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    assert!(matches!(
        inspect::check(dir.path()),
        Err(OpenError::InUse { .. })
    ));
    assert!(inspect::dump(dir.path(), &mut Vec::new()).is_err());
    engine.stop().await;
    assert!(inspect::check(dir.path()).unwrap().is_sound());
}

#[test]
fn a_folder_without_data_is_an_error_and_stays_empty() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        inspect::check(dir.path()),
        Err(OpenError::NoData { .. })
    ));
    assert!(matches!(
        inspect::check(&dir.path().join("none")),
        Err(OpenError::Access { .. })
    ));
    assert!(files(dir.path()).is_empty());
}

#[tokio::test]
async fn damaged_blobs_are_named_all_of_them() {
    let dir = killed(true).await;
    let path = dir.path().join("journal.db");
    let mut bytes = std::fs::read(&path).unwrap();
    for needle in ["needle 3;", "needle 17;"] {
        // All of them: pages keep copies of what was moved away.
        let found = bytes.windows(needle.len()).enumerate();
        let places: Vec<usize> = found
            .filter(|(_, bytes)| *bytes == needle.as_bytes())
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| bytes[at] ^= 1);
    }
    std::fs::write(&path, bytes).unwrap();
    let report = inspect::check(dir.path()).unwrap();
    let sequences: Vec<u64> = report
        .damage
        .iter()
        .map(|damage| match damage {
            Damage::Journal(RestoreError::Damaged { sequence, .. }) => *sequence,
            other => panic!("{other}"),
        })
        .collect();
    assert_eq!(sequences, [4, 18]);
    assert_eq!(report.restored, None);
    assert!(
        report.damage[0]
            .to_string()
            .starts_with("journal blob 4 is damaged at byte ")
    );
}

#[tokio::test]
async fn a_damaged_page_is_named() {
    let dir = killed(true).await;
    let path = dir.path().join("journal.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // The first cell of a leaf of the table now lies outside of it.
    let leaf = (1024..bytes.len())
        .step_by(1024)
        .find(|&page| bytes[page] == 13 && bytes[page + 4] > 0)
        .unwrap();
    bytes[leaf + 8] = 0xff;
    let number = leaf as u64 / 1024 + 1;
    std::fs::write(&path, bytes).unwrap();
    let report = inspect::check(dir.path()).unwrap();
    let pages: Vec<_> = report
        .damage
        .iter()
        .filter(|damage| matches!(damage, Damage::Structure { page: Some(page), .. } if *page == number))
        .collect();
    assert!(!pages.is_empty(), "{:?}", report.damage);
}

#[tokio::test]
async fn a_dump_has_everything_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let engine = start(dir.path());
    let settings = Settings {
        default_ttl_ms: Some(1_500),
        max_messages: Some(9),
        ..Settings::default()
    };
    engine
        .execute(Command::PutSettings {
            queue: queue("b", "empty"),
            settings,
        })
        .await
        .unwrap();
    for n in 0..250 {
        engine
            .execute(put(queue("a", "many"), &format!("{n}"), b"x"))
            .await
            .unwrap();
    }
    let message = NewMessage {
        id: Some("hidden".into()),
        body: b"\xff\"".as_slice().into(),
        content_type: Some("image/x".into()),
        ttl_ms: Some(0),
        hide_ms: Some(3_600_000),
    };
    engine
        .execute(Command::Put {
            queue: queue("a", "b\"q"),
            message,
        })
        .await
        .unwrap();
    engine.stop().await;

    let mut out = Vec::new();
    let report = inspect::dump(dir.path(), &mut out).unwrap();
    assert_eq!((report.queues, report.messages), (3, 251));
    let lines: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 254);
    assert_eq!(
        lines[0],
        json!({"account": "a", "queue": "b\"q", "settings": {"order": "fifo"}})
    );
    let hide = lines[1]["hide"].as_f64().unwrap();
    assert!(hide > 0.0 && hide <= 3_600.0);
    assert_eq!(
        lines[1],
        json!({"account": "a", "queue": "b\"q", "id": "hidden", "ttl": 0, "hide": lines[1]["hide"], "attempts": 0,
               "content_type": "image/x", "body": "/yI=", "encoding": "base64"})
    );
    for n in 0..250 {
        assert_eq!(
            lines[3 + n],
            json!({"account": "a", "queue": "many", "id": n.to_string(), "ttl": 0, "hide": 0, "attempts": 0, "body": "x"})
        );
    }
    assert_eq!(
        lines[253],
        json!({"account": "b", "queue": "empty", "settings": {"default_ttl": 1.5, "max_messages": 9, "order": "fifo"}})
    );
}
