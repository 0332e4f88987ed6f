//! See `kubectl_egress_fuzz::log_template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubectl_egress_fuzz::log_template(data));
