//! The verbs that use a queue, as a user types them: on a server and on a data folder.

#[path = "../support/mod.rs"]
mod support;
mod work;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use burrow_tests::process::{Server, plain};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::{PATIENCE, launch, server};

/// Where the queues are, as two arguments.
type Place<'a> = [&'a str; 2];

fn burrow(place: Place<'_>, arguments: &[&str]) -> Command {
    let (verb, rest) = arguments.split_first().expect("a verb");
    let mut command = plain(env!("CARGO_BIN_EXE_burrow"));
    command.arg(verb).args(place).args(rest);
    command
}

fn run(place: Place<'_>, arguments: &[&str], input: &[u8]) -> Output {
    let mut command = burrow(place, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it runs");
    let mut stdin = child.stdin.take().expect("it has an input");
    // What is told what to do otherwise reads nothing.
    let _ = stdin.write_all(input);
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

/// Asserts the exit code and gives the output.
fn told(place: Place<'_>, arguments: &[&str], input: &str, code: i32) -> String {
    let output = run(place, arguments, input.as_bytes());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
    assert_eq!(code == 0, errors.is_empty(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("output is text")
}

fn every_verb(place: Place<'_>) {
    let told = |arguments: &[&str], code| told(place, arguments, "from stdin", code);
    assert_eq!(told(&["ls"], 4), "");
    assert_eq!(told(&["put", "a%2Fb/q", "--id=1", "one"], 0), "1\n");
    assert_eq!(told(&["put", "a%2Fb/q", "--id=2", "--ttl=0"], 0), "2\n");
    let ids = told(&["put", "a%2Fb/q", "@@x", "y", "--json"], 0);
    assert!(
        ids.lines().all(|line| line.starts_with("{\"id\":")),
        "{ids}"
    );
    assert_eq!(ids.lines().count(), 2);
    assert_eq!(told(&["ls"], 0), "a/b\n");
    assert_eq!(told(&["ls", "a%2Fb", "--json"], 0), "{\"id\":\"q\"}\n");
    assert!(told(&["ls", "a%2Fb/q"], 0).contains("2\tttl 0\thide 0\n"));
    assert_eq!(
        told(&["peek", "a%2Fb/q", "--limit=9"], 0),
        "one\nfrom stdin\n@x\ny\n"
    );
    assert_eq!(told(&["peek", "a%2Fb/q", "--marker=1"], 0), "from stdin\n");
    assert_eq!(
        told(&["peek", "a%2Fb/q", "--id=2", "--json"], 0),
        "{\"body\":\"from stdin\",\"hide\":0,\"id\":\"2\",\"ttl\":0}\n"
    );
    assert_eq!(
        told(&["watch", "a%2Fb/q", "--limit=2"], 0),
        "one\nfrom stdin\n"
    );
    assert_eq!(told(&["watch", "a%2Fb/none", "--wait=0.1"], 4), "");

    let claimed = told(&["claim", "a%2Fb/q", "--hide=90"], 0);
    let [id, claim, attempts, body] = claimed.trim().split('\t').collect::<Vec<_>>()[..] else {
        panic!("{claimed}");
    };
    assert_eq!((id, attempts, body), ("1", "1", "one"));
    let stats = told(&["stats", "a%2Fb/q"], 0);
    assert_eq!(stats, "a/b/q\t4 messages\t3 visible\t1 hidden\t54 bytes\n");
    told(&["extend", "a%2Fb/q", id, claim, "--hide=100"], 0);
    told(&["release", "a%2Fb/q", id, claim], 0);
    let again = told(&["claim", "a%2Fb/q", "--json"], 0);
    let again: serde_json::Value = serde_json::from_str(&again).expect("a line of JSON");
    assert_eq!((&again["id"], &again["attempts"]), (&"1".into(), &2.into()));
    told(&["ack", "a%2Fb/q", id, claim], 5);
    told(&["ack", "a%2Fb/q", id, "junk"], 5);
    told(&["ack", "a%2Fb/q", id, again["claim"].as_str().unwrap()], 0);
    told(&["ack", "a%2Fb/q", id], 4);

    told(
        &["settings", "a%2Fb/q", "max_attempts=3", "dead_letter=dead"],
        0,
    );
    told(&["settings", "a%2Fb/q", "order=lifo", "default_ttl=0.5"], 0);
    let settings = told(&["settings", "a%2Fb/q"], 0);
    assert_eq!(
        settings,
        "dead_letter=dead\ndefault_ttl=0.5\nmax_attempts=3\norder=lifo\n"
    );
    told(&["settings", "a%2Fb/q", "oder=lifo"], 2);
    told(&["settings", "a%2Fb/q", "--clear"], 0);
    assert_eq!(
        told(&["pop", "a%2Fb/q", "--limit=2"], 0),
        "from stdin\n@x\n"
    );
    told(&["purge", "a%2Fb/q"], 0);
    told(&["pop", "a%2Fb/q", "--wait=0.1"], 4);
    told(&["purge", "a%2Fb/q"], 4);
    // A queue with settings is there without messages.
    told(&["settings", "a%2Fb/empty", "order=lifo"], 0);
    assert_eq!(
        told(&["stats"], 0),
        "a/b/empty\t0 messages\t0 visible\t0 hidden\t0 bytes\n"
    );
    told(&["stats", "a%2Fb/none"], 4);
    told(&["settings", "a%2Fb/empty", "--clear"], 0);
    for usage in [
        &["put", "a"][..],
        &["put", "a/q", "--id=1", "x", "y"],
        &["claim", "a/q", "--hide=0"],
        &["pop", "a/q", "--limit=0"],
        &["work", "a/q"],
        &["ls", "a/q/m"],
    ] {
        told(usage, 2);
    }
    told(&["put", "a/q", "@/nowhere/file"], 1);
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address())
}

#[test]
fn every_verb_works_on_a_server_and_on_a_data_folder() {
    let server = server(&[]);
    every_verb(["--url", &url(&server)]);
    let folder = tempfile::tempdir().unwrap();
    let data = ["--data", folder.path().to_str().unwrap()];
    told(data, &["put", "a/q", "first", "--create"], "", 0);
    told(data, &["pop", "a/q"], "", 0);
    every_verb(data);
    let socket = folder.path().join("socket");
    let listen = format!("--listen-wire=127.0.0.1:0,unix:{}", socket.display());
    let wired = |serve: &dyn Fn(&Server) -> String| {
        let server = support::server(&[&listen]);
        every_verb(["--url", &serve(&server)]);
    };
    wired(&|server| format!("burrow://{}", server.wire_address().expect("it listens")));
    wired(&|_| format!("burrow+unix://{}", socket.display()));
    for words in [
        &["ls", "--deadline=2"][..],
        &["work", "a/q", "--wait=0", "--deadline=2", "--", "cat"],
    ] {
        let nobody = run(["--url", "http://127.0.0.1:1"], words, b"");
        assert_eq!(nobody.status.code(), Some(1));
        let errors = String::from_utf8_lossy(&nobody.stderr);
        let lines: Vec<&str> = errors.lines().collect();
        // At once why it waits and for how long, in the end why it waits no more.
        assert_eq!(lines.len(), 2, "{errors}");
        assert!(lines[0].ends_with("; trying again for 2s"), "{errors}");
    }
    told(["--url", "ftp://x"], &["ls"], "", 2);
    told(["--url", "http://x/v1.0"], &["peek", "a/q"], "", 2);
    let wrong_port = format!("burrow://{}", server.address());
    told(["--url", &wrong_port], &["ls", "a"], "", 2);
    let no_certificate = concat!("--ca=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    told(["--url", "https://x"], &["ls", no_certificate], "", 2);
    told(["--url", "https://x"], &["ls", "--ca=/nowhere"], "", 1);
}

#[test]
fn a_hundred_thousand_lines_go_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = launch().data(folder.path().join("data")).start().unwrap();
    let url = url(&server);
    let lines: String = (0..100_000).map(|number| format!("{number}\n")).collect();
    let put = told(["--url", &url], &["put", "a/q", "--lines"], &lines, 0);
    assert_eq!(put, "100000 messages\n");
    let out = folder.path().join("out");
    let script = format!("cat >> {}", out.display());
    let work = [
        "work",
        "a/q",
        "--batch=1000",
        "--wait=0",
        "--",
        "sh",
        "-c",
        &script,
    ];
    told(["--url", &url], &work, "", 0);
    assert!(
        std::fs::read_to_string(out).unwrap() == lines,
        "in order and whole"
    );
    told(["--url", &url], &["peek", "a/q", "--hidden"], "", 4);
}

#[test]
fn the_content_type_is_given_back_where_there_is_no_http() {
    let folder = tempfile::tempdir().unwrap();
    let place = ["--data", folder.path().to_str().unwrap()];
    told(
        place,
        &[
            "put",
            "a/q",
            "--create",
            "--content-type=a/b",
            "--id=1",
            "x",
        ],
        "",
        0,
    );
    told(place, &["put", "a/q", "--id=2", "x"], "", 0);
    let claimed = told(place, &["claim", "a/q", "--limit=2", "--json"], "", 0);
    let types: Vec<serde_json::Value> = claimed
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["content_type"].clone()
        })
        .collect();
    assert_eq!(types, ["a/b".into(), serde_json::Value::Null]);
}

#[test]
fn lists_end_when_a_queue_is_on_two_servers() {
    let servers = [server(&[]), server(&[])];
    let urls = servers.each_ref().map(url);
    for (url, ids) in urls.iter().zip([["1", "2"], ["3", "4"]]) {
        for id in ids {
            told(["--url", url], &["put", "a/q", "--id", id, id], "", 0);
        }
    }
    let both = ["--url", &urls[0]];
    let and = ["--url", &urls[1], "--failover=2"];
    let lines = |verb: &[&str], code| {
        let output = run(both, &[verb, &and].concat(), b"");
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let mut lines: Vec<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| line.chars().take(1).collect())
            .collect();
        lines.sort();
        lines
    };
    let all = ["1", "2", "3", "4"];
    assert_eq!(lines(&["watch", "a/q", "--limit=9", "--wait=0.7"], 4), all);
    assert_eq!(lines(&["watch", "a/q", "--limit=4"], 0), all);
    assert_eq!(lines(&["ls", "a/q"], 0), all);
    let _killed = servers.map(Server::kill);
}

/// Two ends of a terminal: what is written to the second is read from the first.
fn terminal() -> (File, File) {
    let (mut own, mut other) = (-1, -1);
    let none = std::ptr::null_mut();
    // SAFETY: both places are there to be written to, and null asks for the usual settings.
    let opened =
        unsafe { nix::libc::openpty(&raw mut own, &raw mut other, none, none.cast(), none.cast()) };
    assert_eq!(opened, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: it has just opened them, and nobody else has them.
    unsafe { (File::from_raw_fd(own), File::from_raw_fd(other)) }
}

#[test]
fn who_looks_sees_how_far_the_lines_are() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let lines = folder.path().join("lines");
    let text: String = (0..5_000).map(|number| format!("{number}\n")).collect();
    std::fs::write(&lines, text).unwrap();
    let (mut own, other) = terminal();
    let file = format!("@{}", lines.display());
    let place = ["--data", data.to_str().unwrap()];
    let mut command = burrow(place, &["put", "a/q", "--create", "--lines", &file]);
    command.env("TERM", "xterm").stdout(Stdio::null());
    let mut put = command.stderr(other).spawn().unwrap();
    // The end that this process had of it.
    drop(command);
    let mut shown = Vec::new();
    // A terminal that nobody writes to any more is an error to read from.
    let _ = own.read_to_end(&mut shown);
    assert!(put.wait().unwrap().success());
    let shown = String::from_utf8_lossy(&shown);
    // It is drawn now and then, and cleared in the end.
    assert!(
        shown.contains("0%  ") && shown.contains(" of 23.33 KiB"),
        "{shown}"
    );
}

fn start(place: Place<'_>, arguments: &[&str]) -> Child {
    let mut command = burrow(place, arguments);
    command.stdin(Stdio::null()).spawn().expect("it runs")
}

#[track_caller]
fn wait_for(file: &Path) {
    until(|| file.exists());
}

#[track_caller]
fn until(mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), signal).expect("it is there");
}

#[test]
fn only_who_says_so_makes_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mistyped = folder.path().join("mistyped");
    for verb in [
        &["ls"][..],
        &["stats"],
        &["peek", "a/q"],
        &["pop", "a/q"],
        &["settings", "a/q"],
        &["work", "a/q", "--wait=0", "--", "true"],
        &["put", "a/q", "x"],
        &["settings", "a/q", "order=lifo"],
    ] {
        told(["--data", mistyped.to_str().unwrap()], verb, "", 1);
        told(["--data", folder.path().to_str().unwrap()], verb, "", 1);
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 0);
    let place = ["--data", mistyped.to_str().unwrap()];
    let refused = run(place, &["put", "a/q", "x"], b"");
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert!(errors.contains("--create"), "{errors}");
    let settings = ["settings", "a/q", "order=lifo", "--create"];
    told(place, &settings, "", 0);
    assert_eq!(told(place, &["ls"], "", 0), "a\n");
}

#[test]
fn a_restart_of_the_server_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = launch().data(&data).start().unwrap();
    let (url, address) = (url(&server), server.address().to_string());
    let place = ["--url", url.as_str()];
    server.kill();
    let mut put = start(place, &["put", "a/q", "--id=1", "x"]);
    std::thread::sleep(Duration::from_millis(300));
    let restarted = Restarted::at(&address, &data);
    let status = put.wait().unwrap();
    let popped = run(place, &["pop", "a/q"], b"");
    drop(restarted);
    assert!(status.success());
    assert_eq!(popped.stdout, b"x\n");
}

/// Who waits longer than it tries waits no longer for that: there is nothing, and that is known.
#[test]
fn a_wait_that_outlives_a_restart_ends_when_it_would_have() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = launch().data(&data).start().unwrap();
    let (url, address) = (url(&server), server.address().to_string());
    let place = ["--url", url.as_str()];
    let mut claim = start(place, &["claim", "a/q", "--wait=4", "--deadline=2"]);
    std::thread::sleep(Duration::from_millis(2_500));
    server.terminate();
    let _restarted = Restarted::at(&address, &data);
    assert_eq!(claim.wait().unwrap().code(), Some(4));
}

/// A server at the same address with the same data, for as long as this is kept.
struct Restarted(Child);

impl Restarted {
    fn at(address: &str, data: &Path) -> Self {
        let mut serve = plain(env!("CARGO_BIN_EXE_burrow"));
        serve.args(["serve", "--listen", address, "--data"]);
        Self(serve.arg(data).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Restarted {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn completions_and_manual_pages_are_made() {
    let burrow = |arguments: &[&str]| {
        let output = plain(env!("CARGO_BIN_EXE_burrow")).args(arguments).output();
        let output = output.unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    for shell in ["bash", "zsh", "fish"] {
        let (code, script) = burrow(&["completions", shell]);
        assert!(code == Some(0) && script.contains("burrow"), "{shell}");
    }
    let (code, page) = burrow(&["man"]);
    assert!(
        code == Some(0) && page.contains(".TH burrow 1"),
        "{page:.200}"
    );
    let (code, page) = burrow(&["man", "work"]);
    assert!(
        code == Some(0) && page.contains("BURROW_ATTEMPTS"),
        "{page:.200}"
    );
    assert!(
        page.contains(r"<\fIACCOUNT/QUEUE\fR> \-\- <\fICOMMAND\fR>..."),
        "{page:.600}"
    );
    assert_eq!(burrow(&["man", "nothing"]).0, Some(2));
}
