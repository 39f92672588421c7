//! Makes packages of compiled wasm.

mod bindgen;

use std::path::Path;

use anyhow::bail;

const USAGE: &str = "usage: burrow-pack bindgen web|nodejs|bundler|module MODULE.wasm FOLDER NAME";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["bindgen", target, module, to, name] => {
            bindgen::bind(target, Path::new(module), Path::new(to), name)
        }
        _ => bail!(USAGE),
    }
}
