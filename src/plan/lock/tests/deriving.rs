//! From observed objects to lines that the user reads.

use super::*;
use crate::vocabulary::InCluster;
use rstest::rstest;

#[test]
fn the_tutorials_cluster_line_by_line() {
    assert_eq!(
        lines(&tutorial()),
        [
            "198.19.0.10, port 53 (TCP, UDP): DNS, address of Service kube-system/kube-dns",
            "pods k8s-app=kube-dns in kube-system, port 53 (TCP, UDP): DNS, behind Service kube-system/kube-dns",
            "pods app=istiod,istio.io/rev=default in istio-system, port 15012 (TCP): istiod, behind Service istio-system/istiod",
            "198.19.0.20, port 15012 (TCP): istiod, address of Service istio-system/istiod",
            "pods app=istio-egressgateway,istio=egressgateway in istio-system, port 8443 (TCP): egress gateway, behind Service istio-system/istio-egressgateway",
            "198.19.0.30, port 443 (TCP): egress gateway, address of Service istio-system/istio-egressgateway",
        ]
    );
}

#[test]
fn the_order_of_the_objects_changes_nothing() {
    let before = tutorial();
    let mut after = before.clone();
    after.services.reverse();
    after.pods.reverse();
    after.api_server.reverse();
    let all = LockSettings {
        in_cluster: InCluster::Allow,
        api_server: true,
        ..settings()
    };
    let bytes = |observed: &Observed| policy_spec(&all, &derive(observed, &all).unwrap()).to_string();
    assert_eq!(bytes(&before), bytes(&after));
}

#[test]
fn one_gateway_pod_more_changes_nothing() {
    let before = tutorial();
    let mut after = before.clone();
    after
        .pods
        .push(gateway_pod("istio-egressgateway-3", "198.18.0.9"));
    assert_eq!(peers(&before), peers(&after));
}

#[test]
fn every_family_is_let_through() {
    let mut observed = tutorial();
    observed.resolv_conf = "nameserver fd00::a\n".to_owned();
    observed.services[0] = kube_dns(&["198.19.0.10", "fd00::a"]);
    observed.services[2] = gateway_service(&["fd00::30", "198.19.0.30"]);
    assert_eq!(
        lines_about(&observed, "address of"),
        [
            "198.19.0.10, fd00::a, port 53 (TCP, UDP): DNS, address of Service kube-system/kube-dns",
            "198.19.0.20, port 15012 (TCP): istiod, address of Service istio-system/istiod",
            "198.19.0.30, fd00::30, port 443 (TCP): egress gateway, address of Service istio-system/istio-egressgateway",
        ]
    );
}

/// Gardener's kube-dns: port 53 leads to port 8053 of CoreDNS, so that it needs no privilege.
#[test]
fn dns_pods_are_reached_at_their_own_port() {
    let mut observed = tutorial();
    for port in [0, 1] {
        observed.services[0].0["spec"]["ports"][port]["targetPort"] = json!(8053);
    }
    assert_eq!(
        lines_about(&observed, "DNS, behind"),
        [
            "pods k8s-app=kube-dns in kube-system, port 8053 (TCP, UDP): DNS, behind Service kube-system/kube-dns"
        ]
    );
    assert!(lines_about(&observed, "DNS, address")[0].contains("port 53 (TCP, UDP)"));
}

#[test]
fn dns_that_answers_by_udp_alone_is_asked_by_tcp_at_the_services_address_too() {
    let mut observed = tutorial();
    observed.services[0].0["spec"]["ports"] = json!([{"name": "dns", "port": 53, "protocol": "UDP"}]);
    assert!(lines_about(&observed, "DNS, address")[0].contains("port 53 (TCP, UDP)"));
    assert!(lines_about(&observed, "DNS, behind")[0].contains("port 53 (UDP)"));
}

#[test]
fn slices_tell_nothing_that_pods_tell_better() {
    let mut observed = tutorial();
    observed.endpoint_slices = vec![slice(
        "istio-system",
        "istio-egressgateway",
        &["198.18.0.99"],
        &json!([{"name": "https", "port": 9999}]),
    )];
    assert_eq!(
        peers(&observed),
        peers(&tutorial()),
        "slices follow pods with a delay"
    );
}

#[test]
fn a_cache_on_the_node_is_found_though_resolv_conf_names_only_the_service() {
    let mut observed = tutorial();
    observed.daemon_sets = vec![node_local_dns("169.254.20.10,198.19.0.10,fd30:1319:f1e:230b::1")];
    assert_eq!(
        lines_about(&observed, "DNS cache"),
        [
            "169.254.20.10, fd30:1319:f1e:230b::1, port 53 (TCP, UDP): DNS cache of the node, from DaemonSet kube-system/node-local-dns"
        ],
        "the Service's address has its line already"
    );
    assert_eq!(lines_about(&observed, "DNS, ").len(), 2, "the Service stays");
}

#[test]
fn a_cache_on_the_node_may_be_all_that_resolv_conf_names() {
    let mut observed = tutorial();
    observed.resolv_conf = "nameserver 169.254.20.10\n".to_owned();
    assert_eq!(
        lines_about(&observed, "DNS"),
        ["169.254.20.10, port 53 (TCP, UDP): DNS cache of the node, from the pods' /etc/resolv.conf"]
    );
    observed.daemon_sets = vec![node_local_dns("169.254.20.10,198.19.0.10")];
    assert_eq!(
        lines_about(&observed, "DNS"),
        [
            "169.254.20.10, 198.19.0.10, port 53 (TCP, UDP): DNS cache of the node, from DaemonSet kube-system/node-local-dns"
        ]
    );
}

#[rstest]
#[case::one_word(&["-localip=169.254.20.10"], "169.254.20.10")]
#[case::two_dashes(&["--localip", "169.254.20.10, fe80::1"], "169.254.20.10, fe80::1")]
#[case::in_front(&["-setupiptables=false", "-localip", "169.254.20.10", "-conf"], "169.254.20.10")]
#[case::not_filled_in(&["-localip", "__PILLAR__LOCAL__DNS__,169.254.20.10"], "169.254.20.10")]
fn the_caches_addresses_come_from_its_arguments(#[case] arguments: &[&str], #[case] expected: &str) {
    let mut observed = tutorial();
    let mut cache = node_local_dns("");
    cache.0["spec"]["template"]["spec"]["containers"][0]["args"] = json!(arguments);
    cache.0["metadata"]["name"] = json!("node-local-dns-worker-x1");
    observed.daemon_sets = vec![cache];
    assert!(lines_about(&observed, "DNS cache")[0].starts_with(&format!("{expected}, port 53")));
}

#[test]
fn a_cache_with_pods_of_its_own_is_reached_by_label_as_well() {
    let mut observed = tutorial();
    let mut cache = node_local_dns("169.254.20.10");
    cache.0["spec"]["template"]["spec"]["hostNetwork"] = json!(false);
    observed.daemon_sets = vec![cache];
    assert_eq!(
        lines_about(&observed, "DNS cache"),
        [
            "pods k8s-app=node-local-dns in kube-system, port 53 (TCP, UDP): DNS cache of the node, from DaemonSet kube-system/node-local-dns",
            "169.254.20.10, port 53 (TCP, UDP): DNS cache of the node, from DaemonSet kube-system/node-local-dns",
        ]
    );
}

#[test]
fn other_daemon_sets_are_no_caches() {
    let mut observed = tutorial();
    let mut elsewhere = node_local_dns("169.254.20.10");
    elsewhere.0["metadata"]["namespace"] = json!("demo");
    let mut proxy = node_local_dns("");
    proxy.0["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--v=2"]);
    observed.daemon_sets = vec![elsewhere, proxy];
    assert_eq!(peers(&observed), peers(&tutorial()));
}

#[test]
fn dns_on_the_nodes_network_is_reached_by_address() {
    let mut observed = tutorial();
    for (at, address) in [(0, "198.51.100.2"), (5, "198.51.100.3")] {
        observed.pods[at] = pod("kube-system", "coredns", &json!({"k8s-app": "kube-dns"}), address);
        observed.pods[at].0["spec"]["hostNetwork"] = json!(true);
    }
    assert_eq!(
        lines_about(&observed, "DNS, behind"),
        ["198.51.100.2, 198.51.100.3, port 53 (TCP, UDP): DNS, behind Service kube-system/kube-dns"],
        "a label selector does not see pods on the host's network"
    );
    observed.pods[5].0["spec"]["hostNetwork"] = json!(false);
    assert_eq!(
        lines_about(&observed, "DNS, behind").len(),
        2,
        "each kind in its own way"
    );
}

#[test]
fn resolvers_outside_the_cluster_are_let_through_as_addresses() {
    let mut observed = tutorial();
    observed.resolv_conf =
        "nameserver 203.0.113.53 # the office's\n\tnameserver 2001:db8::53\nnameserver 127.0.0.1\nnameserver 192.0.2.4\n"
            .to_owned();
    assert_eq!(
        lines_about(&observed, "DNS"),
        ["203.0.113.53, 2001:db8::53, port 53 (TCP, UDP): DNS, nameserver in the pods' /etc/resolv.conf"],
        "the first three count, and one of them is in the pod itself"
    );
}

#[test]
fn the_zone_of_an_address_is_no_part_of_it() {
    let mut observed = tutorial();
    observed.resolv_conf = "nameserver fe80::53%eth0\n".to_owned();
    assert_eq!(
        lines_about(&observed, "DNS"),
        ["fe80::53, port 53 (TCP, UDP): DNS cache of the node, from the pods' /etc/resolv.conf"]
    );
}

#[test]
fn endpoints_that_somebody_keeps_by_hand_are_addresses() {
    let mut observed = tutorial();
    observed.services[0].0["spec"]["selector"] = Value::Null;
    observed.endpoint_slices = vec![
        slice(
            "kube-system",
            "kube-dns",
            &["203.0.113.5"],
            &json!([
            {"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "dns-tcp", "port": 5353, "protocol": "TCP"},
            {"name": "metrics", "port": 9153}]),
        ),
        slice(
            "demo",
            "kube-dns",
            &["203.0.113.6"],
            &json!([{"name": "dns", "port": 1, "protocol": "UDP"}]),
        ),
    ];
    for port in [0, 1] {
        observed.services[0].0["spec"]["ports"][port]["targetPort"] = json!("dns");
    }
    assert_eq!(
        lines_about(&observed, "DNS, behind"),
        ["203.0.113.5, port 5353 (TCP, UDP): DNS, behind Service kube-system/kube-dns"]
    );
}

#[test]
fn named_target_ports_are_looked_up_in_each_pod() {
    let mut observed = tutorial();
    observed.services[2].0["spec"]["ports"][1]["targetPort"] = json!("https");
    let named = |port: u16, protocol: &str| {
        json!([{"name": "main", "ports": [
        {"name": "https", "containerPort": port, "protocol": protocol}, {"name": "http", "containerPort": 8080}]}])
    };
    observed.pods[2].0["spec"]["containers"] = named(8443, "TCP");
    observed.pods[3].0["spec"]["initContainers"] = named(9443, "TCP");
    observed.pods[4].0["spec"]["containers"] = named(1, "TCP");
    assert!(
        lines_about(&observed, "egress gateway, behind")[0].contains(", ports 8443 (TCP), 9443 (TCP):"),
        "{:?}",
        lines(&observed)
    );
    // The same name for another protocol is another port.
    observed.pods[3].0["spec"]["initContainers"] = named(9443, "UDP");
    assert!(lines_about(&observed, "egress gateway, behind")[0].contains(", port 8443 (TCP):"));
}

#[rstest]
#[case::none(&[], &["istiod"])]
#[case::default(&["default"], &["istiod"])]
#[case::one(&["canary"], &["istiod-canary"])]
#[case::two(&["default", "canary"], &["istiod", "istiod-canary"])]
#[case::tag_with_a_service(&["stable"], &["istiod-revision-tag-stable"])]
#[case::tag_without(&["prod"], &["istiod", "istiod-canary"])]
fn the_revisions_in_use_are_let_through(#[case] revisions: &[&str], #[case] expected: &[&str]) {
    let mut observed = tutorial();
    observed
        .services
        .push(istiod("istiod-canary", "canary", "198.19.0.21"));
    let mut tag = istiod("istiod-revision-tag-stable", "default", "198.19.0.22");
    tag.0["metadata"]["labels"] = json!({});
    observed.services.push(tag);
    observed.pods.push(pod(
        "istio-system",
        "istiod-canary-1",
        &json!({"app": "istiod", "istio.io/rev": "canary"}),
        "198.18.0.10",
    ));
    observed.revisions = revisions.iter().map(|&revision| revision.to_owned()).collect();
    let services: Vec<_> = lines_about(&observed, "istiod, address")
        .iter()
        .map(|line| line.rsplit('/').next().unwrap().to_owned())
        .collect();
    assert_eq!(services, expected);
}

#[test]
fn other_pods_and_the_api_server_only_if_asked_for() {
    let observed = tutorial();
    let all = LockSettings {
        in_cluster: InCluster::Allow,
        api_server: true,
        ..settings()
    };
    let more: Vec<_> = derive(&observed, &all)
        .unwrap()
        .iter()
        .skip(6)
        .map(Peer::explain)
        .collect();
    assert_eq!(
        more,
        [
            "198.19.0.1, port 443 (TCP): API server, from Service default/kubernetes",
            "198.51.100.2, port 6443 (TCP): API server, from endpoints of Service default/kubernetes",
            "pods of all namespaces but istio-system: other pods, as --in-cluster allow says",
        ]
    );
    let mut apart = observed;
    apart.gateway.namespace = "egress".to_owned();
    apart.services[2].0["metadata"]["namespace"] = json!("egress");
    for at in [2, 3] {
        apart.pods[at].0["metadata"]["namespace"] = json!("egress");
    }
    assert_eq!(
        derive(&apart, &all).unwrap().last().unwrap().explain(),
        "pods of all namespaces but egress, istio-system: other pods, as --in-cluster allow says"
    );
}

#[test]
fn says_whose_pods_it_needs() {
    let mut observed = tutorial();
    observed.gateway.namespace = "egress".to_owned();
    let namespaces = namespaces_to_observe(
        &observed.resolv_conf,
        &observed.services,
        &observed.gateway,
        &observed.root_namespace,
    );
    assert_eq!(
        namespaces,
        ["egress", "istio-system", "kube-system"]
            .map(str::to_owned)
            .into()
    );
}
