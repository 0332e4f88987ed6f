//! Two network namespaces, the node and the outside world, and the links between them and the machine.
//!
//! Pod traffic reaches the outside world with the pod's own address, so the outside world's log is the ground truth.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::component::policy;
use crate::layout::ClusterLayout;
use crate::shell::{self, inside, run};
use crate::world::SERVERS;

/// Where Debian keeps plugins.
const MACHINE_PLUGINS: &str = "/usr/lib/cni";

/// Refuses a lab whose addresses another one has: two names can end in the same number.
///
/// # Errors
/// There is such a lab, or what is left of one.
pub(crate) fn check_addresses(layout: &ClusterLayout) -> Result<()> {
    let address = layout.root_address().to_string();
    let links = run(&["ip", "-o", "-4", "address", "show", "to", &address])?;
    let others = links.lines().filter_map(|line| line.split_whitespace().nth(1));
    if let Some(link) = others.filter(|link| *link != layout.root_link()).min() {
        let prefixes = [ClusterLayout::ROOT_LINK_PREFIX, ClusterLayout::TARGET_LINK_PREFIX];
        let holder = match prefixes.iter().find_map(|prefix| link.strip_prefix(prefix)) {
            Some(name) => format!("the lab {name}, whose name ends in the same number"),
            None => format!("the link {link}"),
        };
        bail!(
            "{address} is the address of {holder}; give this lab a name with another number, or take the other one down"
        );
    }
    Ok(())
}

/// Makes namespaces, links, addresses and routes. A target is joined to the outside world of its lab, which must be
/// there.
///
/// # Errors
/// One of them is there already, or the kernel refuses.
pub(crate) fn create(layout: &ClusterLayout) -> Result<()> {
    let (node, world) = (layout.node_namespace(), layout.world_namespace());
    for namespace in layout.own_namespaces() {
        run(&["ip", "netns", "add", &namespace])?;
        run(&["ip", "-n", &namespace, "link", "set", "lo", "up"])?;
    }
    let (root, world_link) = (layout.root_link(), layout.world_link());
    let peer = ["type", "veth", "peer", "name"];
    run(&[
        &["ip", "link", "add", &root][..],
        &peer,
        &["root0", "netns", &node],
    ]
    .concat())?;
    let link = ["ip", "-n", &node, "link", "add", "world0"];
    run(&[&link[..], &peer, &[world_link, "netns", &world]].concat())?;

    let prefix = layout.node_prefix_length();
    address("", &root, &format!("{}/{prefix}", layout.root_address()))?;
    address(&node, "root0", &format!("{}/{prefix}", layout.node_address()))?;
    let prefix = layout.world_prefix_length();
    let in_world = layout.node_address_in_world().to_string();
    address(&node, "world0", &format!("{in_world}/{prefix}"))?;
    address(&world, world_link, &format!("{}/{prefix}", layout.world_router()))?;

    run(&["ip", "link", "set", &root, "up"])?;
    run(&["ip", "-n", &node, "link", "set", "root0", "up"])?;
    run(&["ip", "-n", &node, "link", "set", "world0", "up"])?;
    run(&["ip", "-n", &world, "link", "set", world_link, "up"])?;
    // Service addresses are rewritten after routing, so they need a route too.
    let router = layout.world_router().to_string();
    run(&["ip", "-n", &node, "route", "add", "default", "via", &router])?;
    let to_pods = ["ip", "-n", &world, "route", "add", layout.pod_range()];
    run(&[&to_pods[..], &["via", &in_world]].concat())?;
    if layout.is_target() {
        let ingress = ClusterLayout::ingress_address().to_string();
        run(&["ip", "-n", &world, "route", "add", &ingress, "via", &in_world])?;
    } else {
        for server in SERVERS.iter().flat_map(crate::world::Server::addresses) {
            address(&world, world_link, &format!("{server}/{prefix}"))?;
        }
        // The target's addresses are part of this link's network, and behind the router all the same.
        let target = ["ip", "-n", &node, "route", "add", ClusterLayout::TARGET_NETWORK];
        run(&[&target[..], &["via", &router]].concat())?;
        forward(&world)?;
    }
    settings(&node)
}

fn address(namespace: &str, link: &str, address: &str) -> Result<()> {
    let mut words = vec!["ip"];
    if !namespace.is_empty() {
        words.extend(["-n", namespace]);
    }
    words.extend(["address", "add", address, "dev", link]);
    run(&words).map(|_| ())
}

/// Lets a namespace pass packets on.
fn forward(namespace: &str) -> Result<()> {
    let script = "echo 1 > /proc/sys/net/ipv4/ip_forward";
    shell::output(inside(namespace, "sh").args(["-e", "-c", script])).map(|_| ())
}

fn settings(node: &str) -> Result<()> {
    forward(node)?;
    let script = "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter
        echo 0 > /proc/sys/net/ipv4/conf/default/rp_filter
        # The machine's name servers are not here. Say so at once: an image that is not there fails fast.
        for protocol in udp tcp; do
            iptables -w -A OUTPUT -p $protocol --dport 53 ! -d 198.18.0.0/15 -j REJECT
        done";
    shell::output(inside(node, "sh").args(["-e", "-c", script])).map(|_| ())
}

/// Removes what [`create`] made, as far as it is there.
///
/// # Errors
/// Something is there and cannot be removed.
pub(crate) fn remove(layout: &ClusterLayout) -> Result<()> {
    for namespace in layout.own_namespaces() {
        if ClusterLayout::namespace_path(&namespace).exists() {
            run(&["ip", "netns", "del", &namespace])?;
        }
    }
    if Path::new("/sys/class/net").join(layout.root_link()).exists() {
        // The link goes with its peer's namespace, at a moment of the kernel's choosing: it may be gone by now.
        let _ = run(&["ip", "link", "del", &layout.root_link()]);
    }
    Ok(())
}

/// Writes the configuration of the pods' network.
///
/// # Errors
/// The folder is not writable.
pub(crate) fn write_cni(layout: &ClusterLayout) -> Result<()> {
    let folder = layout.state_dir().join("cni");
    fs::create_dir_all(&folder)?;
    let configuration = serde_json::json!({
        "cniVersion": "0.4.0",
        "name": cni_name(layout),
        "plugins": [{
            "type": "ptp",
            "ipMasq": false,
            "ipam": {
                "type": "host-local",
                "dataDir": layout.state_dir().join("cni-addresses"),
                "ranges": [[{"subnet": layout.node_pod_range()}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }, {
            "type": policy::PLUGIN,
        }],
    });
    fs::write(
        folder.join("10-lab.conflist"),
        serde_json::to_vec_pretty(&configuration)?,
    )?;
    write_plugins(layout)
}

/// The folder of the network's plugins: the machine's, and the lab's own.
pub(crate) fn plugins(layout: &ClusterLayout) -> PathBuf {
    layout.state_dir().join("cni-plugins")
}

fn write_plugins(layout: &ClusterLayout) -> Result<()> {
    let folder = plugins(layout);
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(MACHINE_PLUGINS)? {
        let path = entry?.path();
        if let Some(name) = path.file_name() {
            std::os::unix::fs::symlink(&path, folder.join(name))?;
        }
    }
    let own = folder.join(policy::PLUGIN);
    fs::write(&own, policy::plugin_script(layout))?;
    fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

/// The name of the pods' network; the CNI library's cache files begin with it.
pub(crate) fn cni_name(layout: &ClusterLayout) -> String {
    format!("egress-{}", layout.name())
}
