//! See `kubectl_egress_fuzz::access_log`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubectl_egress_fuzz::access_log(data));
