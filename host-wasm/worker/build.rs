//! Tells the linker where to begin the table of functions, and how large the stack is.

/// A number that hardly any code or data has for another reason: so it can be told which places of the table are
/// used, and `cargo xtask worker build` takes out what nobody calls.
const FIRST_PLACE: u32 = 7001;
/// Constants come after the stack. So they are below 1 MiB, where code names a place in three bytes, not in four.
const STACK_BYTES: u32 = (1 << 20) - (1 << 16);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-cdylib-link-arg=--table-base={FIRST_PLACE}");
        println!("cargo::rustc-cdylib-link-arg=-zstack-size={STACK_BYTES}");
    }
}
