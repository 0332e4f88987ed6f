//! A running lab as a test suite sees it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::build;
use crate::capture::Capture;
use crate::component::{Cluster, istio, node_dns, policy};
use crate::layout::ClusterLayout;
use crate::output;
use crate::policy::{PolicyEngine, PolicyStatus};
use crate::state::{Options, OutboundPolicy, State, lock};
use crate::status;
use crate::world::World;

/// The name of the lab where none is given.
pub const DEFAULT_NAME: &str = "lab";

/// A lab that is up.
#[derive(Debug, Clone)]
pub struct Lab {
    layout: ClusterLayout,
    options: Options,
}

impl Lab {
    /// Finds the running lab of the usual name; `None` where there is none, or it is not healthy.
    ///
    /// # Errors
    /// The name cannot be a lab's.
    pub fn running() -> Result<Option<Self>> {
        Self::running_as(DEFAULT_NAME)
    }

    /// Finds the running lab `name`; `None` where there is none, or it is not healthy.
    ///
    /// # Errors
    /// The name cannot be a lab's.
    pub fn running_as(name: &str) -> Result<Option<Self>> {
        Ok(Self::healthy(ClusterLayout::new(name)?))
    }

    fn healthy(layout: ClusterLayout) -> Option<Self> {
        let state = State::load(&layout).filter(|state| status::is_healthy(&layout, state))?;
        Some(Self {
            options: state.options,
            layout,
        })
    }

    /// The second cluster, where the lab has one that is healthy. Its context in the first one's kubeconfig is
    /// [`ClusterLayout::TARGET_CONTEXT`]; the outside world is the same.
    pub fn target(&self) -> Option<Self> {
        Self::healthy(self.layout.target())
    }

    /// Names, addresses and folders.
    pub fn layout(&self) -> &ClusterLayout {
        &self.layout
    }

    /// What `up` was asked for.
    pub fn options(&self) -> Options {
        self.options
    }

    /// The administrator's kubeconfig; its context is called like the lab.
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig()
    }

    /// The folder with this lab's state.
    pub fn state_dir(&self) -> PathBuf {
        self.layout.state_dir()
    }

    /// Begins to capture the TCP connections on their way through the node.
    ///
    /// # Errors
    /// tcpdump is not installed, or does not start.
    pub fn capture(&self) -> Result<Capture> {
        Capture::start(&self.layout)
    }

    /// The API server's audit log: one JSON object a line, level Metadata.
    pub fn audit_log(&self) -> PathBuf {
        self.layout.audit_log()
    }

    /// The outside world.
    pub fn world(&self) -> World {
        World::new(self.layout.world(), self.layout.world_log())
    }

    /// Switches the mesh's outbound policy and waits until istiod has it. The proxies follow a moment later.
    ///
    /// # Errors
    /// The API server or istiod does not take it.
    pub fn set_outbound_policy(&mut self, policy: OutboundPolicy) -> Result<()> {
        let _lock = lock(&self.layout.lock_file(), || {
            output::note("another command works on this lab");
        })?;
        istio::set_outbound_policy(&self.layout, policy)?;
        self.options.outbound_policy = policy;
        self.record(|options| options.outbound_policy = policy)
    }

    /// Switches the policy engine and waits until the new one is in force.
    ///
    /// # Errors
    /// It does not load its rules.
    pub fn set_policy_engine(&mut self, engine: PolicyEngine) -> Result<()> {
        let _lock = lock(&self.layout.lock_file(), || {
            output::note("another command works on this lab");
        })?;
        policy::switch(&self.layout, engine)?;
        self.options.policy_engine = engine;
        self.record(|options| options.policy_engine = engine)
    }

    /// Gives pods that start from now on a resolver on the node, or the usual one again.
    ///
    /// # Errors
    /// The resolver or the kubelet cannot be started.
    pub fn set_node_local_dns(&mut self, node_local: bool) -> Result<()> {
        let _lock = lock(&self.layout.lock_file(), || {
            output::note("another command works on this lab");
        })?;
        let mut cluster = Cluster {
            layout: self.layout.clone(),
            binaries: build::all()?,
            state: State::load(&self.layout).context("the lab is gone")?,
        };
        cluster.state.options.node_local_dns = node_local;
        node_dns::switch(&mut cluster)?;
        self.options.node_local_dns = node_local;
        cluster.state.save(&self.layout)
    }

    /// What the policy engine has loaded.
    ///
    /// # Errors
    /// It has not loaded anything yet.
    pub fn policy_status(&self) -> Result<PolicyStatus> {
        PolicyStatus::read(&self.layout.policy())
    }

    /// Waits until exactly the policies that the API server has, for exactly the pods that it knows, are in force.
    ///
    /// # Errors
    /// Not within `deadline`; the error says what is missing.
    pub fn wait_for_policies(&self, deadline: Duration) -> Result<PolicyStatus> {
        policy::wait(&self.layout, deadline)
    }

    fn record(&self, change: impl FnOnce(&mut Options)) -> Result<()> {
        if let Some(mut state) = State::load(&self.layout) {
            change(&mut state.options);
            state.save(&self.layout)?;
        }
        Ok(())
    }
}
