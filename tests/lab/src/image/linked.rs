//! A program with the libraries that it needs, as the dynamic linker names them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::layer::Layer;
use crate::shell;
use crate::unavailable::find_program;

/// Puts a program of this machine at `path`, with its libraries at their own places.
pub(super) fn add_program(layer: &mut Layer, path: &str, program: &str) -> Result<()> {
    let source = find_program(program).with_context(|| format!("{program} is not installed"))?;
    layer.copy(path, &source);
    add_libraries(layer, &source);
    Ok(())
}

/// Puts the libraries of a program or library into the layer.
pub(super) fn add_libraries(layer: &mut Layer, program: &Path) {
    // A static program makes ldd fail; one that cannot be read has failed before.
    let listing = shell::output(shell::command("ldd").arg(program)).unwrap_or_default();
    for library in parse(&listing) {
        layer.copy(&library.to_string_lossy(), &library);
    }
}

/// The absolute paths in the output of `ldd`.
fn parse(listing: &str) -> Vec<PathBuf> {
    let path_in = |line: &str| {
        let place = line.split_once("=>").map_or(line, |(_, place)| place);
        let path = place.trim().split_once(" (")?.0;
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    listing.lines().filter_map(path_in).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_those_with_a_path() {
        let listing = "\tlinux-vdso.so.1 (0x00007fa5da2ab000)
\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007fa5da187000)
\tlibgone.so => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007fa5da2ad000)\n";
        assert_eq!(
            parse(listing),
            [
                Path::new("/lib/x86_64-linux-gnu/libz.so.1"),
                Path::new("/lib64/ld-linux-x86-64.so.2")
            ]
        );
        assert!(parse("\tnot a dynamic executable\n").is_empty());
    }
}
