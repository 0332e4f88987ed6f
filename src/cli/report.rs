//! `report`: everything about a plan in one file.

use super::look::Verify;
use clap::Args;
use std::path::PathBuf;

/// `report`: verifies, and puts all there is to know into one page, or into a support archive.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress report --write egress.html -n demo
  kubectl egress report --bypass -o json -n demo
  kubectl egress report --bundle egress-support.tar.gz -n demo

The page needs nothing else: no script, no network. With --write it is written at once or not at all, for you alone
(mode 0600). Exits as verify does.")]
pub struct Report {
    /// Write the page to this file; with -o json its data
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    pub write: Option<PathBuf>,
    /// Write a support archive (tar.gz) without secrets instead; no probe is sent for it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["hosts", "bypass", "from"])]
    pub bundle: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long)]
    pub force: bool,
    /// What is verified, and how.
    #[command(flatten)]
    pub verify: Verify,
}
