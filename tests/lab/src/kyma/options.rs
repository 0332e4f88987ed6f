//! What `up` may be asked for.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use crate::state::Options;

/// Who installs Istio, and so how the egress gateway is switched on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum Platform {
    /// Istio's own installer.
    #[default]
    Istio,
    /// Kyma's Istio module, by an Istio CR.
    Kyma,
}

impl Platform {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Istio => "istio",
            Self::Kyma => "kyma",
        }
    }
}

/// The size of cluster that the module believes to be on: it has two sets of defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "camelCase")]
pub enum KymaProfile {
    /// Below 5 processors or 10 GiB: one replica.
    #[default]
    Light,
    /// At least three replicas of the egress gateway.
    Production,
}

impl KymaProfile {
    /// The word on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Production => "production",
        }
    }
}

impl Options {
    /// The platform, with what cannot be changed about it while a lab is up.
    pub(crate) fn platform_words(self) -> String {
        match self.platform {
            Platform::Istio => Platform::Istio.as_str().to_owned(),
            Platform::Kyma => format!("kyma, profile {}", self.kyma_profile.as_str()),
        }
    }
}

/// The options of `up` that choose a platform.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PlatformArguments {
    /// Who installs Istio.
    #[arg(long, value_enum, default_value = "istio")]
    pub platform: Platform,
    /// Which defaults the Kyma module takes.
    #[arg(long, value_enum, default_value = "light")]
    pub kyma_profile: KymaProfile,
}

/// What the hidden command that plays the module needs to know.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServeArguments {
    /// The administrator's kubeconfig.
    #[arg(long)]
    pub kubeconfig: PathBuf,
    /// Istio's installer.
    #[arg(long)]
    pub istioctl: PathBuf,
    /// A folder for what the installer is given and for what it wrote.
    #[arg(long)]
    pub folder: PathBuf,
    /// Which defaults the module takes.
    #[arg(long, value_enum)]
    pub profile: KymaProfile,
}
