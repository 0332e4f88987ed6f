//! Which cluster is meant, as whom: kubectl's rules for files, contexts and flags.

use super::proxy;
use super::settings::{ConnectionSettings, Environment};
use crate::error::{Error, Result};
use http::Uri;
use kube::config::{AuthInfo, Cluster, Context, ExecConfig, Kubeconfig, KubeconfigError};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use secrecy::SecretString;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Everything that the connection is made of.
pub(super) struct Chosen {
    /// Without the credential plugin: kube would run it three times.
    pub(super) configuration: kube::Config,
    /// The context's name, if there is one.
    pub(super) context: Option<String>,
    /// The credential plugin.
    pub(super) plugin: Option<ExecConfig>,
}

/// Chooses server and credentials.
///
/// - `--kubeconfig` names one file, which must exist; else the files of `KUBECONFIG` are merged, missing ones passed
///   over; else `~/.kube/config`.
/// - The pod's own ServiceAccount is used only if there is no file and no flag that names a server or context.
/// - A file that cannot be read is an error, never a reason to look elsewhere.
///
/// # Errors
/// If a file is broken, or a context, cluster or user is not in them.
pub(super) fn choose(settings: &ConnectionSettings, environment: &Environment) -> Result<Chosen> {
    let files = files(settings, environment)?;
    let merged = read(&files)?;
    let named = settings.context.is_some() || settings.cluster.is_some() || settings.server.is_some();
    let empty = merged.contexts.is_empty() && merged.clusters.is_empty();
    if empty && !named && environment.get("KUBERNETES_SERVICE_HOST").is_some() {
        return in_cluster(settings, environment);
    }
    let context_name = context_name(settings, &merged, &files)?;
    let context = match &context_name {
        Some(name) => find_context(name, &merged, &files)?,
        None => Context::default(),
    };
    let mut cluster = cluster(settings, &context, &merged)?;
    override_cluster(&mut cluster, settings)?;
    let user = user(settings, &context, &merged)?;
    assemble(settings, environment, context_name, &context, &cluster, user)
}

/// The names in the files of a kubeconfig.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KubeconfigNames {
    /// Contexts.
    pub contexts: Vec<String>,
    /// Clusters.
    pub clusters: Vec<String>,
    /// Users.
    pub users: Vec<String>,
}

/// All names, as far as the files can be read.
pub(super) fn names(settings: &ConnectionSettings, environment: &Environment) -> Result<KubeconfigNames> {
    let merged = read(&files(settings, environment)?)?;
    Ok(KubeconfigNames {
        contexts: merged.contexts.into_iter().map(|context| context.name).collect(),
        clusters: merged.clusters.into_iter().map(|cluster| cluster.name).collect(),
        users: merged.auth_infos.into_iter().map(|user| user.name).collect(),
    })
}

/// Whether nothing at all says which cluster is meant.
pub(super) fn is_missing(settings: &ConnectionSettings, environment: &Environment) -> bool {
    let named = settings.context.is_some() || settings.cluster.is_some() || settings.server.is_some();
    let no_file = files(settings, environment).is_ok_and(|files| files.is_empty());
    !named && no_file && environment.get("KUBERNETES_SERVICE_HOST").is_none()
}

/// The files to read; only existing ones.
fn files(settings: &ConnectionSettings, environment: &Environment) -> Result<Vec<PathBuf>> {
    if let Some(file) = &settings.kubeconfig {
        return if file.exists() {
            Ok(vec![file.clone()])
        } else {
            Err(
                Error::usage(format!("the kubeconfig {} does not exist", file.display()))
                    .hint("give another file to --kubeconfig, or leave it out for ~/.kube/config"),
            )
        };
    }
    if let Some(list) = environment.get("KUBECONFIG") {
        let all: Vec<PathBuf> = std::env::split_paths(&list)
            .filter(|path| !path.as_os_str().is_empty())
            .collect();
        let existing: Vec<PathBuf> = all.iter().filter(|path| path.exists()).cloned().collect();
        if !all.is_empty() && existing.is_empty() {
            return Err(
                Error::usage(format!("KUBECONFIG names no file that exists: {list}"))
                    .hint("correct KUBECONFIG, or unset it for ~/.kube/config"),
            );
        }
        if !existing.is_empty() {
            return Ok(existing);
        }
    }
    let home = environment.first_of(&["HOME", "USERPROFILE"]);
    Ok(home
        .map(|home| Path::new(&home).join(".kube").join("config"))
        .filter(|file| file.exists())
        .into_iter()
        .collect())
}

fn read(files: &[PathBuf]) -> Result<Kubeconfig> {
    files.iter().try_fold(Kubeconfig::default(), |merged, file| {
        if is_half_a_character_short(file) {
            return Err(unreadable(
                file,
                "it is cut off in the middle of a character (UTF-16)".into(),
            ));
        }
        Kubeconfig::read_from(file)
            .and_then(|next| merged.merge(next))
            .map_err(|error| broken(file, &error))
    })
}

/// Whether a file begins as UTF-16 (as Windows' shells write) and has an odd number of bytes, at which kube-client 5.0.0
/// panics. A pipe is not looked into: what is read of it is gone.
fn is_half_a_character_short(file: &Path) -> bool {
    let marked = || -> std::io::Result<bool> {
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len().is_multiple_of(2) {
            return Ok(false);
        }
        let mut mark = [0; 2];
        std::fs::File::open(file)?.read_exact(&mut mark)?;
        Ok(matches!(mark, [0xFF, 0xFE] | [0xFE, 0xFF]))
    };
    // What cannot be read is an error a moment later.
    marked().unwrap_or(false)
}

fn broken(file: &Path, error: &KubeconfigError) -> Error {
    let why = match error {
        KubeconfigError::ReadConfig(error, _) => error.to_string(),
        KubeconfigError::Parse(error) => format!("it is not the YAML of a kubeconfig: {error}"),
        other => other.to_string(),
    };
    unreadable(file, why)
}

fn unreadable(file: &Path, why: String) -> Error {
    Error::usage(format!("the kubeconfig {} cannot be read", file.display()))
        .because(why)
        .hint("correct the file; `kubectl config view` must be able to show it")
}

/// The context that the flags or the files name. `None` only if `--server` makes one unnecessary.
fn context_name(
    settings: &ConnectionSettings,
    merged: &Kubeconfig,
    files: &[PathBuf],
) -> Result<Option<String>> {
    let current = merged.current_context.clone().filter(|name| !name.is_empty());
    if let Some(name) = settings.context.clone().or(current) {
        return Ok(Some(name));
    }
    if settings.server.is_some() || settings.cluster.is_some() {
        return Ok(None);
    }
    if files.is_empty() {
        return Err(Error::usage("no cluster is configured")
            .because("there is no kubeconfig, and this is not a pod")
            .hint("name one: --kubeconfig FILE, or set KUBECONFIG")
            .hint(
                "no cluster at hand? `kubectl egress tutorial --sandbox` tells the whole story without one",
            ));
    }
    Err(Error::usage("the kubeconfig has no current context")
        .because(contexts_there_are(merged))
        .hint("give --context NAME, or set one with `kubectl config use-context NAME`"))
}

fn find_context(name: &str, merged: &Kubeconfig, files: &[PathBuf]) -> Result<Context> {
    let found = merged.contexts.iter().find(|context| context.name == name);
    if let Some(context) = found {
        return Ok(context.context.clone().unwrap_or_default());
    }
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let places = if files.is_empty() {
        "any kubeconfig".to_owned()
    } else {
        files.join(", ")
    };
    Err(Error::usage(format!("the context `{name}` is not in {places}"))
        .because(contexts_there_are(merged))
        .hint("give one of these to --context; `kubectl config get-contexts` shows more about them"))
}

fn contexts_there_are(merged: &Kubeconfig) -> String {
    listed(
        "contexts",
        merged.contexts.iter().map(|context| context.name.as_str()),
    )
}

fn listed<'name>(what: &str, names: impl Iterator<Item = &'name str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() {
        format!("there are no {what}")
    } else {
        format!("the {what} are {}", names.join(", "))
    }
}

fn cluster(settings: &ConnectionSettings, context: &Context, merged: &Kubeconfig) -> Result<Cluster> {
    let name = settings.cluster.as_ref().unwrap_or(&context.cluster);
    let found = merged.clusters.iter().find(|cluster| &cluster.name == name);
    match found {
        Some(cluster) => Ok(cluster.cluster.clone().unwrap_or_default()),
        None if settings.server.is_some() && settings.cluster.is_none() => Ok(Cluster::default()),
        None => Err(
            Error::usage(format!("the cluster `{name}` is not in the kubeconfig"))
                .because(listed(
                    "clusters",
                    merged.clusters.iter().map(|cluster| cluster.name.as_str()),
                ))
                .hint("give another --cluster, or correct the context"),
        ),
    }
}

fn override_cluster(cluster: &mut Cluster, settings: &ConnectionSettings) -> Result<()> {
    if let Some(server) = &settings.server {
        cluster.server = Some(server.clone());
    }
    if let Some(file) = &settings.certificate_authority {
        let name = file
            .to_str()
            .ok_or_else(|| Error::usage("the path given to --certificate-authority is not UTF-8"))?;
        cluster.certificate_authority = Some(name.to_owned());
        cluster.certificate_authority_data = None;
    }
    if let Some(name) = &settings.tls_server_name {
        cluster.tls_server_name = Some(name.clone());
    }
    if settings.insecure_skip_tls_verify {
        cluster.insecure_skip_tls_verify = Some(true);
        cluster.certificate_authority = None;
        cluster.certificate_authority_data = None;
    }
    Ok(())
}

fn user(settings: &ConnectionSettings, context: &Context, merged: &Kubeconfig) -> Result<AuthInfo> {
    let name = settings.user.as_ref().or(context.user.as_ref());
    let found = name.and_then(|name| merged.auth_infos.iter().find(|user| &user.name == name));
    let mut user = match found {
        Some(user) => user.auth_info.clone().unwrap_or_default(),
        None if settings.user.is_some() => {
            return Err(Error::usage(format!(
                "the user `{}` is not in the kubeconfig",
                name.cloned().unwrap_or_default()
            ))
            .because(listed(
                "users",
                merged.auth_infos.iter().map(|user| user.name.as_str()),
            ))
            .hint("give another --user"));
        }
        // client-go passes over a context's user that is not there.
        None => AuthInfo::default(),
    };
    override_user(&mut user, settings);
    Ok(user)
}

fn override_user(user: &mut AuthInfo, settings: &ConnectionSettings) {
    if let Some(token) = &settings.token {
        // A token given by hand replaces whatever else would identify us, but client certificates stay (as in kubectl).
        user.token = Some(SecretString::from(token.clone()));
        user.token_file = None;
        user.exec = None;
        user.auth_provider = None;
        user.username = None;
        user.password = None;
    }
    if let Some(name) = &settings.impersonate_user {
        user.impersonate = Some(name.clone());
    }
    if !settings.impersonate_groups.is_empty() {
        user.impersonate_groups = Some(settings.impersonate_groups.clone());
    }
    if let Some(uid) = &settings.impersonate_uid {
        user.impersonate_uid = Some(uid.clone());
    }
}

fn assemble(
    settings: &ConnectionSettings,
    environment: &Environment,
    context_name: Option<String>,
    context: &Context,
    cluster: &Cluster,
    mut user: AuthInfo,
) -> Result<Chosen> {
    let server = server(cluster)?;
    let mut plugin = user.exec.take();
    // client-go's order: a token in the file is used before a plugin is asked.
    if user.token.is_some() || user.token_file.is_some() {
        plugin = None;
    }
    if let Some(plugin) = plugin.as_mut().filter(|plugin| plugin.provide_cluster_info) {
        plugin.cluster = Some(
            cluster
                .try_into()
                .map_err(|error: KubeconfigError| authority(&error.to_string()))?,
        );
    }
    if user.impersonate.is_none() && (user.impersonate_groups.is_some() || user.impersonate_uid.is_some()) {
        return Err(Error::usage("--as-group and --as-uid need a user to impersonate").hint("add --as USER"));
    }
    let mut configuration = kube::Config::new(server.clone());
    configuration.default_namespace = settings
        .namespace
        .clone()
        .or_else(|| context.namespace.clone())
        .filter(|namespace| !namespace.is_empty())
        .unwrap_or_else(|| "default".into());
    configuration.root_cert = authorities(cluster)?;
    configuration.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    configuration.tls_server_name = cluster.tls_server_name.clone().filter(|name| !name.is_empty());
    configuration.disable_compression = cluster.disable_compression.unwrap_or(false);
    configuration.proxy_url = proxy::choose(&server, cluster.proxy_url.as_deref(), environment)?;
    configuration.auth_info = user;
    configuration.default_retry = false;
    Ok(Chosen {
        configuration,
        context: context_name,
        plugin,
    })
}

fn server(cluster: &Cluster) -> Result<Uri> {
    let text = cluster.server.as_deref().unwrap_or_default();
    // kubectl takes `host:port` for `http://host:port`; we ask for the scheme, as nobody means plain text by it.
    let uri: Uri = text
        .parse()
        .map_err(|error: http::uri::InvalidUri| bad_server(text, &error.to_string()))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(bad_server(text, "it is not a URL with http or https")),
    }
}

fn bad_server(text: &str, why: &str) -> Error {
    Error::usage(format!("the cluster's server `{text}` cannot be used"))
        .because(why)
        .hint("give it as https://HOST:PORT, in `clusters[].cluster.server` or with --server")
}

/// The certificate authorities, or `None` for those of the operating system.
fn authorities(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>> {
    let data = cluster
        .certificate_authority_data
        .as_deref()
        .filter(|data| !data.is_empty());
    let file = cluster
        .certificate_authority
        .as_deref()
        .filter(|file| !file.is_empty());
    let pem = match (data, file) {
        (Some(data), _) => {
            let decoded: k8s_openapi::ByteString = serde_json::from_value(data.into())
                .map_err(|_| authority("`certificate-authority-data` is not base64"))?;
            decoded.0
        }
        (None, Some(file)) => std::fs::read(file).map_err(|error| authority(&format!("{file}: {error}")))?,
        (None, None) => return Ok(None),
    };
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map(|certificate| certificate.as_ref().to_vec()))
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| authority(&error.to_string()))?;
    if certificates.is_empty() {
        return Err(authority("there is no PEM certificate in it"));
    }
    Ok(Some(certificates))
}

fn authority(why: &str) -> Error {
    Error::usage("the cluster's certificate authority cannot be read")
        .because(why)
        .hint("correct `certificate-authority` in the kubeconfig, or give --certificate-authority FILE")
}

fn in_cluster(settings: &ConnectionSettings, environment: &Environment) -> Result<Chosen> {
    let mut configuration = kube::Config::incluster().map_err(|error| {
        Error::usage("this is a pod without a usable ServiceAccount token")
            .because(error.to_string())
            .hint("mount the token (automountServiceAccountToken), or give --kubeconfig FILE")
    })?;
    configuration.default_retry = false;
    configuration.proxy_url = proxy::choose(&configuration.cluster_url, None, environment)?;
    if let Some(namespace) = &settings.namespace {
        configuration.default_namespace.clone_from(namespace);
    }
    override_user(&mut configuration.auth_info, settings);
    Ok(Chosen {
        configuration,
        context: None,
        plugin: None,
    })
}
