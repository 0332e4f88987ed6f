//! Where everything of one cluster lives: names, addresses, folders. Two clusters differ only in this value.
//!
//! A lab of two clusters has a second one, the *target*, on the other side of the same outside world. Its pods have
//! addresses of their own range, so that each side's logs name the other side's pods.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Folder that holds the state of all labs, unless `KUBECTL_EGRESS_LAB_STATE` says otherwise.
const DEFAULT_STATE_ROOT: &str = "/run/kubectl-egress-lab";
/// Folder that holds container images and volumes, which may not fit into a `tmpfs`.
const DEFAULT_DATA_ROOT: &str = "/var/lib/kubectl-egress-lab";
/// Longest name of a lab; a network link's name has at most fifteen characters.
const LONGEST_NAME: usize = 10;

/// 64 links of four addresses fit into 198.51.100.0/24: one half for labs, the other for their targets.
const HIGHEST_INDEX: u8 = 31;
/// Where the targets' half begins.
const FIRST_TARGET_INDEX: u8 = 32;

/// Which of a lab's clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// The one that has the egress gateway.
    First,
    /// The one that is reached from there.
    Target,
}

/// Names, addresses and folders of one cluster. The number at the end of the name chooses the addresses on the link
/// to the machine, so `lab` and `lab2` can run side by side; everything else of a cluster is in namespaces of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterLayout {
    /// The lab's name, of both clusters.
    lab: String,
    role: Role,
    index: u8,
    state_root: PathBuf,
    data_root: PathBuf,
}

impl ClusterLayout {
    /// What the links of all labs in the machine's own network namespace begin with.
    pub(crate) const ROOT_LINK_PREFIX: &str = "egl-";
    /// The same for links to targets: a link's name has no room for a longer end.
    pub(crate) const TARGET_LINK_PREFIX: &str = "egt-";
    /// The kubeconfig's context of the target.
    pub const TARGET_CONTEXT: &str = "target";
    /// The network of all public addresses of a target: a part of the outside world's.
    pub(crate) const TARGET_NETWORK: &str = "203.0.113.128/26";

    /// Makes the layout of the lab `name`, with the folders that the environment asks for.
    ///
    /// # Errors
    /// A name that cannot be the name of a namespace, a link and a context.
    pub fn new(name: &str) -> Result<Self> {
        let (state_root, data_root) = match std::env::var_os("KUBECTL_EGRESS_LAB_STATE") {
            Some(folder) => (PathBuf::from(&folder), PathBuf::from(folder)),
            None => (DEFAULT_STATE_ROOT.into(), DEFAULT_DATA_ROOT.into()),
        };
        Self::in_folders(name, state_root, data_root)
    }

    fn in_folders(name: &str, state_root: PathBuf, data_root: PathBuf) -> Result<Self> {
        let characters_fit = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        ensure!(
            characters_fit && !name.is_empty() && name.len() <= LONGEST_NAME,
            "the name of a lab is 1 to {LONGEST_NAME} lowercase letters and digits, not {name:?}"
        );
        let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let index = name
            .strip_prefix(letters)
            .filter(|number| !number.is_empty())
            .map_or(Ok(0), str::parse::<u8>);
        let index = index.ok().filter(|index| *index <= HIGHEST_INDEX);
        let index =
            index.with_context(|| format!("the number at the end of {name:?} is above {HIGHEST_INDEX}"))?;
        Ok(Self {
            lab: name.to_owned(),
            role: Role::First,
            index,
            state_root,
            data_root,
        })
    }

    /// The layout of this lab's second cluster, whether there is one or not.
    #[must_use]
    pub fn target(&self) -> Self {
        Self {
            role: Role::Target,
            ..self.clone()
        }
    }

    /// Whether this is a lab's second cluster.
    pub fn is_target(&self) -> bool {
        self.role == Role::Target
    }

    /// The lab's name.
    pub fn lab(&self) -> &str {
        &self.lab
    }

    /// The cluster's name, which no other cluster of this machine has; also that of its node. No lab's name has a
    /// hyphen.
    pub fn name(&self) -> String {
        match self.role {
            Role::First => self.lab.clone(),
            Role::Target => format!("{}-target", self.lab),
        }
    }

    /// The name of the kubeconfig's context.
    pub fn context(&self) -> &str {
        match self.role {
            Role::First => &self.lab,
            Role::Target => Self::TARGET_CONTEXT,
        }
    }

    /// The network namespace in which every process of the node runs.
    pub fn node_namespace(&self) -> String {
        format!("egress-{}", self.name())
    }

    /// The network namespace that plays the Internet, one for both clusters.
    pub fn world_namespace(&self) -> String {
        format!("egress-{}-ext", self.lab)
    }

    /// The network namespaces that go with this cluster, and everything in them.
    pub(crate) fn own_namespaces(&self) -> Vec<String> {
        match self.role {
            Role::First => vec![self.node_namespace(), self.world_namespace()],
            Role::Target => vec![self.node_namespace()],
        }
    }

    /// The link's end in the machine's own network namespace.
    pub fn root_link(&self) -> String {
        let prefix = match self.role {
            Role::First => Self::ROOT_LINK_PREFIX,
            Role::Target => Self::TARGET_LINK_PREFIX,
        };
        format!("{prefix}{}", self.lab)
    }

    /// The end of the node's link to the outside world that lies there.
    pub(crate) fn world_link(&self) -> &'static str {
        match self.role {
            Role::First => "node0",
            Role::Target => "target0",
        }
    }

    /// The cgroup below which the kubelet keeps its pods.
    pub fn cgroup(&self) -> String {
        format!("egress-{}", self.name())
    }

    /// Which link of four addresses this cluster has.
    fn link_index(&self) -> u8 {
        match self.role {
            Role::First => self.index,
            Role::Target => self.index + FIRST_TARGET_INDEX,
        }
    }

    /// The address of the machine on the link to the node.
    pub fn root_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 51, 100, 4 * self.link_index() + 1)
    }

    /// The node's address on the link to the outside world.
    pub fn node_address_in_world(&self) -> Ipv4Addr {
        match self.role {
            Role::First => Ipv4Addr::new(203, 0, 113, 1),
            Role::Target => Ipv4Addr::new(203, 0, 113, 129),
        }
    }

    /// The length of the network of that address.
    pub(crate) fn world_prefix_length(&self) -> u8 {
        match self.role {
            Role::First => 24,
            Role::Target => 26,
        }
    }

    /// The outside world's own address on the link to the node: the way to everything that is nowhere else.
    pub(crate) fn world_router(&self) -> Ipv4Addr {
        match self.role {
            Role::First => Ipv4Addr::new(203, 0, 113, 254),
            Role::Target => Ipv4Addr::new(203, 0, 113, 190),
        }
    }

    /// The address that the target's ingress gateway has outside, as a cloud's load balancer would give it one.
    pub const fn ingress_address() -> Ipv4Addr {
        Ipv4Addr::new(203, 0, 113, 130)
    }

    /// The node's address on its pods' links: the first of their range.
    pub fn node_address_to_pods(&self) -> Ipv4Addr {
        match self.role {
            Role::First => Ipv4Addr::new(198, 18, 0, 1),
            Role::Target => Ipv4Addr::new(198, 18, 128, 1),
        }
    }

    /// The address of the node: API server and kubelet.
    pub fn node_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 51, 100, 4 * self.link_index() + 2)
    }

    /// The network that holds the two addresses above.
    pub fn node_prefix_length(&self) -> u8 {
        30
    }

    /// The address range of pods.
    pub fn pod_range(&self) -> &'static str {
        match self.role {
            // Its one node has only the first 256 of them.
            Role::First => "198.18.0.0/16",
            Role::Target => "198.18.128.0/17",
        }
    }

    /// The address range of the one node's pods.
    pub fn node_pod_range(&self) -> &'static str {
        match self.role {
            Role::First => "198.18.0.0/24",
            Role::Target => "198.18.128.0/24",
        }
    }

    /// The address range of Services.
    pub fn service_range(&self) -> &'static str {
        "198.19.0.0/16"
    }

    /// The Service address of the API server.
    pub fn kubernetes_service(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, 0, 1)
    }

    /// The Service address of the cluster's DNS.
    pub fn dns_service(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 19, 0, 10)
    }

    /// The address of a resolver on the node, where there is one: that of NodeLocal DNS everywhere.
    pub fn node_local_dns(&self) -> Ipv4Addr {
        Ipv4Addr::new(169, 254, 20, 10)
    }

    /// The URL of the API server, reachable from the machine's own network namespace.
    pub fn server_url(&self) -> String {
        format!("https://{}", self.server_address())
    }

    /// Where the API server listens.
    pub fn server_address(&self) -> SocketAddr {
        SocketAddr::new(self.node_address().into(), 6443)
    }

    /// The folder with this lab's state: logs, keys, kubeconfig, sockets.
    pub fn state_dir(&self) -> PathBuf {
        self.state_root.join(self.name())
    }

    /// The folder with the containers' file systems and the pods' volumes.
    pub fn data_dir(&self) -> PathBuf {
        self.data_root.join(self.name()).join("data")
    }

    /// The folder above [`Self::data_dir`], removed with it.
    pub fn data_parent(&self) -> PathBuf {
        self.data_root.join(self.name())
    }

    /// The lock that keeps two commands from changing this lab at once, one for both clusters. It outlives `down`.
    pub fn lock_file(&self) -> PathBuf {
        self.state_root.join(format!("{}.lock", self.lab))
    }

    /// The lock that keeps two labs from taking the same addresses at once.
    pub(crate) fn addresses_lock_file(&self) -> PathBuf {
        self.state_root.join(format!("addresses-{}.lock", self.index))
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.state_dir().join("kubeconfig")
    }

    /// The folder of the components' logs.
    pub fn logs(&self) -> PathBuf {
        self.state_dir().join("logs")
    }

    /// The cluster's keys and certificates.
    pub fn pki(&self) -> PathBuf {
        self.state_dir().join("pki")
    }

    /// Keys, certificates and the log of the outside world, one for both clusters.
    pub fn world(&self) -> PathBuf {
        self.state_root.join(&self.lab).join("world")
    }

    /// The log of the outside world: one JSON object a line.
    pub fn world_log(&self) -> PathBuf {
        self.world().join("events.jsonl")
    }

    /// The policy engine's folder: what it is asked for, and what is in force.
    pub fn policy(&self) -> PathBuf {
        self.state_dir().join("policy")
    }

    /// containerd's socket.
    pub fn containerd_socket(&self) -> PathBuf {
        self.state_dir().join("containerd.sock")
    }

    /// containerd's state folder: tasks, and the pods' network namespaces.
    pub fn containerd_state(&self) -> PathBuf {
        self.state_dir().join("containerd")
    }

    /// The API server's audit log: one JSON object a line, level Metadata.
    pub fn audit_log(&self) -> PathBuf {
        self.logs().join("audit.jsonl")
    }

    /// The mounted network namespace `name` as a path.
    pub fn namespace_path(name: &str) -> PathBuf {
        Path::new("/run/netns").join(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(name: &str) -> Result<ClusterLayout> {
        ClusterLayout::in_folders(name, "/run/x".into(), "/var/x".into())
    }

    #[test]
    fn a_name_becomes_namespaces_links_and_folders() {
        let layout = layout("lab").unwrap();
        assert_eq!(layout.node_namespace(), "egress-lab");
        assert_eq!(layout.world_namespace(), "egress-lab-ext");
        assert_eq!(layout.server_url(), "https://198.51.100.2:6443");
        assert_eq!(layout.kubeconfig(), Path::new("/run/x/lab/kubeconfig"));
    }

    #[test]
    fn a_number_in_the_name_gives_other_addresses() {
        assert_eq!(layout("lab2").unwrap().server_url(), "https://198.51.100.10:6443");
        assert_eq!(
            layout("l31").unwrap().node_address(),
            Ipv4Addr::new(198, 51, 100, 126)
        );
        assert!(layout("lab32").is_err() && layout("lab9999").is_err());
    }

    #[test]
    fn a_target_shares_nothing_with_any_lab_but_the_outside_world() {
        let lab = layout("lab31").unwrap();
        let target = lab.target();
        assert!(target.is_target() && !lab.is_target());
        assert_eq!(target.node_namespace(), "egress-lab31-target");
        assert_eq!(target.context(), "target");
        assert_eq!(target.node_address(), Ipv4Addr::new(198, 51, 100, 254));
        assert_eq!(target.world_namespace(), lab.world_namespace());
        assert_eq!(target.lock_file(), lab.lock_file());
        assert_eq!(target.own_namespaces(), ["egress-lab31-target"]);
        assert_ne!(target.state_dir(), lab.state_dir());
        assert_ne!(target.data_parent(), lab.data_parent());
        assert_ne!(target.root_link(), lab.root_link());
        assert_ne!(target.node_pod_range(), lab.node_pod_range());
    }

    #[test]
    fn the_longest_name_still_fits_a_link() {
        let longest = layout(&"a".repeat(LONGEST_NAME)).unwrap();
        assert!(longest.root_link().len() <= 15 && longest.target().root_link().len() <= 15);
        for wrong in ["", "Lab", "a/b", "..", &"a".repeat(LONGEST_NAME + 1)] {
            assert!(layout(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
