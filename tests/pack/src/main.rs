//! Makes components of compiled wasm.

mod component;

use std::path::Path;

use anyhow::bail;

const USAGE: &str = "usage: burrow-pack component CORE.wasm COMPONENT.wasm";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["component", core, to] => component::wrap(Path::new(core), Path::new(to)),
        _ => bail!(USAGE),
    }
}
