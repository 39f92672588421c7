//! The Cloudflare Worker: built, and run on bare workerd.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::install::{cargo_tool, debian_program, has};
use crate::report::Count;
use crate::run::{Failure, cargo, program, root, target_folder};
use crate::workerd::{DataFolder, Workerd};
use crate::{npm, wasm};

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Serves the Worker on this machine. Its variables are taken from the environment.
    Serve {
        #[arg(long, default_value_t = 8787)]
        port: u16,
        /// Where the objects keep their data.
        #[arg(long, default_value = "burrow-data/worker")]
        data: PathBuf,
        #[command(flatten)]
        wire: Wire,
    },
    /// Builds the Worker, for `wrangler deploy`.
    Build {
        #[command(flatten)]
        wire: Wire,
    },
    /// Tests the Worker.
    Test,
    /// Packs the Worker as `wrangler deploy` does, and does not deploy it.
    DryRun,
    /// Prints its figures, beside those of an empty object and of workerd's own queues.
    Figures {
        /// Arguments for the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Wire {
    /// With the wire protocol on WebSockets.
    #[arg(long = "wire")]
    is_wanted: bool,
}

/// REST alone.
const LEAN: Wire = Wire { is_wanted: false };
const WITH_WIRE: Wire = Wire { is_wanted: true };

pub(crate) fn run(task: Task) -> Result<(), Failure> {
    match task {
        Task::Serve { port, data, wire } => serve(port, &data, wire),
        Task::Build { wire } => build(wire, &folder()),
        Task::Test => {
            cargo_tool("cargo-nextest")?;
            test(&mut Count::default())
        }
        Task::DryRun => dry_run().map(|folder| println!("packed into {}", folder.display())),
        Task::Figures { arguments } => {
            let workerd = ready()?;
            cargo([
                "run",
                "--quiet",
                "--release",
                "--package",
                "burrow-bench",
                "--",
                "worker",
            ])
            .args(arguments)
            .env("BURROW_WORKERD", workerd)
            .run()
        }
    }
}

/// Runs the tests that need workerd; a plain run of all tests leaves them out.
pub(crate) fn test(count: &mut Count) -> Result<(), Failure> {
    let packed = dry_run()?;
    let with_wire = build_beside(WITH_WIRE)?;
    let filter =
        "package(burrow-tests)&binary(worker)|package(burrow-bench)&binary(worker)|package(xtask)";
    cargo([
        "nextest",
        "run",
        "--workspace",
        "--no-fail-fast",
        "--run-ignored",
        "only",
        "-E",
        filter,
    ])
    .env("BURROW_WORKERD", workerd()?)
    .env("BURROW_PACKED", packed)
    .env("BURROW_WORKER_WITH_WIRE", with_wire)
    .run_tests(count)
}

/// Has wrangler read its configuration, build the Worker and pack it, all but the upload: that needs neither
/// the network nor an account. Gives the folder with what would be uploaded.
fn dry_run() -> Result<PathBuf, Failure> {
    debian_program("node", "nodejs")?;
    let tools = npm::install_all(&folder())?;
    let own = target_folder().join("wrangler");
    let packed = own.join("packed");
    if packed.exists() {
        fs::remove_dir_all(&packed).map_err(at(&packed))?;
    }
    program("node")
        .args([tools.join("node_modules/wrangler/bin/wrangler.js")])
        .args(["deploy", "--dry-run", "--outdir"])
        .args([&packed])
        // Its logs and settings stay here, it asks nobody and tells nobody.
        .env("XDG_CONFIG_HOME", &own)
        .env("WRANGLER_SEND_METRICS", "false")
        .env("CI", "true")
        .folder(&folder())
        .run()?;
    Ok(packed)
}

fn serve(port: u16, data: &Path, wire: Wire) -> Result<(), Failure> {
    let data = DataFolder::open(data)?;
    build(wire, &folder())?;
    let config = folder().join("workerd.capnp");
    let workerd = Workerd::start(&workerd()?, &config, port, data)?;
    println!(
        "burrow serves on http://127.0.0.1:{}, with its data in {}",
        workerd.port(),
        workerd.data().display()
    );
    workerd.wait()
}

/// Builds the Worker in a folder of its own, which is given.
fn build_beside(wire: Wire) -> Result<PathBuf, Failure> {
    let beside = target_folder().join("worker");
    fs::create_dir_all(&beside).map_err(at(&beside))?;
    for name in ["shim.js", "runtime.js", "workerd.capnp"] {
        let copy = beside.join(name);
        fs::copy(folder().join(name), &copy).map_err(at(&copy))?;
    }
    build(wire, &beside)?;
    Ok(beside)
}

/// Compiles the module, and packs it into `build` with the script beside it that binds it to the runtime.
fn build(wire: Wire, folder: &Path) -> Result<(), Failure> {
    let build = folder.join("build");
    let features = if wire.is_wanted { "wire" } else { "" };
    let module = wasm::build_with("burrow-worker", features, "worker", "std,panic_abort")?;
    cargo(["run", "--quiet", "--package", "burrow-pack", "--"])
        .args(["bindgen", "module"])
        .args([&module, &build])
        .args(["index"])
        .run()?;
    program(installed("@esbuild", "esbuild")?)
        .args(["shim.js", "--outfile=build/index.js", "--allow-overwrite"])
        .args([
            "--bundle",
            "--minify",
            "--format=esm",
            "--log-level=warning",
            "--log-override:import-is-undefined=silent",
            // The bindings name a script twice that the module imports from; it is the same.
            "--log-override:duplicate-object-key=silent",
        ])
        .args(["--external:*.wasm", "--external:cloudflare:*"])
        .folder(folder)
        .run()?;
    cargo(["run", "--quiet", "--package", "burrow-pack", "--", "trim"])
        .args([build.join("index_bg.wasm"), build.join("index.js")])
        .run()
}

/// Builds the Worker, and names the workerd that is to run it.
pub(crate) fn ready() -> Result<PathBuf, Failure> {
    build(LEAN, &folder())?;
    workerd()
}

/// The runtime that Cloudflare runs Workers with.
fn workerd() -> Result<PathBuf, Failure> {
    installed("@cloudflare", "workerd")
}

/// A program that npm has in one package for each kind of machine. Where there is no npm, one that somebody else
/// has installed will do: it needs no node.
fn installed(scope: &str, name: &str) -> Result<PathBuf, Failure> {
    if !has("npm") && has(name) {
        return Ok(name.into());
    }
    let packages = npm::install(&folder())?.join("node_modules").join(scope);
    let folders = fs::read_dir(&packages).map_err(at(&packages))?;
    let mut programs = folders
        .filter_map(Result::ok)
        .map(|folder| folder.path().join("bin").join(name));
    programs
        .find(|program| program.is_file())
        .ok_or_else(|| Failure(format!("npm has no {name} for this machine")))
}

fn folder() -> PathBuf {
    root().join("host-wasm/worker")
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure(format!("{}: {error}", path.display()))
}
