#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tinyd_fuzz::leases(data));
