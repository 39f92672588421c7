//! The core as wasm: it imports nothing, and it does what it does natively.

use wasmi::{Engine, Linker, Module, Store};

#[test]
#[ignore = "needs the module that `cargo xtask test` builds"]
fn the_module_imports_nothing_and_answers_as_the_native_core() {
    let path = std::env::var_os("BURROW_WASM_MODULE")
        .expect("BURROW_WASM_MODULE is set by `cargo xtask test`");
    let bytes = std::fs::read(&path).expect("the module can be read");

    let engine = Engine::default();
    let module = Module::new(&engine, &bytes).expect("the module is valid");
    let imports: Vec<_> = module
        .imports()
        .map(|import| format!("{}.{}", import.module(), import.name()))
        .collect();
    assert_eq!(imports, Vec::<String>::new());

    let mut store = Store::new(&engine, ());
    let instance = Linker::new(&engine)
        .instantiate_and_start(&mut store, &module)
        .expect("the module starts");
    let converse = instance
        .get_typed_func::<u64, u64>(&store, "converse")
        .expect("the module exports `converse`");
    for messages in [4, 1_000] {
        let digest = converse
            .call(&mut store, messages)
            .expect("the conversation does not trap");
        assert_eq!(
            digest,
            burrow_wasm_check::converse(messages),
            "{messages} messages"
        );
    }
}
