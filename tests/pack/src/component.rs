//! Components, of core modules that carry the description of their world.

use std::fs;
use std::path::Path;

use anyhow::Context;
use wit_component::ComponentEncoder;

/// Wraps the core module into a component that imports what its world says, and no more.
pub(crate) fn wrap(core: &Path, to: &Path) -> anyhow::Result<()> {
    let module = fs::read(core).with_context(|| core.display().to_string())?;
    let component = ComponentEncoder::default()
        .validate(true)
        .module(&module)?
        .encode()?;
    fs::write(to, component).with_context(|| to.display().to_string())
}
