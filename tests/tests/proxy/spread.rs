//! A queue that all servers have a part of.

use std::io::Write as _;
use std::process::Stdio;
use std::thread;

use burrow_tests::conformance::Answer;
use burrow_tests::process::{plain, program};
use serde_json::Value;

use super::support::{Client, Cluster};

const SERVERS: usize = 3;
const QUEUE: &str = "/v1.0/shop/clicks";

fn cluster() -> Cluster {
    Cluster::start(SERVERS, &["--spread=other/one,shop/clicks"])
}

fn counts(cluster: &Cluster, query: &str) -> Vec<usize> {
    let target = format!("{QUEUE}?detail=id{query}");
    let count = |number| cluster.client_of(number).ids(&target).len();
    (0..SERVERS).map(count).collect()
}

fn json(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_slice(&answer.body).expect("JSON")
}

fn claim(client: &mut Client, query: &str) -> Vec<Value> {
    let target = format!("{QUEUE}?hide=60&claim=true&{query}");
    let claimed = json(&client.ask("POST", &target, ""));
    claimed.as_array().expect("a list").clone()
}

#[test]
fn equal_ids_meet_and_claims_are_even() {
    let cluster = cluster();
    let mut client = cluster.client();
    for status in [201, 204] {
        for id in 0..150 {
            let put = client.ask("PUT", &format!("{QUEUE}/{id}"), "x");
            assert_eq!(put.status, status, "{id}");
        }
    }
    let each = counts(&cluster, "");
    assert_eq!(each.iter().sum::<usize>(), 150);
    assert!(each.iter().all(|count| *count > 25), "{each:?}");

    let mut claimed = Vec::new();
    for _ in 0..30 {
        claimed.extend(claim(&mut client, "limit=1"));
    }
    claimed.extend(claim(&mut client, "limit=30"));
    assert_eq!(claimed.len(), 60);
    let left = counts(&cluster, "");
    let drawn: Vec<usize> = each
        .iter()
        .zip(&left)
        .map(|(all, left)| all - left)
        .collect();
    assert_eq!(drawn, [20, 20, 20]);

    for message in &claimed {
        let (id, token) = (&message["id"], &message["claim"]);
        let (Some(id), Some(token)) = (id.as_str(), token.as_str()) else {
            panic!("{message}")
        };
        let ack = client.ask("DELETE", &format!("{QUEUE}/{id}?claim={token}"), "");
        assert_eq!(ack.status, 204, "{id}");
    }
    assert_eq!(
        counts(&cluster, "&match_hidden=true").iter().sum::<usize>(),
        90
    );
    // More than there is: every server gives all it has.
    assert_eq!(claim(&mut client, "limit=100").len(), 90);
    let none = client.ask("POST", &format!("{QUEUE}?hide=60"), "");
    assert_eq!(none.status, 404);
}

#[test]
fn batches_are_parted_and_their_results_are_in_order() {
    let cluster = cluster();
    let mut client = cluster.client();
    let batch: Vec<Value> = (0..60)
        .map(|number| match number % 2 {
            0 => serde_json::json!({ "id": format!("own-{number}"), "body": "x" }),
            _ => serde_json::json!({ "body": "x" }),
        })
        .collect();
    let put = client.ask("PUT", QUEUE, &Value::from(batch).to_string());
    assert_eq!(put.status, 201);
    let ids: Vec<String> = serde_json::from_slice(&put.body).expect("ids");
    assert_eq!(ids.len(), 60);
    assert_eq!((&*ids[0], &*ids[58]), ("own-0", "own-58"));
    assert!(counts(&cluster, "").iter().all(|count| *count > 5));

    // Page by page, each message once.
    let mut listed: Vec<String> = Vec::new();
    loop {
        let marker = listed.last().map(|id| format!("&marker={id}"));
        let target = format!("{QUEUE}?detail=id&limit=7{}", marker.unwrap_or_default());
        let page = client.ids(&target);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(listed), sorted(ids.clone()));

    let stats = json(&client.get(&format!("{QUEUE}?stats")));
    let counted = ["messages", "visible", "hidden"].map(|name| stats[name].as_u64());
    assert_eq!(counted, [Some(60), Some(60), Some(0)]);

    let mut settle: Vec<Value> = ids
        .iter()
        .map(|id| serde_json::json!({ "id": id, "delete": true }))
        .collect();
    settle.insert(30, serde_json::json!({ "id": "nobody", "delete": true }));
    let settled = json(&client.ask("POST", QUEUE, &Value::from(settle).to_string()));
    let settled = settled.as_array().expect("results");
    assert_eq!(settled.len(), 61);
    for (number, result) in settled.iter().enumerate() {
        let status = if number == 30 { 404 } else { 204 };
        assert_eq!(result["status"], status, "{number}: {result}");
    }
    assert_eq!(client.get(QUEUE).status, 404);
}

#[test]
fn who_waits_gets_what_comes_wherever_and_nothing_is_lost() {
    let cluster = cluster();
    let address = cluster.proxy.address();
    let waiting: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                let target = format!("{QUEUE}?wait=60&limit=1&detail=id");
                let popped = json(&Client::of(address).ask("DELETE", &target, ""));
                popped[0].as_str().expect("an id").to_owned()
            })
        })
        .collect();
    let mut client = cluster.client();
    let ids: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    for id in &ids {
        assert_eq!(client.ask("PUT", &format!("{QUEUE}/{id}"), "x").status, 201);
    }
    let mut popped: Vec<String> = waiting
        .into_iter()
        .map(|thread| thread.join().expect("it is answered"))
        .collect();
    popped.sort();
    assert_eq!(popped, ids);
}

#[test]
fn takers_go_on_while_a_server_is_down() {
    let mut cluster = cluster();
    let mut client = cluster.client();
    for id in 0..60 {
        assert_eq!(client.ask("PUT", &format!("{QUEUE}/{id}"), "x").status, 201);
    }
    let lost = counts(&cluster, "")[1];
    cluster.kill(1);
    while client.get("/v1.0").status != 503 {}
    assert_eq!(claim(&mut client, "limit=60").len(), 60 - lost);
    let statuses: Vec<u16> = (60..90)
        .map(|id| client.ask("PUT", &format!("{QUEUE}/{id}"), "x").status)
        .collect();
    assert!(
        statuses.contains(&201) && statuses.contains(&503),
        "{statuses:?}"
    );
    cluster.restart(1);
    while client.get("/v1.0").status == 503 {}
    let target = format!("{QUEUE}?wait=30&hide=60&claim=true&limit=60");
    let rest = json(&client.ask("POST", &target, ""));
    let put = statuses.iter().filter(|status| **status == 201).count();
    assert_eq!(rest.as_array().map(Vec::len), Some(lost + put));
}

/// A server shows no more than so much at a time; what it did not show comes next.
#[test]
fn a_list_in_pages_shows_all_however_little_a_server_shows_at_a_time() {
    let cluster = Cluster::of_servers(
        SERVERS,
        &["--max-answer-bytes=4KiB"],
        &["--spread=shop/clicks"],
    );
    let mut client = cluster.client();
    let body = "x".repeat(1000);
    for id in 0..60 {
        let put = client.ask("PUT", &format!("{QUEUE}/{id}"), &body);
        assert_eq!(put.status, 201);
    }
    let mut seen: Vec<String> = Vec::new();
    loop {
        let marker = seen.last().map(|id| format!("&marker={id}"));
        let page = client.get(&format!("{QUEUE}?detail=all{}", marker.unwrap_or_default()));
        if page.status == 404 {
            break;
        }
        let page = json(&page);
        let ids = page.as_array().expect("a list").iter();
        seen.extend(ids.filter_map(|message| message["id"].as_str().map(str::to_owned)));
        assert!(seen.len() <= 60, "{seen:?}");
    }
    seen.sort_by_key(|id| id.parse::<u32>().ok());
    let all: Vec<String> = (0..60).map(|id: u32| id.to_string()).collect();
    assert_eq!(seen, all);
}

#[test]
fn who_waits_gets_what_a_server_has_that_comes_back() {
    let mut cluster = cluster();
    let mut own = cluster.client_of(1);
    assert_eq!(own.ask("PUT", &format!("{QUEUE}/1"), "x").status, 201);
    cluster.kill(1);
    let mut client = cluster.client();
    while client.get("/v1.0").status != 503 {}
    let waiting = thread::spawn(move || {
        client.ask(
            "POST",
            &format!("{QUEUE}?wait=25&hide=60&detail=id&limit=1"),
            "",
        )
    });
    // The wait has begun once the other servers have it.
    thread::sleep(std::time::Duration::from_millis(200));
    cluster.restart(1);
    let answer = waiting.join().expect("it is answered");
    assert_eq!(json(&answer), serde_json::json!(["1"]));
}

#[test]
fn it_can_be_exported_and_imported() {
    let cluster = cluster();
    let mut client = cluster.client();
    let ids: Vec<String> = (10..60).map(|number| number.to_string()).collect();
    for id in &ids {
        assert_eq!(client.ask("PUT", &format!("{QUEUE}/{id}"), "x").status, 201);
    }
    let url = format!("http://{}", cluster.proxy.address());
    let exported = plain(program())
        .args(["export", &url, "shop/clicks"])
        .output()
        .expect("burrow runs");
    assert!(exported.status.success(), "{exported:?}");
    for queue in ["shop/copy", "other/one"] {
        let mut import = plain(program())
            .args(["import", &url, queue])
            .stdin(Stdio::piped())
            .spawn()
            .expect("burrow runs");
        let mut stdin = import.stdin.take().expect("it is piped");
        stdin.write_all(&exported.stdout).expect("it reads");
        drop(stdin);
        assert!(import.wait().expect("it ends").success());
        let mut copied = client.ids(&format!("/v1.0/{queue}?detail=id"));
        copied.sort();
        assert_eq!(copied, ids, "{queue}");
        // Wherever it was put, it is found by its id.
        let deleted = client.ask("DELETE", &format!("/v1.0/{queue}/42"), "");
        assert_eq!(deleted.status, 204, "{queue}");
    }
}
