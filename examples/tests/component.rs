//! Every example around the component runs, and prints what it should.

use std::path::{Path, PathBuf};
use std::process::Command;

fn component() -> PathBuf {
    variable("BURROW_COMPONENT")
}

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is set by `cargo xtask component`"))
        .into()
}

/// What a program prints that succeeds.
fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().expect("the example starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn plugin_host() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = || {
        lines(
            Command::new(env!("CARGO_BIN_EXE_plugin_host"))
                .arg(component())
                .arg(folder.path()),
        )
    };
    let first = run();
    assert_eq!(
        first[..3],
        ["ada: 0 messages", "bob: 0 messages", "mallory: 0 messages"]
    );
    let ends = [
        "ada: GET /v1.0/shop/jobs/1?detail=body 200 pack the parcel",
        "bob: GET /v1.0/shop/jobs/1?detail=body 200 print the label",
        "mallory: GET /v1.0/shop/jobs/1?detail=body 200 be good",
        "ada: 1 instances",
        "bob: 1 instances",
        "mallory: 2 instances",
    ];
    assert_eq!(first[first.len() - 6..], ends);
    let ended = "mallory: not done: it wanted more than 8388608 bytes of memory";
    assert!(first.iter().any(|line| line == ended), "{first:?}");
    let kept = first
        .iter()
        .filter(|line| line.contains("PUT") && line.contains(" 201 "));
    let kept_by_mallory = kept.filter(|line| line.starts_with("mallory")).count();

    let second = run();
    assert_eq!(second[0], "ada: 1 messages");
    assert_eq!(second[2], format!("mallory: {kept_by_mallory} messages"));
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn python() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = || {
        lines(Command::new(variable("BURROW_PYTHON")).args([
            Path::new("component/host.py"),
            &component(),
            folder.path(),
        ]))
    };
    assert_eq!(
        run(),
        [
            "restored 0 messages",
            "put 1",
            "put 2",
            "claimed 1: parcel 1",
            "queues: jobs",
            "acknowledged",
            r#"200 ["2"]"#
        ]
    );
    assert_eq!(
        run(),
        [
            "restored 1 messages",
            "claimed 2: parcel 2",
            "queues: jobs",
            "acknowledged",
            "404 Account not found"
        ]
    );
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn javascript() {
    // Where its packages are is where it looks for them.
    let modules = variable("BURROW_NODE_MODULES");
    let program = modules.with_file_name("host.mjs");
    std::fs::copy("component/host.mjs", &program).expect("the example can be copied");
    assert_eq!(
        lines(Command::new("node").arg(program).arg(component())),
        [
            "restored 0 messages",
            "claimed 1: pack the parcel",
            "completed: 0",
            "completed: 1",
            "claimed 1, attempt 2",
            "queues: jobs",
            "claim-lost",
            "restored 1 messages",
            "404 Account not found"
        ]
    );
}
