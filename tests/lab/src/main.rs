//! The command line of the lab; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_egress_lab::main()
}
