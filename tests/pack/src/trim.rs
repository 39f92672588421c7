//! Leaves out of a module what the script that it is bundled with does not call: bindings of crates are
//! exports, which the linker has to keep, and so are functions that only such bindings have the address of.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use anyhow::Context;
use walrus::ir::{Const, Value, Visitor, dfs_in_order};
use walrus::{
    ConstExpr, DataKind, ElementId, ElementItems, ElementKind, ExportItem, FunctionId,
    FunctionKind, Module, ModuleConfig, passes,
};

use crate::arrange;

/// The names by which bindings know each other, and nobody else.
const OF_BINDINGS: [&str; 2] = ["__wb", "wasm_bindgen_"];

/// Removes the exports whose names the script does not have, and all that only they need. What is left is
/// arranged so that it packs well.
pub(crate) fn trim(path: &Path, script_path: &Path) -> anyhow::Result<()> {
    let in_script = || script_path.display().to_string();
    let script = fs::read_to_string(script_path).with_context(in_script)?;
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
    clear_table(&mut module);
    passes::gc::run(&mut module);
    module.customs.remove_raw("target_features");
    fs::write(script_path, shorten(&mut module, &script)).with_context(in_script)?;
    let arranged = arrange::arrange(&module.emit_wasm())?;
    fs::write(path, arranged).with_context(|| path.display().to_string())
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

/// Takes functions out of the table whose places no code and no data names. A number that happens to be that
/// of a place keeps its function; the linker is told to begin the table where such numbers are rare.
fn clear_table(module: &mut Module) {
    for (segment, first, functions) in tables(module) {
        let named = Named::find(module, first, &functions);
        let Some(&any) = functions.iter().find(|one| named.functions.contains(one)) else {
            continue;
        };
        let kept = functions.iter().map(|one| match one {
            named_one if named.functions.contains(named_one) => *named_one,
            _ => any,
        });
        module.elements.get_mut(segment).items = ElementItems::Functions(kept.collect());
    }
}

/// The parts of tables that hold functions, and where they begin.
fn tables(module: &Module) -> Vec<(ElementId, u32, Vec<FunctionId>)> {
    let segments = module.elements.iter().filter_map(|segment| {
        let ElementKind::Active { offset, .. } = &segment.kind else {
            return None;
        };
        let ElementItems::Functions(functions) = &segment.items else {
            return None;
        };
        Some((segment.id(), number(offset)?, functions.clone()))
    });
    segments.collect()
}

fn number(value: &ConstExpr) -> Option<u32> {
    match value {
        ConstExpr::Value(Value::I32(number)) => Some(*number as u32),
        _ => None,
    }
}

/// The functions that can be reached from exports, by calls and by their places in a table.
struct Named<'m> {
    table: &'m [FunctionId],
    /// The place of the table's first function.
    first: u32,
    functions: HashSet<FunctionId>,
    unread: Vec<FunctionId>,
}

impl<'m> Named<'m> {
    fn find(module: &Module, first: u32, table: &'m [FunctionId]) -> Self {
        let mut named = Self {
            table,
            first,
            functions: HashSet::new(),
            unread: Vec::new(),
        };
        for export in module.exports.iter() {
            if let ExportItem::Function(function) = export.item {
                named.reach(function);
            }
        }
        module
            .start
            .into_iter()
            .for_each(|start| named.reach(start));
        for data in module.data.iter() {
            named.read_data(&data.kind, &data.value);
        }
        while let Some(function) = named.unread.pop() {
            if let FunctionKind::Local(local) = &module.funcs.get(function).kind {
                dfs_in_order(&mut named, local, local.entry_block());
            }
        }
        named
    }

    fn reach(&mut self, function: FunctionId) {
        if self.functions.insert(function) {
            self.unread.push(function);
        }
    }

    fn reach_place(&mut self, place: u32) {
        let place = place.checked_sub(self.first);
        let function = place.and_then(|place| self.table.get(place as usize));
        function
            .into_iter()
            .for_each(|function| self.reach(*function));
    }

    /// An address lies at a multiple of four.
    fn read_data(&mut self, kind: &DataKind, bytes: &[u8]) {
        let start = match kind {
            DataKind::Active { offset, .. } => number(offset).unwrap_or_default(),
            DataKind::Passive => 0,
        };
        let before = start.wrapping_neg() as usize % 4;
        let (words, _) = bytes.get(before..).unwrap_or_default().as_chunks();
        for word in words {
            self.reach_place(u32::from_le_bytes(*word));
        }
    }
}

impl Visitor<'_> for Named<'_> {
    fn visit_function_id(&mut self, function: &FunctionId) {
        self.reach(*function);
    }

    fn visit_const(&mut self, constant: &Const) {
        if let Value::I32(number) = constant.value {
            self.reach_place(number as u32);
        }
    }
}
