//! Which proxy a cluster is reached through.
//!
//! kube 5.0.0 compares `NO_PROXY` with the proxy's own host instead of the cluster's, and refuses a list with an empty
//! entry; so the choice is made here, by the rules of Go's `net/http` that kubectl follows.

use super::settings::Environment;
use crate::error::{Error, Result};
use http::Uri;
use std::net::IpAddr;

/// Chooses the proxy for a server.
///
/// - `proxy-url` of the kubeconfig's cluster wins; `NO_PROXY` does not touch it (as in kubectl).
/// - Otherwise `HTTPS_PROXY` (for an `http` server `HTTP_PROXY`), then `ALL_PROXY`, each also in lower case.
/// - Not for servers that `NO_PROXY` names, nor for loopback addresses.
///
/// # Errors
/// If the proxy is not a URL with a scheme that we can speak (`http`, `https`, `socks5`).
pub(super) fn choose(
    server: &Uri,
    proxy_url: Option<&str>,
    environment: &Environment,
) -> Result<Option<Uri>> {
    if let Some(proxy) = proxy_url.filter(|proxy| !proxy.is_empty()) {
        return parse(proxy, "`proxy-url` of the kubeconfig").map(Some);
    }
    let names: &[&str] = if server.scheme_str() == Some("http") {
        &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    } else {
        &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
    };
    let Some((name, proxy)) = names
        .iter()
        .find_map(|name| Some((*name, environment.get(name)?)))
    else {
        return Ok(None);
    };
    let host = server.host().unwrap_or_default();
    if is_loopback(host) {
        return Ok(None);
    }
    let exceptions = environment
        .first_of(&["NO_PROXY", "no_proxy"])
        .unwrap_or_default();
    if is_excepted(host, port_of(server), &exceptions) {
        return Ok(None);
    }
    parse(&proxy, &format!("the environment variable {name}")).map(Some)
}

fn parse(text: &str, origin: &str) -> Result<Uri> {
    let spelled = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    // socks5h lets the proxy resolve names, which is what the connector does for socks5 anyway.
    let spelled = spelled.replacen("socks5h://", "socks5://", 1);
    let wrong = |why: String| {
        Error::usage(format!("the proxy in {origin} cannot be used"))
            .because(why)
            .hint("give it as http://HOST:PORT, https://HOST:PORT or socks5://HOST:PORT")
    };
    let uri: Uri = spelled
        .parse()
        .map_err(|error: http::uri::InvalidUri| wrong(error.to_string()))?;
    match uri.scheme_str() {
        Some("http" | "https" | "socks5") => Ok(uri),
        other => Err(wrong(format!("scheme `{}`", other.unwrap_or_default()))),
    }
}

fn port_of(uri: &Uri) -> u16 {
    uri.port_u16()
        .unwrap_or(if uri.scheme_str() == Some("http") { 80 } else { 443 })
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || bare(host)
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether a `NO_PROXY` list names the host: `*`, a name (which includes its subdomains), `.suffix`, an address or a
/// network in CIDR notation, each with an optional port. Empty entries are passed over.
fn is_excepted(host: &str, port: u16, exceptions: &str) -> bool {
    let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    exceptions.split(',').map(str::trim).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        match entry.as_str() {
            "" => false,
            "*" => true,
            entry => matches_entry(&host, address, port, entry),
        }
    })
}

fn matches_entry(host: &str, address: Option<IpAddr>, port: u16, entry: &str) -> bool {
    if let Some((network, length)) = entry.split_once('/') {
        let (Some(address), Ok(network), Ok(length)) =
            (address, network.parse::<IpAddr>(), length.parse::<u32>())
        else {
            return false;
        };
        return in_network(address, network, length);
    }
    let (name, wanted_port) = split_port(entry);
    if wanted_port.is_some_and(|wanted| wanted != port) {
        return false;
    }
    if let Ok(listed) = bare(name).parse::<IpAddr>() {
        return address == Some(listed);
    }
    let name = name.trim_start_matches('*');
    match name.strip_prefix('.') {
        Some(suffix) => host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.')),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

/// Splits `host:port`; an IPv6 address without brackets has no port.
fn split_port(entry: &str) -> (&str, Option<u16>) {
    if entry.parse::<IpAddr>().is_ok() {
        return (entry, None);
    }
    match entry.rsplit_once(':') {
        Some((name, port)) => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        None => (entry, None),
    }
}

fn in_network(address: IpAddr, network: IpAddr, length: u32) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (u128::from(address.to_bits()), u128::from(network.to_bits()), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    // A shift by the whole width is not defined, and /0 holds every address.
    length <= width && (length == 0 || (address ^ network) >> (width - length) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn choose_with(server: &str, no_proxy: &str) -> Option<String> {
        let no_proxy = no_proxy.to_owned();
        let environment = Environment::from_lookup(move |name| match name {
            "HTTPS_PROXY" => Some("http://proxy.corp.example:3128".into()),
            "NO_PROXY" => Some(no_proxy.clone()),
            _ => None,
        });
        choose(&server.parse().unwrap(), None, &environment)
            .unwrap()
            .map(|uri| uri.to_string())
    }

    #[rstest]
    #[case("https://api.corp.example:6443", "api.corp.example", true)]
    #[case("https://api.corp.example:6443", ".corp.example", true)]
    #[case("https://api.corp.example:6443", "*.corp.example", true)]
    #[case("https://api.corp.example:6443", "corp.example", true)]
    #[case("https://api.corp.example:6443", "API.Corp.Example", true)]
    #[case("https://corp.example:6443", ".corp.example", false)]
    #[case("https://apicorp.example", "corp.example", false)]
    #[case("https://api.corp.example:6443", "api.corp.example:6443", true)]
    #[case("https://api.corp.example:6443", "api.corp.example:443", false)]
    #[case("https://api.corp.example", "api.corp.example:443", true)]
    #[case("https://10.1.2.3:6443", "10.0.0.0/8", true)]
    #[case("https://11.1.2.3:6443", "10.0.0.0/8", false)]
    #[case("https://10.1.2.3:6443", "0.0.0.0/0", true)]
    #[case("https://10.1.2.3:6443", "10.1.2.3", true)]
    #[case("https://10.1.2.3:6443", "10.1.2.3/33", false)]
    #[case("https://[fd00::1]:6443", "fd00::/8", true)]
    #[case("https://[fd00::1]:6443", "fd00::1", true)]
    #[case("https://[fd00::1]:6443", "[fd00::1]:6443", true)]
    #[case("https://10.1.2.3:6443", "*", true)]
    #[case("https://10.1.2.3:6443", "a, *", true)]
    #[case("https://api.other:6443", "localhost, ,foo,", false)]
    #[case("https://foo:6443", "localhost, ,foo", true)]
    #[case("https://api.other:6443", "", false)]
    #[case("https://127.0.0.1:6443", "", true)]
    #[case("https://localhost:6443", "", true)]
    // The proxy's own name on the list says nothing about the cluster: kube 5.0.0's bug.
    #[case("https://api.other:6443", "proxy.corp.example", false)]
    fn no_proxy_is_compared_with_the_clusters_host(
        #[case] server: &str,
        #[case] no_proxy: &str,
        #[case] direct: bool,
    ) {
        assert_eq!(
            choose_with(server, no_proxy).is_none(),
            direct,
            "{server} {no_proxy}"
        );
    }

    #[test]
    fn the_kubeconfigs_proxy_wins_over_environment_and_no_proxy() {
        let environment = Environment::from_lookup(|name| match name {
            "HTTPS_PROXY" => Some("http://other:1".into()),
            "NO_PROXY" => Some("*".into()),
            _ => None,
        });
        let chosen = choose(
            &"https://127.0.0.1:6443".parse().unwrap(),
            Some("socks5://p:1080"),
            &environment,
        );
        assert_eq!(chosen.unwrap().unwrap().to_string(), "socks5://p:1080/");
    }

    #[rstest]
    #[case("https://a:1", "ALL_PROXY", "p:1", Some("http://p:1/"))]
    #[case("https://a:1", "https_proxy", "http://p:1", Some("http://p:1/"))]
    #[case("https://a:1", "HTTP_PROXY", "http://p:1", None)]
    #[case("http://a:1", "HTTP_PROXY", "http://p:1", Some("http://p:1/"))]
    #[case("http://a:1", "HTTPS_PROXY", "http://p:1", None)]
    #[case("https://a:1", "ALL_PROXY", "socks5h://p:1", Some("socks5://p:1/"))]
    fn variables_by_scheme(
        #[case] server: &str,
        #[case] variable: &'static str,
        #[case] value: &'static str,
        #[case] expected: Option<&str>,
    ) {
        let environment = Environment::from_lookup(move |name| (name == variable).then(|| value.into()));
        let chosen = choose(&server.parse().unwrap(), None, &environment).unwrap();
        assert_eq!(chosen.map(|uri| uri.to_string()).as_deref(), expected);
    }

    #[test]
    fn an_unknown_scheme_is_an_error_that_names_its_origin() {
        let environment =
            Environment::from_lookup(|name| (name == "HTTPS_PROXY").then(|| "ftp://p:1".into()));
        let error = choose(&"https://a:1".parse().unwrap(), None, &environment).unwrap_err();
        assert!(error.to_string().contains("HTTPS_PROXY"), "{error}");
    }
}
