//! See [`vapic_fuzz::apics`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vapic_fuzz::apics::run(data));
