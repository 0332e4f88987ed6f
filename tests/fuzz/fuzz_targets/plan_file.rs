//! See `kubectl_egress_fuzz::plan_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubectl_egress_fuzz::plan_file(data));
