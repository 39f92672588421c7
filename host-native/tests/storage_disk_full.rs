//! A disk that fills up and is given room again.
//!
//! A binary of its own: while it starts `mount`, the new process holds the locks of all
//! folders that are open, which other tests would take for a second server.

#[path = "storage/support.rs"]
#[expect(
    dead_code,
    reason = "shared with the storage tests, which use more of it"
)]
mod support;

use std::path::Path;
use std::process::Command as Process;

use burrow::engine::{Engine, Failure, Health};
use burrow_core::{Command, Detail, Reply};

use support::{ids, put, queue, start};

/// A small file system of its own, unmounted in the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this process may not mount.
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Process::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Process::new("umount").arg("-l").arg(self.path()).status();
    }
}

async fn serving_again(engine: &Engine) {
    engine
        .watch_health()
        .wait_for(|health| *health == Health::Serving)
        .await
        .unwrap();
}

#[tokio::test]
async fn service_resumes_when_a_full_disk_has_room_again() {
    let Some(disk) = SmallDisk::mount("6m") else {
        eprintln!(
            "SKIPPED service_resumes_when_a_full_disk_has_room_again: no right to mount a tmpfs"
        );
        return;
    };
    let engine = start(&disk.path().join("data"));
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 3 << 20]).unwrap();
    let body = vec![b'x'; 100_000];
    let mut stored = Vec::new();
    let mut refused = None;
    for n in 0..200 {
        let id = format!("m{n}");
        match engine.execute(put(&id, &body)).await {
            Ok(reply) => {
                assert_eq!(reply, Reply::Put { created: true });
                stored.push(id);
            }
            Err(failure) => {
                assert_eq!(failure, Failure::NotStored);
                refused = Some(id);
                break;
            }
        }
    }
    let refused = refused.expect("200 bodies of 100 kB do not fit into 6 MB");
    assert!(!stored.is_empty());
    let Health::NotStoring { reason } = engine.health() else {
        panic!("{:?}", engine.health())
    };
    assert!(reason.contains("full"), "{reason}");
    while engine.stats().node.messages == 0 {
        // The node is being restored.
        tokio::task::yield_now().await;
    }
    assert_eq!(
        ids(&engine).await,
        stored,
        "reads go on, and what was refused is not there"
    );
    assert_eq!(
        engine.execute(put("other", b"x")).await,
        Err(Failure::NotStored)
    );
    let delete = Command::DeleteMessage {
        queue: queue(),
        id: "m0".into(),
        claim: None,
        detail: Detail::None,
    };
    assert_eq!(engine.execute(delete).await, Err(Failure::NotStored));

    std::fs::remove_file(&ballast).unwrap();
    serving_again(&engine).await;
    assert_eq!(
        engine.execute(put(&refused, &body)).await,
        Ok(Reply::Put { created: true })
    );
    stored.push(refused);
    assert_eq!(ids(&engine).await, stored);
    engine.stop().await;
    let engine = start(&disk.path().join("data"));
    assert_eq!(ids(&engine).await, stored);
    engine.stop().await;
}

#[tokio::test]
async fn a_crash_with_a_full_disk_keeps_what_was_acknowledged() {
    let Some(disk) = SmallDisk::mount("2m") else {
        eprintln!(
            "SKIPPED a_crash_with_a_full_disk_keeps_what_was_acknowledged: no right to mount a tmpfs"
        );
        return;
    };
    let engine = start(disk.path());
    let mut stored = Vec::new();
    for n in 0.. {
        let id = format!("m{n}");
        match engine.execute(put(&id, &[b'x'; 30_000])).await {
            Ok(_) => stored.push(id),
            Err(_) => break,
        }
    }
    let image = support::folder();
    support::copy_files(disk.path(), image.path());
    assert_eq!(ids(&start(image.path())).await, stored);
    engine.stop().await;
}
