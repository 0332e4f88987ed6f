//! Room on disk: a cluster that runs out of it while containerd unpacks its images fails in the middle, in words that are
//! hard to read.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// MiB that the images and volumes of a cluster take, and its state and logs; measured, and half as much again.
const OF_IMAGES: u64 = 1024;
const OF_STATE: u64 = 768;

const MEBIBYTE: u64 = 1024 * 1024;

/// Says whether there is room for one cluster's images and for its state.
///
/// # Errors
/// Which folder has too little, how much is needed and how much is free.
pub(crate) fn check(images: &Path, state: &Path) -> Result<()> {
    enough(images, OF_IMAGES)?;
    enough(state, OF_STATE)
}

fn enough(folder: &Path, needed: u64) -> Result<()> {
    // It may not be there yet.
    let there = folder.ancestors().find(|folder| folder.exists());
    let there = there.with_context(|| format!("no folder above {}", folder.display()))?;
    let system =
        rustix::fs::statvfs(there).with_context(|| format!("the free space of {}", there.display()))?;
    let free = system.f_bavail * system.f_frsize / MEBIBYTE;
    ensure!(
        free >= needed,
        "a cluster needs {needed} MiB in {}, and {free} MiB are free: make room there",
        folder.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_with_folder_and_numbers() {
        let folder = Path::new("/no/such/folder/yet");
        enough(folder, 0).unwrap();
        let error = enough(folder, u64::MAX).unwrap_err().to_string();
        assert!(
            error.contains("/no/such/folder/yet") && error.contains(&u64::MAX.to_string()),
            "{error}"
        );
        assert!(error.contains("MiB are free: make room there"), "{error}");
    }
}
