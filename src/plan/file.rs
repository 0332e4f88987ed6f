//! Plan files: kind `EgressPlan`, shaped like a Kubernetes object so that they live in git beside everything else.

use super::file_fault::{Faults, Written};
use super::lock::LockSettings;
use super::{Plan, PlanSettings, PlannedHost, PortPlan};
use crate::error::{Error, Result};
use crate::vocabulary::{HostName, HostNameError, OutboundPolicy, PlanIdentity, names};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct File {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Spec,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Metadata {
    #[serde(default = "default_name")]
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Spec {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gateway: Option<String>,
    hosts: Vec<Host>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    export_to: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outbound_policy: Option<OutboundPolicy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lockdown: Option<LockSettings>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Host {
    host: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ports: Vec<PortPlan>,
}

const KIND: &str = "EgressPlan";
const LOCAL_CONFIG: &str = "config.kubernetes.io/local-config";

fn default_name() -> String {
    names::DEFAULT_PLAN.to_owned()
}

/// Reads a plan file (YAML or JSON). Nothing said about ports means 443 with mode passthrough.
///
/// # Errors
/// If it is not YAML, has a field or value that this version does not know, or breaks a rule of [`Plan::new`].
/// The message names the file, line and column, and the field's path; its hint the fix.
pub fn from_file(
    name: &str,
    text: &str,
    namespace_flag: Option<&str>,
    default_namespace: &str,
) -> Result<Plan> {
    let faults = Faults::of(name, text);
    let file: File = serde_saphyr::from_str(text).map_err(|error| faults.parser(&error))?;
    for (field, found, wanted) in [
        ("kind", &file.kind, KIND),
        ("apiVersion", &file.api_version, names::API_VERSION),
    ] {
        if found != wanted {
            return Err(faults.field(field, &format!("it is `{found}`; this version reads `{wanted}`")));
        }
    }
    if let (Some(flag), Some(own)) = (namespace_flag, file.metadata.namespace.as_deref())
        && flag != own
    {
        let rule = format!("it is for namespace {own}, but --namespace says {flag}; leave one of them out");
        return Err(faults.field("metadata.namespace", &rule));
    }
    let namespace = file
        .metadata
        .namespace
        .as_deref()
        .or(namespace_flag)
        .unwrap_or(default_namespace);
    let identity = PlanIdentity::new(namespace, file.metadata.name)
        .map_err(|error| faults.field("metadata", &error.to_string()))?;
    let (mut hosts, mut written) = (Vec::new(), Written::new());
    for (index, entry) in file.spec.hosts.into_iter().enumerate() {
        let path = format!("spec.hosts[{index}]");
        let wrong = |error: HostNameError| faults.field(&format!("{path}.host"), &error.to_string());
        let host: HostName = entry.host.parse().map_err(wrong)?;
        if entry.ports.is_empty() {
            written.push((path, host.clone(), 443));
            hosts.push(PlannedHost::passthrough(host, 443));
            continue;
        }
        for (index, how) in entry.ports.into_iter().enumerate() {
            written.push((format!("{path}.ports[{index}]"), host.clone(), how.port));
            let host = host.clone();
            hosts.push(PlannedHost { host, how });
        }
    }
    let settings = PlanSettings {
        gateway: file.spec.gateway,
        export_to: file.spec.export_to,
        outbound_policy: file.spec.outbound_policy,
        lockdown: file.spec.lockdown,
    };
    Plan::new(identity, settings, hosts).map_err(|error| faults.plan(&error, &written))
}

/// Writes a plan as a file that [`from_file`] reads back.
pub fn to_file(plan: &Plan) -> Result<String> {
    let file = File {
        api_version: names::API_VERSION.to_owned(),
        kind: KIND.to_owned(),
        metadata: Metadata {
            name: plan.identity.name.clone(),
            namespace: Some(plan.identity.namespace.clone()),
            annotations: BTreeMap::from([(LOCAL_CONFIG.to_owned(), "true".to_owned())]),
            labels: BTreeMap::new(),
        },
        spec: Spec {
            gateway: plan.settings.gateway.clone(),
            hosts: plan
                .hosts
                .chunk_by(|left, right| left.host == right.host)
                .map(|ports| Host {
                    host: ports[0].host.to_string(),
                    ports: ports.iter().map(|planned| planned.how.clone()).collect(),
                })
                .collect(),
            export_to: plan.settings.export_to.clone(),
            outbound_policy: plan.settings.outbound_policy,
            lockdown: plan.settings.lockdown.clone(),
        },
    };
    serde_saphyr::to_string(&file)
        .map_err(|error| Error::bug(format!("cannot write the plan as YAML: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::InCluster;

    const SMALLEST: &str = "apiVersion: kubectl-egress.dev/v1alpha1\nkind: EgressPlan\nmetadata: {name: default}\nspec:\n  hosts:\n  - host: kyma-project.io\n";

    #[test]
    fn nothing_said_is_443_passthrough() {
        let plan = from_file("plan.yaml", SMALLEST, None, "demo").unwrap();
        assert_eq!(plan.identity.to_string(), "demo/default");
        assert_eq!(
            plan.hosts,
            [PlannedHost::passthrough("kyma-project.io".parse().unwrap(), 443)]
        );
        assert_eq!(
            from_file("again", &to_file(&plan).unwrap(), None, "other").unwrap(),
            plan
        );
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let cases = [
            (SMALLEST.replace("hosts:", "host:"), "host"),
            (SMALLEST.replace("v1alpha1", "v9"), "v9"),
            (
                SMALLEST.replace("kyma-project.io\n", "https://kyma-project.io\n"),
                "is a URL",
            ),
            (
                format!("{SMALLEST}    ports: [{{port: 443, mode: teleport}}]\n"),
                "teleport",
            ),
            (format!("{SMALLEST}    ports: [{{port: 70000}}]\n"), "65535"),
            ("{".to_owned(), "plan.yaml"),
        ];
        for (text, says) in cases {
            let error = from_file("plan.yaml", &text, None, "demo").unwrap_err();
            assert!(error.to_string().contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn a_file_for_another_namespace_is_refused() {
        let text = SMALLEST.replace("{name: default}", "{name: default, namespace: demo}");
        assert!(
            from_file("p", &text, Some("other"), "x")
                .unwrap_err()
                .to_string()
                .contains("is for namespace demo")
        );
        assert_eq!(
            from_file("p", &text, None, "x").unwrap().identity.namespace,
            "demo"
        );
    }

    #[test]
    fn the_lock_is_read_and_written() {
        let text = format!(
            "{SMALLEST}  lockdown: {{inCluster: allow, selector: {{matchLabels: {{app: shop}}}}, apiServer: true}}\n"
        );
        let plan = from_file("plan.yaml", &text, None, "demo").unwrap();
        let settings = LockSettings {
            in_cluster: InCluster::Allow,
            selector: "app=shop".parse().unwrap(),
            api_server: true,
        };
        assert_eq!(plan.settings.lockdown, Some(settings));
        assert_eq!(
            from_file("again", &to_file(&plan).unwrap(), None, "x").unwrap(),
            plan
        );
        let half = from_file("p", &format!("{SMALLEST}  lockdown: {{}}\n"), None, "demo").unwrap();
        assert_eq!(half.settings.lockdown, Some(LockSettings::default()));
        assert!(
            !to_file(&from_file("p", SMALLEST, None, "x").unwrap())
                .unwrap()
                .contains("lockdown")
        );
        for (wrong, says) in [
            ("inCluster: maybe", "maybe"),
            ("incluster: allow", "incluster"),
            ("selector: app=x", "selector"),
        ] {
            let text = format!("{SMALLEST}  lockdown: {{{wrong}}}\n");
            let error = from_file("plan.yaml", &text, None, "demo").unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
        }
    }
}
