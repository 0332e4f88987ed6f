//! Lets a workload of the user's reach ranges of addresses past its sidecar, and reads from a pod which it reaches so.

use super::prepare::SetupSettings;
use super::workload::Workload;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::evidence::Interception;
use crate::finding::{Finding, Severity, catalogue};
use crate::istio::kinds;
use crate::plan::journal::{Entry, Journal};
use crate::plan::past_sidecar::{self, EXCLUDED_RANGES, EXCLUDED_RANGES_FIELD, RangesChange};
use crate::vocabulary::{AddressRange, Object};

const INCLUDED_RANGES: &str = "traffic.sidecar.istio.io/includeOutboundIPRanges";
/// Container that redirects a pod's traffic to its sidecar. With Istio's CNI plugin there is none.
const REDIRECTING: &str = "istio-init";

/// What is to be changed, and what the user has to agree to.
pub(super) struct Exemption {
    pub(super) change: RangesChange,
    pub(super) question: Option<String>,
    pub(super) finding: Finding,
}

/// Decides what the flags mean for the workload that they name; `None` if they name no ranges.
///
/// # Errors
/// If there is no such workload, or it cannot be restarted.
pub(super) async fn choose(
    cluster: &Cluster,
    settings: &SetupSettings,
    journal: Option<&Journal>,
) -> Result<Option<Exemption>> {
    let Some(from) = settings
        .from
        .as_ref()
        .filter(|_| !settings.exclude_ranges.is_empty())
    else {
        return Ok(None);
    };
    let workload = Workload::find(cluster, &settings.plan.namespace, from).await?;
    let reference = &workload.reference;
    if reference.kind == kinds::pod() {
        return Err(Error::usage(format!(
            "{reference} is a pod of its own, whose traffic is redirected when it starts"
        ))
        .hint("name the Deployment, StatefulSet or DaemonSet that makes it: --from deploy/NAME"));
    }
    let is_field =
        |entry: &&Entry| matches!(entry, Entry::Field { pointer, .. } if pointer == EXCLUDED_RANGES_FIELD);
    let mut entries = journal.into_iter().flat_map(|journal| &journal.entries);
    let ours = entries.find(|entry| is_field(entry) && entry.reference() == *reference);
    let change = past_sidecar::change(
        &settings.plan,
        reference,
        workload.object(),
        ours,
        &settings.exclude_ranges,
    );
    let question = (!change.is_there).then(|| {
        format!(
            "Let {reference} reach {} past its sidecar until cleanup? Its pods are restarted. What goes there is not routed, logged or protected by the mesh",
            change.value
        )
    });
    let message = format!(
        "{reference} reaches {} past its sidecar: no gateway carries it, no log shows it, REGISTRY_ONLY does not stop it",
        change.value
    );
    let mut finding = Finding::new(&catalogue::SIDECAR_PASSED, message).about(reference.clone());
    finding.severity = Severity::Warning;
    Ok(Some(Exemption {
        change,
        question,
        finding,
    }))
}

/// What of a pod's traffic its sidecar gets: by the arguments of the container that redirects it, else by the pod's
/// annotations.
pub(super) fn interception(pod: &Object) -> Interception {
    let inits = pod.items("/spec/initContainers").iter();
    let redirecting = inits.clone().find(|container| container["name"] == REDIRECTING);
    let argument = |name: &str| -> Option<String> {
        let arguments = redirecting?["args"].as_array()?;
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.as_str().map(str::to_owned)
    };
    let annotation = |name: &str| {
        let annotations = pod.at("/metadata/annotations");
        annotations[name].as_str().map(str::to_owned)
    };
    let said_by = |name: &str, mesh_wide: &str| match annotation(name) {
        Some(_) => format!("the pod's annotation {name}"),
        None => format!("the mesh's {mesh_wide}"),
    };
    let ranges = |text: Option<String>| -> Vec<AddressRange> {
        let text = text.unwrap_or_default();
        text.split(',').filter_map(|range| range.parse().ok()).collect()
    };
    Interception {
        only: ranges(argument("-i").or_else(|| annotation(INCLUDED_RANGES))),
        only_by: said_by(INCLUDED_RANGES, "includeIPRanges"),
        except: ranges(argument("-x").or_else(|| annotation(EXCLUDED_RANGES))),
        except_by: said_by(EXCLUDED_RANGES, "excludeIPRanges"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_redirects_counts_more_than_what_an_annotation_says_today() {
        let pod = Object(json!({
            "metadata": {"annotations": {EXCLUDED_RANGES: "10.0.0.0/8"}},
            "spec": {"initContainers": [{"name": "istio-init", "args": ["istio-iptables", "-i", "*", "-x", "203.0.113.0/24"]}]},
        }));
        let read = interception(&pod);
        assert!(
            read.passed_by("203.0.113.9".parse().unwrap())
                .is_some_and(|by| by.contains(EXCLUDED_RANGES))
        );
        assert_eq!(read.passed_by("10.0.0.1".parse().unwrap()), None);
    }

    #[test]
    fn a_mesh_that_redirects_some_ranges_only_lets_all_others_pass() {
        let pod = Object(json!({"metadata": {}, "spec": {"initContainers":
            [{"name": "istio-init", "args": ["-i", "198.18.0.0/15", "-x", ""]}]}}));
        let read = interception(&pod);
        assert_eq!(read.passed_by("198.19.0.1".parse().unwrap()), None);
        assert!(
            read.passed_by("203.0.113.9".parse().unwrap())
                .is_some_and(|by| by.contains("includeIPRanges"))
        );
        assert_eq!(
            interception(&Object(json!({}))).passed_by("203.0.113.9".parse().unwrap()),
            None
        );
    }
}
