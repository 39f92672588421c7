//! `burrow work`, and who else goes on for long.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, Output, Stdio};

use burrow_tests::crash::http::{Connection, Request};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::support::{launch, server};
use super::{Restarted, burrow, run, signal, start, told, until, url, wait_for};

/// Reads what a program says on standard error until it says this.
fn hear(child: &mut Child, text: &str) {
    let mut heard = String::new();
    let mut errors = BufReader::new(child.stderr.as_mut().unwrap());
    while !heard.contains(text) {
        assert_ne!(errors.read_line(&mut heard).unwrap(), 0, "{heard}");
    }
}

/// Idle workers wait for messages; a claim that is held is extended all the same.
#[test]
fn many_workers_do_not_keep_one_from_its_claim() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&["--listen-wire=127.0.0.1:0"]);
    let wire = format!("burrow://{}", server.wire_address().unwrap());
    told(["--url", &wire], &["put", "a/q", "--ttl=0", "x"], "", 0);
    let began = folder.path().join("began");
    let script = format!("echo began >> {}; sleep 2.5", began.display());
    for place in [wire.clone(), url(&server)] {
        let work = [
            "work",
            "a/q",
            "--parallel=300",
            "--hide=1",
            "--wait=4",
            "--",
            "sh",
            "-c",
            &script,
        ];
        told(["--url", &place], &work, "", 0);
        assert_eq!(std::fs::read_to_string(&began).unwrap(), "began\n");
        std::fs::remove_file(&began).unwrap();
        told(["--url", &wire], &["put", "a/q", "--ttl=0", "x"], "", 0);
    }
}

#[test]
fn work_that_ends_says_how_many_messages_failed() {
    let server = server(&[]);
    let url = url(&server);
    let place = ["--url", url.as_str()];
    told(place, &["put", "a/q", "good"], "", 0);
    told(place, &["put", "a/q", "bad"], "", 0);
    told(place, &["put", "a/q", "bad at first"], "", 0);
    let script =
        "read body; case $body in good) ;; bad) exit 1 ;; *) [ $BURROW_ATTEMPTS = 2 ] ;; esac";
    let work = [
        "work",
        "a/q",
        "--delay=2",
        "--wait=0",
        "--",
        "sh",
        "-c",
        script,
    ];
    // All are tried once; after the delay the two that failed are there again.
    let first = run(place, &work, b"");
    assert_eq!(first.status.code(), Some(123), "{first:?}");
    let told_last = |output: &Output| {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        errors.lines().last().map(str::to_owned)
    };
    let failed = |count: u32| {
        Some(format!(
            "burrow: messages whose command failed, and that were given back: {count}"
        ))
    };
    assert_eq!(told_last(&first), failed(2));
    until(|| {
        let seen = run(place, &["peek", "a/q", "--limit=2"], b"");
        String::from_utf8_lossy(&seen.stdout).lines().count() == 2
    });
    let second = run(place, &work, b"");
    assert_eq!(second.status.code(), Some(123), "{second:?}");
    assert_eq!(told_last(&second), failed(1));
}

/// No environment can hold it as it is, and whoever can put a message can put one with such an id.
#[test]
fn an_id_with_a_nul_ends_no_worker() {
    let server = server(&[]);
    let url = url(&server);
    let mut http = Connection::open(server.address()).unwrap();
    let put = Request::new("PUT", "/v1.0/a/q/x%00y").with_body("body");
    assert_eq!(http.call(&put).unwrap().status, 201);
    let script = "cat; echo \" of $BURROW_ID\"";
    let work = ["work", "a/q", "--wait=0", "--", "sh", "-c", script];
    let worked = told(["--url", &url], &work, "", 0);
    assert_eq!(worked, "body of x\u{fffd}y\n");
}

#[test]
fn work_acknowledges_releases_and_survives_what_is_done_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(&[]);
    let url = url(&server);
    let place = ["--url", url.as_str()];
    let file = |name: &str| folder.path().join(name);
    let begin = |script: &str| {
        let work = [
            "work",
            "a/q",
            "--hide=1.5",
            "--delay=0.1",
            "--",
            "sh",
            "-c",
            script,
        ];
        start(place, &work)
    };

    // The first attempt fails, the second succeeds: the second finds the id and the body.
    told(place, &["put", "a/q", "--id=m", "body"], "", 0);
    let done = file("done");
    let script = format!(
        "[ $BURROW_ATTEMPTS = 2 ] && cat > {0}.new && echo $BURROW_ID >> {0}.new && mv {0}.new {0}",
        done.display()
    );
    let mut worker = begin(&script);
    wait_for(&done);
    // The command has done its work by now, but may not have ended.
    until(|| run(place, &["peek", "a/q", "--hidden"], b"").status.code() == Some(4));
    signal(&worker, Signal::SIGINT);
    assert!(worker.wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(&done).unwrap(), "bodym\n");

    // Killed: the message comes back, once its time is over.
    told(place, &["put", "a/q", "--id=n", "body"], "", 0);
    let began = file("began");
    let mut worker = begin(&format!("touch {}; exec sleep 3", began.display()));
    wait_for(&began);
    signal(&worker, Signal::SIGKILL);
    worker.wait().unwrap();
    told(place, &["claim", "a/q"], "", 4);
    let back = told(
        place,
        &["claim", "a/q", "--wait=20", "--hide=0.1", "--json"],
        "",
        0,
    );
    assert!(back.contains(r#""attempts":2"#), "{back}");

    // Interrupted, after longer than the claim holds by itself: it was extended meanwhile, its
    // command is ended, and the message is there at once.
    let slow = file("slow");
    let mut worker = begin(&format!("sleep 4; touch {}; exec sleep 60", slow.display()));
    wait_for(&slow);
    told(place, &["claim", "a/q"], "", 4);
    signal(&worker, Signal::SIGINT);
    assert!(worker.wait().unwrap().success());
    let back = told(place, &["claim", "a/q", "--json"], "", 0);
    assert!(back.contains(r#""attempts":4"#), "{back}");
}

#[test]
fn who_works_and_who_watches_outlive_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let (data, done) = (folder.path().join("data"), folder.path().join("done"));
    let server = launch().data(&data).start().unwrap();
    let (url, address) = (url(&server), server.address().to_string());
    let place = ["--url", url.as_str()];
    let begin = |arguments: &[&str]| {
        let mut command = burrow(place, arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    let script = format!("touch {}", done.display());
    let mut work = begin(&[
        "work",
        "a/q",
        "--deadline=0.2",
        "--parallel=3",
        "--",
        "sh",
        "-c",
        &script,
    ]);
    let mut watch = begin(&["watch", "a/news", "--deadline=0.2", "--limit=1"]);
    server.kill();
    hear(&mut work, "trying again");
    hear(&mut watch, "trying again");
    let _server = Restarted::at(&address, &data);
    // They may come before the server does, and say so.
    for put in [["put", "a/q", "job"], ["put", "a/news", "news"]] {
        assert!(run(place, &put, b"").status.success());
    }
    wait_for(&done);
    signal(&work, Signal::SIGINT);
    assert!(work.wait().unwrap().success());
    let watched = watch.wait_with_output().unwrap();
    assert!(watched.status.success() && watched.stdout == b"news\n");
}

/// One that ends when nothing has come for a while takes neither a stop of the server nor its end for that.
#[test]
fn who_ends_when_nothing_comes_outlives_a_restart() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let folder = tempfile::tempdir().unwrap();
        let (data, done) = (folder.path().join("data"), folder.path().join("done"));
        let server = launch().data(&data).argument("--clock=manual");
        let server = server.start().unwrap();
        let (url, address) = (url(&server), server.address().to_string());
        let place = ["--url", url.as_str()];
        let script = format!("touch {}", done.display());
        let mut work = burrow(
            place,
            &["work", "a/q", "--wait=60", "--", "sh", "-c", &script],
        )
        .spawn()
        .unwrap();
        let mut connection = Connection::open(server.address()).unwrap();
        until(|| {
            let told = connection.call(&Request::new("GET", "/clock")).unwrap();
            told.json()["waiting"] == 1
        });
        server.signal(signal);
        server.wait();
        let _server = Restarted::at(&address, &data);
        assert!(run(place, &["put", "a/q", "job"], b"").status.success());
        wait_for(&done);
        crate::signal(&work, Signal::SIGINT);
        assert!(work.wait().unwrap().success(), "{signal}");
    }
}

#[test]
fn work_that_is_told_to_stop_twice_waits_for_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let began = folder.path().join("began");
    let server = server(&[]);
    let url = url(&server);
    told(["--url", &url], &["put", "a/q", "job"], "", 0);
    let script = format!(
        "trap '' TERM; touch {}; while :; do sleep 1; done",
        began.display()
    );
    let mut command = burrow(["--url", &url], &["work", "a/q", "--", "sh", "-c", &script]);
    let mut work = command.stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&began);
    server.kill();
    let work_id = Pid::from_raw(i32::try_from(work.id()).unwrap());
    until(|| {
        let _ = kill(work_id, Signal::SIGINT);
        work.try_wait().unwrap().is_some()
    });
    let ended = work.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(told.contains("told to stop twice"), "{told}");
}

/// Lines stay whole, also those of commands that run at the same time, and what one command has
/// written is not changed.
#[test]
fn what_commands_print_is_not_mixed_up() {
    let server = server(&[]);
    let url = url(&server);
    let place = ["--url", url.as_str()];
    let work = |arguments: &[&str], script: &str| {
        let verb = ["work", "a/q", "--wait=0"];
        let command = ["--", "sh", "-c", script];
        told(place, &[&verb, arguments, &command].concat(), "", 0)
    };
    told(place, &["put", "a/q", "alone"], "", 0);
    assert_eq!(work(&[], "cat"), "alone");
    told(place, &["put", "a/q", "one", "two", "three"], "", 0);
    assert_eq!(work(&[], "cat"), "one\ntwo\nthree");
    let bodies: Vec<String> = (0..40).map(|number| format!("{number}.")).collect();
    let mut put = vec!["put", "a/q"];
    put.extend(bodies.iter().map(String::as_str));
    told(place, &put, "", 0);
    // In halves, so that the lines of one could come between those of another.
    let halves = "read -r body; for part in 1 2; do printf \"<$body\"; echo \"$body>\"; done; printf \"$body\"";
    let printed = work(&["--parallel=8"], halves);
    let mut lines: Vec<&str> = printed.lines().collect();
    lines.sort_unstable();
    let mut wanted: Vec<String> = bodies
        .iter()
        .flat_map(|body| {
            let whole = format!("<{body}{body}>");
            [whole.clone(), whole, body.clone()]
        })
        .collect();
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
    // More than a pipe holds, and something that goes on printing when its command has ended.
    told(place, &["put", "a/q", "x"], "", 0);
    let much = work(
        &[],
        "yes | head -c 1000000; (sleep 3; echo late) 2>/dev/null &",
    );
    assert!(much == "y\n".repeat(500_000), "{} bytes", much.len());
}

#[test]
fn what_cannot_be_printed_is_not_acknowledged() {
    let server = server(&[]);
    let url = url(&server);
    let place = ["--url", url.as_str()];
    told(place, &["put", "a/q", "job"], "", 0);
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut work = burrow(place, &["work", "a/q", "--wait=0", "--", "cat"]);
    let ended = work.stdin(Stdio::null()).stdout(full).output().unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{errors}");
    assert!(errors.contains("No space left"), "{errors}");
    assert_eq!(told(place, &["pop", "a/q"], "", 0), "job\n");
}

#[test]
fn what_a_command_leaves_running_keeps_no_message() {
    let server = server(&[]);
    let url = url(&server);
    let place = ["--url", url.as_str()];
    told(place, &["put", "a/q", "job"], "", 0);
    let mut work = burrow(
        place,
        &["work", "a/q", "--wait=0", "--", "sh", "-c", "yes &"],
    );
    let ended = work.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(ended.unwrap().success());
    told(place, &["pop", "a/q"], "", 4);
}
