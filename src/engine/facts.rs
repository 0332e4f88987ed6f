//! What must be known about the cluster before anything is changed, asked for side by side.

use super::platform::{self, Platform};
use super::{gateway_finder, istio_version};
use crate::cluster::{ApiGroups, Cluster};
use crate::error::{Error, Result};
use crate::istio::kinds;
use crate::istio::mesh_configuration;
use crate::plan::GatewayTarget;
use crate::plan::journal::Journal;
use crate::vocabulary::{Kind, LabelSelector, Object, ObjectReference, PlanIdentity, names};
use serde_json::{Value, json};

/// What the cluster said.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Kubernetes' version, for example `v1.34.4`.
    pub kubernetes_version: String,
    /// Istio's version as istiod's labels or image tell it, or `unknown`.
    pub istio_version: String,
    /// Revisions of the control plane. `default` answers to `istio-injection=enabled`.
    pub revisions: Vec<String>,
    /// What decides about the egress gateway.
    pub platform: Platform,
    /// Whether Istio is there. It may be missing on Kyma as long as the module has no resource to follow.
    pub istio: bool,
    /// The mesh configuration, as JSON; empty if it cannot be read.
    pub mesh: Value,
    /// The plan's namespace, if it exists.
    pub namespace: Option<Object>,
    /// The journal, if the plan was set up before.
    pub journal: Option<Journal>,
    /// All Services that we may list.
    pub services: Vec<Object>,
    /// Telemetry resources of all namespaces that we may list.
    pub telemetries: Vec<Object>,
    /// VirtualServices, likewise.
    pub virtual_services: Vec<Object>,
    /// ServiceEntries, likewise.
    pub service_entries: Vec<Object>,
    /// DestinationRules, likewise.
    pub destination_rules: Vec<Object>,
    /// Gateways, likewise.
    pub gateways: Vec<Object>,
    /// Sidecars, likewise.
    pub sidecars: Vec<Object>,
}

impl Facts {
    /// Asks for everything, at most eight requests at a time (the client's bound).
    ///
    /// # Errors
    /// If the API server cannot be reached or refuses, if Istio is not there or too old, or the namespace is ambient.
    pub async fn gather(cluster: &Cluster, plan: &PlanIdentity) -> Result<Self> {
        let namespace = ObjectReference::cluster(kinds::namespace(), &plan.namespace);
        let mesh = ObjectReference::namespaced(kinds::config_map(), names::ISTIO_NAMESPACE, "istio");
        let journal = Journal::reference_of(plan);
        // Kinds in order of their fields below; one request each.
        let (service, telemetry) = (kinds::service(), kinds::telemetry());
        let (virtual_service, service_entry) = (kinds::virtual_service(), kinds::service_entry());
        let destination_rule = kinds::destination_rule();
        let (gateway, sidecar) = (kinds::gateway(), kinds::sidecar());
        let lists = futures::future::try_join5(
            list_visible(cluster, &service, plan),
            list_visible(cluster, &telemetry, plan),
            list_visible(cluster, &virtual_service, plan),
            list_visible(cluster, &service_entry, plan),
            list_visible(cluster, &destination_rule, plan),
        );
        let neighbours = futures::future::try_join(
            list_visible(cluster, &gateway, plan),
            list_visible(cluster, &sidecar, plan),
        );
        let single = futures::future::try_join5(
            cluster.version(),
            cluster.api_groups(),
            cluster.get(&namespace),
            cluster.get_as_permitted(&mesh),
            cluster.get(&journal),
        );
        let (lists, neighbours, single, platform) =
            futures::future::try_join4(lists, neighbours, single, Platform::detect(cluster)).await?;
        let (gateways, sidecars) = neighbours;
        let (services, telemetries, virtual_services, service_entries, destination_rules) = lists;
        let (version, api_groups, namespace, mesh, journal) = single;
        let istio = api_groups.has(kinds::NETWORKING);
        let control_planes = control_planes(&services);
        let istio_version = version_of(cluster, &control_planes, istio).await;
        check_istio(&api_groups, &istio_version, &platform)?;
        let mesh = mesh.map_or(Value::Null, |map| mesh_configuration(&map).unwrap_or(Value::Null));
        if let Some(namespace) = &namespace {
            check_namespace(namespace)?;
        }
        let mut revisions: Vec<String> = control_planes
            .iter()
            .filter_map(|service| {
                service
                    .name()
                    .strip_prefix("istiod-revision-tag-")
                    .or_else(|| service.label("istio.io/rev"))
                    .map(str::to_owned)
            })
            .collect();
        revisions.sort();
        revisions.dedup();
        Ok(Self {
            kubernetes_version: version.git_version,
            istio_version,
            revisions,
            platform,
            istio,
            mesh,
            namespace,
            journal: journal
                .map(|object| Journal::from_object(&object, plan))
                .transpose()?,
            services,
            telemetries,
            virtual_services,
            service_entries,
            destination_rules,
            gateways,
            sidecars,
        })
    }

    /// The lists, each with its kind.
    pub(super) fn lists(&self) -> [(Kind, &[Object]); 7] {
        [
            (kinds::service(), &self.services),
            (kinds::telemetry(), &self.telemetries),
            (kinds::virtual_service(), &self.virtual_services),
            (kinds::service_entry(), &self.service_entries),
            (kinds::destination_rule(), &self.destination_rules),
            (kinds::gateway(), &self.gateways),
            (kinds::sidecar(), &self.sidecars),
        ]
    }

    /// Istio's root namespace, as the mesh configuration says.
    pub fn root_namespace(&self) -> &str {
        self.mesh["rootNamespace"]
            .as_str()
            .unwrap_or(names::ISTIO_NAMESPACE)
    }

    /// Finds the egress gateway: the one named, or the only one there is; `None` if there is none at all.
    ///
    /// # Errors
    /// If the named one is not there or is no gateway, if there are several, if its Service has no TLS port, or
    /// selects no pod.
    pub async fn gateway(&self, cluster: &Cluster, named: Option<&str>) -> Result<Option<GatewayTarget>> {
        if let Some(named) = named {
            return self.named_gateway(cluster, named).await.map(Some);
        }
        let likely: Vec<&Object> = self
            .services
            .iter()
            .filter(|service| {
                gateway_finder::named_like_egress(service) && !gateway_finder::is_ingress(service)
            })
            .collect();
        let mut found = Vec::new();
        for service in &likely {
            let pods = self.pods_behind(cluster, service).await?;
            // One of our own that is still starting has no pods yet.
            if pods.iter().any(gateway_finder::is_gateway_pod)
                || crate::plan::ownership::is_ours(service)
                || pods.is_empty()
            {
                found.push((*service, pods));
            }
        }
        if found.is_empty() {
            let pods = cluster.list_as_permitted(&kinds::pod(), None, None).await?;
            let routers: Vec<Object> = pods.into_iter().filter(gateway_finder::is_gateway_pod).collect();
            found = self
                .services
                .iter()
                .filter(|service| !gateway_finder::is_ingress(service))
                .filter_map(|service| {
                    let own: Vec<Object> = routers
                        .iter()
                        .filter(|pod| gateway_finder::selects(service, pod))
                        .cloned()
                        .collect();
                    (!own.is_empty()).then_some((service, own))
                })
                .collect();
        }
        match found.as_slice() {
            [] => Ok(None),
            [(service, pods)] => to_target(service, pods).map(Some),
            several => {
                let names: Vec<String> = several
                    .iter()
                    .map(|(service, _)| {
                        format!("{}/{}", service.namespace().unwrap_or_default(), service.name())
                    })
                    .collect();
                Err(Error::usage(format!(
                    "there are {} gateways to choose from: {}",
                    names.len(),
                    names.join(", ")
                ))
                .hint(format!("name one: --gateway {}", names[0])))
            }
        }
    }

    async fn named_gateway(&self, cluster: &Cluster, named: &str) -> Result<GatewayTarget> {
        let (namespace, name) = named.split_once('/').ok_or_else(|| {
            Error::usage(format!("`{named}` does not name a gateway; give NAMESPACE/SERVICE, for example istio-system/istio-egressgateway"))
        })?;
        let reference = ObjectReference::namespaced(kinds::service(), namespace, name);
        let service = match self.services.iter().find(|service| service.namespace() == Some(namespace) && service.name() == name) {
            Some(service) => service.clone(),
            None => cluster.get(&reference).await?.ok_or_else(|| {
                Error::usage(format!("the gateway {reference} does not exist"))
                    .hint("`kubectl get services -A | grep -i egress` lists likely ones; without --gateway it is searched for")
            })?,
        };
        if let Some(gateway) = gateway_finder::made_from(&service) {
            return Err(Error::usage(format!(
                "{reference} belongs to the Gateway {namespace}/{gateway} of the Kubernetes Gateway API, through which this version does not route"
            ))
            .because("its listeners and routes (TLSRoute, HTTPRoute) are other objects than the Gateway and VirtualService of Istio that are written here, and Istio makes its Service and pods anew from them")
            .hint("let a gateway of the classic kind be made beside it: kubectl egress enable-gateway; or name one: --gateway NAMESPACE/NAME"));
        }
        let pods = self.pods_behind(cluster, &service).await?;
        if !pods.is_empty() && !pods.iter().any(gateway_finder::is_gateway_pod) {
            return Err(Error::usage(format!(
                "{reference} is no Istio gateway: none of its pods runs `proxy router` in a container istio-proxy"
            )));
        }
        to_target(&service, &pods)
    }

    async fn pods_behind(&self, cluster: &Cluster, service: &Object) -> Result<Vec<Object>> {
        // A Service's selector is a bare map; null, as in a Service without selector, selects everything.
        let selector = json!({"matchLabels": service.at("/spec/selector")});
        let selector = LabelSelector::from_object(&selector).to_string();
        cluster
            .list(&kinds::pod(), service.namespace(), Some(&selector))
            .await
    }
}

/// `NAMESPACE/NAME` of every Service that is named like an egress gateway: for completion, without a look at its pods.
///
/// # Errors
/// If the cluster refuses.
pub async fn gateway_names(cluster: &Cluster) -> Result<Vec<String>> {
    let services = cluster.list(&kinds::service(), None, None).await?;
    let named = services
        .iter()
        .filter(|service| gateway_finder::named_like_egress(service) && !gateway_finder::is_ingress(service));
    Ok(named
        .map(|service| format!("{}/{}", service.namespace().unwrap_or_default(), service.name()))
        .collect())
}

fn to_target(service: &Object, pods: &[Object]) -> Result<GatewayTarget> {
    let reference = service.reference(&kinds::service());
    let target = gateway_finder::target(service, pods).ok_or_else(|| {
        Error::usage(format!(
            "{reference} has no port for TLS: none has number 443 or a name that starts with tls or https"
        ))
        .hint("add port 443 with targetPort 8443 to the Service, or name another gateway with --gateway")
    })?;
    if pods.is_empty() && !target.created {
        return Err(Error::usage(format!(
            "the selector of {reference} ({}) matches no pod",
            target.label_selector()
        ))
        .because("a Gateway with this selector would configure nothing")
        .hint(format!(
            "start its Deployment: kubectl scale deployment {} -n {} --replicas=1",
            target.service, target.namespace
        )));
    }
    Ok(target)
}

/// The versions of Kubernetes and of Istio's control plane; `unknown` where Istio's may not be read.
///
/// # Errors
/// If the API server cannot be reached.
pub async fn versions(cluster: &Cluster) -> Result<(String, String)> {
    let (kind, namespace) = (kinds::service(), Some(names::ISTIO_NAMESPACE));
    let (kubernetes, services) = tokio::join!(cluster.version(), cluster.list(&kind, namespace, None));
    let services = services.unwrap_or_default();
    let istio = version_of(cluster, &control_planes(&services), true).await;
    Ok((kubernetes?.git_version, istio))
}

fn control_planes(services: &[Object]) -> Vec<&Object> {
    let is_istiod =
        |service: &&Object| service.label("app") == Some("istiod") || service.label("istio") == Some("pilot");
    services.iter().filter(is_istiod).collect()
}

/// As istiod's labels or image tell it.
async fn version_of(cluster: &Cluster, control_planes: &[&Object], installed: bool) -> String {
    let told = control_planes.iter().find_map(|service| {
        service
            .label("operator.istio.io/version")
            .or_else(|| service.label("app.kubernetes.io/version"))
    });
    match told {
        Some(version) => version.to_owned(),
        None if !installed => "unknown".to_owned(),
        None => image_version(cluster)
            .await
            .unwrap_or_else(|| "unknown".to_owned()),
    }
}

/// Lists in all namespaces; where that is not allowed, in the plan's, Istio's and that of the cluster's DNS.
async fn list_visible(
    cluster: &Cluster,
    kind: &crate::vocabulary::Kind,
    plan: &PlanIdentity,
) -> Result<Vec<Object>> {
    if let Ok(all) = cluster.list_if_permitted(kind, None, None).await? {
        return Ok(all);
    }
    let mut visible = cluster.list(kind, Some(&plan.namespace), None).await?;
    for namespace in [names::ISTIO_NAMESPACE, names::DNS_NAMESPACE] {
        if let Ok(objects) = cluster.list_if_permitted(kind, Some(namespace), None).await? {
            visible.extend(objects);
        }
    }
    Ok(visible)
}

fn check_istio(groups: &ApiGroups, installed: &str, platform: &Platform) -> Result<()> {
    let versions = groups.versions(kinds::NETWORKING);
    if versions.is_empty() {
        return match platform.kyma().map(|kyma| kyma.modules.counted.as_ref()) {
            Some(Some(counted)) => Err(platform::not_installed_yet(counted)),
            // Whether the resource may be made is decided where the gateway is chosen.
            Some(None) => Ok(()),
            None => Err(no_istio(groups)),
        };
    }
    if versions.iter().any(|version| version == "v1") {
        return Ok(());
    }
    let without_v1beta1 = !versions.iter().any(|version| version == "v1beta1");
    if without_v1beta1 || istio_version::OLDEST.is_after(installed) {
        let oldest = istio_version::OLDEST;
        return Err(Error::cluster(format!(
            "this Istio is too old: it is {installed}, and {oldest} or newer is needed"
        ))
        .because(format!(
            "it serves networking.istio.io {}; older proxies do not check a server's certificate unless its CA is named",
            versions.join(", ")
        ))
        .hint(format!("upgrade Istio to {oldest} or newer")));
    }
    Ok(())
}

/// The version of istiod's image, for an Istio whose Service does not tell it (Helm's, before 1.24).
async fn image_version(cluster: &Cluster) -> Option<String> {
    let selector = Some("app=istiod");
    let namespace = Some(names::ISTIO_NAMESPACE);
    let deployments = cluster.list(&kinds::deployment(), namespace, selector).await;
    let image = deployments
        .ok()?
        .first()?
        .text("/spec/template/spec/containers/0/image")
        .to_owned();
    let (_, tag) = image.rsplit_once(':')?;
    Some(tag.to_owned())
}

fn no_istio(groups: &ApiGroups) -> Error {
    // Every module of Kyma has its kind in this group.
    if groups.has(&kinds::istio_module().group) {
        return Error::cluster("this Kyma cluster has no Istio: the Istio module is missing")
            .hint("add it: kyma module add istio --default-cr (or in Kyma dashboard)");
    }
    Error::cluster("this cluster has no Istio: the API group networking.istio.io is not served")
        .hint("install Istio first (`istioctl install`, or the Istio module on Kyma), or try `kubectl egress tutorial --sandbox`")
}

fn check_namespace(namespace: &Object) -> Result<()> {
    if namespace.label("istio.io/dataplane-mode") == Some("ambient") {
        return Err(Error::usage(format!(
            "namespace {} is in ambient mode (label istio.io/dataplane-mode=ambient)",
            namespace.name()
        ))
        .because(
            "ambient has no sidecars; its egress goes through waypoints, which this version does not set up",
        )
        .hint("choose a namespace with sidecars"));
    }
    if !namespace.at("/metadata/deletionTimestamp").is_null() {
        return Err(
            Error::usage(format!("namespace {} is being deleted", namespace.name()))
                .hint("wait until it is gone, or choose another"),
        );
    }
    Ok(())
}
