//! `up`: from nothing, or from whatever a killed run left, to a mesh that is ready.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::build::{self, Binaries};
use crate::cluster::{kubeconfig, network, pki, world_pki};
use crate::component::{
    Cluster, apiserver, containerd, controllers, coredns, etcd, istio, kubelet, kubeproxy, kyma, node_dns,
    policy, world,
};
use crate::down;
use crate::image;
use crate::kyma::Platform;
use crate::layout::ClusterLayout;
use crate::output;
use crate::space;
use crate::state::{Options, OutboundPolicy, Phase, State, lock};
use crate::status;
use crate::unavailable::check_run_tools;

/// Makes the lab as asked for, of one cluster or two. A healthy cluster with the same options is left alone; with
/// other options only what differs is changed; anything else is cleaned up and made anew.
///
/// # Errors
/// [`crate::Unavailable`], or whatever went wrong; what was started so far stays, with its logs.
pub fn up(layout: &ClusterLayout, options: Options, clusters: u8) -> Result<()> {
    check_run_tools()?;
    let _lock = lock(&layout.lock_file(), || {
        output::note("another command works on this lab; waiting for it");
    })?;
    let binaries = build::all()?;
    one_cluster(layout, options, &binaries)?;
    let target = layout.target();
    if clusters > 1 {
        output::note("the second cluster");
        let options = Options {
            egress_gateway: false,
            outbound_policy: OutboundPolicy::AllowAny,
            node_local_dns: false,
            ..options
        };
        one_cluster(&target, options, &binaries)?;
        kubeconfig::write_both(layout)
    } else {
        down::clean(&target)?;
        kubeconfig::write_admin(layout)
    }
}

/// Brings one cluster to its options. The lab's lock is held.
fn one_cluster(layout: &ClusterLayout, options: Options, binaries: &Binaries) -> Result<()> {
    if let Some(state) = State::load(layout)
        && status::is_healthy(layout, &state)
    {
        check_options(layout, Some(state.options), options)?;
        let mut cluster = Cluster {
            layout: layout.clone(),
            binaries: binaries.clone(),
            state,
        };
        return adjust(&mut cluster, options);
    }
    check_options(layout, None, options)?;
    let _addresses = lock(&layout.addresses_lock_file(), || {
        output::note("a lab with the same addresses is being made; waiting for it");
    })?;
    network::check_addresses(layout)?;
    down::clean_with_target(layout)?;
    space::check(&layout.data_dir(), &layout.state_dir())?;
    let state = State {
        phase: Phase::Starting,
        options,
        processes: vec![],
        kernel_settings: vec![],
    };
    let mut cluster = Cluster {
        layout: layout.clone(),
        binaries: binaries.clone(),
        state,
    };
    create(&mut cluster).with_context(|| {
        format!(
            "the lab is not up; logs are in {}, `down` or `up` cleans up",
            layout.logs().display()
        )
    })
}

fn adjust(cluster: &mut Cluster, options: Options) -> Result<()> {
    let layout = cluster.layout.clone();
    let before = cluster.state.options;
    let lost = match before.platform {
        Platform::Istio => false,
        Platform::Kyma => !kyma::is_asked_for(&layout)?,
    };
    let lost = lost || (options.egress_gateway && !istio::has_gateway(&layout)?);
    if before == options && !lost {
        output::note("it is up already, as asked for");
        return Ok(());
    }
    if before.outbound_policy != options.outbound_policy {
        output::note(&format!(
            "changing the outbound policy to {}",
            options.outbound_policy.as_str()
        ));
        istio::set_outbound_policy(&layout, options.outbound_policy)?;
    }
    if lost || before.egress_gateway != options.egress_gateway {
        output::note(match (options.platform, options.egress_gateway) {
            (Platform::Kyma, _) => "bringing the Istio CR to what is asked for",
            (_, true) => "adding the egress gateway",
            (_, false) => "removing the egress gateway",
        });
        match options.platform {
            Platform::Istio => istio::install(&layout, &cluster.binaries, options)?,
            // Only the Istio CR is ours to change; the module does the rest.
            Platform::Kyma => kyma::adjust(&layout, options)?,
        }
    }
    cluster.state.options = options;
    if before.policy_engine != options.policy_engine {
        output::note(&format!(
            "changing the policy engine to {}",
            options.policy_engine
        ));
        policy::ensure(cluster)?;
    }
    if before.node_local_dns != options.node_local_dns {
        output::note("changing the resolver of pods that start from now on");
        node_dns::switch(cluster)?;
    }
    cluster.state.save(&layout)
}

/// What cannot be changed while a lab is up, and what the Kyma module does not have.
fn check_options(layout: &ClusterLayout, running: Option<Options>, options: Options) -> Result<()> {
    ensure!(
        options.platform == Platform::Istio || options.outbound_policy == OutboundPolicy::AllowAny,
        "the Kyma module sets no outbound policy; leave --outbound-policy out"
    );
    let Some(running) = running else {
        return Ok(());
    };
    let (is, wanted) = (running.platform_words(), options.platform_words());
    ensure!(
        is == wanted,
        "{} is up with platform {is}, not {wanted}; `cargo lab --name {0} down` removes it",
        layout.lab()
    );
    Ok(())
}

fn create(cluster: &mut Cluster) -> Result<()> {
    let layout = cluster.layout.clone();
    let start = Instant::now();
    for folder in [layout.state_dir(), layout.logs(), layout.data_dir()] {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    cluster.state.save(&layout)?;
    timed("network, keys", || {
        network::create(&layout)?;
        create_cgroups(&layout)?;
        pki::create(&layout)?;
        if !layout.is_target() {
            world_pki::create(&layout.world())?;
        }
        kubeconfig::write_admin(&layout)
    })?;
    timed("outside world, containerd, etcd", || {
        if !layout.is_target() {
            world::start(cluster)?;
        }
        etcd::start(cluster)?;
        containerd::start(cluster)?;
        etcd::wait(cluster)?;
        containerd::wait(cluster)
    })?;
    apiserver::start(cluster)?;
    let binaries = cluster.binaries.clone();
    std::thread::scope(|scope| -> Result<()> {
        let images = scope.spawn(|| timed("images", || image::import_all(&layout, &binaries)));
        timed("API server", || apiserver::wait(cluster))?;
        controllers::start(cluster)?;
        kubeproxy::start(cluster)?;
        policy::start(cluster)?;
        coredns::install(&layout)?;
        images
            .join()
            .map_err(|_| anyhow::anyhow!("the import of images panicked"))?
    })?;
    node_dns::start(cluster)?;
    kubelet::start(cluster)?;
    match cluster.state.options.platform {
        Platform::Istio => timed("Istio", || {
            istio::install(&layout, &binaries, cluster.state.options)
        })?,
        Platform::Kyma => timed("Kyma", || kyma::install(cluster))?,
    }
    if layout.is_target() {
        istio::publish_ingress(&layout)?;
        if cluster.state.options.platform == Platform::Kyma {
            kyma::start_api_gateway(cluster)?;
        }
    }
    timed("DNS", || coredns::wait(&layout))?;
    cluster.state.phase = Phase::Up;
    cluster.state.save(&layout)?;
    output::took("up, all in all", start.elapsed());
    Ok(())
}

fn timed<T>(part: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let result = work()?;
    output::took(part, start.elapsed());
    Ok(result)
}

/// Makes the cgroup below which the kubelet keeps its pods, in every hierarchy.
fn create_cgroups(layout: &ClusterLayout) -> Result<()> {
    for hierarchy in down::cgroup_hierarchies() {
        let folder = hierarchy.join(layout.cgroup());
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for setting in ["cpuset.cpus", "cpuset.mems"] {
            inherit(&hierarchy, &folder, setting)?;
        }
    }
    Ok(())
}

/// A new `cpuset` of the first version is empty, and nothing can run in it.
fn inherit(hierarchy: &Path, folder: &Path, setting: &str) -> Result<()> {
    let target = folder.join(setting);
    if let (Ok(value), Ok(old)) = (
        fs::read_to_string(hierarchy.join(setting)),
        fs::read_to_string(&target),
    ) && old.trim().is_empty()
    {
        fs::write(&target, value.trim()).with_context(|| format!("cannot write {}", target.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kyma::KymaProfile;
    use crate::policy::PolicyEngine;

    #[test]
    fn a_running_lab_keeps_its_platform() {
        let layout = ClusterLayout::new("lab").unwrap();
        let istio = Options {
            egress_gateway: true,
            outbound_policy: OutboundPolicy::RegistryOnly,
            platform: Platform::Istio,
            kyma_profile: KymaProfile::Light,
            policy_engine: PolicyEngine::None,
            node_local_dns: false,
        };
        let kyma = Options {
            platform: Platform::Kyma,
            outbound_policy: OutboundPolicy::AllowAny,
            ..istio
        };
        let without_gateway = Options {
            egress_gateway: false,
            ..kyma
        };
        assert!(check_options(&layout, None, istio).is_ok() && check_options(&layout, None, kyma).is_ok());
        assert!(check_options(&layout, Some(kyma), without_gateway).is_ok());
        let error = check_options(&layout, Some(kyma), istio).unwrap_err();
        assert_eq!(
            error.to_string(),
            "lab is up with platform kyma, profile light, not istio; `cargo lab --name lab down` removes it"
        );
        let production = Options {
            kyma_profile: KymaProfile::Production,
            ..kyma
        };
        assert!(check_options(&layout, Some(kyma), production).is_err());
    }

    #[test]
    fn kyma_has_no_outbound_policy() {
        let options = Options {
            egress_gateway: false,
            outbound_policy: OutboundPolicy::RegistryOnly,
            platform: Platform::Kyma,
            kyma_profile: KymaProfile::Light,
            policy_engine: PolicyEngine::None,
            node_local_dns: false,
        };
        let layout = ClusterLayout::new("lab").unwrap();
        assert!(check_options(&layout, None, options).is_err());
    }
}
