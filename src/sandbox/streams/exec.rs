//! exec over WebSocket: the channel protocols v5 and v4 of Kubernetes' remote commands.
//!
//! Channels: 1 standard output, 2 standard error, 3 the exit as `metav1.Status`.

use super::web_socket::{Socket, accept, close, framed};
use super::{Upgrade, container, envoy_admin, files, running};
use crate::sandbox::api::{Call, Refusal, Reply};
use crate::sandbox::controllers;
use crate::sandbox::fault::FaultKind;
use crate::sandbox::network::curl::{self, Output};
use crate::sandbox::state::Inner;
use crate::vocabulary::PodName;
use crate::vocabulary::names::PROXY_CONTAINER;
use futures::SinkExt;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio_tungstenite::tungstenite::Message;

/// Largest message; the real server sends blocks of this order.
const BLOCK: usize = 32 * 1024;

pub(super) fn start(
    inner: &Arc<Inner>,
    call: &Call,
    pod: &Value,
    upgrade: Upgrade<'_>,
) -> Result<Reply, Refusal> {
    let container = container(call, pod)?;
    if let Err(reason) = running(pod, &container) {
        return Err(Refusal::internal(format!(
            "unable to upgrade connection: container {container} in pod is not running: {reason}"
        )));
    }
    let command: Vec<String> = call.query.all("command").map(str::to_owned).collect();
    let fault = upgrade.fault.clone();
    let inner = Arc::clone(inner);
    let pod = pod.clone();
    accept(
        upgrade,
        &["v5.channel.k8s.io", "v4.channel.k8s.io"],
        move |socket| async move {
            let (output, status) = run(&inner, &pod, &container, &command);
            inner.ring();
            deliver(socket, &output, &status, fault).await;
        },
    )
}

/// Runs a command in a container.
fn run(inner: &Inner, pod: &Value, container: &str, command: &[String]) -> (Output, Value) {
    let Some((program, arguments)) = command.split_first() else {
        return (Output::default(), cannot_start(""));
    };
    let output = match program.rsplit('/').next().unwrap_or_default() {
        "curl" if has_curl(pod, container) => {
            let mut state = inner.lock();
            let container = found(pod, container).unwrap_or(&Value::Null);
            curl::run(inner, &mut state, pod, container, arguments)
        }
        "true" => Output::default(),
        "date" if arguments == ["+%s"] => Output {
            stdout: format!("{}\n", inner.now().as_second()).into_bytes(),
            ..Output::default()
        },
        "cat" => cat(inner, pod, container, arguments),
        "sh" if is_rehearsal(arguments) => match found(pod, container) {
            Some(container) => switch(inner, pod, container, arguments),
            None => return (Output::default(), cannot_start(program)),
        },
        "pilot-agent" if container == PROXY_CONTAINER => agent(inner, pod, arguments),
        // Containers have them; what they would print, nobody knows here.
        name @ ("sh" | "ls" | "env" | "ps" | "tar" | "id" | "nslookup" | "wget" | "envoy") => Output {
            stderr: format!("sandbox: {name} in a container is not simulated; curl and cat are\n")
                .into_bytes(),
            exit: 127,
            ..Output::default()
        },
        _ => return (Output::default(), cannot_start(program)),
    };
    let status = if output.exit == 0 {
        json!({"metadata": {}, "status": "Success"})
    } else {
        let code = output.exit;
        json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: error executing command {command:?}, exit code {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        })
    };
    (output, status)
}

/// A container's specification.
fn found<'pod>(pod: &'pod Value, container: &str) -> Option<&'pod Value> {
    ["containers", "initContainers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| pod["spec"][list].as_array().into_iter().flatten())
        .find(|found| found["name"] == container)
}

/// Whether a container's image is known to hold curl.
fn has_curl(pod: &Value, container: &str) -> bool {
    let image = found(pod, container)
        .and_then(|found| found["image"].as_str())
        .unwrap_or_default();
    image.contains("curl") || image.contains("proxyv2")
}

/// Whether a shell is told to run the script of the dead-man's switch for a rehearsal.
fn is_rehearsal(arguments: &[String]) -> bool {
    matches!(arguments, [script, word] if controllers::is_switch(script) && word == "rehearse")
}

/// The script must be mounted where it is called; then it is played.
fn switch(inner: &Inner, pod: &Value, container: &Value, arguments: &[String]) -> Output {
    let script = files::read(&inner.lock(), pod, container, &arguments[0]);
    if script.is_none() {
        return Output {
            stderr: format!("sh: can't open '{}': No such file or directory\n", arguments[0]).into_bytes(),
            exit: 2,
            ..Output::default()
        };
    }
    controllers::rehearse(inner, pod, container)
}

fn cat(inner: &Inner, pod: &Value, container: &str, paths: &[String]) -> Output {
    let mut output = Output::default();
    let state = inner.lock();
    for path in paths {
        let text = found(pod, container).and_then(|container| files::read(&state, pod, container, path));
        if let Some(text) = text {
            output.stdout.extend_from_slice(text.as_bytes());
        } else {
            let line = format!("cat: can't open '{path}': No such file or directory\n");
            output.stderr.extend_from_slice(line.as_bytes());
            output.exit = 1;
        }
    }
    output
}

/// The status of a program that is not there, as containerd and the kubelet word it.
fn cannot_start(program: &str) -> Value {
    let message = format!(
        "Internal error occurred: error executing command in container: failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": executable file not found in $PATH"
    );
    json!({"metadata": {}, "status": "Failure", "reason": "InternalError", "message": message, "code": 500})
}

/// `pilot-agent request GET PATH`.
fn agent(inner: &Inner, pod: &Value, arguments: &[String]) -> Output {
    let text = |name: &str| pod["metadata"][name].as_str().unwrap_or_default();
    let name = PodName::new(text("namespace"), text("name"));
    let body = match arguments {
        [request, get, path] if request == "request" && get == "GET" => {
            envoy_admin::answer(inner, &name, &format!("/{}", path.trim_start_matches('/')))
        }
        _ => None,
    };
    match body {
        Some(body) => Output {
            stdout: body.into_bytes(),
            ..Output::default()
        },
        None => Output {
            stderr: b"Error: not in the sandbox\n".to_vec(),
            exit: 1,
            ..Output::default()
        },
    }
}

/// Sends output and status, as far as the fault lets it.
async fn deliver(mut socket: Socket, output: &Output, status: &Value, fault: Option<FaultKind>) {
    let (left, hang) = match fault {
        Some(FaultKind::CutAfterBytes(bytes)) => (bytes, false),
        Some(FaultKind::HangAfterBytes(bytes)) => (bytes, true),
        _ => (usize::MAX, false),
    };
    for message in messages(output, status, fault.as_ref(), left) {
        if let Some(FaultKind::Trickle(pause)) = fault {
            tokio::time::sleep(pause).await;
        }
        if socket.send(Message::binary(message)).await.is_err() {
            return;
        }
    }
    if left != usize::MAX {
        // Dropped without a close frame: the connection is cut.
        if hang {
            std::future::pending::<()>().await;
        }
        return;
    }
    close(socket).await;
}

/// What is sent, with so many bytes of output: standard output, standard error, the status.
fn messages(output: &Output, status: &Value, fault: Option<&FaultKind>, mut left: usize) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let noise: &[u8] = match fault {
        Some(FaultKind::Before(bytes)) => bytes,
        _ => &[],
    };
    let block = match fault {
        Some(FaultKind::Trickle(_)) => 1,
        _ => BLOCK,
    };
    for (channel, bytes) in [(1, noise), (1, &output.stdout), (2, &output.stderr)] {
        let bytes = &bytes[..bytes.len().min(left)];
        left = left.saturating_sub(bytes.len());
        messages.extend(bytes.chunks(block).map(|block| framed(channel, block)));
    }
    let limited = matches!(
        fault,
        Some(FaultKind::CutAfterBytes(_) | FaultKind::HangAfterBytes(_) | FaultKind::NoStatus)
    );
    if !limited {
        messages.push(framed(3, status.to_string().as_bytes()));
    }
    if fault == Some(&FaultKind::Reordered) {
        messages.reverse();
    }
    messages
}
