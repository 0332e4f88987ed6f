//! Makes the executable that kubectl looks for in PATH on `kubectl egress <TAB>`.

use super::BINARY;
use crate::command::output_file::{Readers, replace_all};
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::vocabulary::ExitCode;
use std::path::{Path, PathBuf};

/// Its name is kubectl's rule.
const NAME: &str = if cfg!(windows) {
    "kubectl_complete-egress.cmd"
} else {
    "kubectl_complete-egress"
};
/// A line by which we know our own.
const MARK: &str = "made by `kubectl egress completion install`";

fn content() -> String {
    if cfg!(windows) {
        format!("@rem {MARK}\r\n@{BINARY} __complete %*\r\n")
    } else {
        format!("#!/bin/sh\n# {MARK}\nexec {BINARY} __complete \"$@\" 2>/dev/null\n")
    }
}

/// Writes it, unless something else of that name is there.
pub(super) fn install(directory: Option<&Path>, printer: &Printer) -> Result<ExitCode> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let directory = match directory {
        Some(directory) => directory.to_owned(),
        None => own_folder(&folders)?,
    };
    let file = directory.join(NAME);
    let elsewhere = |error: Error| {
        error.hint("choose another folder of PATH: kubectl egress completion install --directory DIR")
    };
    if let Ok(there) = std::fs::read_to_string(&file)
        && !there.contains(MARK)
    {
        return Err(
            Error::consent(format!("{} is there already, and is not ours", file.display()))
                .hint("choose another folder of PATH: kubectl egress completion install --directory DIR"),
        );
    }
    // Made executable before it has its name: kubectl never finds half of it.
    replace_all(&[(file.clone(), content().as_bytes())], Readers::Runners).map_err(elsewhere)?;
    printer.note(&format!("made {}", file.display()));
    if !folders.contains(&directory) {
        printer.warning(&format!(
            "{} is not in PATH, so that kubectl does not find it",
            directory.display()
        ));
    }
    printer.next("kubectl egress <TAB>, in a shell with kubectl's own completion: kubectl completion -h");
    Ok(ExitCode::Success)
}

/// The folder of PATH that has our binary: with krew its links are there.
fn own_folder(folders: &[PathBuf]) -> Result<PathBuf> {
    let binary = format!("{BINARY}{}", std::env::consts::EXE_SUFFIX);
    let found = folders.iter().find(|folder| folder.join(&binary).is_file());
    found.cloned().ok_or_else(|| {
        Error::usage(format!("{BINARY} is in no folder of PATH"))
            .hint("name one: kubectl egress completion install --directory DIR")
    })
}
