//! The binary as a script meets it: streams, exit codes, colour. No command runs here.

use std::process::{Command, Output, Stdio};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"));
    command.args(arguments).stdin(Stdio::null());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn nothing_typed_prints_help_as_kubectl_does() {
    let output = run(&[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("Usage: kubectl egress [OPTIONS] <COMMAND>"));
    assert!(output.stderr.is_empty());
}

#[test]
fn what_cannot_be_read_exits_2_with_a_hint_on_standard_error() {
    let output = run(&["verify", "--from", "shop"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert_eq!(
        text(&output.stderr),
        "error: --from: `shop` does not say what it is: write KIND/NAME, as in deploy/shop, sts/shop or pod/shop\n\n\
         hint: kubectl egress verify --help\n"
    );
}

#[test]
fn what_was_typed_is_shown_without_its_escape_sequences() {
    let output = run(&["setup", "a\u{1b}]0;title\u{7}.example"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("a\\x1b]0;title\\x07.example"));
    assert!(!output.stderr.contains(&0x1b));
}

#[test]
fn colour_obeys_the_environment() {
    let colored = |set: &[(&str, &str)]| {
        let mut command = command(&["--help"]);
        command.envs(set.iter().copied());
        command
            .output()
            .expect("the binary starts")
            .stdout
            .contains(&0x1b)
    };
    assert!(!colored(&[]), "a pipe gets no colour");
    assert!(colored(&[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&[("NO_COLOR", "1")]));
}

#[test]
fn a_reader_that_left_is_no_failure() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = command(&["--help"])
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .expect("the binary ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one() {
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let output = command(&["--help"])
        .stdout(full)
        .output()
        .expect("the binary starts");
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).starts_with("error: cannot write to standard output\n  because: "));
}
