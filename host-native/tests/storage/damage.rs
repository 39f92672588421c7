//! Damaged files: the damage is reported, or only what nobody was told about is lost.

use burrow::inspect;

use crate::history::{FRAME, FRAME_HEADER, History, LOG, LOG_HEADER, PAGE, commits};
use crate::support::{digest, folder, make_history, start};

/// The last one puts a body of several pages.
const COMMITS: usize = 18;

async fn history() -> History {
    let stopped = folder();
    let engine = start(stopped.path());
    let digests = make_history(&engine, stopped.path(), COMMITS).await;
    History::end(engine, stopped, digests).await
}

#[tokio::test]
async fn flipped_bytes_of_the_data_file_are_noticed() {
    let history = history().await;
    let positions = (0..200).chain((200..history.data_len()).step_by(17));
    for position in positions {
        let mask = if position % 2 == 0 {
            0xff
        } else {
            1 << (position / 2 % 8)
        };
        let dir = history.with_data(|bytes| bytes[position] ^= mask);
        history.refused_or_whole(dir.path(), &format!("byte {position} ^ {mask:#x}"));
    }
}

/// The newest row is the one that no other row would miss.
#[tokio::test]
async fn a_row_that_vanished_is_noticed() {
    let history = history().await;
    let mut bytes = Vec::new();
    history.with_data(|data| bytes.clone_from(data));
    let leaves = (PAGE..bytes.len())
        .step_by(PAGE)
        .filter(|&page| bytes[page] == 13 && bytes[page + 4] > 0);
    for page in leaves {
        let dir = history.with_data(|bytes| bytes[page + 4] -= 1);
        digest(dir.path()).expect_err("a commit is missing, and nobody said so");
        assert!(!inspect::check(dir.path()).is_ok_and(|report| report.is_sound()));
    }
}

#[tokio::test]
async fn a_data_file_that_is_cut_is_noticed() {
    history().await.cuts_of_the_data_file_are_noticed();
}

#[tokio::test]
async fn flipped_bytes_of_the_log_are_noticed_or_hit_the_last_commit() {
    let history = history().await;
    let log = history.log();
    let commits = commits(&log);
    let (last, end) = (commits[commits.len() - 2], commits[commits.len() - 1]);
    let headers = (LOG_HEADER..end)
        .step_by(FRAME)
        .flat_map(|frame| frame..frame + FRAME_HEADER);
    let mut positions: Vec<usize> = (0..LOG_HEADER)
        .chain(headers)
        .chain((0..end).step_by(211))
        .collect();
    positions.sort_unstable();
    // The mark of the last commit but one: without it the two look like one commit that
    // was cut short.
    let mark = last - FRAME + 4..last - FRAME + 8;
    for position in positions {
        let flip = |bytes: &mut Vec<u8>| bytes[position] ^= 0x55;
        let dir = history.with_log(flip);
        match digest(dir.path()) {
            Ok(digest) if digest == history.last() => {}
            Ok(digest) if position >= last => {
                assert_eq!(digest, history.digests[COMMITS - 2], "byte {position}")
            }
            Ok(digest) if mark.contains(&position) => assert!(history.digests.contains(&digest)),
            Ok(_) => {
                panic!("byte {position}: acknowledged commits are missing, and nobody said so")
            }
            // A commit that may be torn, because it is the last, keeps no server from
            // starting; unless what was hit now says that the commit ended there.
            Err(error) => {
                let ending = (4..8).contains(&((position.saturating_sub(LOG_HEADER)) % FRAME));
                assert!(position < last || ending, "byte {position}: {error}");
                assert!(error.contains(LOG), "{error}");
                // A failed start leaves the files as they were, but to be sure of it here is
                // another copy.
                let report = inspect::check(history.with_log(flip).path()).unwrap();
                assert!(!report.is_sound());
            }
        }
    }
}

#[tokio::test]
async fn a_log_that_is_cut_gives_a_prefix() {
    let history = history().await;
    let commits = commits(&history.log());
    // Before the first command there was a commit or two for the table.
    let setup = commits.len() - 1 - COMMITS;
    let empty = history.digests.len();
    for boundary in (LOG_HEADER..=commits[commits.len() - 1]).step_by(FRAME) {
        for cut in [boundary - 1, boundary, boundary + 1] {
            let whole = commits
                .iter()
                .filter(|&&start| start <= cut)
                .count()
                .saturating_sub(1 + setup);
            let dir = history.with_log(|bytes| bytes.truncate(cut));
            match (digest(dir.path()), whole) {
                (Ok(digest), 1..) => assert_eq!(digest, history.digests[whole - 1], "cut at {cut}"),
                (Ok(digest), 0) => assert!(
                    !history.digests.contains(&digest),
                    "cut at {cut} of {empty}"
                ),
                (Err(error), 0) => assert!(error.contains("journal.db"), "{error}"),
                (Err(error), _) => panic!("cut at {cut}: {error}"),
            }
        }
    }
}
