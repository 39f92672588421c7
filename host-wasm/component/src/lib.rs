//! Burrow as a component: the adapter between the world of `wit/` and the machine.
//!
//! It is all translation. What the functions mean is written in `wit/`, what they do in
//! `burrow_core`.
#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod convert;
mod frames;
mod host;
mod node;
mod queues;
mod requests;

mod bindings {
    #![allow(unreachable_pub, missing_debug_implementations, clippy::all)]
    wit_bindgen::generate!({
        path: "wit",
        world: "plugin",
        generate_all,
        additional_derives: [Clone],
    });
    use super::Plugin;
    export!(Plugin);
}

/// What the exports are implemented for.
struct Plugin;

#[cfg(target_arch = "wasm32")]
mod platform {
    #[global_allocator]
    static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        core::arch::wasm32::unreachable()
    }
}
