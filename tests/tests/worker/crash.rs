//! workerd, killed under load, over and over.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use burrow_tests::crash::http::{Connection, Request};
use burrow_tests::crash::record::SERVER_TTL_S;
use burrow_tests::crash::{Load, Watch};
use burrow_tests::worker::launch;
use nix::sys::signal::Signal;

#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn acknowledged_work_survives_kills_of_workerd() {
    let kills = number("BURROW_CRASH_ROUNDS").unwrap_or(20);
    let seed = number("BURROW_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("BURROW_CRASH_ROUNDS={kills} BURROW_CRASH_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let launch = launch(folder.path())
        // The clients of the load rely on claims that are stored before they are answered.
        .variable("CLAIM_DELAY_MS", "0")
        .variable("DEFAULT_TTL_MS", (SERVER_TTL_S * 1_000).to_string())
        .variable("CHECKPOINT_BYTES", "65536");
    let mut load = Load::new(random.u64(..)).dead_letters_within(Duration::from_secs(30));
    let mut answered = 0;
    for kill in 0..=kills {
        let server = launch.start().unwrap();
        load.verify(server.address())
            .unwrap_or_else(|problem| panic!("after kill {kill}: {problem}\n{}", server.logs()));
        if kill == kills {
            break;
        }
        let watch = Watch::default();
        let (requests, delay) = (random.u64(1..400), random.u64(..5_000));
        let address = server.address();
        let killed = load.run(address, &watch, || {
            watch.wait_for(requests);
            std::thread::sleep(Duration::from_micros(delay));
            server.kill()
        });
        let ended = killed.unwrap_or_else(|problem| panic!("before kill {kill}: {problem}"));
        assert!(ended.was_killed_by(Signal::SIGKILL), "{ended:?}");
        answered += watch.answered();
    }
    println!("{kills} kills, {answered} requests acknowledged");
}

/// With claims that may be lost: what was put is there until its removal was acknowledged.
#[test]
#[ignore = "needs workerd: cargo xtask worker test"]
fn deferred_claims_may_be_lost_and_messages_not() {
    let kills = number("BURROW_CRASH_ROUNDS").unwrap_or(20);
    let seed = number("BURROW_CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("BURROW_CRASH_ROUNDS={kills} BURROW_CRASH_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let launch = launch(folder.path())
        .variable("DEFAULT_TTL_MS", "0")
        .variable("CHECKPOINT_BYTES", "65536");
    let mut workers = [0, 1, 2, 3].map(Owner::new);
    let mut acknowledged = 0;
    for kill in 0..=kills {
        let server = launch.start().unwrap();
        for worker in &mut workers {
            worker.verify(server.address());
        }
        if kill == kills {
            break;
        }
        let answered = AtomicU64::new(0);
        let (requests, delay) = (random.u64(1..400), random.u64(..5_000));
        std::thread::scope(|scope| {
            for worker in &mut workers {
                let (address, answered) = (server.address(), &answered);
                scope.spawn(move || worker.work(address, answered));
            }
            while answered.load(Ordering::Relaxed) < requests {
                std::thread::yield_now();
            }
            std::thread::sleep(Duration::from_micros(delay));
            assert!(server.kill().was_killed_by(Signal::SIGKILL));
        });
        acknowledged += answered.load(Ordering::Relaxed);
    }
    println!("{kills} kills, {acknowledged} requests acknowledged");
}

/// Who has a queue to itself, and knows what must be in it.
struct Owner {
    queue: String,
    puts: u64,
    there: BTreeSet<String>,
    /// What was under way when the server was killed: there or not.
    unknown: BTreeSet<String>,
}

impl Owner {
    fn new(number: usize) -> Self {
        Self {
            queue: format!("/v1.0/crash/q{number}"),
            puts: 0,
            there: BTreeSet::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// Puts, claims and acknowledges until the server is gone.
    fn work(&mut self, address: SocketAddr, answered: &AtomicU64) {
        let Ok(mut connection) = Connection::open(address) else {
            return;
        };
        let mut call = |method, target: String| {
            let answer = connection.call(&Request::new(method, target)).ok()?;
            answered.fetch_add(1, Ordering::Relaxed);
            Some(answer)
        };
        loop {
            for _ in 0..2 {
                let id = self.puts.to_string();
                self.puts += 1;
                self.unknown.insert(id.clone());
                let Some(answer) = call("PUT", format!("{}/{id}", self.queue)) else {
                    return;
                };
                assert_eq!(answer.status, 201, "{}", answer.text());
                self.unknown.remove(&id);
                self.there.insert(id);
            }
            let claim = format!("{}?limit=1&hide=1&claim=true&detail=attributes", self.queue);
            let Some(claimed) = call("POST", claim) else {
                return;
            };
            let claimed = claimed.json();
            let (Some(id), Some(token)) = (claimed[0]["id"].as_str(), claimed[0]["claim"].as_str())
            else {
                continue;
            };
            self.there.remove(id);
            self.unknown.insert(id.to_owned());
            let done = format!("{}/{id}?claim={token}", self.queue);
            let Some(answer) = call("DELETE", done) else {
                return;
            };
            self.unknown.remove(id);
            if answer.status != 204 {
                assert_eq!(answer.status, 409, "{}", answer.text());
                self.there.insert(id.to_owned());
            }
        }
    }

    /// Holds what is there against what must be.
    fn verify(&mut self, address: SocketAddr) {
        let mut connection = Connection::open(address).unwrap();
        let list = format!("{}?match_hidden=true&detail=id", self.queue);
        let listed = connection.call(&Request::new("GET", list)).unwrap().json();
        let ids = listed.as_array().into_iter().flatten();
        let ids: BTreeSet<String> = ids.map(|id| id.as_str().unwrap().to_owned()).collect();
        let lost: Vec<_> = self.there.difference(&ids).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        let known: BTreeSet<_> = self.there.union(&self.unknown).cloned().collect();
        let risen: Vec<_> = ids.difference(&known).collect();
        assert!(risen.is_empty(), "back again: {risen:?}");
        self.there = ids;
        self.unknown.clear();
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
