//! "This machine cannot have a lab": the one error with an exit code of its own.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Exit code of the lab where it cannot run: not Linux, not root, or a tool is missing.
/// Callers print `skipped: …` and go on.
pub const EXIT_CODE_SKIPPED: u8 = 75;

/// Why there can be no lab here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unavailable {
    /// The operating system is not Linux.
    NotLinux,
    /// The effective user is not root.
    NotRoot,
    /// Tools that are not installed, each with the Debian package that has it.
    MissingTools(Vec<Tool>),
}

/// A program that the lab starts, and the Debian package that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// The program's name, looked for in `PATH`; or an absolute path.
    pub program: &'static str,
    /// The Debian package; empty where the program comes from elsewhere.
    pub package: &'static str,
}

const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// What `up` needs beside the built binaries.
const RUN_TOOLS: &[Tool] = &[
    tool("containerd", "containerd"),
    tool("ctr", "containerd"),
    tool("containerd-shim-runc-v2", "containerd"),
    tool("runc", "runc"),
    tool("/usr/lib/cni/ptp", "containernetworking-plugins"),
    tool("/usr/lib/cni/host-local", "containernetworking-plugins"),
    tool("iptables", "iptables"),
    tool("xtables-nft-multi", "iptables"),
    tool("xtables-legacy-multi", "iptables"),
    tool("nft", "nftables"),
    tool("ipset", "ipset"),
    tool("ip", "iproute2"),
    tool("conntrack", "conntrack"),
    tool("busybox", "busybox-static"),
    tool("nsenter", "util-linux"),
    tool("setsid", "util-linux"),
    tool("mount", "mount"),
    tool("ldd", "libc-bin"),
    tool("curl", "curl"),
    tool("kubectl", "kubernetes-client"),
];

/// What the building of binaries needs in addition.
const BUILD_TOOLS: &[Tool] = &[tool("go", ""), tool("python3", "python3-pip")];

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLinux => write!(formatter, "the lab needs Linux; this is {}", std::env::consts::OS),
            Self::NotRoot => write!(
                formatter,
                "the lab needs root: it makes network namespaces and mounts"
            ),
            Self::MissingTools(tools) => {
                let programs: Vec<_> = tools.iter().map(|tool| tool.program).collect();
                write!(formatter, "not installed: {}", programs.join(", "))?;
                let mut packages: Vec<_> = tools
                    .iter()
                    .map(|tool| tool.package)
                    .filter(|package| !package.is_empty())
                    .collect();
                packages.sort_unstable();
                packages.dedup();
                if !packages.is_empty() {
                    write!(
                        formatter,
                        "; on Debian: apt-get install --yes --no-install-recommends {}",
                        packages.join(" ")
                    )?;
                }
                if programs.contains(&"go") {
                    write!(formatter, "; go must be 1.26 or newer")?;
                }
                Ok(())
            }
        }
    }
}

impl std::error::Error for Unavailable {}

/// Says whether this machine can have a lab at all.
///
/// # Errors
/// [`Unavailable`], with what is missing.
pub(crate) fn check_machine() -> Result<()> {
    if !cfg!(target_os = "linux") {
        return Err(Unavailable::NotLinux.into());
    }
    if !rustix::process::geteuid().is_root() {
        return Err(Unavailable::NotRoot.into());
    }
    Ok(())
}

/// Says whether everything is installed that a cluster needs.
///
/// # Errors
/// [`Unavailable`], with what is missing.
pub(crate) fn check_run_tools() -> Result<()> {
    check_machine()?;
    check_tools(RUN_TOOLS)
}

/// Says whether everything is installed that building needs.
///
/// # Errors
/// [`Unavailable`], with what is missing.
pub(crate) fn check_build_tools() -> Result<()> {
    check_tools(BUILD_TOOLS)
}

fn check_tools(tools: &[Tool]) -> Result<()> {
    let missing: Vec<_> = tools
        .iter()
        .copied()
        .filter(|tool| find_program(tool.program).is_none())
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Unavailable::MissingTools(missing).into())
    }
}

/// Finds a program as a shell would, in `PATH` and in the folders of system tools.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Path::new(program).is_file().then(|| PathBuf::from(program));
    }
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// `PATH` with the folders of system tools, which an ordinary user's lacks.
pub(crate) fn search_path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_tools_are_named_with_one_line_to_install_them() {
        let error = Unavailable::MissingTools(vec![
            tool("ctr", "containerd"),
            tool("runc", "runc"),
            tool("containerd", "containerd"),
        ]);
        assert_eq!(
            error.to_string(),
            "not installed: ctr, runc, containerd; on Debian: apt-get install --yes --no-install-recommends containerd runc"
        );
    }

    #[test]
    fn a_program_is_found_by_name_and_by_path() {
        assert!(find_program("sh").is_some());
        assert!(find_program("/bin/sh").is_some());
        assert!(find_program("no-such-program-here").is_none());
    }
}
