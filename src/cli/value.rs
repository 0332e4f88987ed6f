//! Values as they are typed, checked once. Every refusal names the value, the rule and what to type instead.

use super::learn::{ExplainTarget, SourceArgument};
use crate::vocabulary::{AddressRange, HostName, HostPort, LabelSelector, PlanIdentity, Scheme};
use std::fmt;
use std::path::PathBuf;

/// A host as typed: `HOST` or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostArgument {
    /// The host.
    pub host: HostName,
    /// Its port, if one was given. What none means is the command's affair: 443, or every port of the plan.
    pub port: Option<u16>,
}

impl fmt::Display for HostArgument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(formatter, "{}:{port}", self.host),
            None => write!(formatter, "{}", self.host),
        }
    }
}

/// What `probe` requests: `HOST`, `HOST:PORT` or a URL, with everything filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    /// Scheme: of the URL, else by custom of the port.
    pub scheme: Scheme,
    /// The host; never a wildcard.
    pub host: HostName,
    /// The port: of the URL, else by custom of the scheme, else 443.
    pub port: u16,
    /// Path and query of the URL, if it has any.
    pub path: Option<String>,
}

/// A workload to probe from: `deploy/NAME`, `sts/NAME` or `pod/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkloadArgument {
    /// What it is.
    pub kind: WorkloadKind,
    /// Its name.
    pub name: String,
}

/// Kinds of workload that can be probed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkloadKind {
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A single pod.
    Pod,
}

impl fmt::Display for WorkloadArgument {
    /// As it is typed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            WorkloadKind::Deployment => "deploy",
            WorkloadKind::StatefulSet => "sts",
            WorkloadKind::Pod => "pod",
        };
        write!(formatter, "{kind}/{}", self.name)
    }
}

/// The Service of an egress gateway: `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GatewayArgument {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for GatewayArgument {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.namespace, self.name)
    }
}

/// A plan as typed: `NAME`, or `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PlanArgument {
    /// Its namespace, if one was given; else the one that the command works in.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl fmt::Display for PlanArgument {
    /// As it is typed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(formatter, "{namespace}/{}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

/// Where a plan is read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanFile {
    /// Standard input (`-f -`).
    StandardInput,
    /// A file.
    Path(PathBuf),
}

pub(super) fn host(typed: &str) -> Result<HostArgument, String> {
    let (name, port) = split_port(typed)?;
    let host: HostName = name
        .parse()
        .map_err(|error: crate::vocabulary::HostNameError| error.to_string())?;
    Ok(HostArgument { host, port })
}

pub(super) fn address_range(typed: &str) -> Result<AddressRange, String> {
    typed
        .parse()
        .map_err(|error: crate::vocabulary::AddressRangeError| error.to_string())
}

pub(super) fn host_name(typed: &str) -> Result<HostName, String> {
    typed
        .parse()
        .map_err(|error: crate::vocabulary::HostNameError| error.to_string())
}

/// Splits `HOST:PORT`; leaves URLs and addresses alone, which `HostName` explains better.
fn split_port(typed: &str) -> Result<(&str, Option<u16>), String> {
    let Some((name, port)) = typed.rsplit_once(':') else {
        return Ok((typed, None));
    };
    if name.contains(':') || port.starts_with('/') {
        return Ok((typed, None));
    }
    match port.parse::<u16>() {
        Ok(number) if number > 0 => Ok((name, Some(number))),
        _ => Err(format!(
            "`{port}` in `{typed}` is not a port: give a number from 1 to 65535, as in {name}:443"
        )),
    }
}

pub(super) fn probe_target(typed: &str) -> Result<ProbeTarget, String> {
    let (scheme, rest) = match typed.split_once("://") {
        None => (None, typed),
        Some(("http", rest)) => (Some(Scheme::Http), rest),
        Some(("https", rest)) => (Some(Scheme::Https), rest),
        Some((other, rest)) => {
            return Err(format!(
                "`{other}` in `{typed}` is not a scheme that can be probed: use http or https, as in https://{rest}"
            ));
        }
    };
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) if scheme.is_some() => {
            let tail = rest[at..].split('#').next().unwrap_or_default();
            let path = if tail.starts_with('?') {
                format!("/{tail}")
            } else {
                tail.to_owned()
            };
            (&rest[..at], Some(path).filter(|path| !path.is_empty()))
        }
        _ => (rest, None),
    };
    if authority.contains('@') {
        return Err(format!(
            "`{typed}` carries a user name; a probe sends no credentials, so give the URL without it"
        ));
    }
    let HostArgument { host, port } = host(authority)?;
    if host.is_wildcard() {
        return Err(format!(
            "`{host}` is a wildcard, and a probe needs one name: give a host that it covers, such as {}",
            host.as_str().replacen('*', "www", 1)
        ));
    }
    let port = port.unwrap_or(if scheme == Some(Scheme::Http) { 80 } else { 443 });
    Ok(ProbeTarget {
        scheme: scheme.unwrap_or(Scheme::of_port(port)),
        host,
        port,
        path,
    })
}

pub(super) fn workload(typed: &str) -> Result<WorkloadArgument, String> {
    let Some((kind, name)) = typed.split_once('/') else {
        return Err(format!(
            "`{typed}` does not say what it is: write KIND/NAME, as in deploy/{typed}, sts/{typed} or pod/{typed}"
        ));
    };
    let kind = match kind {
        "deploy" | "deployment" | "deployments" | "deployment.apps" => WorkloadKind::Deployment,
        "sts" | "statefulset" | "statefulsets" | "statefulset.apps" => WorkloadKind::StatefulSet,
        "pod" | "pods" | "po" => WorkloadKind::Pod,
        other => {
            return Err(format!(
                "`{other}` in `{typed}` cannot be probed from: use deploy/{name}, sts/{name} or pod/{name}"
            ));
        }
    };
    Ok(WorkloadArgument {
        kind,
        name: object_name(name)?,
    })
}

pub(super) fn gateway(typed: &str) -> Result<GatewayArgument, String> {
    let Some((namespace, name)) = typed.split_once('/') else {
        return Err(format!(
            "`{typed}` has no namespace: write the gateway's Service as NAMESPACE/NAME, as in istio-system/{typed}"
        ));
    };
    Ok(GatewayArgument {
        namespace: self::namespace(namespace)?,
        name: object_name(name)?,
    })
}

pub(super) fn namespace(typed: &str) -> Result<String, String> {
    PlanIdentity::new(typed, "any")
        .map(|identity| identity.namespace)
        .map_err(|error| error.to_string())
}

pub(super) fn plan(typed: &str) -> Result<PlanArgument, String> {
    let (namespace, name) = match typed.split_once('/') {
        Some((namespace, name)) => (Some(self::namespace(namespace)?), name),
        None => (None, typed),
    };
    let identity = PlanIdentity::new("any", name).map_err(|error| error.to_string())?;
    Ok(PlanArgument {
        namespace,
        name: identity.name,
    })
}

/// kubectl's `-l`.
pub(super) fn selector(typed: &str) -> Result<LabelSelector, String> {
    typed
        .parse()
        .map_err(|error: crate::vocabulary::LabelSelectorError| error.to_string())
}

/// An object's name: an RFC 1123 subdomain, at most 253 characters.
pub(super) fn port(typed: &str) -> Result<u16, String> {
    match typed.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("`{typed}` is not a port: give a number from 1 to 65535")),
    }
}

/// A host with a port that must be there.
pub(super) fn host_port(typed: &str) -> Result<HostPort, String> {
    let HostArgument { host, port } = host(typed)?;
    match port {
        Some(port) => Ok(HostPort { host, port }),
        None => Err(format!(
            "`{typed}` has no port: write HOST:PORT, as in {typed}:3128"
        )),
    }
}

pub(super) fn object_name(typed: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(|&byte| plain(byte) || byte == b'-')
            && bytes.first().is_some_and(|&byte| plain(byte))
            && bytes.last().is_some_and(|&byte| plain(byte))
    };
    if typed.len() <= 253 && typed.split('.').all(label) {
        return Ok(typed.to_owned());
    }
    Err(format!(
        "`{typed}` is not an object's name: use lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit (RFC 1123 subdomain)"
    ))
}

#[expect(clippy::unnecessary_wraps, reason = "clap's value parsers return a Result")]
pub(super) fn plan_file(typed: &str) -> Result<PlanFile, String> {
    Ok(if typed == "-" {
        PlanFile::StandardInput
    } else {
        PlanFile::Path(PathBuf::from(typed))
    })
}

pub(super) fn image(typed: &str) -> Result<String, String> {
    let fits = |character: char| character.is_ascii_alphanumeric() || "._-/:@".contains(character);
    if !typed.is_empty() && typed.chars().all(fits) {
        return Ok(typed.to_owned());
    }
    Err(format!(
        "`{typed}` is not an image reference: write REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST, as in docker.io/curlimages/curl:8.18.0"
    ))
}

/// What `explain` explains: the code of a finding, or a host.
pub(super) fn explain_target(typed: &str) -> Result<ExplainTarget, String> {
    if typed.contains('.') || typed.contains(':') {
        let port_named = typed.contains(':');
        return probe_target(typed).map(|target| ExplainTarget::Host { target, port_named });
    }
    finding_code(typed).map(ExplainTarget::Code)
}

/// What curl ran in.
pub(super) fn source(typed: &str) -> Result<SourceArgument, String> {
    match typed {
        "meshed" => Ok(SourceArgument::Meshed),
        "bare" | "unmeshed" => Ok(SourceArgument::Bare),
        _ if typed.contains('/') => workload(typed).map(SourceArgument::Workload),
        _ => Err(format!(
            "`{typed}` is no kind of source: write meshed (a pod with a sidecar), bare (one without), or a workload such as deploy/{typed}"
        )),
    }
}

/// curl's exit codes end at 101; what is above is the shell's.
pub(super) fn exit_code(typed: &str) -> Result<u8, String> {
    match typed.parse() {
        Ok(code @ 0..=101) => Ok(code),
        Ok(126 | 127) => Err(format!(
            "`{typed}` is not curl's but the shell's: curl was not found, or could not be run there"
        )),
        Ok(code @ 129..=159) => Err(format!(
            "`{typed}` is not curl's but the shell's: curl was ended by signal {}",
            code - 128
        )),
        _ => Err(format!(
            "`{typed}` is not an exit code of curl: give a number from 0 to 101, as in 35"
        )),
    }
}

pub(super) fn finding_code(typed: &str) -> Result<String, String> {
    let code = typed.to_ascii_uppercase();
    let number = code.strip_prefix("EGR-").unwrap_or(&code);
    if number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(format!("EGR-{number}"));
    }
    Err(format!(
        "`{typed}` is not a finding's code: write EGR and three digits, as in EGR-101"
    ))
}

pub(super) fn request_path(typed: &str) -> Result<String, String> {
    if !typed.starts_with('/') {
        return Err(format!(
            "`{typed}` is not a path: it starts with a slash, as in /{typed}"
        ));
    }
    if typed
        .chars()
        .any(|character| character.is_control() || character == ' ')
    {
        return Err(format!(
            "`{}` has a space or a control character: percent-encode it, as in /a%20b",
            typed.escape_debug()
        ));
    }
    Ok(typed.to_owned())
}

/// A parser for one of few words.
pub(super) fn choice<Value>(
    all: &'static [Value],
) -> impl Fn(&str) -> Result<Value, String> + Clone + Send + Sync + 'static
where
    Value: Copy + fmt::Display + Send + Sync + 'static,
{
    move |typed| {
        if let Some(value) = all.iter().find(|value| value.to_string() == typed) {
            return Ok(*value);
        }
        let words: Vec<String> = all.iter().map(ToString::to_string).collect();
        let rule = format!("`{typed}` is not one of {}", words.join(", "));
        match words.iter().find(|word| word.eq_ignore_ascii_case(typed)) {
            Some(word) => Err(format!("{rule}; capitals count here, so write {word}")),
            None => Err(format!("{rule}; write one of these")),
        }
    }
}

/// curl's `--max-time`, 1 to 300 seconds.
pub(super) fn max_time(typed: &str) -> Result<u32, String> {
    match typed.parse() {
        Ok(seconds @ 1..=300) => Ok(seconds),
        _ => Err(format!(
            "`{typed}` is not a number of seconds from 1 to 300: write it without a unit, as in 10"
        )),
    }
}
