//! Writes a file of the user's at once or not at all, readable by him alone.

use crate::error::{Error, Result};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A file that is to be written.
pub(super) struct OutputFile {
    path: PathBuf,
    replace: bool,
}

impl OutputFile {
    /// Refuses a name that is taken, a link that leads nowhere included, before anybody works for it.
    ///
    /// # Errors
    /// If there is something, unless it is to be replaced; and where a folder is.
    pub(super) fn new(path: &Path, replace: bool) -> Result<Self> {
        let found = std::fs::symlink_metadata(path);
        if found.as_ref().is_ok_and(std::fs::Metadata::is_dir) {
            return Err(Error::usage(format!("{} is a folder", path.display())).hint("name a file in it"));
        }
        if found.is_ok() && !replace {
            return Err(taken(path));
        }
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
        let unwritten = |error: &std::io::Error| {
            Error::usage(format!("{} cannot be written", self.path.display())).because(error.to_string())
        };
        let folder = match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        // Mode 0600 on Unix.
        let mut beside = tempfile::NamedTempFile::new_in(folder).map_err(|error| unwritten(&error))?;
        let written = beside.write_all(bytes).and_then(|()| beside.as_file().sync_all());
        written.map_err(|error| unwritten(&error))?;
        let kept = if self.replace {
            beside.persist(&self.path)
        } else {
            beside.persist_noclobber(&self.path)
        };
        match kept {
            Ok(_) => Ok(()),
            Err(refused) if refused.error.kind() == std::io::ErrorKind::AlreadyExists => {
                Err(taken(&self.path))
            }
            Err(refused) => Err(unwritten(&refused.error)),
        }
    }
}

fn taken(path: &Path) -> Error {
    Error::usage(format!("{} is there already", path.display()))
        .hint("give another name, or replace it: --force")
}
