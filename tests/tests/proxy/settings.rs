//! What a proxy is told, and what it makes of nonsense.

use burrow_tests::process::{Launch, NotStarted, program};

use super::support::{Client, header};

fn refused(servers: &[&str], arguments: &[&str]) -> String {
    let servers: Vec<String> = servers.iter().map(|server| (*server).to_owned()).collect();
    let launch =
        arguments.iter().fold(
            Launch::proxy(program(), &servers),
            |launch, argument| match argument.split_once('=') {
                Some((name, value)) if name.starts_with("BURROW_") => launch.variable(name, value),
                _ => launch.argument(argument),
            },
        );
    let NotStarted { status, logs } = launch.start().expect_err("it is refused");
    assert_eq!(status.and_then(|status| status.code()), Some(2), "{logs}");
    logs
}

#[test]
fn a_wrong_setting_stops_the_start_and_is_named() {
    let one = ["127.0.0.1:1"];
    for (servers, arguments, told) in [
        (&[][..], &[][..], "no server is given"),
        (&["nowhere"], &[], "--server"),
        (&["127.0.0.1:1@0"], &[], "a weight from 1 to 100"),
        (&one, &["--server=s0=127.0.0.1:2"], "each name once"),
        (&one, &["--spread=shop"], "--spread"),
        (&one, &["BURROW_SPREAD=shop"], "BURROW_SPREAD"),
        (&one, &["BURROW_DATA=folder"], "BURROW_DATA"),
        (&one, &["BURROW_SPRED=a/b"], "similar is spread"),
        (&one, &["--check-timeout=0"], "--check-timeout"),
        (&one, &["--max-unsent-bytes=1"], "--max-unsent-bytes"),
    ] {
        let logs = refused(servers, arguments);
        assert!(logs.contains(told), "no {told:?} in {logs:?}");
    }
}

#[test]
fn a_proxy_whose_servers_are_all_down_runs_and_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("burrow.toml");
    std::fs::write(&file, "server = \"127.0.0.1:1,b=127.0.0.1:2@2\"\n").expect("it is written");
    let launch = Launch::proxy(program(), &[])
        .argument("--config")
        .argument(&file);
    let proxy = launch.start().expect("it starts");
    assert!(
        proxy.first_line().ends_with("0 of 2 servers reached"),
        "{}",
        proxy.first_line()
    );
    let mut client = Client::of(proxy.address());
    for target in ["/healthz", "/v1.0", "/v1.0/a", "/v1.0/a/q"] {
        let answer = client.get(target);
        assert_eq!(answer.status, 503, "{target}");
        assert_eq!(header(&answer, "Retry-After"), Some("1"), "{target}");
    }
    let clock = client.get("/clock");
    assert_eq!(clock.status, 404);
    let text = String::from_utf8_lossy(&clock.body);
    assert!(
        text.contains("a proxy has no clock; each server's"),
        "{text}"
    );
    assert!(proxy.terminate().status.success());
}
