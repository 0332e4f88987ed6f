//! The tool as its users run it: a process with arguments, two streams and an exit code.

use super::codes::Seen;
use serde_json::Value;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Longest that one run may take before the test gives up on it.
const DEADLINE: Duration = Duration::from_secs(240);

/// What a run said, and how it ended.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    command: String,
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it wrote to standard output.
    pub(crate) stdout: String,
    /// What it wrote to standard error.
    pub(crate) stderr: String,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Run {
    /// Requires an exit code; the panic shows the whole run.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }

    /// Requires words on standard error.
    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) -> &Self {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "`{word}` is not on standard error of {self}"
            );
        }
        self
    }
    /// It has the finding.
    #[track_caller]
    pub(crate) fn finds(&self, code: &str) -> &Self {
        assert!(self.stdout.contains(code), "no {code}: {self}");
        self
    }

    /// It does not have the finding.
    #[track_caller]
    pub(crate) fn finds_no(&self, code: &str) -> &Self {
        assert!(!self.stdout.contains(code), "{code}: {self}");
        self
    }

    /// Requires of a proof of hosts that are routed all the time that it is proven or inconclusive: nothing else is true.
    #[track_caller]
    pub(crate) fn is_never_disproven(&self) -> &Self {
        let document = self.json();
        let verdict = &document["verdict"];
        assert!(verdict == "proven" || verdict == "inconclusive", "{self}");
        for probe in document["probes"].as_array().unwrap() {
            assert!(
                probe["expected"] != "routed"
                    || probe["outcome"] == "routed"
                    || probe["outcome"] == "inconclusive",
                "{self}"
            );
        }
        self
    }

    /// Standard output as the JSON document that it has to be.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}) on stdout of {self}"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
            took,
        } = self;
        write!(
            formatter,
            "`{command}` (exit {code:?} after {took:?})\n--- stdout\n{stdout}--- stderr\n{stderr}"
        )
    }
}

/// A run that is under way.
pub(crate) struct Running {
    command: String,
    child: Child,
    stdout: JoinHandle<String>,
    lines: Receiver<String>,
    stderr: String,
    started: Instant,
}

impl Running {
    /// Starts the tool on a cluster, with an environment of its own.
    pub(crate) fn start(kubeconfig: &Path, arguments: &[OsString], input: Option<&str>) -> Self {
        Self::start_with(kubeconfig, arguments, input, &[])
    }

    /// The same with more environment variables.
    pub(crate) fn start_with(
        kubeconfig: &Path,
        arguments: &[OsString],
        input: Option<&str>,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"));
        command
            .env_clear()
            .env("KUBECONFIG", kubeconfig)
            .env("USER", "suite")
            .env("HOSTNAME", "here");
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.envs(environment.iter().copied());
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        let mut child = command.spawn().unwrap();
        if let (Some(text), Some(mut pipe)) = (input, child.stdin.take()) {
            pipe.write_all(text.as_bytes()).unwrap();
        }
        let mut output = child.stdout.take().unwrap();
        let stdout = std::thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).unwrap();
            text
        });
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let typed: Vec<_> = arguments
            .iter()
            .map(|argument| argument.to_string_lossy())
            .collect();
        Self {
            command: format!("kubectl egress {}", typed.join(" ")),
            child,
            stdout,
            lines,
            stderr: String::new(),
            started: Instant::now(),
        }
    }

    /// Waits until the run has said something on standard error.
    #[track_caller]
    pub(crate) fn until_it_says(&mut self, words: &str) -> &mut Self {
        while let Some(line) = self.next_line() {
            if line.contains(words) {
                return self;
            }
        }
        panic!(
            "{} ended without saying `{words}`:\n{}",
            self.command, self.stderr
        );
    }

    /// Presses Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal("INT");
    }

    /// Sends it a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Kills the run as `kill -9` does. A run that was faster is left as it is.
    pub(crate) fn kill(mut self) -> Run {
        let _ = self.child.kill();
        self.finish()
    }

    /// Waits for its end; kills it and fails the test after the deadline.
    pub(crate) fn finish(mut self) -> Run {
        while self.next_line().is_some() {}
        let code = self.child.wait().unwrap().code();
        // Seen with `--show-output`.
        println!(
            "{:5.1} s, exit {code:?}: {}",
            self.started.elapsed().as_secs_f32(),
            self.command
        );
        let stdout = self.stdout.join().unwrap();
        Seen::record(
            self.command.trim_start_matches("kubectl egress "),
            &format!("{stdout}\n{}", self.stderr),
        );
        Run {
            command: self.command.clone(),
            code,
            stdout,
            stderr: self.stderr.clone(),
            took: self.started.elapsed(),
        }
    }

    fn next_line(&mut self) -> Option<String> {
        match self
            .lines
            .recv_timeout(DEADLINE.saturating_sub(self.started.elapsed()))
        {
            Ok(line) => {
                self.stderr.push_str(&line);
                self.stderr.push('\n');
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                let _ = self.child.kill();
                panic!(
                    "{} was not done within {DEADLINE:?}:\n{}",
                    self.command, self.stderr
                )
            }
        }
    }
}

/// The library that makes a process's clock wrong; `None` (and a word) where it is not installed.
pub(crate) fn faketime() -> Option<&'static str> {
    let library = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    ]
    .into_iter()
    .find(|path| Path::new(path).exists());
    if library.is_none() {
        println!("skipped: libfaketime is not installed (apt-get install faketime)");
    }
    library
}
