//! The fuzz targets on seeds and mutated seeds: the same inputs with every run.

use std::alloc::System;
use std::fs;
use std::path::Path;

use cap::Cap;
use fastrand::Rng;

/// More memory than a target may ask for. An allocation beyond it ends the test.
const MEMORY_BYTES: usize = 64 << 20;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, MEMORY_BYTES);

#[test]
fn rest() {
    let words = [
        "/v1.0",
        "/a/q",
        "?limit=1&",
        "hide=1&",
        "ttl=0&",
        "wait=1&",
        "detail=all&",
        "claim=",
        "\0",
        "\0+999\0",
        "settings",
    ];
    run("rest", burrow_fuzz::rest, &words, 20_000);
}

#[test]
fn wire() {
    // A request's kind, and names that meet.
    let words = ["\u{1}", "\u{2}", "\u{1}a\u{1}b", "\0\0\0"];
    run("wire", burrow_fuzz::wire, &words, 20_000);
}

#[test]
fn journal() {
    run(
        "journal",
        burrow_fuzz::journal,
        &["\u{1}", "\0\0\0\0"],
        10_000,
    );
}

fn run(name: &str, target: fn(&[u8]), words: &[&str], rounds: u64) {
    let seeds = seeds(name);
    for (path, seed) in &seeds {
        let _shown = ShownOnPanic {
            what: path.clone(),
            input: seed,
        };
        target(seed);
    }
    for round in 0..rounds {
        let input = mutate(&mut Rng::with_seed(round), &seeds, words);
        let _shown = ShownOnPanic {
            what: format!("round {round}"),
            input: &input,
        };
        target(&input);
    }
}

/// Every file in the target's folder of seeds: starting points and inputs that once failed.
fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(name);
    let files = fs::read_dir(&folder).expect("the folder of seeds can be read");
    let mut paths: Vec<_> = files
        .map(|file| file.expect("the folder of seeds can be read").path())
        .collect();
    assert!(!paths.is_empty());
    paths.sort();
    paths
        .iter()
        .map(|path| {
            (
                path.display().to_string(),
                fs::read(path).expect("a seed can be read"),
            )
        })
        .collect()
}

/// A seed, or mere noise, after up to eight changes of the kinds that fuzzers make.
fn mutate(rng: &mut Rng, seeds: &[(String, Vec<u8>)], words: &[&str]) -> Vec<u8> {
    let any = |rng: &mut Rng| match seeds.get(rng.usize(..=seeds.len())) {
        Some((_, seed)) => seed.clone(),
        None => noise(rng, 1_500),
    };
    let mut input = any(rng);
    for _ in 0..rng.usize(1..=8) {
        let (from, to) = (rng.usize(..=input.len()), rng.usize(..=input.len()));
        let range = from.min(to)..from.max(to).min(from.min(to) + rng.usize(..64));
        match rng.u8(..7) {
            0 => input
                .iter_mut()
                .skip(from)
                .take(1)
                .for_each(|byte| *byte ^= 1 << rng.u8(..8)),
            1 => input
                .iter_mut()
                .skip(from)
                .take(rng.usize(1..=8))
                .for_each(|byte| *byte = rng.u8(..)),
            2 => drop(input.drain(range)),
            3 => {
                let again: Vec<u8> = input[range].to_vec();
                input.splice(to..to, again);
            }
            4 => input.extend(noise(rng, 500)),
            5 => {
                let word = words[rng.usize(..words.len())];
                input.splice(from..from, word.bytes());
            }
            _ => {
                let other = any(rng);
                input.truncate(from);
                input.extend(other.iter().skip(rng.usize(..=other.len())));
            }
        }
    }
    input
}

fn noise(rng: &mut Rng, most: usize) -> Vec<u8> {
    let bytes = rng.usize(..most);
    std::iter::repeat_with(|| rng.u8(..)).take(bytes).collect()
}

struct ShownOnPanic<'a> {
    what: String,
    input: &'a [u8],
}

impl Drop for ShownOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: b\"{}\"", self.what, self.input.escape_ascii());
        }
    }
}
