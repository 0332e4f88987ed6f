//! `cargo lab manifest`: krew's manifest, filled in for a release.
//!
//! krew reads version, address and SHA-256 of each archive (krew's documentation, "Writing Krew plugin manifests").

use crate::digest::HashingWriter;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

/// Where the manifest lies, from the top of the repository.
pub const MANIFEST: &str = "plugin-manifest/egress.yaml";

/// What `cargo lab manifest` needs to know.
#[derive(Debug, clap::Args)]
pub(crate) struct ManifestArguments {
    /// Folder with the archives of the release.
    #[arg(long, value_name = "DIR")]
    archives: PathBuf,
    /// The release's tag, for example v0.1.0.
    #[arg(long)]
    tag: String,
    /// Where the archives can be fetched, if not where the manifest says.
    #[arg(long, value_name = "URL")]
    base_url: Option<String>,
}

/// Prints the filled manifest.
pub(crate) fn print(arguments: &ManifestArguments) -> Result<()> {
    let template = std::fs::read_to_string(MANIFEST)
        .with_context(|| format!("{MANIFEST} cannot be read; call this at the top of the repository"))?;
    let filled = fill_in(
        &template,
        &arguments.tag,
        arguments.base_url.as_deref(),
        &arguments.archives,
    )?;
    crate::output::data(filled.trim_end());
    Ok(())
}

/// A manifest with a release's tag, addresses and checksums in the place of the template's.
///
/// # Errors
/// If the tag is not `v` and a version, or an archive that the manifest names is missing.
pub fn fill_in(template: &str, tag: &str, base_url: Option<&str>, archives: &Path) -> Result<String> {
    ensure!(
        tag.strip_prefix('v')
            .is_some_and(|rest| rest.split('.').count() == 3),
        "`{tag}` is not a release's tag: it looks like v1.2.3"
    );
    let before = value_of(template, "version").context("the manifest has no version")?;
    let mut text = String::with_capacity(template.len());
    let mut checksum = None;
    for line in template.lines() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let filled = match line.trim_start().split_once(": ") {
            Some(("version", _)) => format!("{indent}version: {tag}"),
            Some(("uri", uri)) => {
                let uri = uri.replace(before, tag);
                let name = uri.rsplit('/').next().unwrap_or_default();
                checksum = Some(sha256(&archives.join(name))?);
                let uri = base_url.map_or_else(
                    || uri.clone(),
                    |base| format!("{}/{name}", base.trim_end_matches('/')),
                );
                format!("{indent}uri: {uri}")
            }
            Some(("sha256", _)) => match checksum.take() {
                Some(checksum) => format!("{indent}sha256: \"{checksum}\""),
                None => bail!("the manifest has a sha256 without a uri before it"),
            },
            _ => line.to_owned(),
        };
        text.push_str(&filled);
        text.push('\n');
    }
    Ok(text)
}

fn value_of<'text>(text: &'text str, key: &str) -> Option<&'text str> {
    text.lines()
        .find_map(|line| line.trim_start().strip_prefix(key)?.strip_prefix(": "))
}

fn sha256(archive: &Path) -> Result<String> {
    let mut file = std::fs::File::open(archive)
        .with_context(|| format!("no archive {} to be released", archive.display()))?;
    let mut hashing = HashingWriter::new(std::io::sink());
    std::io::copy(&mut file, &mut hashing)
        .with_context(|| format!("{} cannot be read", archive.display()))?;
    let (_, digest, _) = hashing.finish();
    Ok(digest)
}

#[cfg(test)]
mod tests {
    use super::fill_in;

    const TEMPLATE: &str = "spec:
  version: v0.1.0
  platforms:
  - selector: {}
    uri: https://example.com/v0.1.0/x_v0.1.0_linux.tar.gz
    sha256: \"00\"
    bin: x
";

    #[test]
    fn version_address_and_checksum_are_those_of_the_release() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x_v1.2.3_linux.tar.gz"), "abc").unwrap();
        let filled = fill_in(TEMPLATE, "v1.2.3", None, folder.path()).unwrap();
        assert!(filled.contains("version: v1.2.3\n"), "{filled}");
        assert!(
            filled.contains("uri: https://example.com/v1.2.3/x_v1.2.3_linux.tar.gz\n"),
            "{filled}"
        );
        // FIPS 180-2's example.
        assert!(
            filled.contains("sha256: \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\""),
            "{filled}"
        );
        let moved = fill_in(TEMPLATE, "v1.2.3", Some("http://127.0.0.1/"), folder.path()).unwrap();
        assert!(
            moved.contains("uri: http://127.0.0.1/x_v1.2.3_linux.tar.gz\n"),
            "{moved}"
        );
    }

    #[test]
    fn a_missing_archive_and_a_strange_tag_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = fill_in(TEMPLATE, "v1.2.3", None, folder.path())
            .unwrap_err()
            .to_string();
        assert!(missing.contains("x_v1.2.3_linux.tar.gz"), "{missing}");
        let strange = fill_in(TEMPLATE, "1.2", None, folder.path())
            .unwrap_err()
            .to_string();
        assert!(strange.contains("`1.2`"), "{strange}");
    }
}
