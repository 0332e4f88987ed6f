//! What is fuzzed: one function per target, which takes any bytes and panics where a promise is broken.
//!
//! `.ci/fuzz SECONDS [TARGET…]` runs them under libFuzzer. `corpus/TARGET` holds kept inputs, those of mended crashes
//! among them; `tests/corpus.rs` tries all of them in every `cargo test --workspace`.

#![expect(clippy::missing_panics_doc, reason = "a panic is what a target says")]
#![expect(
    clippy::unwrap_used,
    reason = "what cannot fail is not what is looked for, and is seen if it does"
)]

mod certificates;
mod choice;
mod documents;
mod lines;
mod merge;
mod names;
mod policies;
mod served;

pub use certificates::certificate;
pub use documents::{kubeconfig, plan_file, yaml_round_trip};
pub use lines::{access_log, curl_report, log_template};
pub use merge::server_side_apply;
pub use names::host_name;
pub use policies::network_policy;
pub use served::{sandbox_http, sandbox_web_socket};

/// A target: any bytes.
pub type Target = fn(&[u8]);

/// All of them by their names, which are those of their programs and of their folders of inputs.
pub const TARGETS: [(&str, Target); 12] = [
    ("access_log", access_log),
    ("log_template", log_template),
    ("host_name", host_name),
    ("plan_file", plan_file),
    ("certificate", certificate),
    ("kubeconfig", kubeconfig),
    ("curl_report", curl_report),
    ("yaml_round_trip", yaml_round_trip),
    ("network_policy", network_policy),
    ("server_side_apply", server_side_apply),
    ("sandbox_http", sandbox_http),
    ("sandbox_web_socket", sandbox_web_socket),
];

/// What no text that a user sees may hold: the words of a dump, unless they stood in the input that it names.
fn assert_plain(text: &str, input: &str) {
    for dump in ["Some(", "Error {", "Error(", "Os {"] {
        assert!(!text.contains(dump) || input.contains(dump), "{dump} in: {text}");
    }
}
