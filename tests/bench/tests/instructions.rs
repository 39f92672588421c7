//! The instructions of the hot paths, as callgrind counts them, against those on record.
//!
//! Counts repeat exactly, other than times, so a path that has become slower shows. They
//! hold for one compiler: with another one the record has no say. After a change that is
//! worth its instructions, or saves some, write the new record:
//! `BURROW_RECORD=1 cargo nextest run -p burrow-bench --test instructions`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path as FilePath;
use std::process::Command;

use burrow_bench::paths::Path;
use clap::ValueEnum;

const MESSAGES: u64 = 1_000;
/// By how much a path may grow unnoticed: one part in so many.
const TOLERANCE: u64 = 20;

#[test]
fn hot_paths_take_no_more_instructions_than_on_record() {
    let valgrind = Command::new("valgrind").arg("--version").output();
    assert!(
        valgrind.is_ok_and(|output| output.status.success()),
        "valgrind is missing: install it, or run the tests by `cargo xtask test`, which does"
    );
    let counted: BTreeMap<String, u64> = Path::value_variants()
        .iter()
        .map(|path| {
            let name = path.to_possible_value().expect("no path is hidden");
            (name.get_name().to_owned(), each(name.get_name()))
        })
        .collect();
    let file = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("instructions.txt");
    let compiler = compiler();
    let told: String = counted
        .iter()
        .map(|(path, count)| format!("{path} {count}\n"))
        .collect();
    println!("{told}");
    if std::env::var_os("BURROW_RECORD").is_some() {
        fs::write(&file, format!("{compiler}\n{told}")).expect("the record can be written");
        return;
    }
    let record = fs::read_to_string(&file).expect("there is a record");
    let (recorded_by, lines) = record.split_once('\n').expect("it begins with a compiler");
    if recorded_by != compiler {
        println!("recorded by {recorded_by}, not by {compiler}: nothing to compare");
        return;
    }
    let record: BTreeMap<&str, u64> = lines
        .lines()
        .map(|line| {
            let (path, count) = line.split_once(' ').expect("a path and a count");
            (path, count.parse().expect("a count"))
        })
        .collect();
    for (path, count) in &counted {
        let known = record
            .get(path.as_str())
            .unwrap_or_else(|| panic!("{path} is not on record"));
        assert!(
            *count <= known + known / TOLERANCE,
            "{path} takes {count} instructions a message, {known} are on record"
        );
    }
    assert_eq!(record.len(), counted.len(), "a path on record is gone");
}

/// Instructions for each message: what twice as many messages take more.
fn each(path: &str) -> u64 {
    let [once, twice] = [MESSAGES, 2 * MESSAGES].map(|messages| run(path, messages));
    (twice - once) / MESSAGES
}

fn run(path: &str, messages: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args([env!("CARGO_BIN_EXE_hot-path"), path, &messages.to_string()])
        .output()
        .expect("valgrind runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let count = told
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = count.unwrap_or_else(|| panic!("no count in {told}"));
    count.trim().parse().expect("a count")
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("-V").output();
    let output = output.expect("there is a compiler").stdout;
    String::from_utf8_lossy(&output).trim().to_owned()
}
