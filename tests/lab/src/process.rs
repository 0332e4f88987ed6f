//! The lab's processes: started detached, recognised for certain, stopped without touching anybody else's.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

use crate::layout::ClusterLayout;
use crate::shell;
use crate::unavailable::search_path;
use crate::wait::{Look, until};

/// Variable in the environment of every process of a lab, for people who wonder what it is.
const MARK: &str = "KUBECTL_EGRESS_LAB_NAME";

/// A process that the lab started. Its start time tells it from a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    /// The component's name.
    pub name: String,
    /// The process id.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks after boot.
    pub start_time: u64,
}

impl Started {
    /// Says whether exactly this process still runs.
    pub(crate) fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.start_time == self.start_time && !stat.ended)
    }

    /// Asks exactly this process to end, and waits for it.
    ///
    /// # Errors
    /// It does not end.
    pub(crate) fn stop(&self) -> Result<()> {
        until(&format!("stop {}", self.name), Duration::from_secs(20), || {
            if !self.is_alive() {
                return Ok(Look::Done(()));
            }
            signal(self.pid, Signal::TERM);
            Ok(Look::NotYet("it runs".into()))
        })
    }
}

/// A program to be started and left running.
pub(crate) struct Daemon<'a> {
    /// The component's name; its log file is called so.
    pub name: &'a str,
    /// The network namespace to run in.
    pub namespace: &'a str,
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// Starts a program in its namespace, in a session of its own, with its output in a log file.
///
/// # Errors
/// The program cannot be started.
pub(crate) fn start(layout: &ClusterLayout, daemon: &Daemon<'_>) -> Result<Started> {
    let log_path = layout.logs().join(format!("{}.log", daemon.name));
    let log = OpenOptions::new().create(true).append(true).open(&log_path)?;
    let child = shell::command("setsid")
        .env_clear()
        .env("PATH", search_path())
        .env("HOME", layout.state_dir())
        .env(MARK, layout.name())
        .arg("nsenter")
        .arg(format!(
            "--net={}",
            ClusterLayout::namespace_path(daemon.namespace).display()
        ))
        .arg("--")
        .arg(daemon.program)
        .args(&daemon.arguments)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {}", daemon.name))?;
    // `setsid` and `nsenter` replace themselves, so this is the component's own id.
    let pid = i32::try_from(child.id())?;
    let start_time = stat(pid)
        .with_context(|| format!("{} ended at once", daemon.name))?
        .start_time;
    Ok(Started {
        name: daemon.name.to_owned(),
        pid,
        start_time,
    })
}

/// The end of a component's log, for an error.
pub(crate) fn log_tail(layout: &ClusterLayout, name: &str) -> String {
    let text = fs::read(layout.logs().join(format!("{name}.log"))).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().rev().take(8).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}

/// Stops everything that belongs to the lab: asks, waits two seconds (the API server would drain for a minute), kills.
///
/// # Errors
/// Something cannot be killed.
pub(crate) fn stop_all(layout: &ClusterLayout, recorded: &[Started]) -> Result<usize> {
    let members = members(layout, recorded);
    for pid in &members {
        signal(*pid, Signal::TERM);
    }
    let patience = until("asked to end", Duration::from_secs(2), || {
        let left = self::members(layout, recorded).len();
        Ok(if left == 0 {
            Look::Done(())
        } else {
            Look::NotYet(format!("{left} processes run"))
        })
    });
    if patience.is_err() {
        until("kill the lab's processes", Duration::from_secs(30), || {
            let left = self::members(layout, recorded);
            for pid in &left {
                signal(*pid, Signal::KILL);
            }
            Ok(if left.is_empty() {
                Look::Done(())
            } else {
                Look::NotYet(format!("{left:?} run"))
            })
        })?;
    }
    Ok(members.len())
}

/// Sends a signal.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        // A process that has ended meanwhile is what was wanted.
        let _ = kill_process(pid, signal);
    }
}

/// All processes of the lab: the recorded ones, those in its network namespaces and those in its cgroups.
pub(crate) fn members(layout: &ClusterLayout, recorded: &[Started]) -> BTreeSet<i32> {
    let namespaces: Vec<_> = layout
        .own_namespaces()
        .iter()
        .filter_map(|name| namespace_id(&ClusterLayout::namespace_path(name)))
        .collect();
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let cgroup = format!("/{}", layout.cgroup());
    let mut found: BTreeSet<i32> = recorded
        .iter()
        .filter(|process| process.is_alive())
        .map(|p| p.pid)
        .collect();
    for pid in all_pids().filter(|pid| *pid != own) {
        let folder = Path::new("/proc").join(pid.to_string());
        let in_namespace =
            namespace_id(&folder.join("ns/net")).is_some_and(|namespace| namespaces.contains(&namespace));
        let in_cgroup =
            || fs::read_to_string(folder.join("cgroup")).is_ok_and(|text| is_below_cgroup(&text, &cgroup));
        if (in_namespace || in_cgroup()) && stat(pid).is_some_and(|stat| !stat.ended) {
            found.insert(pid);
        }
    }
    found
}

/// Says whether one of the lines of `/proc/PID/cgroup` is `cgroup` or below it.
fn is_below_cgroup(text: &str, cgroup: &str) -> bool {
    text.lines()
        .filter_map(|line| line.splitn(3, ':').nth(2))
        .any(|path| {
            path.strip_prefix(cgroup)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
}

fn namespace_id(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

fn all_pids() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
}

/// Resident memory of a process in bytes.
pub(crate) fn memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or_default();
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .unwrap_or_default()
        * 1024
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    ended: bool,
    start_time: u64,
}

fn stat(pid: i32) -> Option<Stat> {
    let mut stat = parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    // Its first thread may have ended before the others, which still hold its sockets: a new one could not listen.
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    stat.ended &= threads <= 1;
    Some(stat)
}

/// Reads `/proc/PID/stat`; the program's name in it may hold spaces and parentheses.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<_> = text.rsplit_once(") ")?.1.split_whitespace().collect();
    Some(Stat {
        ended: matches!(*fields.first()?, "Z" | "X"),
        start_time: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_although_the_name_has_parentheses() {
        let text = "42 (a) b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 0 0";
        assert_eq!(
            parse_stat(text),
            Some(Stat {
                ended: false,
                start_time: 777
            })
        );
        assert!(
            parse_stat("42 (sh) Z 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 0 0")
                .unwrap()
                .ended
        );
        assert_eq!(parse_stat("nonsense"), None);
    }

    #[test]
    fn only_the_same_process_is_alive() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let myself = Started {
            name: "test".into(),
            pid,
            start_time: stat(pid).unwrap().start_time,
        };
        assert!(myself.is_alive());
        assert!(
            !Started {
                start_time: myself.start_time + 1,
                ..myself
            }
            .is_alive()
        );
    }

    #[test]
    fn a_cgroup_is_matched_by_whole_names() {
        let text = "9:name=systemd:/egress-lab/kubepods/pod1\n0::/\n";
        assert!(is_below_cgroup(text, "/egress-lab"));
        assert!(!is_below_cgroup(text, "/egress-la"));
        assert!(!is_below_cgroup("0::/\n", "/egress-lab"));
    }

    #[test]
    fn memory_of_this_process_is_not_zero() {
        assert!(memory(i32::try_from(std::process::id()).unwrap()) > 0);
    }
}
