//! What users struggle with, and what carries it on the lab: 38 problems of users' threads and of Istio's own pages.

use super::fixed;
use super::pure::places;
use std::collections::BTreeSet;
use std::process::Command;

/// Problem in few words, and what shows that the model, or the tool, has it right: one a line, `case NAME` of the fixed
/// set (without its number), or `test NAME` of this suite.
const PROBLEMS: &str = "
1 a wildcard through the gateway leads nowhere
  case Passthrough alone: a wildcard without resolution
  case Passthrough: resolution NONE
  case Passthrough alone: a wildcard with one server
2 a wildcard with resolution DNS
  test check::elsewhere::what_the_api_server_refuses_is_found_in_files
3 DYNAMIC_DNS at a gateway
  case Passthrough alone: a wildcard that is resolved for each request
  case Direct alone: a wildcard that is resolved for each request
  test modes::row_10_wildcards::an_istio_that_cannot_resolve_wildcards_is_told_by_its_version
4 wildcards in ambient mode
  test ambient::a_namespace_or_a_pod_in_ambient_mode_is_named_and_not_guessed_at
5 a sidecar that answers DNS
  case Passthrough with DNS captured: as it should be
  case Passthrough with DNS captured: a wildcard with one server
  case Passthrough with DNS captured: a wildcard with one server, and one of its hosts
  case Passthrough with DNS captured: opted out of addresses
6 recipes for wildcards that no longer work
  test modes::row_10_wildcards::a_wildcard_that_leads_nowhere_is_refused_with_its_reason
7 ISTIO_MUTUAL takes the listener away
  case PassthroughInMeshTls: the gateway's leg by tls instead of tcp
  test check::every_fault_is_real_and_found_and_its_twin_is_neither
8 HTTP and TLS on one port of the gateway
  test check::elsewhere::what_a_gateway_or_a_namespace_shares_is_found
  test modes::row_15_many_modes_and_two_plans::a_port_that_another_plan_has_for_another_protocol_is_refused_before_anything_is_changed
9 only one of many hosts works
  case PassthroughInMeshTls: ISTIO_MUTUAL without a name on the mesh leg
  case Passthrough alone: a younger rule of the gateway's that is exported otherwise
  test modes::row_15_many_modes_and_two_plans::many_modes_in_one_plan_are_all_proven_and_again_changes_nothing
10 two hosts of TCP on one port
  case Direct alone: two hosts of plain TCP on one port
  case Direct with DNS captured: two hosts of plain TCP on one port
11 one host in two ServiceEntries
  case Passthrough: a second ServiceEntry with another port
  test check::every_fault_is_real_and_found_and_its_twin_is_neither
12 it goes directly, and the gateway is silent
  case Passthrough: as it should be
  case Passthrough: the mesh leg for another port
  case Passthrough: the VirtualService names no mesh
  case Passthrough: no ServiceEntry
13 cluster_not_found
  case Passthrough: no DestinationRule
  case Passthrough: a subset that is not there
14 a DestinationRule that is not found from elsewhere
  case Passthrough: the DestinationRule elsewhere
  case Passthrough: the DestinationRule exported to the gateway alone
  case Origination in the root namespace: the DestinationRule elsewhere
15 a Sidecar that hides the route
  case Passthrough alone: a scope without the host
  case Passthrough alone: a scope of its own namespace
16 discoverySelectors that leave the gateway out
  test differential::hidden::what_istiod_does_not_look_at_agrees
17 labels of the gateway differ by its installer
  case Passthrough: the Gateway selects no pod
  test gateways::of_two_gateways_one_has_to_be_named_and_that_one_carries_the_traffic
18 a gateway in a namespace of its own
  case Passthrough: the DestinationRule in the gateway's namespace
  case Passthrough in the root namespace: the DestinationRule in the gateway's namespace
19 the leg to the gateway is plaintext
  case Origination: no TLS on the mesh leg
  test modes::row_02_http::without_mutual_tls_the_mesh_leg_is_reported_as_plaintext
  test capture::what_is_said_of_each_leg_is_what_its_packets_show
20 an AuthorizationPolicy that does nothing on passthrough
  case Passthrough: refused by AuthorizationPolicy, by namespace
  case PassthroughInMeshTls: refused by AuthorizationPolicy, by namespace
21 credentialName at a sidecar
  test check::every_fault_is_real_and_found_and_its_twin_is_neither
  test modes::row_04_tls_origination_at_the_sidecar::a_client_certificate_at_the_sidecar_is_refused_before_anything_is_changed
22 a Secret in the wrong namespace
  test certificates::secrets_that_a_route_names_are_checked_before_anything_is_applied
  test explain_log::what_is_wrong_with_tls_is_named
23 certificates in files, of a rule that all see
  test modes::row_04_tls_origination_at_the_sidecar::the_sidecar_trusts_the_file_that_it_is_told_to
24 one client certificate for each tenant
  test modes::row_06_passthrough_inside_mutual_tls::only_namespaces_that_the_plan_allows_get_through
  test plans::a_host_of_another_plan_is_refused_and_its_holder_named
25 TLS errors after an upgrade
  test modes::row_03_tls_origination_at_the_gateway::what_is_wrong_with_the_servers_certificate_is_named
26 WRONG_VERSION_NUMBER
  case Origination: a target port of the other protocol
  test rare_findings::tls_inside_tls_is_named
  test rare_findings::plain_http_at_a_tls_port_is_named
27 passthrough and origination of one host
  test modes::row_03_tls_origination_at_the_gateway::http_becomes_https_and_the_applications_own_https_keeps_its_way
28 503 of some hosts only
  test modes::row_14_troubleshooting::a_host_shows_the_source_what_openssl_sees
29 a NetworkPolicy that kills sidecars
  test lock_rules::a_lock_without_one_of_its_rules_is_found_out_and_taken_back
  test lock::a_workload_that_would_stop_being_ready_takes_the_lock_back
30 a resolver on the node
  test lock::a_resolver_on_the_node_is_let_through
31 REGISTRY_ONLY taken for security
  case Passthrough alone: REGISTRY_ONLY
  test lock::registry_only_does_not_pass_for_a_lock
  test bypass::the_matrix_agrees_with_the_world_before_the_lock_and_under_it
32 an egress gateway without NetworkPolicy
  test check::what_setup_makes_has_no_error_and_nothing_at_all_once_it_is_locked
33 no line in the access log
  test outcomes::with_the_gateways_access_log_off_nothing_is_proven
34 a filter that eats lines of TCP
  test rare_findings::lines_that_a_filter_eats_prove_nothing
  test check::elsewhere::a_log_that_is_off_filtered_or_decided_by_another_telemetry_is_found
35 ambient mode and its waypoints
  test ambient::a_namespace_or_a_pod_in_ambient_mode_is_named_and_not_guessed_at
36 IPv6
  case Passthrough: an endpoint of IPv6
  case Http: an endpoint of IPv6
  case Direct: with an address of IPv6
37 a forward proxy
  case Direct alone: a forward proxy as TCP with its addresses
  case Direct alone: a forward proxy as TCP with another address
  case Direct alone: a forward proxy as HTTP
  case Direct alone: a forward proxy as TCP under REGISTRY_ONLY
  test modes::row_12_external_proxy::a_gateway_tunnels_and_a_host_that_the_proxy_does_not_reach_is_unreachable
38 addresses that are no longer the host's
  case Passthrough: resolution STATIC without endpoints
  test lock_findings::a_lock_for_an_address_that_has_moved_is_named
";
const COUNT: usize = 38;

#[test]
fn each_problem_of_users_is_carried_by_what_is_there() {
    let cases = fixed::cases(&places());
    let there: BTreeSet<String> = cases
        .iter()
        .map(|case| format!("case {}", case.name.split_once(". ").unwrap().1))
        .chain(tests())
        .collect();
    let mut carried: Vec<(&str, usize)> = Vec::new();
    for line in PROBLEMS.trim().lines() {
        if let Some(by) = line.strip_prefix("  ") {
            let (problem, count) = carried.last_mut().unwrap();
            assert!(there.contains(by), "{problem}: there is no {by}");
            *count += 1;
        } else {
            carried.push((line, 0));
        }
    }
    for (index, (problem, count)) in carried.iter().enumerate() {
        assert!(
            problem.starts_with(&format!("{} ", index + 1)),
            "{problem}: out of order"
        );
        assert!(*count > 0, "{problem}: nothing carries it");
    }
    assert_eq!(carried.len(), COUNT);
}

/// All tests of this suite, as the program itself lists them.
fn tests() -> Vec<String> {
    let listed = Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .output()
        .unwrap();
    assert!(listed.status.success());
    let text = String::from_utf8(listed.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    names.map(|name| format!("test {name}")).collect()
}
