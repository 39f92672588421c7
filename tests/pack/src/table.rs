//! Takes functions out of a module's table that nobody calls.

use std::collections::HashSet;

use anyhow::{Context, bail, ensure};
use walrus::ir::{Const, Value, Visitor, dfs_in_order};
use walrus::{
    ConstExpr, ConstOp, DataKind, ElementId, ElementItems, ElementKind, ExportItem,
    FunctionBuilder, FunctionId, FunctionKind, GlobalKind, Module, RefType, ValType,
};

/// Where a linker begins the table if it is told nothing.
const FIRST_UNTOLD: u32 = 1;

/// Takes functions out of the table whose places no code and no data names. A number that happens to be that
/// of a place keeps its function; the linker is told to begin the table where such numbers are rare. Should a
/// place be in use after all, whoever calls what is there traps.
pub(crate) fn clear(module: &mut Module) -> anyhow::Result<()> {
    let (segment, first, functions) = the_segment(module)?;
    if first <= FIRST_UNTOLD {
        eprintln!(
            "WARNING: the table of functions begins at {first}: the linker has not heeded --table-base, and \
             nearly every function stays in the module"
        );
    }
    let named = Named::find(module, first, &functions).functions;
    let trap = trap(module);
    let kept = functions.into_iter().map(|function| {
        let is_named = named.contains(&function);
        if is_named { function } else { trap }
    });
    module.elements.get_mut(segment).items = ElementItems::Functions(kept.collect());
    Ok(())
}

/// What puts functions into a table, the place of the first one, and the functions. It must be all that does,
/// as a place is told by its number alone.
fn the_segment(module: &Module) -> anyhow::Result<(ElementId, u32, Vec<FunctionId>)> {
    let mut found = None;
    for segment in module.elements.iter() {
        let functions = match &segment.items {
            ElementItems::Functions(functions) => functions,
            ElementItems::Expressions(ty, _) if *ty == RefType::EXTERNREF => continue,
            ElementItems::Expressions(..) => bail!("a segment has expressions"),
        };
        let ElementKind::Active { offset, .. } = &segment.kind else {
            bail!("a segment is not put into the table at once");
        };
        let first = number(offset).context("it begins where only the runtime knows")?;
        ensure!(found.is_none(), "it has more than one segment");
        found = Some((segment.id(), first, functions.clone()));
    }
    let is_empty = module.tables.iter().all(|table| table.init.is_none());
    ensure!(is_empty, "a table is filled beforehand");
    found.context("no segment has functions")
}

/// A function that only traps, also when it is called by its place: of its type there is no other, so no code
/// calls such a function.
fn trap(module: &mut Module) -> FunctionId {
    let mut parameters = Vec::new();
    while module.types.find(&parameters, &[]).is_some() {
        parameters.push(ValType::F32);
    }
    let mut trap = FunctionBuilder::new(&mut module.types, &parameters, &[]);
    trap.func_body().unreachable();
    let parameters = parameters.iter().map(|one| module.locals.add(*one));
    trap.finish(parameters.collect(), &mut module.funcs)
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
        for global in module.globals.iter() {
            if let GlobalKind::Local(value) = &global.kind {
                named.read_constant(value);
            }
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

    /// An address lies at a multiple of four; of data that begin nobody knows where, it may lie anywhere.
    fn read_data(&mut self, kind: &DataKind, bytes: &[u8]) {
        let start = match kind {
            DataKind::Active { offset, .. } => number(offset),
            DataKind::Passive => None,
        };
        let (before, step) = match start {
            Some(start) => (start.wrapping_neg() as usize % 4, 4),
            None => (0, 1),
        };
        let words = bytes.get(before..).unwrap_or_default().windows(4);
        for word in words.step_by(step) {
            let word = word.first_chunk().map(|word| u32::from_le_bytes(*word));
            word.into_iter().for_each(|word| self.reach_place(word));
        }
    }

    fn read_constant(&mut self, constant: &ConstExpr) {
        match constant {
            ConstExpr::Value(Value::I32(number)) => self.reach_place(*number as u32),
            ConstExpr::RefFunc(function) => self.reach(*function),
            ConstExpr::Extended(parts) => parts.iter().for_each(|part| match part {
                ConstOp::I32Const(number) => self.reach_place(*number as u32),
                ConstOp::RefFunc(function) => self.reach(*function),
                _ => {}
            }),
            _ => {}
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

#[cfg(test)]
mod tests {
    use walrus::TableId;

    use super::*;
    use crate::trim::trimmed;

    const FIRST: i32 = 7001;
    /// The functions of the table are told from each other by these numbers.
    const MARKS: [i32; 5] = [100, 101, 102, 103, 104];

    /// A module with a table of functions, and with another export beside `main`, which alone names the second
    /// function. The first is named by `main`, the third by data, the fourth by a global, the fifth by nobody.
    fn module(offset: ConstExpr) -> (Module, TableId, Vec<FunctionId>) {
        let mut module = Module::default();
        let memory = module.memories.add_local(false, false, 1, None, None);
        let table = module
            .tables
            .add_local(false, 8_000, None, RefType::FUNCREF);
        let marked = MARKS.map(|mark| {
            let mut function = FunctionBuilder::new(&mut module.types, &[], &[]);
            function.func_body().i32_const(mark).drop();
            function.finish(Vec::new(), &mut module.funcs)
        });
        let nothing = module.types.add(&[], &[]);
        for (name, place) in [("main", FIRST), ("unused", FIRST + 1)] {
            let mut caller = FunctionBuilder::new(&mut module.types, &[], &[]);
            caller
                .func_body()
                .i32_const(place)
                .call_indirect(nothing, table);
            let caller = caller.finish(Vec::new(), &mut module.funcs);
            module.exports.add(name, caller);
        }
        // From 1022 on, so that the address is at 1024. The one before it is at no multiple of four.
        let mut bytes = vec![0, 0];
        bytes.extend((FIRST + 2).to_le_bytes());
        bytes.push(0);
        bytes.extend((FIRST + 4).to_le_bytes());
        let kind = DataKind::Active {
            memory,
            offset: at(1022),
        };
        module.data.add(kind, bytes);
        let globals = &mut module.globals;
        let global = globals.add_local(ValType::I32, false, false, at(FIRST + 3));
        module.exports.add("main_global", global);
        module.exports.add("main_memory", memory);
        let functions = marked.to_vec();
        let items = ElementItems::Functions(functions.clone());
        module
            .elements
            .add(ElementKind::Active { table, offset }, items);
        (module, table, functions)
    }

    fn at(place: i32) -> ConstExpr {
        ConstExpr::Value(Value::I32(place))
    }

    /// What each place of the table does: the mark of its function, or none if it traps.
    fn table(module: &Module) -> Vec<Option<i32>> {
        let (_, first, functions) = the_segment(module).unwrap();
        assert_eq!(first, FIRST as u32);
        let marks = functions.iter().map(|function| {
            let function = module.funcs.get(*function).kind.unwrap_local();
            let body = &function.block(function.entry_block()).instrs;
            match &body[0].0 {
                walrus::ir::Instr::Const(Const {
                    value: Value::I32(mark),
                }) => Some(*mark),
                walrus::ir::Instr::Unreachable(_) => None,
                other => panic!("{other:?}"),
            }
        });
        marks.collect()
    }

    #[test]
    fn a_place_that_nobody_names_traps() {
        let (mut module, ..) = module(at(FIRST));
        let (trimmed, _) = trimmed(&module.emit_wasm(), "main main_global main_memory").unwrap();
        let module = Module::from_buffer(&trimmed).unwrap();
        let expected = [Some(100), None, Some(102), Some(103), None];
        assert_eq!(table(&module), expected);
        // The one that is exported, three of the table, and the trap.
        assert_eq!(module.funcs.iter().count(), 5);
    }

    #[test]
    fn a_trap_has_a_type_that_nobody_calls() {
        let (mut module, ..) = module(at(FIRST));
        module.types.add(&[ValType::F32], &[]);
        let trap = trap(&mut module);
        let ty = module.funcs.get(trap).ty();
        let expected: (&[ValType], &[ValType]) = (&[ValType::F32; 2], &[]);
        assert_eq!(module.types.params_results(ty), expected);
    }

    #[test]
    fn what_is_exported_names_its_places() {
        let (mut module, ..) = module(at(FIRST));
        let script = "main unused main_global main_memory";
        let (trimmed, _) = trimmed(&module.emit_wasm(), script).unwrap();
        let module = Module::from_buffer(&trimmed).unwrap();
        let expected = [Some(100), Some(101), Some(102), Some(103), None];
        assert_eq!(table(&module), expected);
    }

    #[test]
    fn a_table_that_cannot_be_told_is_left_alone() {
        let assert_left = |mut module: Module, reason: &str| {
            let before = format!("{:?}", module.elements);
            let error = clear(&mut module).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
            assert_eq!(format!("{:?}", module.elements), before);
        };
        let active = |table, place| ElementKind::Active {
            table,
            offset: at(place),
        };

        let (mut two, table, functions) = module(at(FIRST));
        let more = ElementItems::Functions(functions);
        two.elements.add(active(table, FIRST + 100), more);
        assert_left(two, "more than one segment");

        let (mut declared, _, functions) = module(at(FIRST));
        let more = ElementItems::Functions(functions);
        declared.elements.add(ElementKind::Declared, more);
        assert_left(declared, "not put into the table");

        let (mut expressions, table, functions) = module(at(FIRST));
        let references = functions.into_iter().map(ConstExpr::RefFunc).collect();
        let more = ElementItems::Expressions(RefType::FUNCREF, references);
        expressions.elements.add(active(table, FIRST + 100), more);
        assert_left(expressions, "expressions");

        let (moving, ..) = module(ConstExpr::Extended(vec![
            ConstOp::I32Const(FIRST),
            ConstOp::I32Const(1),
            ConstOp::I32Add,
        ]));
        assert_left(moving, "begins where");

        assert_left(Module::default(), "no segment");
    }

    #[test]
    fn references_of_the_runtime_are_no_functions() {
        let (mut module, ..) = module(at(FIRST));
        let references = module.tables.add_local(false, 4, None, RefType::EXTERNREF);
        let nulls = vec![ConstExpr::RefNull(RefType::EXTERNREF)];
        let kind = ElementKind::Active {
            table: references,
            offset: at(0),
        };
        let nulls = ElementItems::Expressions(RefType::EXTERNREF, nulls);
        module.elements.add(kind, nulls);
        assert!(clear(&mut module).is_ok());
    }
}
