//! The support archive: what somebody who helps needs to see, without what nobody may see.
//!
//! What may hold a secret is left out by where it stands, not by how it looks: values of Secrets and ConfigMaps, of
//! environment variables, headers and unknown annotations, arguments of foreign containers, patches of EnvoyFilters.
//! What is left passes `text`, which takes out what looks like a credential. `MANIFEST.txt` lists every removal.

mod collect;
mod logs;
mod redact;
mod text;

pub use redact::Removal;

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::vocabulary::{PlanIdentity, names};
use flate2::Compression;
use flate2::write::GzEncoder;
use redact::Redactor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Folder of everything in the archive.
const FOLDER: &str = "kubectl-egress-support";

/// What goes into the archive.
#[derive(Debug, Default)]
pub struct Bundle {
    files: BTreeMap<String, String>,
    redactor: Redactor,
    not_read: Vec<String>,
}

/// What `report --bundle -o json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BundleContents {
    /// Version of the document.
    pub api_version: String,
    /// Always `SupportArchive`.
    pub kind: String,
    /// The files in it.
    pub files: Vec<String>,
    /// What was taken out of them.
    pub removed: Vec<Removal>,
    /// What could not be read, one sentence each.
    pub not_read: Vec<String>,
}

impl BundleContents {
    /// The JSON Schema of the document.
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}

/// Reads what there is of a plan; `namespace` is the one that is worked in. Reads only.
///
/// # Errors
/// If there is no plan, or the API server cannot be reached. What it refuses to show is told in the archive.
pub async fn of_plan(cluster: &Cluster, plan: &PlanIdentity, namespace: &str) -> Result<Bundle> {
    let mut bundle = Bundle::default();
    collect::all(cluster, plan, namespace, &mut bundle).await?;
    Ok(bundle)
}

impl Bundle {
    /// Puts a value in as YAML, redacted.
    fn value(&mut self, file: &str, value: Value) -> Result<()> {
        let clean = self.redactor.value(file, value);
        let text = serde_saphyr::to_string(&clean)
            .map_err(|error| Error::bug(format!("cannot write {file}")).because(error.to_string()))?;
        self.files.insert(file.to_owned(), text);
        Ok(())
    }

    /// Puts lines in, each redacted already or free of anything to redact.
    fn lines(&mut self, file: &str, lines: &[String]) {
        self.files.insert(file.to_owned(), lines.join("\n") + "\n");
    }

    fn not_read(&mut self, what: &str, error: &Error) {
        let sentence = self.redactor.text("MANIFEST.txt", &format!("{what}: {error}"));
        self.not_read.push(sentence);
    }

    /// What is in it.
    pub fn contents(&self) -> BundleContents {
        let mut files: Vec<String> = self.files.keys().cloned().collect();
        files.insert(0, "MANIFEST.txt".to_owned());
        BundleContents {
            api_version: names::API_VERSION.to_owned(),
            kind: "SupportArchive".to_owned(),
            files,
            removed: self.redactor.removed().to_vec(),
            not_read: self.not_read.clone(),
        }
    }

    /// The archive, as a tar file in gzip. The same contents give the same bytes.
    ///
    /// # Errors
    /// If it cannot be packed, which is a bug.
    pub fn archive(&self) -> Result<Vec<u8>> {
        self.pack()
            .map_err(|error| Error::bug("cannot pack the archive").because(error.to_string()))
    }

    fn pack(&self) -> std::io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        let manifest = ("MANIFEST.txt", self.manifest());
        let manifest = std::iter::once((manifest.0, manifest.1.as_str()));
        let files = self
            .files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        for (name, text) in manifest.chain(files) {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o600);
            archive.append_data(&mut header, format!("{FOLDER}/{name}"), text.as_bytes())?;
        }
        archive.into_inner()?.finish()
    }

    fn manifest(&self) -> String {
        let contents = self.contents();
        let mut text = format!(
            "Support archive of kubectl-egress {}\n\nRead it before you hand it on: names of hosts, objects and addresses are in it.\n\nFiles\n",
            env!("CARGO_PKG_VERSION")
        );
        for file in &contents.files {
            let _ = writeln!(text, "  {file}");
        }
        let _ = writeln!(text, "\nRemoved ({})", contents.removed.len());
        for removal in &contents.removed {
            let _ = writeln!(text, "  {} {}: {}", removal.file, removal.place, removal.what);
        }
        text.push_str(
            "\nOf logs, events, messages and other free text only what looks like a credential was taken out, by patterns:\n\
             a secret that looks like any other word is still in it.\n\
             \nNever read: Secrets of others, the kubeconfig, credentials of whoever made this archive\n",
        );
        let _ = writeln!(text, "\nCould not be read ({})", contents.not_read.len());
        for sentence in &contents.not_read {
            let _ = writeln!(text, "  {sentence}");
        }
        text
    }
}
