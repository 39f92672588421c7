//! Takes one hot path for so many messages: `hot-path PATH COUNT`. For callgrind, which
//! counts the instructions: see `tests/instructions.rs`.

use burrow_bench::paths::Path;
use clap::Parser;

#[derive(Debug, Parser)]
struct Arguments {
    path: Path,
    messages: u64,
}

fn main() -> anyhow::Result<()> {
    let Arguments { path, messages } = Arguments::parse();
    path.take(messages)
}
