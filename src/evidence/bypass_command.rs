//! Attempts that curl cannot make: what the programs of the source's image say.

use super::{AttemptFacts, Shown};
use crate::vocabulary::AttemptOutcome;
use std::net::IpAddr;

/// What is tried by a program of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// `busybox nslookup NAME SERVER`.
    Lookup,
    /// `busybox ping -c 1`.
    Ping,
    /// curl with `--http3-only`, which prints the status.
    Quic,
}

/// What a program said and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit code; `None` if it could not be started, or its end is not known.
    pub exit: Option<i32>,
    /// Both streams, or why there is no exit code.
    pub text: String,
}

impl Said {
    /// The first line that tells something.
    fn line(&self) -> String {
        let mut lines = self.text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.next_back().unwrap_or("it said nothing").to_owned()
    }

    fn has(&self, words: &[&str]) -> bool {
        let text = self.text.to_ascii_lowercase();
        words.iter().any(|word| text.contains(word))
    }
}

/// Judges an attempt by such a program.
pub fn judge_program(program: Program, said: &Said, facts: AttemptFacts) -> Shown {
    let name = match program {
        Program::Lookup => "nslookup",
        Program::Ping => "ping",
        Program::Quic => "curl with HTTP/3",
    };
    if said.has(&["executable file", "applet not found", "no such file"]) || said.exit == Some(127) {
        return Shown::not_tried(format!("the image has no {name}"));
    }
    let Some(exit) = said.exit else {
        return Shown::new(AttemptOutcome::Inconclusive, format!("{name}: {}", said.line()));
    };
    let why = format!("{name}: exit {exit}, {}", said.line());
    match program {
        Program::Lookup => judge_lookup(said, facts, why),
        Program::Ping => judge_ping(exit, said, facts, why),
        Program::Quic => judge_quic(exit, said, facts, why),
    }
}

/// Any answer of the server went there and back, that there is no such name included.
fn judge_lookup(said: &Said, facts: AttemptFacts, why: String) -> Shown {
    if said.has(&["timed out", "no servers could be reached"]) {
        Shown::silent(facts, why)
    } else if said.has(&["name:", "nxdomain", "refused", "servfail"]) {
        Shown::new(AttemptOutcome::Out, why)
    } else {
        Shown::new(AttemptOutcome::Inconclusive, why)
    }
}

fn judge_ping(exit: i32, said: &Said, facts: AttemptFacts, why: String) -> Shown {
    if said.has(&["permission denied", "operation not permitted"]) {
        return Shown::not_tried("the pod may not send ICMP: permission denied");
    }
    if exit == 0 {
        return Shown::new(AttemptOutcome::Out, why);
    }
    if said.has(&["100% packet loss", "unreachable"]) {
        return Shown::silent(facts, why);
    }
    Shown::new(AttemptOutcome::Inconclusive, why)
}

fn judge_quic(exit: i32, said: &Said, facts: AttemptFacts, why: String) -> Shown {
    // 2: curl does not know the option, 4: it was built without it.
    if matches!(exit, 2 | 4) {
        return Shown::not_tried("the image's curl has no HTTP/3");
    }
    let answered = said.text.lines().last().is_some_and(|line| {
        let status = line.trim();
        status.len() == 3 && status != "000" && status.bytes().all(|byte| byte.is_ascii_digit())
    });
    match exit {
        0 => Shown::new(AttemptOutcome::Out, why),
        _ if answered => Shown::new(AttemptOutcome::Out, why),
        7 | 28 => Shown::silent(facts, why),
        _ => Shown::new(AttemptOutcome::Inconclusive, why),
    }
}

/// The addresses that `nslookup` printed for the name itself, not those of the server that it asked.
pub fn read_addresses(text: &str) -> Vec<IpAddr> {
    let of_name = text
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("Name:"));
    let addresses = of_name.filter(|line| line.trim_start().starts_with("Address"));
    addresses
        .filter_map(|line| line.split_whitespace().find_map(|word| word.parse().ok()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::DestinationState;
    use rstest::rstest;

    /// Words of busybox and curl as the lab's pods print them.
    #[rstest]
    #[case::answered(
        Program::Lookup,
        Some(0),
        "Server:\t192.0.2.53\n\nName:\tx.test\nAddress: 192.0.2.1\n",
        AttemptOutcome::Out
    )]
    #[case::no_such_name(
        Program::Lookup,
        Some(1),
        "** server can't find x.test: NXDOMAIN",
        AttemptOutcome::Out
    )]
    #[case::silence(
        Program::Lookup,
        Some(1),
        ";; connection timed out; no servers could be reached",
        AttemptOutcome::Blocked
    )]
    #[case::no_program(
        Program::Lookup,
        None,
        "exec: \"busybox\": executable file not found in $PATH",
        AttemptOutcome::NotTried
    )]
    #[case::pong(
        Program::Ping,
        Some(0),
        "1 packets transmitted, 1 packets received, 0% packet loss",
        AttemptOutcome::Out
    )]
    #[case::no_pong(
        Program::Ping,
        Some(1),
        "1 packets transmitted, 0 packets received, 100% packet loss",
        AttemptOutcome::Blocked
    )]
    #[case::may_not(
        Program::Ping,
        Some(1),
        "ping: permission denied (are you root?)",
        AttemptOutcome::NotTried
    )]
    #[case::no_quic(
        Program::Quic,
        Some(2),
        "curl: option --http3-only: the installed libcurl version does not support this",
        AttemptOutcome::NotTried
    )]
    #[case::quic(Program::Quic, Some(0), "\n200\n", AttemptOutcome::Out)]
    #[case::quic_dropped(Program::Quic, Some(28), "\n000\n", AttemptOutcome::Blocked)]
    fn programs(
        #[case] program: Program,
        #[case] exit: Option<i32>,
        #[case] text: &str,
        #[case] expected: AttemptOutcome,
    ) {
        let facts = AttemptFacts {
            destination: DestinationState::Up,
            selected: Some(true),
        };
        let said = Said {
            exit,
            text: text.to_owned(),
        };
        assert_eq!(judge_program(program, &said, facts).outcome, expected);
    }

    #[test]
    fn the_server_that_was_asked_is_no_answer() {
        let text = "Server:\t\t198.19.0.10\nAddress:\t198.19.0.10:53\n\nName:\tx.test\nAddress: 203.0.113.12\nAddress 2: 2001:db8::1 x.test\n";
        let found: Vec<String> = read_addresses(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["203.0.113.12", "2001:db8::1"]);
        assert!(read_addresses("Server: 198.19.0.10\nAddress: 198.19.0.10").is_empty());
    }
}
