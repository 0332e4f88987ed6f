//! Runs other programs to their end, with their output in the error where they fail.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::layout::ClusterLayout;
use crate::unavailable::search_path;

/// Makes a command that finds system tools whatever the caller's `PATH`.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    command
}

/// Makes a command that runs `program` inside the network namespace `namespace`.
/// (`ip netns exec` would also remount `/sys` and so hide the cgroups.)
pub(crate) fn inside(namespace: &str, program: impl AsRef<OsStr>) -> Command {
    let mut net = std::ffi::OsString::from("--net=");
    net.push(ClusterLayout::namespace_path(namespace));
    let mut command = command("nsenter");
    command.arg(net).arg("--").arg(program);
    command
}

/// Runs a command to its end and returns what it wrote to stdout.
///
/// # Errors
/// The program cannot be started, or ends with another code than 0; the error holds what it wrote.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    finish(command, &output)
}

/// Like [`output`], with `input` on stdin.
///
/// # Errors
/// As [`output`].
pub(crate) fn output_with_input(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let mut stdin = child.stdin.take().context("no stdin")?;
    // The child's own error says more than a broken pipe would.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    finish(command, &output)
}

fn finish(command: &Command, output: &std::process::Output) -> Result<String> {
    if !output.status.success() {
        bail!(
            "{command:?} failed ({}): {}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end(),
            String::from_utf8_lossy(&output.stdout).trim_end(),
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs words as a command: `run(&["ip", "netns", "add", "x"])`.
///
/// # Errors
/// As [`output`].
pub(crate) fn run(words: &[&str]) -> Result<String> {
    let (program, arguments) = words.split_first().context("an empty command")?;
    output(command(program).args(arguments))
}

/// Writes a file as a whole or not at all, so that a killed run leaves no half of it.
///
/// # Errors
/// The folder is missing or not writable.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<()> {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    std::fs::write(&temporary, content).with_context(|| format!("cannot write {}", temporary.display()))?;
    std::fs::rename(&temporary, path).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_failed_command_holds_its_words() {
        let error = run(&["sh", "-c", "echo broken >&2; exit 3"])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("broken") && error.contains("exit status: 3"),
            "{error}"
        );
    }

    #[test]
    fn input_reaches_the_command() {
        assert_eq!(output_with_input(&mut command("cat"), "hello").unwrap(), "hello");
    }
}
