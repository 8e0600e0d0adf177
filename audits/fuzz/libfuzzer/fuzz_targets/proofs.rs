//! libFuzzer's way to `hushwire_fuzz::proofs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hushwire_fuzz::proofs(data));
