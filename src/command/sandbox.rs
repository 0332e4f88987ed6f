//! `sandbox`: serves the embedded cluster on 127.0.0.1, for `kubectl` and for us to look at.

use crate::cli::{Platform, SandboxServer};
use crate::error::{Error, Result};
use crate::report::Printer;
use crate::sandbox::{KymaSettings, Sandbox, SandboxSettings};
use crate::vocabulary::ExitCode;
use std::net::Ipv4Addr;

/// Prints a kubeconfig and serves until Ctrl-C.
pub(super) async fn sandbox(settings: SandboxServer, printer: &Printer) -> Result<ExitCode> {
    let address = (Ipv4Addr::LOCALHOST, settings.port);
    let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
        Error::usage(format!("port {} on 127.0.0.1 cannot be used", settings.port))
            .because(error.to_string())
            .hint("choose another with --port, or 0 for any")
    })?;
    let port = listener
        .local_addr()
        .map_err(|error| Error::bug(error.to_string()))?
        .port();
    printer.data(&kubeconfig(port));
    printer.note("this cluster is simulated; it ends with Ctrl-C, and nothing of it stays");
    printer.next("save the above as sandbox.yaml, then: kubectl egress setup kyma-project.io -n demo --create-namespace --kubeconfig sandbox.yaml");
    let cluster = Sandbox::new(SandboxSettings {
        kyma: (settings.platform == Platform::Kyma).then(KymaSettings::default),
        ..SandboxSettings::default()
    });
    tokio::select! {
        served = cluster.serve(listener) => served.map(|()| ExitCode::Success),
        _ = tokio::signal::ctrl_c() => Ok(ExitCode::Success),
    }
}

fn kubeconfig(port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: sandbox\n  cluster: {{server: \"http://127.0.0.1:{port}\"}}\nusers:\n- name: sandbox\n  user: {{}}\ncontexts:\n- name: sandbox\n  context: {{cluster: sandbox, user: sandbox}}\ncurrent-context: sandbox\n"
    )
}
