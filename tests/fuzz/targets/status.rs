#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sdgroup_fuzz::status(bytes));
