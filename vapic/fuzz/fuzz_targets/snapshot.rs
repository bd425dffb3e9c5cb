//! See [`vapic_fuzz::snapshot`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vapic_fuzz::snapshot::run(data));
