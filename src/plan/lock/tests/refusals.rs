//! What is missing is named, and a lock that would hold what it needs is refused.

use super::*;
use crate::vocabulary::ExitCode;
use rstest::rstest;

#[rstest]
#[case::no_nameserver(|observed: &mut Observed| observed.resolv_conf = "search x\n".to_owned(), "names no nameserver")]
#[case::only_in_the_pod(|observed: &mut Observed| observed.resolv_conf = "nameserver 127.0.0.1\n".to_owned(), "inside the pod itself")]
#[case::dns_without_port(|observed: &mut Observed| observed.services[0].0["spec"]["ports"] = json!([{"port": 9153}]), "Service kube-system/kube-dns has no port 53")]
#[case::dns_without_pods(|observed: &mut Observed| drop(observed.pods.remove(0)), "no pod stands behind Service kube-system/kube-dns")]
#[case::dns_finished(|observed: &mut Observed| observed.pods[0].0["status"]["phase"] = json!("Failed"), "no pod stands behind Service kube-system/kube-dns")]
#[case::no_istiod(|observed: &mut Observed| drop(observed.services.remove(1)), "there is no Service istio-system/istiod, nor another one of istiod")]
#[case::istiod_without_pods(|observed: &mut Observed| drop(observed.pods.remove(1)), "no pod stands behind Service istio-system/istiod")]
#[case::no_gateway(|observed: &mut Observed| drop(observed.services.remove(2)), "the gateway's Service istio-system/istio-egressgateway does not exist")]
#[case::gateway_without_port(|observed: &mut Observed| observed.gateway.tls_port = 8443, "Service istio-system/istio-egressgateway has no port 8443")]
#[case::gateway_without_pods(|observed: &mut Observed| drop(observed.pods.drain(2..4)), "no pod stands behind Service istio-system/istio-egressgateway")]
#[case::unknown_name(|observed: &mut Observed| observed.services[2].0["spec"]["ports"][1]["targetPort"] = json!("tls"), "the target port of port 443 of Service istio-system/istio-egressgateway is not to be found")]
fn what_is_missing_is_named(#[case] take_away: fn(&mut Observed), #[case] says: &str) {
    let mut observed = tutorial();
    take_away(&mut observed);
    let error = derive(&observed, &settings()).unwrap_err();
    assert_eq!(
        error.message(),
        "no lock can be derived for namespace test-egress"
    );
    assert!(error.causes().iter().any(|cause| cause.contains(says)), "{error}");
    assert_eq!(
        (error.causes().len(), error.code()),
        (1, ExitCode::Usage),
        "{error}"
    );
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let mut observed = tutorial();
    observed.services.clear();
    observed.resolv_conf.clear();
    assert_eq!(derive(&observed, &settings()).unwrap_err().causes().len(), 3);
}

#[test]
fn the_api_server_is_looked_for_only_if_it_is_asked_for() {
    let mut observed = tutorial();
    observed.api_server.pop();
    peers(&observed);
    let asked = LockSettings {
        api_server: true,
        ..settings()
    };
    let error = derive(&observed, &asked).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("Service default/kubernetes has no endpoints"),
        "{error}"
    );
}

#[rstest]
#[case::gateway("istio-system", "the egress gateway", "istio-egressgateway-1")]
#[case::dns("kube-system", "the cluster's DNS", "coredns-1")]
fn a_lock_does_not_hold_what_it_needs(#[case] namespace: &str, #[case] what: &str, #[case] pod: &str) {
    let mut observed = tutorial();
    observed.namespace = namespace.to_owned();
    // istiod would be named first otherwise.
    observed.pods[1].0["metadata"]["labels"]["app"] = json!("istiod");
    let selector = |text: &str| LockSettings {
        selector: text.parse().unwrap(),
        ..settings()
    };
    let error = derive(&observed, &selector("app!=istiod")).unwrap_err();
    assert_eq!(error.message(), format!("the lock would hold {what} itself"));
    assert!(
        error.to_string().contains(&format!("{namespace}/{pod} ")),
        "{error}"
    );
    assert!(error.hints()[0].contains("--selector"));
    derive(&observed, &selector("app=shop")).unwrap();
    let mut on_host = observed.clone();
    for pod in &mut on_host.pods {
        pod.0["spec"]["hostNetwork"] = json!(true);
    }
    derive(&on_host, &selector("app!=istiod")).unwrap();
}

#[test]
fn pods_on_the_hosts_network_are_not_held_by_any_lock() {
    let mut observed = tutorial();
    observed.namespace = "kube-system".to_owned();
    let labels = json!({"k8s-app": "kube-dns", "on": "host"});
    observed
        .pods
        .push(pod("kube-system", "coredns-2", &labels, "198.51.100.2"));
    let on_host = LockSettings {
        selector: "on=host".parse().unwrap(),
        ..settings()
    };
    derive(&observed, &on_host).unwrap_err();
    observed.pods.last_mut().unwrap().0["spec"]["hostNetwork"] = json!(true);
    derive(&observed, &on_host).unwrap();
}

#[test]
fn istiods_own_namespace_cannot_be_locked_as_a_whole() {
    let mut observed = tutorial();
    observed.namespace = "istio-system".to_owned();
    let error = derive(&observed, &settings()).unwrap_err();
    assert_eq!(error.message(), "the lock would hold istiod itself");
}
