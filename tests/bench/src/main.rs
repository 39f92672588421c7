//! The figures of Burrow, by name.

use burrow_bench::{
    Size, component, heap, http, machine, memory, pause, proxy, report, restart, wire, worker,
    writes,
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
    /// Everything below, one after another.
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
    /// Requests for each second through the server, beside a bare TCP echo.
    Http,
    /// The Worker on workerd, which `BURROW_WORKERD` names; `cargo xtask worker figures`
    /// builds the one and installs the other.
    Worker,
    /// Lives for each second in the component, beside the machine natively.
    Component,
    /// Messages for each second over the wire protocol, beside a bare TCP echo.
    Wire,
    /// Messages for each second and latency through a proxy, beside the same server directly.
    Proxy,
    /// One row of `memory`, as two numbers.
    #[command(hide = true)]
    MemoryOf {
        contents: memory::Contents,
        count: u64,
    },
    /// The echo that `http` compares with.
    #[command(hide = true)]
    Echo,
}

fn main() -> anyhow::Result<()> {
    let Arguments { short, figures } = Arguments::parse();
    let size = Size { short };
    match figures {
        Figures::MemoryOf { contents, count } => return memory::run_one(contents, count),
        Figures::Echo => return http::echo::serve(),
        _ => report::print_header(),
    }
    let all: &[fn(Size) -> anyhow::Result<()>] = match figures {
        Figures::Machine => &[machine::run],
        Figures::Memory => &[memory::run],
        Figures::Pause => &[pause::run],
        Figures::Restart => &[restart::run],
        Figures::Writes => &[writes::run],
        Figures::Http => &[http::run],
        Figures::Worker => &[worker::run],
        Figures::Component => &[component::run],
        Figures::Wire => &[wire::run],
        Figures::Proxy => &[proxy::run],
        _ => &[
            restart::run,
            pause::run,
            writes::run,
            memory::run,
            machine::run,
            http::run,
            component::run,
            wire::run,
            proxy::run,
        ],
    };
    all.iter().try_for_each(|figure| figure(size))
}
