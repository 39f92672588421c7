//! Claims that are taken back while the proxy has them in hand.

use burrow_tests::conformance::{Host as _, Request};

use super::support::{Client, Cluster};

/// Long enough to be seen standing.
const CLAIM: &str = "hide=3600&claim=true&detail=all&limit=2";

fn claim(target: &str) -> Request {
    Request {
        method: "POST".into(),
        target: format!("{target}?{CLAIM}"),
        ..Request::default()
    }
}

/// The ids of what is visible.
fn visible(client: &mut Client, target: &str) -> Vec<String> {
    client.ids(&format!("{target}?detail=id"))
}

/// A name of a queue that lives on this server.
fn queue_on(cluster: &Cluster, number: usize, prefix: &str) -> String {
    let mut client = cluster.client();
    let mut own = cluster.client_of(number);
    (0..)
        .map(|tried| format!("{prefix}{tried}"))
        .find(|name| {
            let target = format!("/v1.0/a/{name}/x");
            assert_eq!(client.ask("PUT", &target, "x").status, 201);
            let is_there = own.get(&target).status == 200;
            assert!(client.ask("DELETE", &target, "").status < 300);
            is_there
        })
        .expect("names do not end")
}

#[test]
fn a_claim_is_given_back_that_was_taken_back_while_dead_letters_were_moved() {
    let cluster = Cluster::start(2, &[]);
    let (queue, dead) = (queue_on(&cluster, 0, "q"), queue_on(&cluster, 1, "dead"));
    let target = format!("/v1.0/a/{queue}");
    let mut client = cluster.client();
    let settings = format!(r#"{{"max_attempts":1,"dead_letter":"{dead}"}}"#);
    let set = client.ask("PUT", &format!("{target}?settings"), &settings);
    assert_eq!(set.status, 204);
    client.ask("PUT", &format!("{target}/tried"), "x");
    client.ask("POST", &format!("{target}?hide=60"), "");
    client.ask("POST", &format!("{target}/tried?hide=0"), "");
    client.ask("PUT", &format!("{target}/fresh"), "x");

    // The claim is answered, and the message that it gives up cannot go to where it belongs.
    cluster.servers[1].pause();
    let mut wire = cluster.wire();
    let call = wire.send(&claim(&target)).expect("it is taken");
    let mut own = cluster.client_of(0);
    let letters = format!("/v1.0/a/{dead}");
    while own.get(&format!("{letters}?match_hidden=true")).status != 200 {}
    while own.get(&letters).status != 404 {}
    assert!(visible(&mut own, &target).is_empty());
    wire.cancel(call).expect("it is taken back");
    cluster.servers[1].resume();
    while visible(&mut own, &target) != ["fresh"] {}
    while visible(&mut client, &letters) != ["tried"] {}
}

#[test]
fn what_one_server_gave_is_given_back_while_another_is_asked() {
    let cluster = Cluster::start(2, &["--spread=a/wide"]);
    let target = "/v1.0/a/wide";
    let mut client = cluster.client();
    for id in 0..20 {
        assert_eq!(
            client.ask("PUT", &format!("{target}/{id}"), "x").status,
            201
        );
    }
    let mut own = cluster.client_of(0);
    let before = visible(&mut own, target);
    assert!(!before.is_empty() && before.len() < 20);

    cluster.servers[1].pause();
    let mut wire = cluster.wire();
    let call = wire.send(&claim(target)).expect("it is taken");
    while visible(&mut own, target).len() == before.len() {}
    wire.cancel(call).expect("it is taken back");
    cluster.servers[1].resume();
    while visible(&mut own, target).len() < before.len() {}
    while visible(&mut client, target).len() < 20 {}
}
