//! `check`: preflight and lint.

use super::value;
use clap::Args;
use std::path::PathBuf;

/// `check`: faults in live objects, or in files.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:
  kubectl egress check -n demo
  kubectl egress check -A -o junit
  kubectl egress check -f manifests/ -f more.yaml --suppress EGR-313

Exits 1 if there is a finding of level error. Files are read without asking a cluster.")]
pub struct Check {
    /// File or directory with YAML or JSON to look at instead of the cluster; - is standard input (repeat for several)
    #[arg(short, long = "file", value_name = "FILE|DIRECTORY")]
    pub files: Vec<PathBuf>,
    /// Look at all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Codes of findings to leave out (repeat, or separate with commas)
    #[arg(long, value_name = "EGR-nnn", value_delimiter = ',', value_parser = value::finding_code)]
    pub suppress: Vec<String>,
}
