//! Help and errors as the user reads them: commands in groups, errors in our own form.

use super::{Arguments, Stop};
use crate::error::Error;
use clap::CommandFactory;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use std::error::Error as _;
use std::ffi::OsString;
use std::fmt::Write;

/// Commands in the order in which a newcomer meets them. A test sees to it that none is missing.
pub(super) const GROUPS: &[(&str, &[&str])] = &[
    (
        "The main job",
        &["setup", "verify", "lockdown", "unlock", "cleanup"],
    ),
    (
        "Its steps, each on its own",
        &[
            "enable-gateway",
            "deploy-curl",
            "deploy-target",
            "certs",
            "secrets",
            "route",
            "probe",
        ],
    ),
    (
        "Look",
        &["status", "check", "report", "logs", "learn", "diff", "render"],
    ),
    (
        "Learn",
        &["tutorial", "sandbox", "explain", "completion", "version"],
    ),
];

const TEMPLATE: &str = "{about-with-newline}
{usage-heading} {usage}

{before-help}{options}{after-help}";

const AFTER: &str = "\
Start with:
  kubectl egress tutorial --sandbox      the whole story, without a cluster
  kubectl egress setup kyma-project.io -n demo --create-namespace

kubectl egress COMMAND -h shows the flags of a command, --help all of them.";

/// The parser, with grouped commands in its help.
pub(super) fn command() -> clap::Command {
    let command = Arguments::command();
    let heading = *command.get_styles().get_header();
    let name = *command.get_styles().get_literal();
    let mut groups = String::new();
    for (title, names) in GROUPS {
        let _ = writeln!(groups, "{heading}{title}:{heading:#}");
        for wanted in *names {
            let about = command
                .find_subcommand(wanted)
                .and_then(clap::Command::get_about)
                .map(ToString::to_string)
                .unwrap_or_default();
            let _ = writeln!(groups, "  {name}{wanted:<16}{name:#}{about}");
        }
        groups.push('\n');
    }
    let _ = writeln!(groups, "{heading}Flags of every command:{heading:#}");
    command
        .help_template(TEMPLATE)
        .before_help(StyledStr::from(groups.trim_end().to_owned()))
        .after_help(AFTER)
}

/// What clap has to say, as text or as an error of ours.
pub(super) fn stop(error: &clap::Error, command: &clap::Command, arguments: &[OsString]) -> Stop {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Stop::Text(error.render().ansi().to_string());
    }
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.split("\n\n").map(str::trim);
    let message = paragraphs.next().unwrap_or_default();
    let message = one_line(message.strip_prefix("error: ").unwrap_or(message));
    let mut ours = Error::usage(of_ours(error).unwrap_or(message));
    for line in paragraphs.flat_map(str::lines) {
        if let Some(tip) = line.trim().strip_prefix("tip: ") {
            ours = ours.hint(tip);
        }
    }
    let asked = arguments
        .iter()
        .skip(1)
        .filter_map(|argument| argument.to_str())
        .find(|argument| command.find_subcommand(argument).is_some());
    Stop::Usage(ours.hint(match asked {
        Some(asked) => format!("kubectl egress {asked} --help"),
        None => "kubectl egress --help".to_owned(),
    }))
}

/// What a value's own check said, behind the flag that it was given to; it names the value itself.
fn of_ours(error: &clap::Error) -> Option<String> {
    let said = error
        .source()
        .filter(|_| error.kind() == ErrorKind::ValueValidation)?;
    let flag = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) if argument.starts_with('-') => argument.split(' ').next(),
        _ => None,
    };
    Some(match flag {
        Some(flag) => format!("{flag}: {said}"),
        None => said.to_string(),
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
