//! Every figure can be had, and its counts are right. What it measures is not looked at.

use std::process::Command;

fn prints_a_table(figure: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_burrow-bench"))
        .args([figure, "--short"])
        .output()
        .expect("the program runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{figure}: {failed}");
    for wanted in ["machine ", "version ", "command ", &format!("\n{figure}: ")] {
        assert!(told.contains(wanted), "{wanted:?} is missing:\n{told}");
    }
}

#[test]
fn restart() {
    prints_a_table("restart");
}

#[test]
fn pause() {
    prints_a_table("pause");
}

#[test]
fn writes() {
    prints_a_table("writes");
}

#[test]
fn memory() {
    prints_a_table("memory");
}

#[test]
fn machine() {
    prints_a_table("machine");
}

#[test]
fn layers() {
    prints_a_table("layers");
}

#[test]
#[ignore = "needs the component that `cargo xtask component` builds"]
fn component() {
    prints_a_table("component");
}

#[test]
fn peers() {
    prints_a_table("peers");
}

#[test]
fn growth() {
    prints_a_table("growth");
}

#[test]
fn profile() {
    prints_a_table("profile");
}

#[test]
fn proxy() {
    prints_a_table("proxy");
}
