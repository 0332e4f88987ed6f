//! The command line as clap completes it: every place that takes a value knows where its values come from.

use crate::cli::{self, ValueKind};
use crate::finding::catalogue;
use crate::vocabulary::{Circumstance, ClusterCommand};
use clap::{Arg, Command, ValueHint};
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use std::ffi::OsString;
use std::io::Read as _;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// How long a shell waits for what is in the cluster.
const DEADLINE: Duration = Duration::from_secs(1);

/// Flags that say which cluster, namespace and plan are meant.
const FORWARDED: &[&str] = &[
    "--namespace",
    "-n",
    "--context",
    "--kubeconfig",
    "--cluster",
    "--user",
    "--as",
    "--as-group",
    "--token",
    "--server",
    "-s",
    "--certificate-authority",
    "--tls-server-name",
    "--plan",
];

/// The command line, for these words.
pub(super) fn command(words: &[OsString]) -> Command {
    attach(cli::parser(), &Arc::new(forwarded(words)))
}

fn attach(command: Command, flags: &Arc<Vec<OsString>>) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    let command = command.mut_args(|argument| give(argument, flags));
    names.into_iter().fold(command, |command, name| {
        command.mut_subcommand(name, |sub| attach(sub, flags))
    })
}

/// Values for one place, told by what its help calls them.
fn give(argument: Arg, flags: &Arc<Vec<OsString>>) -> Arg {
    if !argument.get_action().takes_values() {
        return argument;
    }
    let name = argument
        .get_value_names()
        .and_then(<[_]>::first)
        .map(ToString::to_string);
    let name = name.unwrap_or_default();
    let cluster = |argument: Arg, kind: ValueKind| {
        let flags = Arc::clone(flags);
        argument.add(ArgValueCandidates::new(move || ask(kind, &flags)))
    };
    let words = |argument: Arg, words: Vec<(String, Option<String>)>| {
        argument.add(ArgValueCandidates::new(move || {
            words.iter().map(candidate).collect()
        }))
    };
    let plain = |words: &mut dyn Iterator<Item = String>| words.map(|word| (word, None)).collect();
    let argument = match (argument.get_id().as_str(), name.as_str()) {
        ("context" | "target_context", _) => cluster(argument, ValueKind::Contexts),
        ("cluster", _) => cluster(argument, ValueKind::Clusters),
        ("user", "NAME") => cluster(argument, ValueKind::Users),
        (_, "NAMESPACE") => cluster(argument, ValueKind::Namespaces),
        (_, "HOST" | "HOST[:PORT]" | "HOST|URL") => cluster(argument, ValueKind::Hosts),
        ("gateway", _) => cluster(argument, ValueKind::Gateways),
        (_, "[NAMESPACE/]NAME") => cluster(argument, ValueKind::Plans),
        (_, "deploy/NAME|sts/NAME|pod/NAME") => cluster(argument, ValueKind::Workloads),
        (_, "EGR-nnn" | "EGR-nnn|HOST[:PORT]") => {
            let codes =
                catalogue::all().map(|article| (article.code.to_owned(), Some(article.title.to_owned())));
            words(argument, codes.collect())
        }
        ("rbac", _) => words(
            argument,
            plain(&mut ClusterCommand::ALL.iter().map(ToString::to_string)),
        ),
        (_, "CIRCUMSTANCE") => words(
            argument,
            plain(&mut Circumstance::ALL.iter().map(ToString::to_string)),
        ),
        (_, "FILE" | "PATH" | "FILE|HOST[:PORT]" | "FILE|DIRECTORY") => {
            return argument.value_hint(ValueHint::AnyPath);
        }
        (_, "DIR") => return argument.value_hint(ValueHint::DirPath),
        // `text|json|yaml`: the help spells them out.
        (_, choices) if is_choice(choices) => {
            words(argument, plain(&mut choices.split('|').map(str::to_owned)))
        }
        _ => argument,
    };
    // Else every file of the folder would be offered.
    argument.value_hint(ValueHint::Other)
}

fn is_choice(name: &str) -> bool {
    name.contains('|')
        && name
            .chars()
            .all(|letter| letter.is_ascii_lowercase() || "|-".contains(letter))
}

fn candidate((word, help): &(String, Option<String>)) -> CompletionCandidate {
    CompletionCandidate::new(word).help(help.clone().map(Into::into))
}

/// The flags among the words that say where to look. The last word is being typed.
fn forwarded(words: &[OsString]) -> Vec<OsString> {
    let typed = words.split_last().map_or(&[] as &[OsString], |(_, typed)| typed);
    let mut found = Vec::new();
    let mut words = typed.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if FORWARDED.contains(&text.as_ref()) {
            if let Some(value) = words.next() {
                found.extend([word.clone(), value.clone()]);
            }
        } else if FORWARDED.iter().any(|flag| text.starts_with(&format!("{flag}="))) {
            found.push(word.clone());
        }
    }
    found
}

/// Asks a process of our own: it has no terminal, so that no credential plugin can prompt, and it is ended in time.
fn ask(kind: ValueKind, flags: &[OsString]) -> Vec<CompletionCandidate> {
    let Ok(program) = std::env::current_exe() else {
        return Vec::new();
    };
    let child = std::process::Command::new(program)
        .arg("__values")
        .arg(kind.to_string())
        .args(flags)
        .env_remove(super::VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        return Vec::new();
    };
    let (sender, receiver) = mpsc::channel();
    if let Some(mut output) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut text = String::new();
            let read = output.read_to_string(&mut text);
            let _ = sender.send(read.map(|_| text));
        });
    }
    let text = receiver.recv_timeout(DEADLINE);
    let _ = child.kill();
    let _ = child.wait();
    let text = text.ok().and_then(std::result::Result::ok).unwrap_or_default();
    text.lines().map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        // A word that ends in a space is complete, and an empty one is being typed.
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn flags_that_say_where_are_handed_on() {
        let found = forwarded(&words(
            "kubectl-egress verify -n demo --context=prod --max-time 3 --plan x ",
        ));
        assert_eq!(found, words("-n demo --context=prod --plan x"));
        assert_eq!(
            forwarded(&words("kubectl-egress verify -n de")),
            words("-n de")[..0]
        );
    }

    #[test]
    fn choices_are_told_from_other_names() {
        assert!(is_choice("text|json|yaml") && is_choice("namespace|pod"));
        for name in ["HOST|URL", "FILE|DIR", "deploy/NAME|sts/NAME|pod/NAME", "NAME"] {
            assert!(!is_choice(name), "{name}");
        }
    }
}
