//! See `kubectl_egress_fuzz::server_side_apply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubectl_egress_fuzz::server_side_apply(data));
