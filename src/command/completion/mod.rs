//! `completion`: what may be typed next, for kubectl's protocol and for shells.
//!
//! clap knows the commands and flags. What is in the cluster is asked for by a process of its own (`__values`), which has
//! no terminal to prompt on and one second; what it cannot tell is not offered.

mod install;
mod parser;
mod values;

pub(super) use values::values;

use crate::cli::{Complete, Completion, CompletionTarget};
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::vocabulary::ExitCode;
use clap_complete::engine::{CompletionCandidate, complete};
use clap_complete::env::{Bash, CompleteEnv, EnvCompleter, Fish, Zsh};
use std::ffi::OsString;
use std::fmt::Write as _;

/// Set by the scripts of the shells, so that the binary answers instead of running.
const VARIABLE: &str = "KUBECTL_EGRESS_COMPLETE";
/// The binary's name.
const BINARY: &str = "kubectl-egress";

/// Cobra's directives (`ShellCompDirective`), which kubectl reads behind the last colon.
const NO_SPACE: u8 = 2;
const NO_FILES: u8 = 4;

/// Prints a script, or installs what kubectl asks.
pub(super) fn completion(settings: &Completion, printer: &Printer) -> Result<ExitCode> {
    let shell: &dyn EnvCompleter = match &settings.target {
        CompletionTarget::Bash => &Bash,
        CompletionTarget::Zsh => &Zsh,
        CompletionTarget::Fish => &Fish,
        CompletionTarget::Install { directory } => return install::install(directory.as_deref(), printer),
    };
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, BINARY, BINARY, BINARY, &mut script)
        .map_err(|error| Error::bug("cannot write the script").because(error.to_string()))?;
    printer.data(&String::from_utf8_lossy(&script));
    Ok(ExitCode::Success)
}

/// Answers a shell, if one asks: `true` means that there is nothing else to do.
pub fn answers_shell(arguments: impl IntoIterator<Item = OsString>) -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let words = arguments.clone();
    let here = std::env::current_dir().ok();
    let answer = CompleteEnv::with_factory(move || parser::command(&words))
        .var(VARIABLE)
        .bin(BINARY)
        .try_complete(arguments, here.as_deref());
    // A shell shows nothing of an error, and must not.
    answer.unwrap_or(true)
}

/// Answers kubectl: a candidate a line, its help behind a tab, a directive in the end.
pub(super) fn complete_for_kubectl(settings: Complete, printer: &Printer) -> ExitCode {
    let mut words = vec![OsString::from(BINARY)];
    words.extend(settings.words);
    if words.len() == 1 {
        words.push(OsString::new());
    }
    let mut command = parser::command(&words);
    let last = words.len() - 1;
    let here = std::env::current_dir().ok();
    let candidates = complete(&mut command, words, last, here.as_deref()).unwrap_or_default();
    printer.data(&answer(&candidates));
    ExitCode::Success
}

fn answer(candidates: &[CompletionCandidate]) -> String {
    let mut text = String::new();
    let mut directive = NO_FILES;
    for candidate in candidates.iter().filter(|candidate| !candidate.is_hide_set()) {
        let value = candidate.get_value().to_string_lossy();
        // One line each: nothing of a cluster may look like a directive.
        if value.contains(['\n', '\t', '\r']) || value.starts_with(':') {
            continue;
        }
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        match help.lines().next() {
            Some(help) => {
                let _ = writeln!(text, "{value}\t{help}");
            }
            None => {
                let _ = writeln!(text, "{value}");
            }
        }
        if value.ends_with(['/', '=']) {
            directive |= NO_SPACE;
        }
    }
    let _ = writeln!(text, ":{directive}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(candidates: &[(&'static str, Option<&'static str>)]) -> String {
        let candidate = |(value, help): &(&'static str, Option<&'static str>)| {
            CompletionCandidate::new(*value).help(help.map(Into::into))
        };
        answer(&candidates.iter().map(candidate).collect::<Vec<_>>())
    }

    #[test]
    fn the_answer_is_in_cobras_form() {
        assert_eq!(of(&[]), ":4\n");
        assert_eq!(
            of(&[("a", Some("first\nsecond")), ("b", None)]),
            "a\tfirst\nb\n:4\n"
        );
        assert_eq!(of(&[("folder/", None)]), "folder/\n:6\n");
        assert_eq!(of(&[("evil\n:0", None), (":1", None)]), ":4\n");
    }
}
