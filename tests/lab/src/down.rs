//! `down`: processes, mounts, namespaces, links, cgroups and files of a lab go, whatever state it is in.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, unmount};

use crate::cluster::network;
use crate::component::containerd::supervisor_sockets;
use crate::layout::ClusterLayout;
use crate::output;
use crate::process::stop_all;
use crate::state::{State, lock};
use crate::unavailable::check_machine;
use crate::wait::{Look, until};

/// Removes the lab. Nothing to remove is fine.
///
/// # Errors
/// [`crate::Unavailable`], or something that cannot be removed.
pub fn down(layout: &ClusterLayout) -> Result<()> {
    check_machine()?;
    let _lock = lock(&layout.lock_file(), || {
        output::note("another command works on this lab; waiting for it");
    })?;
    clean_with_target(layout)
}

/// Removes a cluster, and before it the one that hangs on its outside world; the lab's lock is held. In this order,
/// because the second one has recorded kernel settings that were the first one's.
///
/// # Errors
/// As [`clean`].
pub(crate) fn clean_with_target(layout: &ClusterLayout) -> Result<()> {
    if !layout.is_target() {
        clean(&layout.target())?;
    }
    clean(layout)
}

/// Removes whatever there is of one cluster; the lab's lock is held.
///
/// # Errors
/// Something cannot be removed.
pub(crate) fn clean(layout: &ClusterLayout) -> Result<()> {
    let state = State::load(layout);
    let (recorded, settings) = state
        .map(|state| (state.processes, state.kernel_settings))
        .unwrap_or_default();
    let sockets = supervisor_sockets(layout);
    let stopped = stop_all(layout, &recorded)?;
    if stopped > 0 {
        output::note(&format!("stopped {stopped} processes"));
    }
    unmount_below(&[layout.state_dir(), layout.data_dir()])?;
    network::remove(layout)?;
    remove_cgroups(layout)?;
    for (path, value) in settings {
        // A setting that this machine does not let anybody change was not changed either.
        let _ = fs::write(path, value);
    }
    for socket in sockets {
        let _ = fs::remove_file(socket);
    }
    remove_strays(layout);
    for folder in [layout.data_dir(), layout.state_dir(), layout.data_parent()] {
        remove_folder(&folder)?;
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Unmounts everything below the folders, what was mounted last first.
fn unmount_below(folders: &[PathBuf]) -> Result<()> {
    let mounts = || -> Result<Vec<PathBuf>> {
        Ok(mounts_below(
            &fs::read_to_string("/proc/self/mountinfo")?,
            folders,
        ))
    };
    until("unmount the lab's file systems", Duration::from_secs(10), || {
        for mount in mounts()?.iter().rev() {
            // What is still in use goes when its last user does; the loop looks again.
            let _ = unmount(mount, UnmountFlags::DETACH);
        }
        let left = mounts()?;
        Ok(if left.is_empty() {
            Look::Done(())
        } else {
            Look::NotYet(format!("{left:?} is mounted"))
        })
    })
}

/// The mount points below the folders, in the order of mounting.
fn mounts_below(mountinfo: &str, folders: &[PathBuf]) -> Vec<PathBuf> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4));
    points
        .map(|point| PathBuf::from(point.replace("\\040", " ")))
        .filter(|point| folders.iter().any(|folder| point.starts_with(folder)))
        .collect()
}

/// The roots of all mounted cgroup hierarchies.
pub(crate) fn cgroup_hierarchies() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields
        .filter(|fields| matches!(fields.get(2), Some(&("cgroup" | "cgroup2"))))
        .filter_map(|fields| fields.get(1).map(PathBuf::from))
        .collect()
}

fn remove_cgroups(layout: &ClusterLayout) -> Result<()> {
    for hierarchy in cgroup_hierarchies() {
        let folder = hierarchy.join(layout.cgroup());
        // The kernel lets a cgroup go a moment after its last process.
        until("remove the lab's cgroups", Duration::from_secs(10), || {
            Ok(match remove_cgroup(&folder) {
                Ok(()) => Look::Done(()),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Look::Done(()),
                Err(error) => Look::NotYet(format!("{}: {error}", folder.display())),
            })
        })?;
    }
    Ok(())
}

fn remove_cgroup(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_cgroup(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// Removes what others keep in folders of theirs: the CNI library's results, the kubelet's links to logs.
fn remove_strays(layout: &ClusterLayout) {
    let entries = |folder: &str| fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let network = format!("{}-", network::cni_name(layout));
    for entry in entries("/var/lib/cni/results") {
        if entry.file_name().to_string_lossy().starts_with(&network) {
            let _ = fs::remove_file(entry.path());
        }
    }
    for entry in entries("/var/log/containers") {
        if fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(layout.data_dir())) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_below_the_folders_are_taken() {
        let text = "22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:5 / /run/lab/one\\040two rw - tmpfs tmpfs rw
31 22 0:6 / /run/labour rw - tmpfs tmpfs rw\n";
        assert_eq!(
            mounts_below(text, &["/run/lab".into()]),
            [Path::new("/run/lab/one two")]
        );
    }

    #[test]
    fn removing_what_is_not_there_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        remove_folder(&folder.path().join("nothing")).unwrap();
        remove_folder(folder.path()).unwrap();
        assert!(!folder.path().exists());
    }
}
