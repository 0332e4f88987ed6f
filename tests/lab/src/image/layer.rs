//! A file system tree that becomes a tar archive of always the same bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tar::{Builder, EntryType, Header};

use crate::digest::{self, HashingWriter};

/// What is at one path of the tree.
#[derive(Debug, Clone)]
enum Entry {
    Folder { mode: u32, owner: u64 },
    Content { bytes: Vec<u8>, mode: u32 },
    CopyOf(PathBuf),
    Link(String),
}

/// A file system tree. Folders above an entry are made when they are not named.
#[derive(Debug, Clone, Default)]
pub(super) struct Layer(BTreeMap<String, Entry>);

/// A finished layer on disk.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) path: PathBuf,
    pub(super) sha256: String,
    pub(super) length: u64,
}

impl Layer {
    fn add(&mut self, path: &str, entry: Entry) {
        let path = path.trim_matches('/').to_owned();
        let parents = path
            .match_indices('/')
            .map(|(end, _)| path.get(..end).unwrap_or_default().to_owned());
        for parent in parents.collect::<Vec<_>>() {
            self.0.entry(parent).or_insert(Entry::Folder {
                mode: 0o755,
                owner: 0,
            });
        }
        self.0.insert(path, entry);
    }

    pub(super) fn folder(&mut self, path: &str, mode: u32, owner: u64) {
        self.add(path, Entry::Folder { mode, owner });
    }

    pub(super) fn content(&mut self, path: &str, bytes: impl Into<Vec<u8>>, mode: u32) {
        self.add(
            path,
            Entry::Content {
                bytes: bytes.into(),
                mode,
            },
        );
    }

    /// A copy of a file of this machine, with its permissions, following links.
    pub(super) fn copy(&mut self, path: &str, source: &Path) {
        self.add(path, Entry::CopyOf(source.to_owned()));
    }

    pub(super) fn link(&mut self, path: &str, target: &str) {
        self.add(path, Entry::Link(target.to_owned()));
    }

    /// The hash of all that decides the layer's bytes; files of this machine count by size and time of change.
    fn key(&self) -> Result<String> {
        let mut parts = Vec::new();
        for (path, entry) in &self.0 {
            parts.push(path.clone().into_bytes());
            parts.push(match entry {
                Entry::CopyOf(source) => {
                    let metadata = fs::metadata(source)
                        .with_context(|| format!("no {} for an image", source.display()))?;
                    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
                    format!("{} {} {seconds} {nanoseconds}", source.display(), metadata.len()).into_bytes()
                }
                other => format!("{other:?}").into_bytes(),
            });
        }
        Ok(digest::of_parts(parts.iter().map(Vec::as_slice)))
    }

    /// Writes the layer into `cache`, unless it is there already.
    pub(super) fn store(&self, cache: &Path) -> Result<Blob> {
        let key = self.key()?;
        let folder = cache.join("layers");
        fs::create_dir_all(&folder)?;
        let (path, facts) = (
            folder.join(format!("{key}.tar")),
            folder.join(format!("{key}.sha256")),
        );
        let known = fs::read_to_string(&facts).ok().and_then(|text| {
            let (sha256, length) = text.trim().split_once(' ')?;
            Some(Blob {
                path: path.clone(),
                sha256: sha256.to_owned(),
                length: length.parse().ok()?,
            })
        });
        if let Some(blob) =
            known.filter(|blob| fs::metadata(&blob.path).is_ok_and(|found| found.len() == blob.length))
        {
            return Ok(blob);
        }
        let unfinished = folder.join(format!("{key}.tmp{}", std::process::id()));
        let writer = HashingWriter::new(BufWriter::new(File::create(&unfinished)?));
        let (mut writer, sha256, length) = self.write(writer)?.finish();
        writer.flush()?;
        fs::rename(&unfinished, &path)?;
        crate::shell::write_atomically(&facts, format!("{sha256} {length}\n").as_bytes())?;
        Ok(Blob { path, sha256, length })
    }

    fn write<W: Write>(&self, writer: W) -> Result<W> {
        let mut archive = Builder::new(writer);
        for (path, entry) in &self.0 {
            let mut header = Header::new_gnu();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_size(0);
            match entry {
                Entry::Folder { mode, owner } => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_uid(*owner);
                    header.set_gid(*owner);
                    archive.append_data(&mut header, format!("{path}/"), std::io::empty())?;
                }
                Entry::Content { bytes, mode } => {
                    header.set_mode(*mode);
                    header.set_size(u64::try_from(bytes.len())?);
                    archive.append_data(&mut header, path, bytes.as_slice())?;
                }
                Entry::CopyOf(source) => {
                    let file = File::open(source)
                        .with_context(|| format!("no {} for an image", source.display()))?;
                    let metadata = file.metadata()?;
                    header.set_mode(metadata.permissions().mode() & 0o755);
                    header.set_size(metadata.len());
                    archive.append_data(&mut header, path, file)?;
                }
                Entry::Link(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_mode(0o777);
                    archive.append_link(&mut header, path, target)?;
                }
            }
        }
        Ok(archive.into_inner()?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn sample() -> Layer {
        let mut layer = Layer::default();
        layer.content("/etc/a/file", "hello", 0o644);
        layer.link("bin/sh", "busybox");
        layer.folder("tmp", 0o1777, 0);
        layer
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let bytes = sample().write(Vec::new()).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut paths = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            paths.push((
                entry.path().unwrap().display().to_string(),
                entry.header().mode().unwrap(),
                text,
            ));
        }
        let names: Vec<_> = paths.iter().map(|(path, ..)| path.as_str()).collect();
        assert_eq!(names, ["bin/", "bin/sh", "etc/", "etc/a/", "etc/a/file", "tmp/"]);
        assert_eq!(paths[4].2, "hello");
        assert_eq!(paths[5].1, 0o1777);
    }

    #[test]
    fn the_same_tree_is_stored_once_with_the_digest_of_its_bytes() {
        let cache = tempfile::tempdir().unwrap();
        let first = sample().store(cache.path()).unwrap();
        let second = sample().store(cache.path()).unwrap();
        assert_eq!((&first.sha256, &first.path), (&second.sha256, &second.path));
        let bytes = fs::read(&first.path).unwrap();
        assert_eq!(u64::try_from(bytes.len()).unwrap(), first.length);
        assert_eq!(
            digest::hexadecimal(&<sha2::Sha256 as sha2::Digest>::digest(&bytes)),
            first.sha256
        );
    }

    #[test]
    fn a_half_written_layer_is_written_again() {
        let cache = tempfile::tempdir().unwrap();
        let blob = sample().store(cache.path()).unwrap();
        fs::write(&blob.path, "short").unwrap();
        assert_eq!(
            fs::metadata(sample().store(cache.path()).unwrap().path)
                .unwrap()
                .len(),
            blob.length
        );
    }
}
