//! Node and model agree on every seed, and every planted bug is found.

use burrow_tests::simulation::canaries::{self, plant};
use burrow_tests::simulation::{Make, Run, run, run_seeds, shrink};

/// Seeds of the ordinary run; the environment variable `BURROW_SEEDS` asks for more.
const SEEDS: u64 = 2000;
const COMMANDS: usize = 400;

#[test]
fn node_and_model_agree() {
    let seeds = match std::env::var("BURROW_SEEDS") {
        Ok(text) => text.parse().expect("BURROW_SEEDS is a number of seeds"),
        Err(_) => SEEDS,
    };
    let tally =
        run_seeds(0, seeds, COMMANDS).unwrap_or_else(|failure| panic!("{}", shrink(failure)));
    println!("{tally}");
    for event in EVENTS {
        assert!(tally.count(event) > 0, "{event}: never happened\n{tally}");
    }
}

/// What must happen somewhere in the ordinary run, lest it prove nothing.
const EVENTS: [&str; 38] = [
    "Account not found",
    "Queue not found",
    "Message not found",
    "Claim is not current",
    "invalid",
    "too large: max_body_bytes",
    "too large: max_batch_messages",
    "too large: max_queue_messages",
    "too large: max_queue_bytes",
    "exhausted: max_queue_messages",
    "exhausted: max_queue_bytes",
    "exhausted: max_account_messages",
    "exhausted: max_account_bytes",
    "exhausted: max_account_queues",
    "exhausted: max_messages",
    "exhausted: max_bytes",
    "exhausted: max_queues",
    "exhausted: max_waiters",
    "exhausted: max_queue_waiters",
    "replaced",
    "claims",
    "claims undone",
    "answers that are full",
    "dead letters",
    "dead letters that follow later",
    "dead letters left by a call that was late",
    "dead letters whose id is taken",
    "expired",
    "waiters served",
    "waiters gone",
    "markers of messages that are gone",
    "given ids",
    "batches that drop others",
    "restarts",
    "restarts that lose batches",
    "restarts with a clock that went back",
    "restores without a difference",
    "damage found",
];

/// The same commands at the same instants give the same bytes to store.
#[test]
fn a_seed_runs_the_same_twice() {
    for seed in 0..20 {
        let once = || run(&Run::new(seed, COMMANDS)).map(|report| report.fingerprint);
        let fingerprint = || once().map_err(|failure| failure.to_string());
        assert_eq!(fingerprint(), fingerprint(), "seed {seed}");
    }
}

/// Seeds within which a planted bug must be found.
const CANARY_SEEDS: u64 = 300;

fn must_be_found(make: Make) {
    let found = (0..CANARY_SEEDS).find_map(|seed| {
        run(&Run {
            make,
            ..Run::new(seed, COMMANDS)
        })
        .err()
    });
    let failure = found.expect("a planted bug was not found");
    println!("{failure}");
    assert!(
        !failure.violation.starts_with("panicked"),
        "the planted bug broke the simulator: {failure}"
    );
}

macro_rules! canaries {
    ($($name:ident: $bug:ident,)*) => {
        $(
            #[test]
            fn $name() {
                must_be_found(plant::<canaries::$bug>);
            }
        )*
    };
}

canaries! {
    finds_an_ack_that_ignores_its_claim: AckIgnoresClaim,
    finds_a_batch_half_stored: HalfBatch,
    finds_a_replaced_message_that_loses_its_place: ReplaceLosesPlace,
    finds_a_marker_forgotten_with_its_message: MarkerForgotten,
    finds_one_attempt_too_many: OneAttemptTooMany,
    finds_expiry_at_deadlines_only: ExpiryAtDeadlineOnly,
    finds_expiry_a_millisecond_late: ExpiryLate,
    finds_a_deadline_told_too_late: DeadlineTooLate,
    finds_a_deadline_handled_late: DeadlineLate,
    finds_a_clock_that_runs_on_after_a_restart: ClockRunsOn,
    finds_a_forgotten_clock_floor: FloorForgotten,
    finds_a_reply_before_its_batch_is_durable: ReplyBeforeDurable,
    finds_a_reply_given_twice: ReplyTwice,
    finds_a_lost_reply: ReplyLost,
    finds_waiters_served_last_first: WaitersLifo,
    finds_a_claim_that_survives_cancel: ClaimSurvivesCancel,
    finds_an_ignored_cancel: CancelIgnored,
    finds_an_ignored_release: ReleaseIgnored,
    finds_blobs_dropped_before_the_batch_is_stored: DropsBeforeStored,
    finds_a_blob_too_many_dropped: DropsTooMuch,
    finds_a_lost_last_batch: LastBatchLost,
    finds_a_lost_blob: BlobLost,
    finds_a_node_kept_after_a_failed_write: NodeKeptAfterFailure,
    finds_settings_lost_in_a_restart: SettingsLost,
    finds_claims_lost_in_a_restart: ClaimsLost,
}
