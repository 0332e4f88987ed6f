//! Container images without a registry: written by hand as an OCI layout and imported in one go.
//!
//! - `layer`: a file system tree that becomes a tar of always the same bytes.
//! - `linked`: a program with the libraries that it needs.
//! - `catalogue`: which images the lab has and what is in them.
//! - `layout`: the stream that `ctr images import` reads.

mod catalogue;
mod layer;
mod layout;
mod linked;

use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::build::Binaries;
use crate::layout::ClusterLayout;
use crate::shell::inside;

pub(crate) use catalogue::{HUB, PAUSE, TAG};

/// Builds what the cache does not have of the images and imports all of them.
///
/// # Errors
/// A program that goes into an image is missing, or containerd refuses.
pub(crate) fn import_all(cluster: &ClusterLayout, binaries: &Binaries) -> Result<()> {
    let authority = std::fs::read(cluster.world().join("ca.pem"))?;
    let images = catalogue::images(binaries, &authority)?;
    let mut ctr = inside(&cluster.node_namespace(), "ctr");
    ctr.arg("--address").arg(cluster.containerd_socket()).args([
        "--namespace",
        "k8s.io",
        "images",
        "import",
        "-",
    ]);
    let mut child = ctr
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let stdin = child.stdin.take().context("no stdin")?;
    let written = layout::write(stdin, &images);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "containerd did not import the images: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    written
}
