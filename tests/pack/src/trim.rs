//! Leaves out of a module what the script that it is bundled with does not call: bindings of crates are
//! exports, which the linker has to keep, and so are functions that only such bindings have the address of.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::Context;
use walrus::{Module, ModuleConfig, passes};
use wasmparser::Validator;

use crate::{arrange, table};

/// The names by which bindings know each other, and nobody else.
const OF_BINDINGS: [&str; 4] = ["__wb", "wasm_bindgen_", "_R", "_ZN"];

/// Removes the exports whose names the script does not have, and all that only they need. What is left is
/// arranged so that it packs well.
pub(crate) fn trim(path: &Path, script_path: &Path) -> anyhow::Result<()> {
    let in_script = || script_path.display().to_string();
    let in_module = || path.display().to_string();
    let module = fs::read(path).with_context(in_module)?;
    let script = fs::read_to_string(script_path).with_context(in_script)?;
    let (module, script) = trimmed(&module, &script).with_context(in_module)?;
    fs::write(script_path, script).with_context(in_script)?;
    fs::write(path, module).with_context(in_module)
}

/// The same for what the files hold. What is given is a valid module.
pub(crate) fn trimmed(module: &[u8], script: &str) -> anyhow::Result<(Vec<u8>, String)> {
    let mut config = ModuleConfig::new();
    config
        .generate_name_section(false)
        .generate_producers_section(false);
    let mut module = config.parse(module)?;
    let unused = module.exports.iter();
    let unused = unused.filter(|export| !script.contains(&export.name));
    let unused: Vec<_> = unused.map(|export| export.id()).collect();
    for export in unused {
        module.exports.delete(export);
    }
    if let Err(reason) = table::clear(&mut module) {
        eprintln!("WARNING: no function is taken out of the table: {reason:#}");
    }
    passes::gc::run(&mut module);
    module.customs.remove_raw("target_features");
    let script = shorten(&mut module, script);
    let module = arrange::arrange(&module.emit_wasm())?;
    validate(&module)?;
    Ok((module, script))
}

/// Nothing is written that a runtime would refuse.
fn validate(module: &[u8]) -> anyhow::Result<()> {
    let validated = Validator::new().validate_all(module);
    validated.context("what is left is no valid module")?;
    Ok(())
}

/// Gives bindings short names, in the module and in the script, which is given.
fn shorten(module: &mut Module, script: &str) -> String {
    let mut short = HashMap::new();
    let imports = module.imports.iter_mut().map(|import| &mut import.name);
    let exports = module.exports.iter_mut().map(|export| &mut export.name);
    for name in imports.chain(exports) {
        if OF_BINDINGS.iter().any(|start| name.starts_with(start)) {
            let next = format!("${}", short.len());
            let given: &String = short.entry(name.clone()).or_insert(next);
            name.clone_from(given);
        }
    }
    let is_part = |character: char| character.is_ascii_alphanumeric() || "_$".contains(character);
    let mut shortened = String::new();
    for piece in script.split_inclusive(|character| !is_part(character)) {
        let name = piece.trim_end_matches(|character| !is_part(character));
        let behind = piece.strip_prefix(name).unwrap_or_default();
        shortened.push_str(short.get(name).map_or(name, String::as_str));
        shortened.push_str(behind);
    }
    shortened
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{CodeSection, Function, FunctionSection, TypeSection};

    use super::*;

    /// A module with one function of this body.
    fn module(body: &Function) -> Vec<u8> {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let mut functions = FunctionSection::new();
        functions.function(0);
        let mut code = CodeSection::new();
        code.function(body);
        let mut module = wasm_encoder::Module::new();
        module.section(&types).section(&functions).section(&code);
        module.finish()
    }

    #[test]
    fn what_a_runtime_would_refuse_is_not_written() {
        let mut body = Function::new([]);
        body.instructions().end();
        assert!(validate(&module(&body)).is_ok());
        // There is nothing that could be dropped.
        let mut body = Function::new([]);
        body.instructions().drop().end();
        assert!(validate(&module(&body)).is_err());
    }
}
