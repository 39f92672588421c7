//! Bindings for JavaScript, of modules that were compiled with wasm-bindgen.

use std::fs;
use std::path::Path;

use anyhow::{bail, ensure};
use wasm_bindgen_cli_support::Bindgen;

/// Writes `NAME.js` and `NAME_bg.wasm` for a target, one of `web`, `nodejs`, `bundler` and `module`.
pub(crate) fn bind(target: &str, module: &Path, to: &Path, name: &str) -> anyhow::Result<()> {
    let mut bindgen = Bindgen::new();
    match target {
        "web" => bindgen.web(true)?,
        "nodejs" => bindgen.nodejs(true)?,
        "bundler" => bindgen.bundler(true)?,
        // A module that was aborted can be begun anew.
        "module" => bindgen.module(true)?.force_enable_abort_handler(true),
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
        fs::write(&script, for_bundlers(&bindings)?)?;
    }
    Ok(())
}

/// The same bindings, which bundlers understand, and of which they leave out what nobody uses. Texts that are
/// not there any more have become others, which must be looked at.
fn for_bundlers(bindings: &str) -> anyhow::Result<String> {
    let (mut imports, mut registries, mut disposes) = (0, 0, 0);
    let mut lines = Vec::new();
    for line in bindings.lines() {
        if let Some(imported) = line.strip_prefix("import source ") {
            // The same to the runtimes that know it, and nothing to those and to tools that do not.
            imports += 1;
            lines.push(format!("import {imported}"));
        } else if let Some((before, registry)) = line.split_once(": new FinalizationRegistry(") {
            // A bundler keeps whatever might do something when it is made, also for a class that nobody uses.
            registries += 1;
            let pure = "/* @__PURE__ */";
            lines.push(format!(
                "{before}: {pure} new FinalizationRegistry({registry}"
            ));
        } else if line.starts_with("if (Symbol.dispose)") {
            // A bundler keeps each class of which this is set, also one that nobody uses.
            disposes += 1;
        } else {
            lines.push(line.to_owned());
        }
    }
    ensure!(imports == 1, "the bindings import {imports} modules");
    let all = bindings.matches("new FinalizationRegistry(").count();
    ensure!(
        registries > 0 && registries == all,
        "of {all} registries of the bindings, {registries} are where they were"
    );
    let all = bindings.matches("if (Symbol.dispose)").count();
    ensure!(
        disposes > 0 && disposes == all,
        "of {all} lines about Symbol.dispose in the bindings, {disposes} are where they were"
    );
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BINDINGS: &str = "import source wasmModule from \"./index_bg.wasm\";
class A {}
if (Symbol.dispose) A.prototype[Symbol.dispose] = A.prototype.free;
const AFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_a_free(ptr, 1));";

    #[test]
    fn a_bundler_can_leave_out_a_class_that_nobody_uses() {
        let expected = "import wasmModule from \"./index_bg.wasm\";
class A {}
const AFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : /* @__PURE__ */ new FinalizationRegistry(ptr => wasm.__wbg_a_free(ptr, 1));";
        assert_eq!(for_bundlers(BINDINGS).unwrap(), expected);
    }

    #[test]
    fn bindings_that_look_otherwise_are_refused() {
        let others = [
            ("import source", "import"),
            (": new Fin", " || new Fin"),
            ("new FinalizationRegistry(", "register("),
            ("if (Symbol.dispose)", "  if (Symbol.dispose)"),
            ("if (Symbol.dispose) ", ""),
        ];
        for (text, other) in others {
            let bindings = BINDINGS.replace(text, other);
            assert_ne!(bindings, BINDINGS);
            assert!(for_bundlers(&bindings).is_err(), "{bindings}");
        }
    }
}
