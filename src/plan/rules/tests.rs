use super::*;
use crate::plan::{Plan, PlanSettings, Resolution, SecretSource};
use crate::vocabulary::PlanIdentity;
use rstest::rstest;

fn planned(host: &str, port: u16, mode: Mode) -> PlannedHost {
    PlannedHost::new(host.parse().unwrap(), port, mode)
}

fn with(mut planned: PlannedHost, change: impl FnOnce(&mut PortPlan)) -> PlannedHost {
    change(&mut planned.how);
    planned
}

fn proxy() -> HostPort {
    HostPort {
        host: "p.example".parse().unwrap(),
        port: 3128,
    }
}

fn refusal(hosts: Vec<PlannedHost>) -> String {
    let identity = PlanIdentity::new("demo", "default").unwrap();
    let result = Plan::new(identity, PlanSettings::default(), hosts);
    result.map_or_else(|error| error.to_string(), |_| "accepted".to_owned())
}

#[rstest]
#[case::none(vec![], "no host is named")]
#[case::twice(vec![planned("a.example", 443, Mode::Passthrough), planned("a.example", 443, Mode::Passthrough)], "named twice")]
#[case::two_ports(vec![planned("a.example", 8443, Mode::Passthrough), planned("a.example", 443, Mode::Passthrough)], "the ports 443 and 8443")]
#[case::two_http_ports(vec![planned("a.example", 80, Mode::Http), planned("a.example", 8080, Mode::Http)], "the ports 80 and 8080")]
#[case::passthrough_on_80(vec![planned("a.example", 80, Mode::Passthrough)], "clients speak plain HTTP")]
#[case::http_on_443(vec![planned("a.example", 443, Mode::Http)], "clients speak TLS")]
#[case::port_zero(vec![planned("a.example", 0, Mode::Passthrough)], "port 0")]
#[case::wildcard(vec![planned("*.a.example", 443, Mode::Passthrough)], "one fixed server")]
#[case::wildcard_originated(vec![planned("*.a.example", 80, Mode::TlsOrigination)], "has to know which name")]
#[case::wildcard_without_sample(
    vec![with(planned("*.a.example", 443, Mode::Passthrough), |how| how.server = Some("b.example".parse().unwrap()))],
    "which name of it"
)]
#[case::foreign_sample(
    vec![with(planned("*.a.example", 443, Mode::Direct), |how| {
        how.resolution = Some(Resolution::Dynamic);
        how.sample = Some("x.b.example".parse().unwrap());
    })],
    "not covered"
)]
#[case::mutual_at_sidecar(
    vec![with(planned("a.example", 80, Mode::MtlsOrigination), |how| how.at = Place::Sidecar)],
    "at the sidecar"
)]
#[case::no_certificate(vec![planned("a.example", 80, Mode::MtlsOrigination)], "without a client certificate")]
#[case::authority_of_another_secret(
    vec![with(planned("a.example", 80, Mode::MtlsOrigination), |how| {
        how.client_certificate = Some(SecretSource { secret: "client".to_owned() });
        how.ca_certificate = Some(SecretSource { secret: "authority".to_owned() });
    })],
    "NAME-cacert"
)]
#[case::certificate_for_http(
    vec![with(planned("a.example", 80, Mode::Http), |how| how.client_certificate = Some(SecretSource { secret: "s".to_owned() }))],
    "clientCertificate"
)]
#[case::allow_without_mtls(
    vec![with(planned("a.example", 443, Mode::Passthrough), |how| how.allow_from = vec!["b".to_owned()])],
    "allowFrom"
)]
#[case::mesh_mtls_direct(
    vec![with(planned("a.example", 443, Mode::Direct), |how| how.mesh_mtls = Some(true))],
    "meshMtls"
)]
#[case::wildcard_by_both(
    vec![with(planned("*.a.example", 443, Mode::Direct), |how| {
        how.server = Some("www.a.example".parse().unwrap());
        how.resolution = Some(Resolution::Dynamic);
    })],
    "say one of them"
)]
#[case::dynamic_through_the_gateway(
    vec![with(planned("*.a.example", 443, Mode::Passthrough), |how| {
        how.server = Some("www.a.example".parse().unwrap());
        how.resolution = Some(Resolution::Dynamic);
    })],
    "works at the sidecar only"
)]
#[case::proxy_of_the_application_through_the_gateway(
    vec![with(planned("a.example", 443, Mode::Passthrough), |how| how.proxy = Some(proxy()))],
    "past every gateway"
)]
#[case::tunnel_for_http(
    vec![with(planned("a.example", 80, Mode::Direct), |how| { how.proxy = Some(proxy()); how.tunnel = true; })],
    "carries TLS"
)]
#[case::proxy_that_is_a_host(
    vec![
        with(planned("a.example", 443, Mode::Direct), |how| how.proxy = Some(proxy())),
        planned("p.example", 443, Mode::Passthrough),
    ],
    "itself a host"
)]
#[case::service_through_the_gateway(
    vec![with(planned("a.example", 443, Mode::Passthrough), |how| how.service = Some("demo/a".to_owned()))],
    "called at the sidecar"
)]
#[case::service_of_two_hosts(
    vec![
        with(planned("a.example", 443, Mode::Direct), |how| how.service = Some("demo/a".to_owned())),
        with(planned("b.example", 443, Mode::Direct), |how| how.service = Some("demo/a".to_owned())),
    ],
    "stands for one host"
)]
#[case::addresses_of_nothing(
    vec![with(planned("a.example", 443, Mode::Direct), |how| how.addresses = vec!["203.0.113.1".parse().unwrap()])],
    "belong to a proxy"
)]
#[case::mixed(
    vec![planned("a.example", 80, Mode::Http), with(planned("b.example", 80, Mode::Http), |how| how.mesh_mtls = Some(false))],
    "b.example:80 comes to the gateway's HTTP port in plaintext and a.example:80"
)]
fn refuses_what_istio_cannot_carry(#[case] hosts: Vec<PlannedHost>, #[case] says: &str) {
    let refusal = refusal(hosts);
    assert!(refusal.contains(says), "{refusal}");
}

#[rstest]
#[case::two_kinds_of_a_host(vec![planned("a.example", 80, Mode::TlsOrigination), planned("a.example", 443, Mode::Passthrough)])]
#[case::direct_on_any_port(vec![planned("a.example", 80, Mode::Direct), planned("a.example", 8080, Mode::Direct), planned("a.example", 443, Mode::Direct)])]
#[case::wildcard_with_its_server(
    vec![with(planned("*.a.example", 443, Mode::Passthrough), |how| how.server = Some("www.a.example".parse().unwrap()))]
)]
fn accepts_what_istio_carries(#[case] hosts: Vec<PlannedHost>) {
    assert_eq!(refusal(hosts), "accepted");
}
