//! `sandbox`: serves the embedded cluster on 127.0.0.1, for `kubectl` and for us to look at.

use super::embedded::{self, CONTEXT, Clusters, TARGET_CONTEXT};
use super::output_file::{Readers, is_taken, replace_all};
use crate::cli::{Connection, SandboxServer};
use crate::error::{Error, Result};
use crate::report::{Printer, interruption};
use crate::vocabulary::ExitCode;
use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;

/// Serves until Ctrl-C, or until the command ends that it was given.
pub(super) async fn sandbox(
    connection: &Connection,
    settings: SandboxServer,
    printer: &Printer,
) -> Result<ExitCode> {
    embedded::announce(printer);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, settings.port))
        .await
        .map_err(|error| {
            Error::usage(format!("port {} on 127.0.0.1 cannot be used", settings.port))
                .because(error.to_string())
                .hint("choose another with --port, or 0 for any")
        })?;
    let address = listener
        .local_addr()
        .map_err(|error| Error::bug(error.to_string()))?;
    let namespace = connection.namespace.as_deref();
    let faults = [settings.faults.as_slice(), &connection.sandbox_faults].concat();
    let clusters = embedded::make_both(settings.platform, &faults, namespace)?;
    let of_target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let of_target = of_target.map_err(|error| Error::bug(error.to_string()))?;
    let target_address = of_target
        .local_addr()
        .map_err(|error| Error::bug(error.to_string()))?;
    let kubeconfig = kubeconfig(address.port(), target_address.port());
    let serving = serve(clusters, listener, of_target);
    if let Some(file) = &settings.write_kubeconfig {
        write_with_consent(file, &kubeconfig, printer).await?;
    }
    if let Some((program, arguments)) = settings.command.split_first() {
        return run(serving, &kubeconfig, program, arguments).await;
    }
    let file = settings.write_kubeconfig.as_ref().map_or_else(
        || {
            printer.data(&kubeconfig);
            "sandbox.yaml (save the above)".to_owned()
        },
        |file| file.display().to_string(),
    );
    printer.note("it ends with Ctrl-C, and nothing of it stays");
    printer.next(&format!(
        "kubectl egress setup kyma-project.io -n demo --create-namespace --kubeconfig {file}"
    ));
    tokio::select! {
        served = serving => served.map(|()| ExitCode::Success),
        () = interruption() => Ok(ExitCode::Success),
    }
}

/// Serves both clusters until the future is dropped.
async fn serve(clusters: Clusters, listener: TcpListener, of_target: TcpListener) -> Result<()> {
    let served =
        futures::future::try_join(clusters.sandbox.serve(listener), clusters.target.serve(of_target));
    served.await.map(drop)
}

/// A kubeconfig of somebody else's is not overwritten without a word.
async fn write_with_consent(file: &Path, content: &str, printer: &Printer) -> Result<()> {
    let question = format!("{} is there already. Overwrite it?", file.display());
    if is_taken(file) && !printer.confirm(&question).await? {
        return Err(Error::consent(format!("{} stays as it is", file.display()))
            .because("you did not agree")
            .hint("give another file to --write-kubeconfig"));
    }
    write(file, content.as_bytes())
}

/// Runs a command with KUBECONFIG set. Ctrl-C is the command's affair, and its end is ours.
async fn run(
    serving: impl Future<Output = Result<()>> + Send + 'static,
    kubeconfig: &str,
    program: &OsString,
    arguments: &[OsString],
) -> Result<ExitCode> {
    let file = Temporary::new(kubeconfig)?;
    let shown = program.to_string_lossy();
    let mut child = tokio::process::Command::new(program)
        .args(arguments)
        .env("KUBECONFIG", &file.0)
        .spawn()
        .map_err(|error| Error::usage(format!("{shown} cannot be run")).because(error.to_string()))?;
    let serving = tokio::spawn(serving);
    let ended = loop {
        tokio::select! {
            ended = child.wait() => break ended,
            // A terminal tells the command as well.
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    serving.abort();
    let status = ended.map_err(|error| Error::bug(format!("{shown}: {error}")))?;
    Ok(match status.code() {
        Some(0) => ExitCode::Success,
        Some(code) => ExitCode::Other(u8::try_from(code).unwrap_or(1)),
        None => ExitCode::Interrupted,
    })
}

/// A file that goes with its owner.
struct Temporary(PathBuf);

impl Temporary {
    fn new(content: &str) -> Result<Self> {
        let name = format!("kubectl-egress-sandbox-{}.yaml", std::process::id());
        let path = std::env::temp_dir().join(name);
        write(&path, content.as_bytes())?;
        Ok(Self(path))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed leads to a port where nobody listens.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn write(file: &Path, content: &[u8]) -> Result<()> {
    replace_all(&[(file.to_owned(), content)], Readers::Owner)
}

fn kubeconfig(port: u16, target_port: u16) -> String {
    let named = [(CONTEXT, port), (TARGET_CONTEXT, target_port)];
    let list = |item: &dyn Fn(&str, u16) -> String| {
        named
            .iter()
            .fold(String::new(), |text, (name, port)| text + &item(name, *port))
    };
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n{}users:\n- name: sandbox\n  user: {{}}\ncontexts:\n{}current-context: {CONTEXT}\n",
        list(&|name, port| format!("- name: {name}\n  cluster: {{server: \"http://127.0.0.1:{port}\"}}\n")),
        list(&|name, _| format!("- name: {name}\n  context: {{cluster: {name}, user: sandbox}}\n")),
    )
}
