//! Counts the memory that is in use, for all objects of an isolate together: what the module has
//! allocated, and bodies and answers that the runtime keeps for it. The module's own memory never shrinks,
//! so how large it is does not tell how much of it is free again.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static USED_BYTES: AtomicUsize = AtomicUsize::new(0);
/// Room for what is about to be allocated.
static RESERVED_BYTES: AtomicUsize = AtomicUsize::new(0);
/// What the runtime has.
static OUTSIDE_BYTES: AtomicUsize = AtomicUsize::new(0);
static MOST_OUTSIDE_BYTES: AtomicUsize = AtomicUsize::new(0);

/// An isolate has 128 MB. From here on it takes no more messages,
pub(crate) const MESSAGES_BELOW: usize = 88 << 20;
/// and from here on nothing large, so that there is still room for what makes room.
pub(crate) const REQUESTS_BELOW: usize = 104 << 20;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Bytes that are allocated or spoken for now.
pub(crate) fn in_use() -> usize {
    USED_BYTES.load(Relaxed) + RESERVED_BYTES.load(Relaxed) + OUTSIDE_BYTES.load(Relaxed)
}

/// The most that there was, rounded up to what the module has asked the runtime for.
pub(crate) fn most_in_use() -> usize {
    #[cfg(target_arch = "wasm32")]
    let module = core::arch::wasm32::memory_size(0) << 16;
    #[cfg(not(target_arch = "wasm32"))]
    let module = USED_BYTES.load(Relaxed);
    module + MOST_OUTSIDE_BYTES.load(Relaxed)
}

/// Counts bytes as in use until it is dropped.
pub(crate) struct Lent {
    bytes: usize,
    of: &'static AtomicUsize,
}

/// Speaks for bytes that are about to be allocated.
pub(crate) fn reserve(bytes: usize) -> Lent {
    lend(bytes, &RESERVED_BYTES)
}

/// Takes note of bytes that the runtime has.
pub(crate) fn outside(bytes: usize) -> Lent {
    let lent = lend(bytes, &OUTSIDE_BYTES);
    MOST_OUTSIDE_BYTES.fetch_max(OUTSIDE_BYTES.load(Relaxed), Relaxed);
    lent
}

fn lend(bytes: usize, of: &'static AtomicUsize) -> Lent {
    of.fetch_add(bytes, Relaxed);
    Lent { bytes, of }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Relaxed);
    }
}

// SAFETY: all is left to the system's allocator; counting touches nothing of what it gives.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        USED_BYTES.fetch_add(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        USED_BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        USED_BYTES.fetch_add(bytes, Relaxed);
        USED_BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(start, layout, bytes) }
    }
}
