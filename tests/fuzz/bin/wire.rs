//! The target `wire` for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| burrow_fuzz::wire(input));
