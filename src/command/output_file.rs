//! Writes files of the user's: whole or not at all, and never through a link.

use crate::error::{Error, Result};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Who is to read a file, where the system knows such a thing; wishes of the user's (`umask`) narrow it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Readers {
    /// Its owner: keys, reports, kubeconfigs.
    Owner,
    /// Everybody: a plan that is going to be committed.
    Everybody,
    /// Everybody, to run it.
    Runners,
}

impl Readers {
    #[cfg(unix)]
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everybody => 0o666,
            Self::Runners => 0o777,
        }
    }
}

/// A file that is to be written, readable by its owner.
pub(super) struct OutputFile {
    path: PathBuf,
    replace: bool,
}

impl OutputFile {
    /// Refuses a name that is taken, a link that leads nowhere included, and a folder that takes no file, before anybody
    /// works for it.
    ///
    /// # Errors
    /// If there is something, unless it is to be replaced; where a folder is; and where no file can be.
    pub(super) fn new(path: &Path, replace: bool) -> Result<Self> {
        let found = std::fs::symlink_metadata(path);
        if found.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            return Err(Error::usage(format!("{} is a folder", path.display())).hint("name a file in it"));
        }
        if found.is_ok() && !replace {
            return Err(taken(path));
        }
        can_be_written(path)?;
        Ok(Self {
            path: path.to_owned(),
            replace,
        })
    }

    /// Writes beside it and renames. What was there is replaced, never written through: a link is not followed.
    ///
    /// # Errors
    /// If it cannot be written, or the name was taken meanwhile.
    pub(super) fn write(&self, bytes: &[u8]) -> Result<()> {
        let beside = beside(&self.path, bytes, Readers::Owner)?;
        let kept = if self.replace {
            beside.persist(&self.path)
        } else {
            beside.persist_noclobber(&self.path)
        };
        match kept {
            Ok(_) => Ok(()),
            Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => Err(taken(&self.path)),
            Err(refused) => Err(unwritten(&self.path, &refused.error)),
        }
    }
}

/// Whether there is something of this name, a link that leads nowhere included.
pub(super) fn is_taken(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// Asks the folder, by a file that goes at once.
///
/// # Errors
/// If no file can be there.
pub(super) fn can_be_written(path: &Path) -> Result<()> {
    beside(path, &[], Readers::Owner).map(drop)
}

/// Writes files that belong together and replaces what was there: all are written beside their places before the first is
/// renamed, so that a disk that is full changes nothing.
///
/// # Errors
/// If one cannot be written; it says which are new nevertheless.
pub(super) fn replace_all(files: &[(PathBuf, &[u8])], readers: Readers) -> Result<()> {
    let mut waiting = Vec::new();
    for (path, bytes) in files {
        waiting.push((path, beside(path, bytes, readers)?));
    }
    let mut renamed: Vec<String> = Vec::new();
    for (path, file) in waiting {
        if let Err(refused) = file.persist(path) {
            let error = unwritten(path, &refused.error);
            return Err(if renamed.is_empty() {
                error
            } else {
                error.because(format!("new already: {}", renamed.join(", ")))
            });
        }
        renamed.push(path.display().to_string());
    }
    Ok(())
}

/// The content, whole and on the disk, under a name that nobody knows.
fn beside(path: &Path, bytes: &[u8], readers: Readers) -> Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(readers.mode()));
    #[cfg(not(unix))]
    let _ = readers;
    let made = builder.tempfile_in(folder).and_then(|mut file| {
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file)
    });
    made.map_err(|error| unwritten(path, &error))
}

/// In the system's words, and with what helps.
pub(super) fn unwritten(path: &Path, error: &std::io::Error) -> Error {
    let unwritten = Error::usage(format!("{} cannot be written", path.display())).because(reason(error));
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            unwritten.hint("nothing was left half-written; make room, or write elsewhere")
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            unwritten.hint("name a place that you may write to")
        }
        ErrorKind::NotFound => unwritten.hint("make its folder first"),
        _ => unwritten,
    }
}

/// Without the name of a file that nobody knows, which `tempfile` puts behind.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" at path ").next().unwrap_or_default().to_owned()
}

fn taken(path: &Path) -> Error {
    Error::usage(format!("{} is there already", path.display()))
        .hint("give another name, or replace it: --force")
}
