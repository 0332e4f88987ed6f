//! See `kubectl_egress_fuzz::host_name`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubectl_egress_fuzz::host_name(data));
