//! Which process on which machine holds a Lease, so that a second run there sees at once that the first is gone.
//!
//! Only what `/proc` of Linux tells counts. Everywhere else, on another machine, in another container, for another
//! user, nothing is known, and the Lease has to run out.

use std::fmt;
use std::io::ErrorKind;
use std::str::FromStr;

/// A process, told apart from every other one that ever ran anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProcessIdentity {
    /// Boot and PID namespace: where process numbers mean the same.
    machine: String,
    /// Its user: with `hidepid` a process of somebody else looks as if it were gone.
    user: String,
    /// Its number.
    number: u32,
    /// When it started, in clock ticks since boot: numbers are used again.
    started: String,
}

impl ProcessIdentity {
    /// This process; `None` where the system does not tell.
    pub(super) fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// A process of our own user that runs here.
    fn of(number: u32) -> Option<Self> {
        let (_, started) = state_and_start(number).ok()??;
        Some(Self {
            machine: machine()?,
            user: user()?,
            number,
            started,
        })
    }

    /// Whether it ran here, for the same user, and is gone. Any doubt is no.
    pub(super) fn is_gone(&self) -> bool {
        if machine().as_ref() != Some(&self.machine) || user().as_ref() != Some(&self.user) {
            return false;
        }
        match state_and_start(self.number) {
            Err(error) => error.kind() == ErrorKind::NotFound,
            Ok(None) => false,
            // Z and X: it has ended, and its parent has not looked yet.
            Ok(Some((state, started))) => started != self.started || matches!(state, 'Z' | 'X'),
        }
    }
}

impl fmt::Display for ProcessIdentity {
    /// `BOOT/NAMESPACE USER NUMBER START`, which [`FromStr`] reads.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            machine,
            user,
            number,
            started,
        } = self;
        write!(formatter, "{machine} {user} {number} {started}")
    }
}

impl FromStr for ProcessIdentity {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split(' ').collect();
        let [machine, user, number, started] = words[..] else {
            return Err(());
        };
        Ok(Self {
            machine: machine.to_owned(),
            user: user.to_owned(),
            number: number.parse().map_err(drop)?,
            started: started.to_owned(),
        })
    }
}

/// Containers of one machine share its boot but not their processes' numbers.
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{}/{}", boot.trim(), namespace.to_str()?))
}

fn user() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().next().map(str::to_owned)
}

/// Fields 3 and 22 of `/proc/NUMBER/stat` (proc(5)). The second field, the name, may hold spaces and brackets.
fn state_and_start(number: u32) -> std::io::Result<Option<(char, String)>> {
    let stat = std::fs::read_to_string(format!("/proc/{number}/stat"))?;
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let state = fields.first().and_then(|state| state.chars().next());
    Ok(state.zip(fields.get(19).map(|start| (*start).to_owned())))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn it_survives_the_way_through_a_lease() {
        let own = ProcessIdentity::own().unwrap();
        assert_eq!(own.to_string().parse(), Ok(own.clone()));
        assert!(!own.is_gone());
        assert!("anna@laptop".parse::<ProcessIdentity>().is_err());
    }

    #[test]
    fn a_process_is_gone_once_it_was_killed_even_if_nobody_looked() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        assert!(!identity.is_gone());
        child.kill().unwrap();
        while !identity.is_gone() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(identity.is_gone());
    }

    #[test]
    fn a_number_that_is_used_again_is_another_process() {
        let mut earlier = ProcessIdentity::own().unwrap();
        earlier.started = "1".to_owned();
        assert!(earlier.is_gone());
    }

    #[test]
    fn nothing_is_known_of_another_machine_or_user() {
        let mut child = Command::new("true").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        child.wait().unwrap();
        assert!(identity.is_gone());
        let elsewhere = ProcessIdentity {
            machine: "another/pid:[1]".to_owned(),
            ..identity.clone()
        };
        let somebody = ProcessIdentity {
            user: "4711".to_owned(),
            ..identity
        };
        assert!(!elsewhere.is_gone() && !somebody.is_gone());
    }
}
