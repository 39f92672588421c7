//! Fuzzing under the guidance of coverage, with libFuzzer on a stable compiler.

use std::fs;
use std::path::Path;

use crate::install::debian_program;
use crate::run::{Failure, cargo, program, root, target_folder};

const TARGETS: [&str; 3] = ["rest", "journal", "wire"];

/// What `cargo fuzz` passes too, less its sanitizer: that needs a nightly compiler, and
/// finds misuse of memory, which the core (`forbid(unsafe_code)`) cannot commit.
const INSTRUMENTED: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Fuzzes each target for so long. What it learns stays in the target folder, for the
/// next time; an input that makes a target fail is told by its path.
pub(crate) fn fuzz(seconds: u32) -> Result<(), Failure> {
    debian_program("c++", "g++")?;
    // Named, so that build scripts and macros are not instrumented.
    let host = program("rustc").args(["--print", "host-tuple"]).read()?;
    let folder = target_folder().join("fuzz");
    cargo([
        "build",
        "--package",
        "burrow-fuzz",
        "--bins",
        "--features",
        "libfuzzer",
        "--target",
        &host,
        "--target-dir",
    ])
    .args([&folder])
    .env("CARGO_ENCODED_RUSTFLAGS", INSTRUMENTED.join("\u{1f}"))
    .run()?;
    for target in TARGETS {
        let learned = folder.join("corpus").join(target);
        make(&learned)?;
        program(folder.join(&host).join("debug").join(target))
            .args([learned, root().join("tests/fuzz/seeds").join(target)])
            .args([
                format!("-max_total_time={seconds}"),
                format!("-artifact_prefix={}/{target}-", folder.display()),
            ])
            .args([
                "-max_len=4096",
                "-timeout=10",
                "-rss_limit_mb=2048",
                "-malloc_limit_mb=64",
                "-print_final_stats=1",
            ])
            .run()?;
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure(format!("{}: {error}", folder.display())))
}
