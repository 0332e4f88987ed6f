//! See `kubectl_egress_fuzz::curl_report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kubectl_egress_fuzz::curl_report(data));
