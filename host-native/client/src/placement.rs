//! Which of several servers has something: rendezvous hashing.
//!
//! Each server has a score for each thing, the hash of both, and the thing is where the score
//! is highest. A further server takes its share from all, and nothing else moves. Whoever
//! knows the servers by the same names and weights comes to the same, so nobody has to
//! remember or to ask.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The score that the server of this name has for a thing: a queue is its account and its
/// name. A server of a weight above 1 draws so many times, and its best draw counts; so it has
/// so many times the share of one with weight 1, exactly, and a change of its weight moves
/// what it gains or loses and nothing else.
pub fn score(server: &str, weight: u32, thing: &[&str]) -> u64 {
    let length: usize = thing.iter().map(|part| part.len() + size_of::<u64>()).sum();
    let mut bytes = Vec::with_capacity(length + server.len() + size_of::<u64>());
    // Each behind its length: parts of two things never run into the same bytes.
    for part in [server].iter().chain(thing) {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    let draws = 0..u64::from(weight.max(1));
    draws
        .map(|draw| xxh3_64_with_seed(&bytes, draw))
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUEUES: usize = 4000;

    /// The place of each queue among servers of these weights.
    fn places(weights: &[u32]) -> Vec<usize> {
        let place = |queue: usize| {
            let queue = queue.to_string();
            let best = weights.iter().enumerate().max_by_key(|(number, weight)| {
                score(&format!("10.0.0.{number}:8081"), **weight, &["a", &queue])
            });
            best.map(|(number, _)| number).expect("there are servers")
        };
        (0..QUEUES).map(place).collect()
    }

    fn moved(before: &[usize], after: &[usize]) -> Vec<(usize, usize)> {
        let pairs = before.iter().copied().zip(after.iter().copied());
        pairs.filter(|(before, after)| before != after).collect()
    }

    #[test]
    fn a_further_server_takes_its_share_and_nothing_else_moves() {
        for count in 1..8 {
            let moved = moved(&places(&vec![1; count]), &places(&vec![1; count + 1]));
            assert!(moved.iter().all(|(_, after)| *after == count));
            let share = QUEUES / (count + 1);
            assert!(
                moved.len().abs_diff(share) < share / 5,
                "{} of {QUEUES} moved to server {count}",
                moved.len()
            );
        }
    }

    #[test]
    fn a_weight_is_a_share_and_its_change_moves_only_that() {
        let (even, uneven) = (places(&[1, 1, 1]), places(&[1, 3, 1]));
        let share = uneven.iter().filter(|place| **place == 1).count();
        assert!(share.abs_diff(QUEUES * 3 / 5) < QUEUES / 20, "{share}");
        let moved = moved(&even, &uneven);
        assert!(moved.iter().all(|(_, after)| *after == 1));
    }

    #[test]
    fn the_hash_stays_what_it_is() {
        // Another one would have every queue looked for where it is not.
        const SCORE: u64 = 0xb4d7_c53e_16d2_185c;
        assert_eq!(score("east", 1, &["shop", "jobs"]), SCORE);
        assert_ne!(score("east", 1, &["sho", "pjobs"]), SCORE);
    }
}
