//! See `kubectl_egress_fuzz::yaml_round_trip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubectl_egress_fuzz::yaml_round_trip(data));
