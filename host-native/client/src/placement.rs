//! Which of several servers has something: rendezvous hashing.
//!
//! Each server has a score for each thing, the hash of both, and the thing is where the score
//! is highest. A further server takes its share from all, and nothing else moves. Whoever
//! knows the servers by the same names and weights comes to the same, so nobody has to
//! remember or to ask: clients and proxies agree.

use std::cmp::Reverse;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The most that a server's share may be of that of another one.
pub const MAX_WEIGHT: u32 = 100;

/// What is hashed, with all names as long as they may be, is rarely longer.
const ON_STACK: usize = 1024;

/// A server as it is written: `NAME=ADDRESS@WEIGHT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec<'a> {
    /// What is hashed, if it was given.
    pub name: Option<&'a str>,
    pub address: &'a str,
    /// 1 unless given.
    pub weight: u32,
}

impl<'a> Spec<'a> {
    /// Reads what stands before and behind an address, of which it knows nothing. `None` if the
    /// name is empty, or the weight not from 1 to [`MAX_WEIGHT`].
    pub fn read(text: &'a str) -> Option<Self> {
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (rest, weight) = match text.rsplit_once('@') {
            Some((rest, weight)) if is_number(weight) => (rest, weight.parse().ok()?),
            _ => (text, 1),
        };
        // What follows a scheme is its own affair.
        let (name, address) = match rest.split_once('=') {
            Some((name, address)) if !name.contains("://") => (Some(name), address),
            _ => (None, rest),
        };
        let is_good = name != Some("") && (1..=MAX_WEIGHT).contains(&weight);
        is_good.then_some(Self {
            name,
            address,
            weight,
        })
    }
}

/// The place of the server, of those with these names and weights, that has a thing. A queue
/// is its account and its name.
pub fn home<'n>(servers: impl Iterator<Item = (&'n str, u32)>, thing: &[&str]) -> Option<usize> {
    let ranked = servers.enumerate().map(|(place, (name, weight))| {
        // The order in which servers are given means nothing.
        let rank = (score(name, weight, thing), Reverse(name));
        (rank, place)
    });
    ranked.max().map(|(_, place)| place)
}

/// The places of all servers: the one that has the thing first, then those that would have it
/// without it.
pub fn preference<'n>(servers: impl Iterator<Item = (&'n str, u32)>, thing: &[&str]) -> Vec<usize> {
    let mut ranked: Vec<_> = servers
        .enumerate()
        .map(|(place, (name, weight))| (Reverse(score(name, weight, thing)), name, place))
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, _, place)| place).collect()
}

/// The score that the server of this name has for a thing. A server of a weight above 1 draws
/// so many times, and its best draw counts; so it has so many times the share of one with
/// weight 1, exactly, and a change of its weight moves what it gains or loses and nothing else.
pub fn score(server: &str, weight: u32, thing: &[&str]) -> u64 {
    let parts = || [server].into_iter().chain(thing.iter().copied());
    let mut on_stack = [0; ON_STACK];
    if let Some(length) = write(parts(), &mut on_stack) {
        return best(on_stack.get(..length).unwrap_or_default(), weight);
    }
    let bytes: Vec<u8> = parts()
        .flat_map(|part| prefix(part).into_iter().chain(part.bytes()))
        .collect();
    best(&bytes, weight)
}

/// Writes each part behind its length, so that those of two things never run into the same
/// bytes. Tells how many it wrote; `None` if there is no room.
fn write<'p>(parts: impl Iterator<Item = &'p str>, bytes: &mut [u8]) -> Option<usize> {
    let mut length = 0;
    for part in parts {
        for piece in [&prefix(part)[..], part.as_bytes()] {
            let end = length + piece.len();
            bytes.get_mut(length..end)?.copy_from_slice(piece);
            length = end;
        }
    }
    Some(length)
}

fn prefix(part: &str) -> [u8; 8] {
    (part.len() as u64).to_le_bytes()
}

fn best(bytes: &[u8], weight: u32) -> u64 {
    let draws = 0..u64::from(weight.max(1));
    draws
        .map(|draw| xxh3_64_with_seed(bytes, draw))
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
            let names: Vec<String> = (0..weights.len())
                .map(|number| format!("10.0.0.{number}:8081"))
                .collect();
            let servers = || {
                names
                    .iter()
                    .map(String::as_str)
                    .zip(weights.iter().copied())
            };
            let thing = ["a", &*queue];
            let home = home(servers(), &thing).expect("there are servers");
            assert_eq!(preference(servers(), &thing)[0], home);
            home
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
        let long = "x".repeat(2 * ON_STACK);
        assert_eq!(
            score(&long, 1, &[]),
            best(&[&prefix(&long)[..], long.as_bytes()].concat(), 1)
        );
    }

    #[test]
    fn a_server_is_an_address_with_a_name_and_a_weight() {
        let spec = |name, address, weight| {
            Some(Spec {
                name,
                address,
                weight,
            })
        };
        for (text, read) in [
            ("host:1", spec(None, "host:1", 1)),
            ("a=host:1@3", spec(Some("a"), "host:1", 3)),
            ("http://b:1/?x=y", spec(None, "http://b:1/?x=y", 1)),
            ("a=http://u@b:1", spec(Some("a"), "http://u@b:1", 1)),
            ("a=unix:/x=y@100", spec(Some("a"), "unix:/x=y", 100)),
            ("=host:1", None),
            ("host:1@0", None),
            ("host:1@101", None),
            ("host:1@99999999999", None),
        ] {
            assert_eq!(Spec::read(text), read, "{text}");
        }
    }
}
