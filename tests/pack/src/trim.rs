//! Leaves out of a module what the script that it is bundled with does not call: bindings of crates are
//! exports, which the linker has to keep.

use std::fs;
use std::path::Path;

use anyhow::Context;
use walrus::{ModuleConfig, passes};

/// Removes the exports whose names the script does not have, and all that only they need.
pub(crate) fn trim(path: &Path, script: &Path) -> anyhow::Result<()> {
    let script = fs::read_to_string(script).with_context(|| script.display().to_string())?;
    let mut config = ModuleConfig::new();
    config
        .generate_name_section(false)
        .generate_producers_section(false);
    let mut module = config.parse_file(path)?;
    let unused = module.exports.iter();
    let unused = unused.filter(|export| !script.contains(&export.name));
    let unused: Vec<_> = unused.map(|export| export.id()).collect();
    for export in unused {
        module.exports.delete(export);
    }
    passes::gc::run(&mut module);
    module.emit_wasm_file(path)
}
