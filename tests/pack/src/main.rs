//! Makes packages of compiled wasm.

mod arrange;
mod bindgen;
mod component;
mod table;
mod trim;

use std::path::Path;

use anyhow::bail;

const USAGE: &str = "usage: burrow-pack component CORE.wasm COMPONENT.wasm
       burrow-pack bindgen web|nodejs|bundler|module MODULE.wasm FOLDER NAME
       burrow-pack trim MODULE.wasm SCRIPT.js";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["component", core, to] => component::wrap(Path::new(core), Path::new(to)),
        ["bindgen", target, module, to, name] => {
            bindgen::bind(target, Path::new(module), Path::new(to), name)
        }
        ["trim", module, script] => trim::trim(Path::new(module), Path::new(script)),
        _ => bail!(USAGE),
    }
}
