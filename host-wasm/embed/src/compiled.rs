//! Compiled code that is kept for the next start.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::CompileError;
use crate::plugin::unusable;

/// Files that this process has begun.
static PARTIAL: AtomicU64 = AtomicU64::new(0);

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
    // Under another name until it is complete: others may be looking for it, and make it as well.
    let number = PARTIAL.fetch_add(1, Relaxed);
    let partial = path.with_extension(format!("{}.{number}.partial", std::process::id()));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::thread;

    /// A component with nothing in it, which compiles at once.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn many_threads_may_look_for_the_same_code() {
        const THREADS: usize = 4;
        let engine = Engine::default();
        for _ in 0..200 {
            let folder = tempfile::tempdir().unwrap();
            let barrier = Barrier::new(THREADS);
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        barrier.wait();
                        component(&engine, EMPTY, folder.path()).unwrap();
                    });
                }
            });
        }
    }
}
