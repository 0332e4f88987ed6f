//! See `kubectl_egress_fuzz::sandbox_web_socket`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubectl_egress_fuzz::sandbox_web_socket(data));
