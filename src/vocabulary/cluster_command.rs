//! The commands that ask an API server for something.

use std::fmt;

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)+) => {
        /// A command that asks an API server for something, as far as its permissions go.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ClusterCommand { $($(#[$doc])* $name),+ }

        impl ClusterCommand {
            /// Every value, in the order of the help.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Its word on the command line.
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word),+ }
            }
        }
    };
}

commands! {
    /// `setup`.
    Setup = "setup",
    /// `verify`.
    Verify = "verify",
    /// `lockdown`.
    Lockdown = "lockdown",
    /// `unlock`.
    Unlock = "unlock",
    /// `cleanup`.
    Cleanup = "cleanup",
    /// `enable-gateway`.
    EnableGateway = "enable-gateway",
    /// `deploy-curl`.
    DeployCurl = "deploy-curl",
    /// `deploy-target`.
    DeployTarget = "deploy-target",
    /// `route`.
    Route = "route",
    /// `certs inspect`.
    Certs = "certs",
    /// `secrets`.
    Secrets = "secrets",
    /// `probe`.
    Probe = "probe",
    /// `logs`.
    Logs = "logs",
    /// `check`.
    Check = "check",
    /// `learn`.
    Learn = "learn",
    /// `status`.
    Status = "status",
    /// `render`.
    Render = "render",
    /// `diff`.
    Diff = "diff",
    /// `explain`.
    Explain = "explain",
}

impl fmt::Display for ClusterCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.word())
    }
}

/// A circumstance under which a command needs more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Circumstance {
    /// The namespace has no injection label yet.
    Label,
    /// There is no egress gateway, and one is made.
    CreateGateway,
    /// A client certificate is put into the gateway's namespace.
    ClientSecret,
    /// The cluster is Kyma: its Istio module makes the gateway.
    Kyma,
    /// The namespace has a lock of ours.
    Locked,
    /// That lock's `lockdown` was killed: its dead-man's switch is still there.
    Armed,
    /// We made the namespace, and it goes with the plan.
    OwnNamespace,
    /// `cleanup --verify`: every namespace is looked through.
    Leftovers,
    /// A pod without sidecar is made and probed from.
    Unmeshed,
    /// `verify --bypass`.
    Bypass,
}

impl Circumstance {
    /// Every value.
    pub const ALL: &'static [Self] = &[
        Self::Label,
        Self::CreateGateway,
        Self::ClientSecret,
        Self::Kyma,
        Self::Locked,
        Self::Armed,
        Self::OwnNamespace,
        Self::Leftovers,
        Self::Unmeshed,
        Self::Bypass,
    ];
}

impl fmt::Display for Circumstance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Label => "label",
            Self::CreateGateway => "create-gateway",
            Self::ClientSecret => "client-secret",
            Self::Kyma => "kyma",
            Self::Locked => "locked",
            Self::Armed => "armed",
            Self::OwnNamespace => "own-namespace",
            Self::Leftovers => "leftovers",
            Self::Unmeshed => "unmeshed",
            Self::Bypass => "bypass",
        })
    }
}
