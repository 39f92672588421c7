//! The system's allocator, with a count of what is held.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// Bytes that were asked for and not given back. What the allocator adds for itself is
/// not in it; that shows in [`resident_bytes`].
pub fn held_bytes() -> usize {
    HELD.load(Ordering::Relaxed)
}

/// Bytes of this process in memory.
pub fn resident_bytes() -> anyhow::Result<usize> {
    resident_bytes_of(std::process::id())
}

/// Bytes of a process in memory.
pub fn resident_bytes_of(process: u32) -> anyhow::Result<usize> {
    let path = format!("/proc/{process}/status");
    let text = crate::report::field(&path, "VmRSS").context("no resident size")?;
    let kilobytes: usize = text.trim_end_matches(" kB").parse()?;
    Ok(kilobytes << 10)
}

#[derive(Debug)]
pub struct Counting;

// SAFETY: every call goes to `System` unchanged; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        HELD.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_add(size, Ordering::Relaxed);
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `realloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}
