//! libFuzzer's way to `hushwire_fuzz::messages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hushwire_fuzz::messages(data));
