//! workerd, killed under load, over and over.

use std::time::Duration;

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
    let mut load = Load::new(random.u64(..));
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

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}
