//! A panic becomes one error. A file of its own, because the hook is the process's.

use kubectl_egress::report;
use kubectl_egress::vocabulary::ExitCode;

#[test]
fn the_first_panic_of_any_thread_is_told() {
    report::record_panics();
    assert_eq!(report::panic_error(), None);
    let number = 7;
    std::thread::spawn(move || panic!("number {number}"))
        .join()
        .expect_err("it panics");
    std::thread::spawn(|| panic!("later"))
        .join()
        .expect_err("it panics");
    let error = report::panic_error().expect("an error");
    assert_eq!(error.code(), ExitCode::Bug);
    assert_eq!(error.causes().len(), 1);
    assert!(
        error.causes()[0].contains("panic.rs:") && error.causes()[0].ends_with("number 7"),
        "{error}"
    );
}
