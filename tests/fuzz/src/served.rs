//! The embedded cluster as somebody who is no client of Kubernetes speaks to it.

use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Room for an input and its answers.
const PIPE_BYTES: usize = 1024 * 1024;

/// Runs by a clock that costs nothing where everybody waits.
pub(crate) fn by_own_clock<Work: Future>(work: Work) -> Work::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(work)
}

fn connect(sandbox: &Sandbox) -> (DuplexStream, tokio::task::JoinHandle<()>) {
    let (near, far) = tokio::io::duplex(PIPE_BYTES);
    let serving = sandbox.clone();
    let served = tokio::spawn(async move { serving.serve_stream(far).await });
    (near, served)
}

/// Sends all of it, takes what comes for a while, and goes.
async fn speak(sandbox: &Sandbox, parts: &[&[u8]]) -> Vec<u8> {
    let (mut stream, served) = connect(sandbox);
    for part in parts {
        // It may close before all of it is sent.
        if stream.write_all(part).await.is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    drop(stream);
    if let Ok(Err(error)) = tokio::time::timeout(Duration::from_secs(5), served).await {
        assert!(!error.is_panic(), "{error}");
    }
    answer
}

async fn is_unharmed(sandbox: &Sandbox) {
    let question = b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = speak(sandbox, &[question]).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
}

fn sandbox() -> Sandbox {
    Sandbox::new(SandboxSettings {
        pod_start: Duration::ZERO,
        ..SandboxSettings::default()
    })
}

/// Bytes on a connection, as they are.
pub fn sandbox_http(data: &[u8]) {
    by_own_clock(async {
        let sandbox = sandbox();
        speak(&sandbox, &[data]).await;
        is_unharmed(&sandbox).await;
    });
}

/// Bytes behind a good handshake: the first chooses what is opened, the rest are frames, as they are.
pub fn sandbox_web_socket(data: &[u8]) {
    let (which, frames) = data.split_first().unwrap_or((&0, &[]));
    by_own_clock(async {
        let sandbox = sandbox();
        let pod = sandbox
            .dump()
            .into_keys()
            .find_map(|name| {
                name.strip_prefix("Pod istio-system/istio-egressgateway")
                    .map(str::to_owned)
            })
            .unwrap();
        let pod = format!("/api/v1/namespaces/istio-system/pods/istio-egressgateway{pod}");
        let (path, protocol) = match which % 3 {
            0 => (
                "exec?command=cat&stdin=true&stdout=true&stderr=true&container=istio-proxy",
                "v5.channel.k8s.io",
            ),
            1 => (
                "exec?command=curl&command=--config&command=-&stdin=true&stdout=true&stderr=true",
                "v4.channel.k8s.io",
            ),
            _ => ("portforward?ports=15000", "v4.channel.k8s.io"),
        };
        let head = format!(
            "GET {pod}/{path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eA==\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
        );
        let answer = speak(&sandbox, &[head.as_bytes(), frames]).await;
        // Otherwise the frames were for nobody.
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", answer.escape_ascii());
        is_unharmed(&sandbox).await;
    });
}
