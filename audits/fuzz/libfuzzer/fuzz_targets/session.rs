//! libFuzzer's way to `hushwire_fuzz::session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hushwire_fuzz::session(data));
