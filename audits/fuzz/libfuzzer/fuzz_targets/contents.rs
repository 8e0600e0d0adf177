//! libFuzzer's way to `hushwire_fuzz::contents`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hushwire_fuzz::contents(data));
