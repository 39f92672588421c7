//! `burrow export` and `burrow import`, as a user types them; and the clock that tells that
//! both ends hold the same.

mod support;

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use burrow_tests::process::{Server, plain};
use support::{Client, launch, request};

fn manual(folder: &Path) -> Server {
    let launch = launch().data(folder).argument("--clock=manual");
    launch.start().expect("the server starts")
}

fn burrow(arguments: &[&str]) -> Command {
    let mut command = plain(env!("CARGO_BIN_EXE_burrow"));
    command.args(arguments);
    command
}

fn export(from: &str, queue: &str, to: &Path) -> Output {
    let file = File::create(to).expect("the file can be made");
    let mut command = burrow(&["export", from, queue]);
    let output = command.stdout(file).stderr(Stdio::piped()).output();
    output.expect("the program runs")
}

fn import(to: &str, queue: &str, from: &Path) -> Output {
    let file = File::open(from).expect("the file is there");
    let output = burrow(&["import", to, queue]).stdin(file).output();
    output.expect("the program runs")
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asks for the clock: the instant, the digest and how many wait.
fn clock(server: &Server, advance: &str) -> String {
    let mut client = Client::connect(server.address());
    let answer = client.request("POST", &format!("/clock?advance={advance}"), "");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

fn fill(server: &Server) {
    let mut client = Client::connect(server.address());
    let settings = r#"{"max_attempts":3,"dead_letter":"dead"}"#;
    let mut ask = |method: &str, target: &str, body: &str, status: u16| {
        let answer = client.request(method, &format!("/v1.0/{target}"), body);
        assert_eq!(answer.status, status, "{answer:?}");
    };
    ask("PUT", "a%2Fb/q%20q?settings", settings, 204);
    for number in 0..50 {
        let body = "b".repeat(100_000 + number);
        let target = format!("a%2Fb/q%20q/m{number}?ttl={}", number % 3 * 500);
        ask("PUT", &target, &body, 201);
    }
    ask("POST", "a%2Fb/q%20q?limit=20&hide=60", "", 204);
}

#[test]
fn a_queue_moves_between_folders_and_servers_and_stays_the_same() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let [from, to] = [0, 1].map(|at| folders[at].path().join("data"));
    let [online, offline] = ["online", "offline"].map(|name| folders[0].path().join(name));
    let queue = "a%2Fb/q%20q";

    let server = manual(&from);
    fill(&server);
    let held = clock(&server, "1s");
    let url = format!("http://{}", server.address());
    let output = export(&url, queue, &online);
    assert!(output.status.success(), "{}", errors(&output));
    assert!(server.terminate().status.success());

    let server = manual(&to);
    let url = format!("http://{}", server.address());
    for _ in 0..2 {
        let output = import(&url, queue, &online);
        assert!(output.status.success(), "{}", errors(&output));
    }
    assert_eq!(clock(&server, "1s"), held);
    assert!(server.terminate().status.success());

    // That would make no folder.
    let mut creating = burrow(&["import", "--create", &url, queue]);
    let output = creating.stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(errors(&output).contains("--create"), "{}", errors(&output));

    // Without servers time is the machine's, long after all has expired that can.
    let output = export(from.to_str().unwrap(), queue, &offline);
    assert!(output.status.success(), "{}", errors(&output));
    let output = import(to.to_str().unwrap(), "other/place", &offline);
    assert!(output.status.success(), "{}", errors(&output));
    let dump = burrow(&["dump", to.to_str().unwrap()]).output().unwrap();
    let lines = String::from_utf8(dump.stdout).unwrap();
    let moved = lines
        .lines()
        .filter(|line| line.contains(r#""account":"other""#));
    assert_eq!(moved.count(), 1 + 17, "{lines:.2000}");

    // A folder is made only for who says so.
    let mistyped = folders[1].path().join("mistyped");
    let output = import(mistyped.to_str().unwrap(), queue, &offline);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors(&output).contains("--create"), "{}", errors(&output));
    assert!(!mistyped.exists());
    let mut made = burrow(&["import", "--create", mistyped.to_str().unwrap(), queue]);
    let output = made.stdin(File::open(&offline).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", errors(&output));
}

#[test]
fn the_server_of_the_variable_is_meant_where_none_is_given() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = manual(&folder.path().join("data"));
    fill(&server);
    let url = format!("http://{}", server.address());
    let run = |arguments: &[&str], urls: &str| {
        let mut command = burrow(arguments);
        command.env("BURROW_URL", urls).stdin(Stdio::null());
        command.output().expect("the program runs")
    };
    let exported = run(&["export", "a%2Fb/q%20q"], &url);
    assert!(exported.status.success(), "{}", errors(&exported));
    let file = folder.path().join("file");
    std::fs::write(&file, &exported.stdout).expect("the file can be written");
    let mut import = burrow(&["import", "a%2Fb/copy"]);
    let from = File::open(&file).expect("the file is there");
    let imported = import.env("BURROW_URL", &url).stdin(from).output();
    let imported = imported.expect("the program runs");
    assert!(imported.status.success(), "{}", errors(&imported));
    let mut client = Client::connect(server.address());
    let copied = client.request("GET", "/v1.0/a%2Fb/copy/m1?detail=id", "");
    assert_eq!(copied.status, 200, "{copied:?}");

    let several = run(&["export", "a%2Fb/q%20q"], &format!("{url} {url}"));
    assert_eq!(several.status.code(), Some(2));
    assert!(
        errors(&several).contains("allowed is one server"),
        "{}",
        errors(&several)
    );
}

#[test]
fn what_cannot_be_moved_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let server = manual(&data);
    fill(&server);
    let url = format!("http://{}", server.address());
    let file = folder.path().join("file");

    let output = export(&url, "no/queue", &file);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors(&output).contains("Account not found"),
        "{}",
        errors(&output)
    );

    let output = export(data.to_str().unwrap(), "a%2Fb/q%20q", &file);
    assert_eq!(output.status.code(), Some(1), "a server runs on it");

    for queue in ["q", "a/q/m", "/q", "a/", "%ff/q"] {
        let output = export(&url, queue, &file);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{queue}: {}",
            errors(&output)
        );
    }

    for url in ["ftp://127.0.0.1:1", "http://", &format!("{url}/v1.0")] {
        for output in [export(url, "a/q", &file), import(url, "a/q", &file)] {
            let told = errors(&output);
            assert_eq!(output.status.code(), Some(2), "{url}: {told}");
        }
    }

    export(&url, "a%2Fb/q%20q", &file);
    let whole = std::fs::read(&file).unwrap();
    let before = clock(&server, "0s");
    for damaged in [
        &whole[..0],
        &whole[..3],
        &whole[..5],
        b"\x04\0\0\0junk\0\0\0\0",
    ] {
        std::fs::write(&file, damaged).unwrap();
        let output = import(&url, "a%2Fb/q%20q", &file);
        assert_eq!(output.status.code(), Some(1), "{}", errors(&output));
    }
    assert_eq!(clock(&server, "0s"), before);
    std::fs::write(&file, [&*whole, &*whole].concat()).unwrap();
    let output = import(&url, "a%2Fb/twice", &file);
    assert_eq!(output.status.code(), Some(1));
    let told = errors(&output);
    assert!(told.contains("behind its end"), "{told}");
    std::fs::write(&file, &whole[..whole.len() - 4]).unwrap();
    let output = import(&url, "a%2Fb/q%20q", &file);
    assert_eq!(output.status.code(), Some(1), "the end is missing");
    assert!(
        errors(&output).contains("not all of it"),
        "{}",
        errors(&output)
    );
}

#[test]
fn time_stands_still_until_it_is_moved() {
    let server = support::server(&["--clock=manual"]);
    let mut client = Client::connect(server.address());
    let mut waiting = Client::connect(server.address());
    let answer = client.request("PUT", "/v1.0/a/q/m?hide=30&ttl=90", "x");
    assert_eq!(answer.status, 201);
    let claim = "/v1.0/a/q?wait=60&hide=10&claim=true&detail=attributes";
    waiting.send(request("POST", claim, ""));
    let mut late = Client::connect(server.address());
    late.send(request("GET", "/v1.0/a/none?wait=20", ""));
    while !clock(&server, "0s").ends_with(r#","waiting":2}"#) {}
    assert!(clock(&server, "45s").ends_with(r#","waiting":0}"#));
    assert_eq!(late.answer().status, 404, "its wait ended on the way");
    let claimed = waiting.answer();
    assert_eq!(claimed.status, 200);
    // It was claimed when it became visible, 15 seconds before the present.
    assert!(claimed.body.contains(r#""hide":10"#), "{claimed:?}");
    let message = client.request("GET", "/v1.0/a/q/m", "");
    assert!(message.body.contains(r#""ttl":45,"hide":0"#), "{message:?}");
    for (method, target, status) in [
        ("POST", "/clock?advance=soon", 400),
        ("POST", "/clock", 400),
        ("DELETE", "/clock", 405),
        ("GET", "/clock", 200),
    ] {
        let answer = client.request(method, target, "");
        assert_eq!(answer.status, status, "{method} {target}");
    }

    let ordinary = support::server(&[]);
    let mut client = Client::connect(ordinary.address());
    let answer = client.request("POST", "/clock?advance=1s", "");
    assert_eq!(answer.status, 404, "time is not for everybody");
    assert!(answer.body.contains("--clock manual"), "{answer:?}");
}
