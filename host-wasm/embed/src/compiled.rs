//! Compiled code that is kept for the next start.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::CompileError;
use crate::plugin::unusable;

/// The component from the folder, where its compiled code is put if it is not there.
pub(crate) fn component(
    engine: &Engine,
    wasm: &[u8],
    folder: &Path,
) -> Result<Component, CompileError> {
    // Code for another component, version or machine has another name.
    let mut hasher = DefaultHasher::new();
    wasm.hash(&mut hasher);
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let path = folder.join(format!("burrow-{:016x}.cwasm", hasher.finish()));
    if let Some(component) = load(engine, &path) {
        return Ok(component);
    }
    let component = Component::new(engine, wasm).map_err(unusable)?;
    let code = component.serialize().map_err(unusable)?;
    let failed = |source| CompileError::Cache {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    // Under another name until it is complete: others may be looking for it.
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    fs::write(&partial, code).map_err(failed)?;
    fs::rename(&partial, &path).map_err(failed)?;
    Ok(component)
}

#[allow(unsafe_code)]
fn load(engine: &Engine, path: &Path) -> Option<Component> {
    if !path.is_file() {
        return None;
    }
    // SAFETY: the file was written by `component` above; the caller of `compile_cached`
    // sees to it that nobody else writes to the folder.
    unsafe { Component::deserialize_file(engine, path) }.ok()
}
