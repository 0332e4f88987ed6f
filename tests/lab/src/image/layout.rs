//! The OCI image layout as a tar stream: blobs, an index, and the file that says what it is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, Header};

use super::catalogue::Image;
use super::layer::Blob;
use crate::digest::hexadecimal;

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Writes all images as one layout; a layer that several share is written once.
pub(super) fn write(target: impl Write, images: &[Image]) -> Result<()> {
    let mut archive = Archive(Builder::new(BufWriter::with_capacity(1 << 20, target)));
    archive.json("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}))?;
    let layers: BTreeMap<&str, &Blob> = images
        .iter()
        .flat_map(|image| &image.layers)
        .map(|layer| (layer.sha256.as_str(), layer))
        .collect();
    for (sha256, layer) in layers {
        let file = File::open(&layer.path).with_context(|| format!("no {}", layer.path.display()))?;
        archive.file(&format!("blobs/sha256/{sha256}"), layer.length, file)?;
    }
    let mut manifests = Vec::new();
    for image in images {
        let config = archive.blob(CONFIG, &config(image))?;
        let layers: Vec<_> = image
            .layers
            .iter()
            .map(|layer| descriptor(LAYER, &layer.sha256, layer.length))
            .collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let manifest = archive.blob(MANIFEST, &manifest)?;
        for name in &image.names {
            let mut named = manifest.clone();
            if let Some(object) = named.as_object_mut() {
                object.insert("annotations".into(), json!({"io.containerd.image.name": name}));
            }
            manifests.push(named);
        }
    }
    archive.json("index.json", &json!({"schemaVersion": 2, "manifests": manifests}))?;
    archive.0.into_inner()?.flush()?;
    Ok(())
}

fn config(image: &Image) -> Value {
    let digests: Vec<_> = image
        .layers
        .iter()
        .map(|layer| format!("sha256:{}", layer.sha256))
        .collect();
    json!({
        "architecture": architecture(),
        "os": "linux",
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": digests},
    })
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn descriptor(media_type: &str, sha256: &str, length: u64) -> Value {
    json!({"mediaType": media_type, "digest": format!("sha256:{sha256}"), "size": length})
}

struct Archive<W: Write>(Builder<W>);

impl<W: Write> Archive<W> {
    fn file(&mut self, path: &str, length: u64, content: impl Read) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(length);
        Ok(self.0.append_data(&mut header, path, content)?)
    }

    fn json(&mut self, path: &str, value: &Value) -> Result<()> {
        let bytes = serde_json::to_vec(value)?;
        self.file(path, u64::try_from(bytes.len())?, bytes.as_slice())
    }

    fn blob(&mut self, media_type: &str, value: &Value) -> Result<Value> {
        let bytes = serde_json::to_vec(value)?;
        let (sha256, length) = (hexadecimal(&Sha256::digest(&bytes)), u64::try_from(bytes.len())?);
        self.file(&format!("blobs/sha256/{sha256}"), length, bytes.as_slice())?;
        Ok(descriptor(media_type, &sha256, length))
    }
}

#[cfg(test)]
mod tests {
    use super::super::layer::Layer;
    use super::*;

    #[test]
    fn every_digest_leads_to_a_blob_with_that_digest() {
        let cache = tempfile::tempdir().unwrap();
        let mut layer = Layer::default();
        layer.content("a", "b", 0o644);
        let blob = layer.store(cache.path()).unwrap();
        let image = |name: &str| Image {
            names: vec![name.to_owned(), format!("{name}-too")],
            layers: vec![blob.clone()],
            config: json!({"User": name}),
        };
        let mut stream = Vec::new();
        write(&mut stream, &[image("one"), image("two")]).unwrap();

        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(stream.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            assert!(
                files.insert(path.clone(), bytes).is_none(),
                "{path} is there twice"
            );
        }
        let index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
        let names: Vec<_> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| &m["annotations"]["io.containerd.image.name"])
            .collect();
        assert_eq!(names, ["one", "one-too", "two", "two-too"]);
        for manifest in index["manifests"].as_array().unwrap() {
            let bytes = &files[&manifest["digest"]
                .as_str()
                .unwrap()
                .replace("sha256:", "blobs/sha256/")];
            let manifest: Value = serde_json::from_slice(bytes).unwrap();
            for part in [&manifest["config"], &manifest["layers"][0]] {
                let digest = part["digest"]
                    .as_str()
                    .unwrap()
                    .strip_prefix("sha256:")
                    .unwrap()
                    .to_owned();
                let bytes = &files[&format!("blobs/sha256/{digest}")];
                assert_eq!(hexadecimal(&Sha256::digest(bytes)), digest);
                assert_eq!(part["size"], bytes.len());
            }
        }
    }
}
