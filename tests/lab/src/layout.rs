//! Where everything of one cluster lives: names, addresses, folders. Two clusters differ only in this value.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Folder that holds the state of all labs, unless `KUBECTL_EGRESS_LAB_STATE` says otherwise.
const DEFAULT_STATE_ROOT: &str = "/run/kubectl-egress-lab";
/// Folder that holds container images and volumes, which may not fit into a `tmpfs`.
const DEFAULT_DATA_ROOT: &str = "/var/lib/kubectl-egress-lab";
/// Longest name of a lab; a network link's name has at most fifteen characters.
const LONGEST_NAME: usize = 10;

/// How many links of four addresses fit into 198.51.100.0/24.
const HIGHEST_INDEX: u8 = 62;

/// Names, addresses and folders of one cluster. The number at the end of the name chooses the addresses on the link
/// to the machine, so `lab` and `lab2` can run side by side; everything else of a cluster is in namespaces of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterLayout {
    name: String,
    index: u8,
    state_root: PathBuf,
    data_root: PathBuf,
}

impl ClusterLayout {
    /// What the links of all labs in the machine's own network namespace begin with.
    pub(crate) const ROOT_LINK_PREFIX: &str = "egl-";

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
            name: name.to_owned(),
            index,
            state_root,
            data_root,
        })
    }

    /// The lab's name; also the name of the kubeconfig's context and of the node.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The network namespace in which every process of the node runs.
    pub fn node_namespace(&self) -> String {
        format!("egress-{}", self.name)
    }

    /// The network namespace that plays the Internet.
    pub fn world_namespace(&self) -> String {
        format!("egress-{}-ext", self.name)
    }

    /// The link's end in the machine's own network namespace.
    pub fn root_link(&self) -> String {
        format!("{}{}", Self::ROOT_LINK_PREFIX, self.name)
    }

    /// The cgroup below which the kubelet keeps its pods.
    pub fn cgroup(&self) -> String {
        format!("egress-{}", self.name)
    }

    /// The address of the machine on the link to the node.
    pub fn root_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 51, 100, 4 * self.index + 1)
    }

    /// The node's address on the link to the outside world.
    pub fn node_address_in_world(&self) -> Ipv4Addr {
        Ipv4Addr::new(203, 0, 113, 1)
    }

    /// The node's address on its pods' links: the first of their range.
    pub fn node_address_to_pods(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, 0, 1)
    }

    /// The address of the node: API server and kubelet.
    pub fn node_address(&self) -> Ipv4Addr {
        Ipv4Addr::new(198, 51, 100, 4 * self.index + 2)
    }

    /// The network that holds the two addresses above.
    pub fn node_prefix_length(&self) -> u8 {
        30
    }

    /// The address range of pods.
    pub fn pod_range(&self) -> &'static str {
        "198.18.0.0/16"
    }

    /// The address range of the one node's pods.
    pub fn node_pod_range(&self) -> &'static str {
        "198.18.0.0/24"
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
        format!("https://{}:6443", self.node_address())
    }

    /// The folder with this lab's state: logs, keys, kubeconfig, sockets.
    pub fn state_dir(&self) -> PathBuf {
        self.state_root.join(&self.name)
    }

    /// The folder with the containers' file systems and the pods' volumes.
    pub fn data_dir(&self) -> PathBuf {
        self.data_root.join(&self.name).join("data")
    }

    /// The folder above [`Self::data_dir`], removed with it.
    pub fn data_parent(&self) -> PathBuf {
        self.data_root.join(&self.name)
    }

    /// The lock that keeps two commands from changing this lab at once. It outlives `down`.
    pub fn lock_file(&self) -> PathBuf {
        self.state_root.join(format!("{}.lock", self.name))
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

    /// Keys, certificates and the log of the outside world.
    pub fn world(&self) -> PathBuf {
        self.state_dir().join("world")
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
            layout("l62").unwrap().node_address(),
            Ipv4Addr::new(198, 51, 100, 250)
        );
        assert!(layout("lab63").is_err() && layout("lab9999").is_err());
    }

    #[test]
    fn the_longest_name_still_fits_a_link() {
        assert!(layout(&"a".repeat(LONGEST_NAME)).unwrap().root_link().len() <= 15);
        for wrong in ["", "Lab", "a/b", "..", &"a".repeat(LONGEST_NAME + 1)] {
            assert!(layout(wrong).is_err(), "{wrong:?} was accepted");
        }
    }
}
