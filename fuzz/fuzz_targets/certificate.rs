#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bringup_fuzz::feed("certificate", bytes));
