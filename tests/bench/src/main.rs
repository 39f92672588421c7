//! The figures of Burrow, by name.

use burrow_bench::{
    Size, bare, component, contest, growth, heap, layers, load, machine, memory, pause, peers,
    profile, proxy, report, restart, storage, worker, writes,
};
use clap::{Parser, Subcommand};

#[global_allocator]
static HEAP: heap::Counting = heap::Counting;

#[derive(Debug, Parser)]
#[command(
    version,
    about = "The figures of Burrow, each printed by a named command"
)]
struct Arguments {
    /// Few messages and rounds: shows that the command works and its counts are right,
    /// measures nothing.
    #[arg(long, global = true)]
    short: bool,
    #[command(subcommand)]
    figures: Figures,
}

#[derive(Debug, Subcommand)]
enum Figures {
    /// The cost of every layer, from a bare TCP echo to the whole server.
    Layers(contest::Options),
    /// The same work through other queues, as far as they are installed.
    Peers(contest::Options),
    /// How cost grows with messages, queues, waiters, bodies, connections and backlog.
    Growth(contest::Options),
    /// Messages for each second and latency through a proxy, beside the same server directly.
    Proxy(contest::Options),
    /// `restart`, `pause` and `writes` in one run.
    Storage(contest::Options),
    /// Where the processor's time of a server goes, by perf.
    Profile(contest::Options),
    /// The figures below but for the Worker, one after another.
    All,
    /// Time per command at 1,000 and at many messages, hidden messages, queues, waiters.
    Machine,
    /// Bytes of memory for each message, queue and waiter.
    Memory,
    /// The longest pause while a checkpoint of many messages is under way.
    Pause,
    /// Time until a server with many messages answers again.
    Restart,
    /// Bytes written to disk over the life of a message.
    Writes,
    /// The Worker on workerd, which `BURROW_WORKERD` names; `cargo xtask worker figures`
    /// builds the one and installs the other.
    Worker,
    /// Lives for each second in the component, beside the machine natively.
    Component,
    /// One row of `memory`, as two numbers.
    #[command(hide = true)]
    MemoryOf {
        contents: memory::Contents,
        count: u64,
    },
    /// A server that does less than a queue, to compare with.
    #[command(hide = true)]
    Bare { kind: bare::Bare },
    /// Messages that live in the machine alone, for a profile.
    #[command(hide = true)]
    Live {
        case: profile::Case,
        milliseconds: u64,
    },
    /// The load generator, which is told what to do as JSON.
    #[command(hide = true)]
    Load { plan: String },
}

fn main() -> anyhow::Result<()> {
    let Arguments { short, figures } = Arguments::parse();
    let size = Size { short };
    match figures {
        Figures::MemoryOf { contents, count } => return memory::run_one(contents, count),
        Figures::Bare { kind } => return bare::serve(kind),
        Figures::Live { case, milliseconds } => return profile::live(size, case, milliseconds),
        Figures::Load { plan } => return load::run_and_print(&plan),
        Figures::Layers(options) => return layers::run(size, &options),
        Figures::Peers(options) => return peers::run(size, &options),
        Figures::Growth(options) => return growth::run(size, &options),
        Figures::Proxy(options) => return proxy::run(size, &options),
        Figures::Storage(options) => return storage::run(size, &options),
        Figures::Profile(options) => return profile::run(size, &options),
        _ => report::Header::take().print(),
    }
    let all: &[fn(Size) -> anyhow::Result<()>] = match figures {
        Figures::Machine => &[machine::run],
        Figures::Memory => &[memory::run],
        Figures::Pause => &[pause::run],
        Figures::Restart => &[restart::run],
        Figures::Writes => &[writes::run],
        Figures::Worker => &[worker::run],
        Figures::Component => &[component::run],
        _ => &[
            restart::run,
            pause::run,
            writes::run,
            memory::run,
            machine::run,
            component::run,
        ],
    };
    all.iter().try_for_each(|figure| figure(size))
}
