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

/// Each mistake of a plan file is told with line and column, path, rule and fix.
#[test]
fn a_mistake_in_a_plan_file_is_told_with_its_place_rule_and_fix() {
    const START: &str = "apiVersion: kubectl-egress.dev/v1alpha1\nkind: EgressPlan\nmetadata: {name: default}\nspec:\n  hosts:\n  - host: a.example\n    ports:\n";
    let port = "spec.hosts[0].ports[0]";
    let cases = [
        (
            "    - port: 80\n      mod: http\n",
            "line 9, column 7",
            format!("`{port}.mod`: unknown field `mod`"),
            "hint: write `mode` instead of `mod`",
        ),
        (
            "    - port: 80\n      mode: htp\n",
            "line 9, column 13",
            format!("`{port}.mode`: unknown value `htp`, expected one of passthrough, http"),
            "hint: write `http` instead of `htp`",
        ),
        (
            "    - port: eighty\n",
            "line 8, column 13",
            format!("`{port}.port`: not a whole number from 0 to 65535"),
            "hint: ",
        ),
        (
            "    - port: 443\n    - mode: passthrough\n      port: 443\n",
            "line 9, column 7",
            "`spec.hosts[0].ports[1]`: a.example:443 is named twice".to_owned(),
            "name each host and port once",
        ),
        (
            "    - port: 443\n      mode: http\n",
            "line 9, column 7",
            format!("`{port}.mode`: a.example:443 uses port 443"),
            "use port 80, or mode passthrough",
        ),
        (
            "    - port: 443\n      keepHeaders: true\n",
            "line 9, column 7",
            format!("`{port}.keepHeaders`: a.example:443 has `keepHeaders`"),
            "is for HTTP that goes through the gateway",
        ),
        (
            "    - port: 443\n  - host: B.example\n",
            "line 9, column 5",
            "`spec.hosts[1].host`: ".to_owned(),
            "upper-case",
        ),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("plan.yaml");
    let name = file.display().to_string();
    for (ports, place, rule, fix) in cases {
        std::fs::write(&file, format!("{START}{ports}")).expect("it is written");
        let output = run(&[
            "render",
            "-f",
            &name,
            "--gateway",
            "istio-system/istio-egressgateway",
        ]);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{ports}{said}");
        assert!(output.stdout.is_empty());
        for word in [
            &format!("the plan file {name} is not valid at {place}"),
            &rule,
            fix,
        ] {
            assert!(said.contains(word), "no `{word}` for\n{ports}{said}");
        }
    }
}
