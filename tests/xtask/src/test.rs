//! Every check and every test.

use crate::install::{cargo_tool, debian_program};
use crate::report::{Count, Steps};
use crate::run::{Failure, Task, cargo, root, target_folder};
use crate::{fuzz, js, npm, python, wasm, worker};

/// Seconds for which each fuzz target runs under coverage: enough to see that it works.
const FUZZ_SECONDS: u32 = 5;

pub(crate) fn everything() -> Result<(), Failure> {
    let mut steps = Steps::default();
    steps.step("what the tests need", |_| {
        cargo_tool("cargo-nextest")?;
        debian_program("curl", "curl")?;
        debian_program("valgrind", "valgrind")
    });
    steps.step("format", |_| {
        words("fmt --all --check -- --files-with-diff").run()
    });
    steps.step("lints", |_| {
        words("clippy --workspace --all-targets -- -D warnings").run()
    });
    steps.step("tests", |count| {
        // Built along with the tests of its own package.
        words("nextest run --workspace --no-fail-fast")
            .env("BURROW_PROGRAM", target_folder().join("debug/burrow"))
            .run_tests(count)
    });
    steps.step("examples in the documentation", |count| {
        words("test --workspace --doc --no-fail-fast").run_tests(count)
    });
    steps.step("the core as wasm", wasm);
    steps.step("the Worker", worker::test);
    steps.step("the component", component);
    steps.step("the JavaScript package", js::test);
    steps.step("fuzz targets", |_| fuzz::fuzz(FUZZ_SECONDS));
    steps.finish()
}

/// Runs the core as wasm. Left out of a plain run of all tests: the module must be there.
pub(crate) fn wasm(count: &mut Count) -> Result<(), Failure> {
    let module = wasm::build("burrow-wasm-check", "dev", "core,alloc")?;
    words("nextest run --workspace --run-ignored only -E package(burrow-wasm-check)")
        .env("BURROW_WASM_MODULE", module)
        .run_tests(count)
}

/// Builds the component and runs what needs it: in wasmtime from Rust and Python, in
/// JavaScript, and its figures for a moment.
pub(crate) fn component(count: &mut Count) -> Result<(), Failure> {
    let node_modules = npm::install(&root().join("examples/component"))?.join("node_modules");
    words("nextest run --workspace --no-fail-fast --run-ignored only -E")
        .args(["binary(component) | (binary(short) & test(component))"])
        .env("BURROW_COMPONENT", wasm::build_component()?)
        .env(
            "BURROW_PYTHON",
            python::with_packages("examples/component/requirements.txt")?,
        )
        .env("BURROW_NODE_MODULES", node_modules)
        .run_tests(count)
}

/// The crash tests alone, with so many kills.
pub(crate) fn crash(rounds: u32) -> Result<(), Failure> {
    cargo_tool("cargo-nextest")?;
    words("nextest run --workspace --profile long --no-capture -E package(burrow-tests)&binary(crash)")
        .env("BURROW_CRASH_ROUNDS", rounds.to_string())
        .run()
}

/// Cargo with arguments that have no spaces in them.
fn words(arguments: &str) -> Task {
    cargo(arguments.split(' '))
}
