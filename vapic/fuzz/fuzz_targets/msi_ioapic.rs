//! See [`vapic_fuzz::msi_ioapic`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vapic_fuzz::msi_ioapic::run(data));
