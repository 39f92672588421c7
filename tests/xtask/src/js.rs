//! The JavaScript package: built, and tested in node.

use std::fs;
use std::io;
use std::path::Path;

use crate::install::debian_program;
use crate::report::Count;
use crate::run::{Failure, cargo, program, root};
use crate::wasm;

/// Builds the package and runs its tests.
pub(crate) fn test(count: &mut Count) -> Result<(), Failure> {
    debian_program("node", "nodejs")?;
    build()?;
    program("node")
        .args(["--test", "--test-reporter=spec"])
        .args(test_files()?)
        .folder(&root().join("host-wasm/js"))
        .run_tests(count)
}

/// Puts the machine and its bindings where the package has them.
fn build() -> Result<(), Failure> {
    let module = wasm::build("burrow-js", "wasm", "std,panic_abort")?;
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
