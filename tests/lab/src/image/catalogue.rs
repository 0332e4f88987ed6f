//! Which images the lab has, and what is in them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::layer::{Blob, Layer};
use super::linked::{add_libraries, add_program};
use crate::build::Binaries;
use crate::unavailable::find_program;

/// Where Istio's images seem to come from.
pub(crate) const HUB: &str = "docker.io/lab";
/// Their tag.
pub(crate) const TAG: &str = "1.31.0";
/// The image of the container that holds a pod's namespaces.
pub(crate) const PAUSE: &str = "docker.io/lab/pause:1";

const PATH_VARIABLE: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const BUNDLE: &str = "etc/ssl/certs/ca-certificates.crt";

/// Programs of busybox that get a name of their own.
const APPLETS: &[&str] = &[
    "sh", "sleep", "cat", "ls", "echo", "env", "grep", "sed", "awk", "head", "tail", "cut", "wc", "sort",
    "date", "id", "hostname", "mkdir", "mv", "rm", "cp", "touch", "chmod", "test", "true", "false",
    "nslookup", "nc", "ps", "kill", "printf", "seq", "stat", "tar", "tee", "timeout", "uname", "which",
    "xargs", "ip", "netstat",
];

/// One image: its names, its layers and its configuration.
pub(super) struct Image {
    pub(super) names: Vec<String>,
    pub(super) layers: Vec<Blob>,
    pub(super) config: Value,
}

/// All images; layers that need it are written into the cache.
pub(super) fn images(binaries: &Binaries, authority: &[u8]) -> Result<Vec<Image>> {
    let cache = &binaries.cache;
    let trust = trust(authority).store(cache)?;
    let busybox = busybox().store(cache)?;
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let istio = |name: &str| vec![format!("{HUB}/{name}:{TAG}")];
    Ok(vec![
        Image {
            names: names(&[PAUSE]),
            layers: vec![busybox.clone()],
            config: json!({"Entrypoint": ["/bin/sleep", "2147483647"], "Env": [PATH_VARIABLE]}),
        },
        Image {
            names: names(&["docker.io/lab/busybox:latest"]),
            layers: vec![busybox.clone(), trust.clone()],
            config: json!({"Cmd": ["sh"], "Env": [PATH_VARIABLE]}),
        },
        Image {
            names: names(&[
                "docker.io/curlimages/curl:8.18.0",
                "docker.io/curlimages/curl:latest",
            ]),
            layers: vec![busybox, curl()?.store(cache)?, trust.clone()],
            config: json!({"Cmd": ["curl", "--help"], "User": "100", "WorkingDir": "/home/curl_user",
                "Env": [PATH_VARIABLE, "HOME=/home/curl_user"]}),
        },
        Image {
            names: names(&["docker.io/lab/coredns:1.14.7"]),
            layers: vec![single("coredns", &binaries.coredns).store(cache)?],
            config: json!({"Entrypoint": ["/usr/local/bin/coredns"], "Env": [PATH_VARIABLE]}),
        },
        Image {
            names: names(&["docker.io/mccutchen/go-httpbin:v2.15.0"]),
            layers: vec![httpbin(&binaries.httpbin).store(cache)?],
            config: json!({"Cmd": ["/bin/go-httpbin"], "Env": [PATH_VARIABLE]}),
        },
        Image {
            names: istio("pilot"),
            layers: vec![
                single("pilot-discovery", &binaries.pilot_discovery).store(cache)?,
                trust.clone(),
            ],
            config: json!({"Entrypoint": ["/usr/local/bin/pilot-discovery"], "User": "1337:1337",
                "Env": [PATH_VARIABLE]}),
        },
        Image {
            names: istio("proxyv2"),
            layers: vec![proxy(binaries)?.store(cache)?, trust],
            config: json!({"Entrypoint": ["/usr/local/bin/pilot-agent"], "User": "1337:1337",
                "Env": [PATH_VARIABLE, format!("ISTIO_META_ISTIO_VERSION={TAG}")]}),
        },
    ])
}

/// The only roots that the lab's programs trust.
fn trust(authority: &[u8]) -> Layer {
    let mut layer = Layer::default();
    layer.content(BUNDLE, authority, 0o644);
    layer
}

fn base() -> Layer {
    let mut layer = Layer::default();
    layer.folder("tmp", 0o1777, 0);
    layer.folder("root", 0o700, 0);
    layer.content(
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\ncurl_user:x:100:101::/home/curl_user:/bin/sh\nistio-proxy:x:1337:1337::/:/bin/sh\n\
         nobody:x:65534:65534::/:/bin/false\n",
        0o644,
    );
    layer.content(
        "etc/group",
        "root:x:0:\ncurl_group:x:101:\nistio-proxy:x:1337:\nnogroup:x:65534:\n",
        0o644,
    );
    layer.content(
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\n",
        0o644,
    );
    layer
}

fn single(name: &str, program: &Path) -> Layer {
    let mut layer = base();
    layer.copy(&format!("usr/local/bin/{name}"), program);
    layer.folder("etc/istio", 0o755, 1337);
    layer
}

fn httpbin(program: &Path) -> Layer {
    let mut layer = base();
    layer.copy("bin/go-httpbin", program);
    layer
}

fn busybox() -> Layer {
    let mut layer = base();
    let program = find_program("busybox").unwrap_or_else(|| PathBuf::from("/bin/busybox"));
    layer.copy("bin/busybox", &program);
    for applet in APPLETS {
        layer.link(&format!("bin/{applet}"), "busybox");
    }
    layer
}

fn curl() -> Result<Layer> {
    let mut layer = Layer::default();
    layer.folder("home/curl_user", 0o755, 100);
    add_program(&mut layer, "usr/bin/curl", "curl")?;
    Ok(layer)
}

fn proxy(binaries: &Binaries) -> Result<Layer> {
    let mut layer = base();
    layer.copy("usr/local/bin/pilot-agent", &binaries.pilot_agent);
    layer.copy("usr/local/bin/envoy", &binaries.envoy);
    add_libraries(&mut layer, &binaries.envoy);
    layer.copy(
        "var/lib/istio/envoy/envoy_bootstrap_tmpl.json",
        &binaries.envoy_bootstrap,
    );
    layer.folder("etc/istio/proxy", 0o777, 1337);
    layer.folder("var/lib/istio/data", 0o777, 1337);
    for (flavour, program) in [("nft", "xtables-nft-multi"), ("legacy", "xtables-legacy-multi")] {
        add_program(&mut layer, &format!("usr/sbin/{program}"), program)?;
        for family in ["iptables", "ip6tables"] {
            for action in ["", "-save", "-restore"] {
                layer.link(&format!("usr/sbin/{family}-{flavour}{action}"), program);
                if flavour == "nft" {
                    layer.link(&format!("usr/sbin/{family}{action}"), program);
                }
            }
        }
    }
    add_program(&mut layer, "usr/sbin/nft", "nft")?;
    for extension in xtables_extensions()? {
        layer.copy(&extension.to_string_lossy(), &extension);
    }
    Ok(layer)
}

/// The modules of iptables; they need no library that iptables itself does not.
fn xtables_extensions() -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib")?
        .filter_map(|entry| std::fs::read_dir(entry.ok()?.path().join("xtables")).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "so"))
        .collect();
    found.sort();
    (!found.is_empty())
        .then_some(found)
        .context("no modules of iptables in /usr/lib/*/xtables")
}
