//! See `kubectl_egress_fuzz::network_policy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubectl_egress_fuzz::network_policy(data));
