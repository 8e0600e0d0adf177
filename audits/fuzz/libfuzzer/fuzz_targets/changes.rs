//! libFuzzer's way to `hushwire_fuzz::changes`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hushwire_fuzz::changes(data));
