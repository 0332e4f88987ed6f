//! The command line of the measurements; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_egress_bench::main()
}
