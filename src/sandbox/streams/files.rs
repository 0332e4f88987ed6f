//! Files that a container can read: what the kubelet puts there, and mounted ConfigMaps and Secrets.

use crate::sandbox::controllers::TOKEN_FOLDER;
use crate::sandbox::secret::text_of;
use crate::sandbox::state::State;
use serde_json::Value;

/// Reads a file; `None` if it is not there.
pub(in crate::sandbox) fn read(state: &State, pod: &Value, container: &Value, path: &str) -> Option<String> {
    if path == "/etc/resolv.conf" {
        return Some(resolv_conf(state, pod));
    }
    let (folder, file) = path.rsplit_once('/')?;
    let mount = container["volumeMounts"]
        .as_array()?
        .iter()
        .find(|mount| mount["mountPath"].as_str().map(|path| path.trim_end_matches('/')) == Some(folder))?;
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    if folder == TOKEN_FOLDER {
        return match file {
            "namespace" => Some(namespace.to_owned()),
            // Nobody in the sandbox checks them.
            "token" => Some("sandbox".to_owned()),
            "ca.crt" => Some("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n".to_owned()),
            _ => None,
        };
    }
    let volumes = pod["spec"]["volumes"].as_array()?;
    let volume = volumes.iter().find(|volume| volume["name"] == mount["name"])?;
    if let Some(secret) = volume["secret"]["secretName"].as_str() {
        return text_of(state.object("", "secrets", namespace, secret)?, file);
    }
    let map = volume["configMap"]["name"].as_str()?;
    let data = &state.object("", "configmaps", namespace, map)?["data"];
    data[file].as_str().map(str::to_owned)
}

/// What the kubelet writes (Kubernetes' documentation, "DNS for Services and Pods").
fn resolv_conf(state: &State, pod: &Value) -> String {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    let of_node = pod["spec"]["dnsPolicy"] == "Default"
        || (pod["spec"]["hostNetwork"] == true && pod["spec"]["dnsPolicy"] == "ClusterFirst");
    if of_node {
        return "nameserver 192.0.2.53\n".to_owned();
    }
    let service = state.object("", "services", "kube-system", "kube-dns");
    let address = service
        .and_then(|service| service["spec"]["clusterIP"].as_str())
        .unwrap_or_default();
    format!(
        "search {namespace}.svc.cluster.local svc.cluster.local cluster.local\nnameserver {address}\noptions ndots:5\n"
    )
}
