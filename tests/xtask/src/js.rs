//! The JavaScript package: built, and tested in Node, Deno, Bun and Chromium.

use std::fs;
use std::io;
use std::path::Path;

use clap::Subcommand;

use crate::install::{cargo_tool, debian_program};
use crate::report::Count;
use crate::run::{Failure, cargo, program, root, target_folder};
use crate::{npm, wasm};

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Builds the package, and does not test it.
    Build,
}

/// Deno and Bun, from their packages for Linux on x64. On other machines they are left out.
const OTHERS: [(&str, &str, &[&str]); 2] = [
    (
        "Deno",
        "@deno/linux-x64-glibc/deno",
        &["run", "--allow-all", "--no-lock"],
    ),
    ("Bun", "@oven/bun-linux-x64/bin/bun", &[]),
];

pub(crate) fn run(task: Option<Task>) -> Result<(), Failure> {
    match task {
        Some(Task::Build) => build(),
        None => {
            cargo_tool("cargo-nextest")?;
            test(&mut Count::default())
        }
    }
}

/// Builds the package and runs its tests.
pub(crate) fn test(count: &mut Count) -> Result<(), Failure> {
    debian_program("node", "nodejs")?;
    debian_program("chromium", "chromium")?;
    let folder = root().join("host-wasm/js");
    let tools = npm::install(&folder.join("tests"))?;
    build()?;
    program("node")
        .args(["--test", "--test-reporter=spec"])
        .args(test_files()?)
        .env("BURROW_JS_TOOLS", &tools)
        .env("BURROW_JS_PICTURES", target_folder().join("pictures"))
        .folder(&folder)
        .run_tests(count)?;
    for (name, path, arguments) in OTHERS {
        let runtime = tools.join("node_modules").join(path);
        if !runtime.is_file() {
            if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
                return Err(Failure(format!("npm has installed no {name}")));
            }
            println!("{name} is not there for this kind of machine");
            continue;
        }
        println!("{name}: the conversations, and folders as storage");
        program(runtime)
            .args(arguments)
            .args(["tests/everywhere.js"])
            .folder(&folder)
            .run_tests(count)?;
    }
    cargo(["nextest", "run", "--workspace", "--run-ignored", "only"])
        .args(["-E", "binary(javascript)"])
        .run_tests(count)
}

/// Builds the package and serves the page that shows it.
pub(crate) fn page() -> Result<(), Failure> {
    debian_program("node", "nodejs")?;
    build()?;
    program("node").args(["examples/page/serve.js"]).run()
}

/// Puts the machine and its bindings where the package has them.
fn build() -> Result<(), Failure> {
    let module = wasm::build("burrow-js", "worker", "std,panic_abort")?;
    cargo(["run", "--quiet", "--package", "burrow-pack", "--"])
        .args(["bindgen", "web"])
        .args([&module, &root().join("host-wasm/js/wasm")])
        .args(["burrow"])
        .run()
}

/// By name: not every version of node looks for them in a folder in the same way.
fn test_files() -> Result<Vec<String>, Failure> {
    let folder = root().join("host-wasm/js/tests");
    let mut files = Vec::new();
    for file in fs::read_dir(&folder).map_err(at(&folder))? {
        let name = file.map_err(at(&folder))?.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".test.js") {
            files.push(format!("tests/{name}"));
        }
    }
    files.sort();
    Ok(files)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failure {
    move |error| Failure(format!("{}: {error}", path.display()))
}
