//! Bindings for JavaScript, of modules that were compiled with wasm-bindgen.

use std::fs;
use std::path::Path;

use anyhow::bail;
use wasm_bindgen_cli_support::Bindgen;

/// Writes `NAME.js` and `NAME_bg.wasm` for a target, one of `web`, `nodejs`, `bundler` and `module`.
pub(crate) fn bind(target: &str, module: &Path, to: &Path, name: &str) -> anyhow::Result<()> {
    let mut bindgen = Bindgen::new();
    match target {
        "web" => bindgen.web(true)?,
        "nodejs" => bindgen.nodejs(true)?,
        "bundler" => bindgen.bundler(true)?,
        // A module that was aborted can be begun anew.
        "module" => bindgen
            .module(true)?
            .reset_state_function(true)
            .force_enable_abort_handler(true),
        _ => bail!("there is no target {target}"),
    };
    bindgen
        .input_path(module)
        .out_name(name)
        .typescript(false)
        .remove_name_section(true)
        .remove_producers_section(true)
        .generate(to)?;
    if target == "module" {
        let script = to.join(name).with_extension("js");
        let bindings = fs::read_to_string(&script)?;
        // The same to the runtimes that know it, and nothing to those and to tools that do not.
        let bindings = bindings.replace("import source ", "import ");
        // A bundler keeps whatever might do something when it is made, also for a class that nobody uses.
        let registry = ": new FinalizationRegistry(";
        let bindings = bindings.replace(registry, ": /* @__PURE__ */ new FinalizationRegistry(");
        // A bundler keeps each class of which this is set, also one that nobody uses.
        let lines = bindings.lines();
        let lines = lines.filter(|line| !line.starts_with("if (Symbol.dispose)"));
        fs::write(&script, lines.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(())
}
