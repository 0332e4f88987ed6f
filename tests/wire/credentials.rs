//! A credential plugin runs once, is announced, and blocks nobody.
#![cfg(unix)]

use super::harness::{Client, PATIENCE, Reply, Server, connect, ok, refusal, write};
use kubectl_egress::cluster::{ConnectionSettings, Notice};
use kubectl_egress::error::Result;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

/// A kubeconfig whose user has a plugin that notes each run.
struct Plugin {
    directory: TempDir,
}

impl Plugin {
    fn new(port: u16, script: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let plugin = write(
            &directory,
            "plugin",
            &format!("#!/bin/sh\necho \"$KUBERNETES_EXEC_INFO $EXTRA\" >> \"$0.runs\"\n{script}\n"),
        );
        std::fs::set_permissions(&plugin, std::fs::Permissions::from_mode(0o755)).unwrap();
        let configuration = json!({
            "current-context": "one",
            "clusters": [{"name": "one", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "jane"}}],
            "users": [{"name": "jane", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1",
                "command": "./plugin", "interactiveMode": "Never", "provideClusterInfo": true,
                "installHint": "install it", "env": [{"name": "EXTRA", "value": "more"}]}}}],
        });
        write(&directory, "config", &configuration.to_string());
        Self { directory }
    }

    async fn connect(&self) -> Result<Client> {
        let settings = ConnectionSettings {
            kubeconfig: Some(self.directory.path().join("config")),
            ..ConnectionSettings::default()
        };
        connect(&[], settings).await
    }

    fn runs(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.directory.path().join("plugin.runs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

fn credential(token: &str, expiry: &str) -> String {
    format!(
        r#"echo '{{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","status":{{"token":"{token}","expirationTimestamp":"{expiry}"}}}}'"#
    )
}

async fn server() -> Server {
    Server::start(|_, _| ok(&json!({"major": "1", "minor": "34", "gitVersion": "v1.34.4"}))).await
}

#[tokio::test]
async fn it_runs_once_and_is_announced_and_told_about_the_cluster() {
    let server = server().await;
    let plugin = Plugin::new(server.port, &credential("secret", "2999-01-01T00:00:00Z"));
    let client = plugin.connect().await.unwrap();
    for _ in 0..3 {
        client.cluster.version().await.unwrap();
    }
    let runs = plugin.runs();
    assert_eq!(runs.len(), 1, "{runs:?}");
    assert!(
        runs[0].contains(&format!("\"server\":\"http://127.0.0.1:{}\"", server.port)),
        "{runs:?}"
    );
    assert!(
        runs[0].contains("\"interactive\":false") && runs[0].ends_with("more"),
        "{runs:?}"
    );
    let notices = client.notices();
    assert!(matches!(&notices[0], Notice::CredentialPluginStarts(name) if name.ends_with("plugin")));
    assert_eq!(notices[1..], [Notice::CredentialPluginEnds]);
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.header("authorization") == Some("Bearer secret"))
    );
}

#[tokio::test]
async fn a_slow_plugin_does_not_block_the_runtime() {
    let plugin = Plugin::new(
        1,
        &format!("sleep 1\n{}", credential("x", "2999-01-01T00:00:00Z")),
    );
    // This runtime has one thread: were it blocked, the short wait could not end first.
    tokio::select! {
        _ = plugin.connect() => panic!("the plugin takes a second"),
        () = tokio::time::sleep(Duration::from_millis(200)) => {}
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let server = Server::start(|_, before| match before {
        0 => refusal(401, "Unauthorized", "Unauthorized", ""),
        _ => ok(&json!({"major": "1", "minor": "34", "gitVersion": ""})),
    })
    .await;
    let plugin = Plugin::new(server.port, &credential("x", "2999-01-01T00:00:00Z"));
    plugin.connect().await.unwrap().cluster.version().await.unwrap();
    assert_eq!(plugin.runs().len(), 2);
    let server = Server::start(|_, _| refusal(401, "Unauthorized", "Unauthorized", "")).await;
    let plugin = Plugin::new(server.port, &credential("x", "2999-01-01T00:00:00Z"));
    let error = plugin
        .connect()
        .await
        .unwrap()
        .cluster
        .version()
        .await
        .unwrap_err();
    assert!(
        error
            .message()
            .contains("does not accept the credentials of context `one`"),
        "{error}"
    );
    assert_eq!((plugin.runs().len(), server.requests().len()), (2, 2));
}

#[tokio::test]
async fn a_clock_that_is_wrong_does_not_run_it_for_every_request() {
    let server = server().await;
    let plugin = Plugin::new(server.port, &credential("x", "2001-01-01T00:00:00Z"));
    let client = plugin.connect().await.unwrap();
    for _ in 0..3 {
        client.cluster.version().await.unwrap();
    }
    assert_eq!(plugin.runs().len(), 1);
}

#[tokio::test]
async fn a_session_with_a_pod_is_authorised_too() {
    let server = Server::start(|_, _| Reply::Socket("v5.channel.k8s.io", Vec::new())).await;
    let plugin = Plugin::new(server.port, &credential("secret", "2999-01-01T00:00:00Z"));
    let client = plugin.connect().await.unwrap();
    let pod = kubectl_egress::vocabulary::PodName::new("demo", "a");
    let command = ["true".to_owned()];
    let running = client.cluster.exec(&pod, None, &command, PATIENCE);
    timeout(PATIENCE, running).await.unwrap().unwrap();
    assert_eq!(
        server.requests()[0].header("authorization"),
        Some("Bearer secret")
    );
}

#[tokio::test]
async fn its_failures_say_what_to_do_and_never_what_it_printed() {
    let error = Plugin::new(1, "echo not logged in >&2; exit 7")
        .connect()
        .await
        .err()
        .unwrap();
    assert!(error.to_string().contains("not logged in"), "{error}");
    let error = Plugin::new(1, "echo 'secret-token'")
        .connect()
        .await
        .err()
        .unwrap();
    assert!(error.message().contains("did not print a credential"), "{error}");
    assert!(!error.to_string().contains("secret-token"), "{error}");
    let plugin = Plugin::new(1, "");
    std::fs::remove_file(plugin.directory.path().join("plugin")).unwrap();
    let error = plugin.connect().await.err().unwrap();
    assert_eq!(error.hints(), ["install it"]);
}
