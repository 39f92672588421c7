//! The program as a user meets it: help, exit codes, the first line, signals.

mod support;

use std::fs;
use std::process::Output;

use burrow_tests::process::plain;
use nix::sys::signal::Signal;
use support::{Client, launch, server};

const BINARY: &str = env!("CARGO_BIN_EXE_burrow");

fn burrow(arguments: &[&str]) -> Output {
    plain(BINARY).args(arguments).output().expect("burrow runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are UTF-8")
}

#[test]
fn help_teaches_and_goes_to_standard_output() {
    for arguments in [
        ["--help"].as_slice(),
        &["help"],
        &["help", "serve"],
        &["serve", "--help"],
        &["help", "check"],
    ] {
        let output = burrow(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        for part in ["Usage: burrow", "Examples:", "Exit codes:"] {
            assert!(stdout(&output).contains(part), "{arguments:?}: no {part:?}");
        }
    }
    let serve = stdout(&burrow(&["help", "serve"]));
    for part in [
        "--listen",
        "127.0.0.1:8080",
        "--max-body-bytes",
        "1MiB",
        "BURROW_MAX_WAIT",
        "--config",
    ] {
        assert!(serve.contains(part), "no {part:?}");
    }
    assert!(
        serve.lines().all(|line| line.len() <= 100),
        "lines are too long for a terminal"
    );
    assert_eq!(
        stdout(&burrow(&["--version"])).trim(),
        concat!("burrow ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_usage_exits_with_2_and_says_what_is_wrong() {
    let cases: [(&[&str], &str); 7] = [
        (&[], "Usage"),
        (&["sevre"], "serve"),
        (&["serve", "--max-wiat", "1"], "--max-wait"),
        (&["serve", "--max-wait"], "--max-wait"),
        (&["serve", "--max-wait", "x"], "seconds from 0"),
        (
            &["serve", "--config", "/nowhere/burrow.toml"],
            "/nowhere/burrow.toml",
        ),
        (&["check", "one", "two"], "two"),
    ];
    for (arguments, part) in cases {
        let output = burrow(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            stderr(&output).contains(part),
            "{arguments:?}: no {part:?} in {}",
            stderr(&output)
        );
        assert_eq!(stdout(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_bad_variable_or_file_stops_the_start_with_2() {
    let output = launch()
        .variable("BURROW_MAX_WAIT", "x")
        .command()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("BURROW_MAX_WAIT"),
        "{}",
        stderr(&output)
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("burrow.toml");
    fs::write(&path, "max_wiat = 1").unwrap();
    let output = launch()
        .argument("--config")
        .argument(&path)
        .command()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("max_wiat"), "{}", stderr(&output));
}

#[test]
fn settings_of_all_sources_reach_the_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("burrow.toml");
    fs::write(&path, "memory = true\nmax_body_bytes = 10\nmax_wait = 5\n").unwrap();
    let server = launch()
        .variable("BURROW_CONFIG", &path)
        .variable("BURROW_MAX_WAIT", "7")
        .argument("--default-ttl=33")
        .start()
        .unwrap();
    let mut client = Client::connect(server.address());
    assert_eq!(
        client.request("PUT", "/v1.0/a/q/m", "0123456789").status,
        201
    );
    assert_eq!(
        client.request("PUT", "/v1.0/a/q/n", "0123456789x").status,
        413,
        "max_body_bytes, by the file"
    );
    let message = client.request("GET", "/v1.0/a/q/m", "").body;
    assert!(
        message.contains(r#""ttl":33"#),
        "default_ttl, by the flag: {message}"
    );
    let refused = client.request("GET", "/v1.0/a/q?wait=8", "");
    assert_eq!(
        refused.status, 400,
        "max_wait, by the variable: {refused:?}"
    );
}

#[test]
fn the_first_line_tells_where_and_what() {
    let folder = tempfile::tempdir().unwrap();
    let launch = launch().folder(folder.path());
    let server = launch.start().unwrap();
    let (line, address) = (server.first_line().to_owned(), server.address());
    let place = folder.path().canonicalize().unwrap().join("burrow-data");
    let expected = format!(
        "burrow listening on http://{address}, data in {}, 0 messages in 0 queues restored in ",
        place.display()
    );
    assert!(
        line.starts_with(&expected) && line.ends_with(" s"),
        "{line}"
    );
    assert_ne!(address.port(), 0);
    let mut client = Client::connect(address);
    for target in ["/v1.0/a/q/1", "/v1.0/a/q/2", "/v1.0/a/r/1"] {
        assert_eq!(client.request("PUT", target, "x").status, 201);
    }
    assert!(server.terminate().status.success());
    let server = launch.start().unwrap();
    assert!(
        server
            .first_line()
            .contains(", 3 messages in 2 queues restored in "),
        "{}",
        server.first_line()
    );
}

#[test]
fn what_keeps_a_server_from_starting_is_told_with_1() {
    let folder = tempfile::tempdir().unwrap();
    let first = launch().data(folder.path()).start().unwrap();
    let second = launch().data(folder.path()).start().unwrap_err();
    assert_eq!(
        second.status.and_then(|status| status.code()),
        Some(1),
        "the data is in use"
    );
    assert!(second.logs.contains("in use"), "{}", second.logs);
    let taken = format!("--listen={}", first.address());
    let output = burrow(&["serve", "--memory", &taken]);
    assert_eq!(output.status.code(), Some(1), "the port is in use");
    assert!(
        stderr(&output).contains(&first.address().to_string()),
        "{}",
        stderr(&output)
    );
}

#[test]
fn check_and_dump_show_what_a_stopped_server_has() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch().data(folder.path()).start().unwrap();
    let mut client = Client::connect(server.address());
    for target in ["/v1.0/a/q/1", "/v1.0/a/q/2"] {
        assert_eq!(client.request("PUT", target, "x").status, 201);
    }
    let path = folder.path().to_str().unwrap();
    assert_eq!(
        burrow(&["check", path]).status.code(),
        Some(1),
        "a server runs on it"
    );
    assert_eq!(
        burrow(&["dump", path]).status.code(),
        Some(1),
        "a server runs on it"
    );
    assert!(server.terminate().status.success());
    let check = burrow(&["check", path]);
    assert_eq!(
        check.status.code(),
        Some(0),
        "{}{}",
        stdout(&check),
        stderr(&check)
    );
    assert!(
        stdout(&check).contains("2 messages in 1 queues"),
        "{}",
        stdout(&check)
    );
    let dump = burrow(&["dump", path]);
    assert_eq!(dump.status.code(), Some(0));
    assert_eq!(
        stdout(&dump)
            .lines()
            .filter(|line| line.contains(r#""id":"#))
            .count(),
        2,
        "{}",
        stdout(&dump)
    );
    assert_eq!(burrow(&["check", "/nowhere"]).status.code(), Some(1));
    // Without a folder it is the one that a server has without one.
    let elsewhere = tempfile::tempdir().unwrap();
    for verb in ["check", "dump"] {
        let mut command = plain(BINARY);
        let output = command.arg(verb).current_dir(elsewhere.path()).output();
        let output = output.unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("burrow-data"),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn damaged_data_is_told_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch().data(folder.path()).start().unwrap();
    let mut client = Client::connect(server.address());
    assert_eq!(
        client
            .request("PUT", "/v1.0/a/q/m", "x".repeat(20_000))
            .status,
        201
    );
    assert!(server.terminate().status.success());
    let file = folder.path().join("journal.db");
    let mut bytes = fs::read(&file).unwrap();
    // In every page, as SQLite leaves in some what it has moved to another.
    for page in bytes.chunks_mut(1024) {
        let body = |window: &[u8]| window.iter().all(|&byte| byte == b'x');
        if let Some(place) = page.windows(100).position(body) {
            page[place] = b'y';
        }
    }
    fs::write(&file, bytes).unwrap();
    let path = folder.path().to_str().unwrap();
    let check = burrow(&["check", path]);
    assert_eq!(check.status.code(), Some(3));
    assert!(stdout(&check).contains("damaged"), "{}", stdout(&check));
    assert_eq!(burrow(&["dump", path]).status.code(), Some(3));
    assert_eq!(
        launch()
            .data(folder.path())
            .start()
            .unwrap_err()
            .status
            .unwrap()
            .code(),
        Some(3)
    );
}

#[test]
fn logs_are_text_or_json_and_say_nothing_of_single_requests() {
    for (format, level) in [("text", "info"), ("json", "info"), ("json", "trace")] {
        let server = server(&["--log-format", format, "--log-level", level]);
        let mut client = Client::connect(server.address());
        assert_eq!(
            client.request("PUT", "/v1.0/a/some-queue/m", "x").status,
            201
        );
        assert_eq!(
            client.request("GET", "/v1.0/a/missing-queue", "").status,
            404
        );
        let logs = server.terminate().logs;
        assert!(logs.contains("stopped"), "{logs}");
        assert_eq!(logs.contains("some-queue"), level == "trace", "{logs}");
        let is_json = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value.is_object())
        };
        assert!(
            logs.lines().all(|line| is_json(line) == (format == "json")),
            "{logs}"
        );
    }
}

#[test]
fn sigterm_and_sigint_end_it_with_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let server = server(&[]);
        server.signal(signal);
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(0), "{signal}: {}", ended.logs);
    }
}
