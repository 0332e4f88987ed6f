//! A panic is the end of the process, told as one error. A file of its own, because the hook is the process's.

use kubectl_egress::report::{self, Printer, ReportSettings};
use kubectl_egress::vocabulary::ExitCode;
use std::process::Command;

/// Set in the process that panics: this test once more.
const PANICS: &str = "KUBECTL_EGRESS_TEST_PANICS";

#[test]
fn the_first_panic_of_any_thread_is_told_and_ends_the_process() {
    if std::env::var_os(PANICS).is_some() {
        report::end_on_panic(&Printer::new(ReportSettings::default()));
        let number = 7;
        let first = std::thread::spawn(move || panic!("number {number} \u{1b}[31m"));
        let _ = first.join();
        panic!("nothing runs after it");
    }
    let output = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "--nocapture"])
        .arg("the_first_panic_of_any_thread_is_told_and_ends_the_process")
        .env(PANICS, "1")
        .output()
        .expect("this program runs");
    assert_eq!(output.status.code(), Some(ExitCode::Bug.number().into()));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains("error: kubectl-egress stopped because of a bug of its own"),
        "{said}"
    );
    assert!(
        said.contains("panic.rs:") && said.contains("number 7 \\x1b[31m"),
        "{said}"
    );
    assert!(said.contains("kubectl egress cleanup"), "{said}");
    assert!(!said.contains("nothing runs after it"), "{said}");
}
