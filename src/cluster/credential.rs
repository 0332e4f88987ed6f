//! Credential plugins (`users[].user.exec` of a kubeconfig).
//!
//! kube 5.0.0 runs the plugin three times per client, blocking a thread of the runtime each time. Here it runs once,
//! as a child process that nobody blocks on, and again only when its credential expires or is refused.
//! Protocol: <https://kubernetes.io/docs/reference/config-api/client-authentication.v1/>.

use super::settings::{Notice, Observer};
use crate::error::{Error, Result};
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use kube::config::{ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use std::io::IsTerminal;
use std::process::Stdio;
use std::sync::Arc;
use tokio::process::Command;
use tokio::sync::Mutex;

/// A token is renewed when it has less than this left.
const MARGIN: SignedDuration = SignedDuration::from_secs(60);

/// What a plugin gave: `ExecCredentialStatus`.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Given {
    /// Bearer token.
    token: Option<String>,
    /// Client certificate, PEM.
    pub(super) client_certificate_data: Option<String>,
    /// Its key, PEM.
    pub(super) client_key_data: Option<String>,
    expiration_timestamp: Option<Timestamp>,
    /// Whether it had some time left, by this machine's clock, when it was given.
    #[serde(skip)]
    fresh: bool,
}

impl Given {
    fn is_expiring(&self) -> bool {
        self.expiration_timestamp
            .is_some_and(|expiry| expiry.duration_since(Timestamp::now()) < MARGIN)
    }
}

/// The plugin of a user with what it last gave.
#[derive(Clone)]
pub(super) struct Credential(Arc<Inner>);

struct Inner {
    plugin: ExecConfig,
    observer: Observer,
    given: Mutex<Given>,
}

impl Credential {
    /// Runs the plugin for the first time. Also gives what it gave, as a client certificate belongs into the TLS set-up.
    ///
    /// # Errors
    /// If it cannot be run, fails, or answers with something else than a credential.
    pub(super) async fn obtain(plugin: ExecConfig, observer: Observer) -> Result<(Self, Given)> {
        let given = run(&plugin, &observer).await?;
        let credential = Self(Arc::new(Inner {
            plugin,
            observer,
            given: Mutex::new(given.clone()),
        }));
        Ok((credential, given))
    }

    /// The `Authorization` header, renewed if it is about to expire; `None` if the plugin gave a certificate only.
    ///
    /// # Errors
    /// If the plugin fails.
    pub(super) async fn header(&self) -> Result<Option<HeaderValue>> {
        let mut given = self.0.given.lock().await;
        // Expiry is stated in absolute time and compared with this machine's clock, as every client does. A credential
        // that has expired when it is given shows that the clock is wrong: then only a 401 tells that it has expired.
        if given.fresh && given.token.is_some() && given.is_expiring() {
            *given = run(&self.0.plugin, &self.0.observer).await?;
        }
        given.token.as_deref().map(bearer).transpose()
    }

    /// Runs the plugin again, after the server did not accept what it gave.
    ///
    /// # Errors
    /// If the plugin fails.
    pub(super) async fn renew(&self) -> Result<()> {
        let mut given = self.0.given.lock().await;
        *given = run(&self.0.plugin, &self.0.observer).await?;
        Ok(())
    }
}

fn bearer(token: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| {
        Error::cluster("the credential plugin's token has characters that no header can carry")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

async fn run(plugin: &ExecConfig, observer: &Observer) -> Result<Given> {
    let name = plugin.command.clone().unwrap_or_default();
    if name.is_empty() {
        return Err(Error::usage(
            "the kubeconfig names a credential plugin without `command`",
        ));
    }
    let interactive = interactive(plugin, &name)?;
    let mut command = command(plugin, &name, interactive)?;
    observer(Notice::CredentialPluginStarts(name.clone()));
    let output = command.output().await;
    observer(Notice::CredentialPluginEnds);
    let output = output.map_err(|error| {
        let failure = Error::cluster(format!("the credential plugin `{name}` cannot be run"))
            .because(error.to_string());
        match &plugin.install_hint {
            Some(hint) => failure.hint(hint.trim()),
            None => failure.hint(format!(
                "install `{name}`, or correct `users[].user.exec.command` in the kubeconfig"
            )),
        }
    })?;
    if !output.status.success() {
        let failure = Error::cluster(format!(
            "the credential plugin `{name}` failed ({})",
            output.status
        ));
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        let failure = if said.is_empty() {
            failure
        } else {
            failure.because(said)
        };
        return Err(failure.hint(format!(
            "log in again, or run `{name}` by hand to see what it wants"
        )));
    }
    read(&output.stdout, &name)
}

/// Whether the plugin may talk to the user.
fn interactive(plugin: &ExecConfig, name: &str) -> Result<bool> {
    let terminal = std::io::stdin().is_terminal();
    match plugin.interactive_mode {
        Some(ExecInteractiveMode::Never) => Ok(false),
        Some(ExecInteractiveMode::Always) if !terminal => Err(Error::cluster(format!(
            "the credential plugin `{name}` wants to ask the user, and standard input is no terminal"
        ))
        .hint(
            "run it from a terminal, or use a credential that needs nobody, such as a ServiceAccount's token",
        )),
        _ => Ok(terminal),
    }
}

fn command(plugin: &ExecConfig, name: &str, interactive: bool) -> Result<Command> {
    let mut command = Command::new(name);
    command.args(plugin.args.iter().flatten());
    for pair in plugin.env.iter().flatten() {
        if let (Some(name), Some(value)) = (pair.get("name"), pair.get("value")) {
            command.env(name, value);
        }
    }
    let mut specification = json!({ "interactive": interactive });
    if plugin.provide_cluster_info {
        specification["cluster"] = serde_json::to_value(&plugin.cluster)
            .map_err(|error| Error::bug(format!("the cluster's description cannot be written: {error}")))?;
    }
    let information = json!({
        "apiVersion": plugin.api_version,
        "kind": "ExecCredential",
        "spec": specification,
    });
    command.env("KUBERNETES_EXEC_INFO", information.to_string());
    // A plugin that may ask gets the terminal; what any other says goes into our error, not between our lines.
    if interactive {
        command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
    } else {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
    }
    command.stdout(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

fn read(stdout: &[u8], name: &str) -> Result<Given> {
    #[derive(Deserialize)]
    struct ExecCredential {
        status: Option<Given>,
    }
    // The text may hold a token: say what is wrong with it, never what it is.
    let wrong = |why: &str| {
        Error::cluster(format!(
            "the credential plugin `{name}` did not print a credential"
        ))
        .because(why)
        .hint(format!(
            "run `{name}` by hand; it must print an ExecCredential with a status"
        ))
    };
    let credential: ExecCredential =
        serde_saphyr::from_slice(stdout).map_err(|_| wrong("its output is not an ExecCredential"))?;
    let mut given = credential
        .status
        .ok_or_else(|| wrong("its output has no `status`"))?;
    let certificate = given.client_certificate_data.is_some() && given.client_key_data.is_some();
    if given.token.is_none() && !certificate {
        return Err(wrong(
            "its status has neither `token` nor `clientCertificateData` with `clientKeyData`",
        ));
    }
    given.fresh = !given.is_expiring();
    Ok(given)
}
