//! Where queues are, and that nobody notices.

use std::collections::BTreeSet;

use burrow_tests::process::{plain, program};

use super::support::Cluster;

#[test]
fn each_queue_is_on_one_server_and_lists_are_of_all() {
    let cluster = Cluster::start(3, &[]);
    let mut client = cluster.client();
    let names: Vec<String> = (0..30).map(|number| format!("q{number:02}")).collect();
    for name in &names {
        for id in ["1", "2"] {
            let put = client.ask("PUT", &format!("/v1.0/shop/{name}/{id}"), "x");
            assert_eq!(put.status, 201);
        }
    }
    let mut seen = BTreeSet::new();
    for number in 0..3 {
        let own = cluster.client_of(number).ids("/v1.0/shop?detail=id");
        assert!(own.len() > 2, "server {number} has {own:?}");
        for name in own {
            let ids = cluster
                .client_of(number)
                .ids(&format!("/v1.0/shop/{name}?detail=id"));
            assert_eq!(ids, ["1", "2"], "{name}");
            assert!(seen.insert(name), "on one server only");
        }
    }
    assert_eq!(client.ids("/v1.0/shop"), names);
    assert_eq!(client.ids("/v1.0"), ["shop"]);
    assert_eq!(client.ids("/v1.0/shop?limit=4&marker=q07"), names[8..12]);
    let deleted = client.ask("DELETE", "/v1.0/shop?limit=5&marker=q09&detail=id", "");
    let deleted: Vec<String> = serde_json::from_slice(&deleted.body).expect("names");
    assert_eq!(deleted, names[10..15]);
    let left = [&names[..10], &names[15..]].concat();
    assert_eq!(client.ids("/v1.0/shop"), left);
    assert_eq!(client.ask("DELETE", "/v1.0", "").status, 204);
    assert_eq!(client.get("/v1.0/shop").status, 404);
}

/// A client that is told the same names and weights puts queues where the proxy does.
#[test]
fn clients_and_proxies_agree() {
    let cluster = Cluster::start(3, &[]);
    let servers: Vec<String> = (0..3)
        .map(|number| {
            let path = cluster.socket(number).replace("unix:", "burrow+unix://");
            format!("--url=s{number}={path}@1")
        })
        .collect();
    let mut client = cluster.client();
    for number in 0..12 {
        let queue = format!("shop/q{number}");
        let put = plain(program())
            .args(["put", &queue, "--id=1", "x"])
            .args(&servers)
            .output()
            .expect("burrow runs");
        assert!(put.status.success(), "{put:?}");
        assert_eq!(client.get(&format!("/v1.0/{queue}/1")).status, 200);
    }
}

/// With several servers most dead-letter queues live elsewhere than what feeds them.
#[test]
fn dead_letters_are_where_they_belong() {
    let cluster = Cluster::start(3, &["--spread=a/wide"]);
    let mut client = cluster.client();
    for number in 0..6 {
        let queue = match number {
            0 => "wide".to_owned(),
            _ => format!("q{number}"),
        };
        let dead = format!("dead{number}");
        let settings = format!(r#"{{"max_attempts":1,"dead_letter":"{dead}"}}"#);
        let target = format!("/v1.0/a/{queue}");
        let set = client.ask("PUT", &format!("{target}?settings"), &settings);
        assert_eq!(set.status, 204);
        for id in ["1", "2", "3", "4"] {
            let put = client.ask("PUT", &format!("{target}/{id}?ttl=0"), "body");
            assert_eq!(put.status, 201);
        }
        assert_eq!(
            client.ask("POST", &format!("{target}?hide=60"), "").status,
            204
        );
        for id in ["1", "2", "3", "4"] {
            let freed = client.ask("POST", &format!("{target}/{id}?hide=0"), "");
            assert_eq!(freed.status, 204);
        }
        assert_eq!(
            client.ask("POST", &format!("{target}?hide=60"), "").status,
            404
        );
        let mut ids = client.ids(&format!("/v1.0/a/{dead}?detail=id"));
        ids.sort();
        assert_eq!(ids, ["1", "2", "3", "4"], "{queue}");
        let letter = client.get(&format!("/v1.0/a/{dead}/3?detail=attributes"));
        assert_eq!(letter.body, br#"{"id":"3","ttl":0,"hide":0}"#);
    }
}
