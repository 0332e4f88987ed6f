//! Files, contexts and flags mean what they mean to kubectl.

use super::harness::{Server, connect, ok, write};
use kubectl_egress::cluster::ConnectionSettings;
use kubectl_egress::error::Error;
use kubectl_egress::vocabulary::ExitCode;
use serde_json::json;
use std::path::Path;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

fn configuration(port: u16) -> String {
    json!({
        "current-context": "one",
        "clusters": [{"name": "one", "cluster": {"server": format!("http://127.0.0.1:{port}/")}}],
        "contexts": [
            {"name": "one", "context": {"cluster": "one", "user": "jane", "namespace": "team"}},
            {"name": "two", "context": {"cluster": "one", "user": "nobody"}}],
        "users": [{"name": "jane", "user": {"token": "of-jane"}}],
    })
    .to_string()
}

async fn server() -> Server {
    Server::start(|_, _| ok(&json!({"major": "1", "minor": "34", "gitVersion": "v1.34.4"}))).await
}

fn of(path: &Path) -> ConnectionSettings {
    ConnectionSettings {
        kubeconfig: Some(path.to_owned()),
        ..ConnectionSettings::default()
    }
}

async fn refused(variables: &[(&str, &str)], settings: ConnectionSettings) -> Error {
    connect(variables, settings)
        .await
        .err()
        .expect("it must be refused")
}

#[tokio::test]
async fn the_files_of_the_list_are_merged_and_missing_ones_passed_over() {
    let (directory, server) = (TempDir::new().unwrap(), server().await);
    let first = write(
        &directory,
        "first",
        "current-context: three\ncontexts:\n- name: three\n  context: {cluster: one, user: jane}\n",
    );
    let second = write(&directory, "second", &configuration(server.port));
    let missing = directory.path().join("missing");
    let list = std::env::join_paths([&first, &missing, &second]).unwrap();
    let client = connect(
        &[("KUBECONFIG", list.to_str().unwrap())],
        ConnectionSettings::default(),
    )
    .await
    .unwrap();
    assert_eq!(client.cluster.context(), "three");
    assert_eq!(client.cluster.default_namespace(), "default");
    assert_eq!(
        client.cluster.server(),
        format!("http://127.0.0.1:{}", server.port)
    );
    client.cluster.version().await.unwrap();
    assert_eq!(
        server.requests()[0].header("authorization"),
        Some("Bearer of-jane")
    );
}

#[tokio::test]
async fn an_unknown_context_is_named_with_those_there_are() {
    let directory = TempDir::new().unwrap();
    let file = write(&directory, "config", &configuration(1));
    let error = refused(
        &[],
        ConnectionSettings {
            context: Some("three".into()),
            ..of(&file)
        },
    )
    .await;
    assert_eq!(error.code(), ExitCode::Usage);
    assert!(error.message().contains("`three`"), "{error}");
    assert!(error.to_string().contains("one, two"), "{error}");
    let error = refused(
        &[],
        ConnectionSettings {
            user: Some("joe".into()),
            ..of(&file)
        },
    )
    .await;
    assert!(
        error.to_string().contains("`joe`") && error.to_string().contains("jane"),
        "{error}"
    );
    let error = refused(
        &[],
        ConnectionSettings {
            cluster: Some("x".into()),
            ..of(&file)
        },
    )
    .await;
    assert!(
        error.to_string().contains("`x`") && error.to_string().contains("one"),
        "{error}"
    );
}

#[tokio::test]
async fn a_broken_file_is_an_error_and_no_reason_to_look_elsewhere() {
    let directory = TempDir::new().unwrap();
    let broken = write(&directory, "broken", "clusters: [\n");
    let in_pod = ("KUBERNETES_SERVICE_HOST", "127.0.0.1");
    let file = broken.to_str().unwrap();
    for error in [
        refused(&[in_pod, ("KUBECONFIG", file)], ConnectionSettings::default()).await,
        refused(&[in_pod], of(&broken)).await,
        refused(&[in_pod], of(&directory.path().join("missing"))).await,
        refused(
            &[in_pod, ("KUBECONFIG", "/nowhere/at/all")],
            ConnectionSettings::default(),
        )
        .await,
    ] {
        assert_eq!(error.code(), ExitCode::Usage);
        assert!(!error.to_string().contains("ServiceAccount"), "{error}");
    }
    // Only with nothing else is it the pod's own account; here it has no token, and the error says so.
    let home = directory.path().to_str().unwrap();
    let error = refused(&[in_pod, ("HOME", home)], ConnectionSettings::default()).await;
    assert!(error.to_string().contains("ServiceAccount"), "{error}");
    let error = refused(&[("HOME", home)], ConnectionSettings::default()).await;
    assert!(error.message().contains("no cluster is configured"), "{error}");
}

/// Found by fuzzing: kube-client 5.0.0 panics at it.
#[tokio::test]
async fn a_file_in_utf_16_that_is_cut_off_is_an_error_and_a_whole_one_is_read() {
    let directory = TempDir::new().unwrap();
    let text = configuration(1);
    let encoded = text.encode_utf16().flat_map(u16::to_le_bytes);
    let whole: Vec<u8> = [0xFF, 0xFE].into_iter().chain(encoded).collect();
    let file = directory.path().join("config");
    std::fs::write(&file, &whole).unwrap();
    let names = kubectl_egress::cluster::Cluster::kubeconfig_names(&of(&file)).unwrap();
    assert!(!names.contexts.is_empty());
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let error = refused(&[], of(&file)).await;
    assert_eq!(error.code(), ExitCode::Usage);
    assert!(error.to_string().contains("UTF-16"), "{error}");
}

#[tokio::test]
async fn flags_win_over_the_file() {
    let (directory, server) = (TempDir::new().unwrap(), server().await);
    let file = write(&directory, "config", &configuration(1));
    let settings = ConnectionSettings {
        server: Some(format!("http://127.0.0.1:{}", server.port)),
        token: Some("by-hand".into()),
        namespace: Some("mine".into()),
        impersonate_user: Some("joe".into()),
        impersonate_groups: vec!["a".into(), "b".into()],
        impersonate_uid: Some("7".into()),
        ..of(&file)
    };
    let client = connect(&[], settings).await.unwrap();
    assert_eq!(client.cluster.default_namespace(), "mine");
    client.cluster.version().await.unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer by-hand"));
    assert_eq!(request.header("impersonate-user"), Some("joe"));
    assert_eq!(request.header("impersonate-uid"), Some("7"));
    let groups: Vec<&str> = request
        .headers
        .iter()
        .filter(|(name, _)| name == "impersonate-group")
        .map(|(_, value)| value.as_str())
        .collect();
    assert_eq!(groups, ["a", "b"]);
    let groups_alone = ConnectionSettings {
        impersonate_groups: vec!["a".into()],
        ..of(&file)
    };
    assert!(refused(&[], groups_alone).await.hints()[0].contains("--as"));
}

#[tokio::test]
async fn kubes_own_debug_variables_mean_nothing() {
    let (directory, server) = (TempDir::new().unwrap(), server().await);
    let file = write(&directory, "config", &configuration(server.port));
    let variables = [
        ("KUBE_RS_DEBUG_IMPERSONATE_USER", "root"),
        ("NO_PROXY", "localhost, ,foo"),
        ("HTTP_PROXY", "http://127.0.0.1:1"),
    ];
    let client = connect(&variables, of(&file)).await.unwrap();
    client.cluster.version().await.unwrap();
    assert_eq!(server.requests()[0].header("impersonate-user"), None);
}

#[tokio::test]
async fn a_proxy_of_the_kubeconfig_is_used() {
    let (directory, server) = (TempDir::new().unwrap(), server().await);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let port = server.port;
    let asked = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut first = String::new();
        stream.read_line(&mut first).await.unwrap();
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut target = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        // The client closes when the test is over.
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut target).await });
        first
    });
    let text = configuration(80).replace(
        "127.0.0.1:80/",
        &format!("api.corp.example:6443\",\"proxy-url\":\"http://{proxy}"),
    );
    let file = write(&directory, "config", &text);
    let client = connect(&[("NO_PROXY", "*")], of(&file)).await.unwrap();
    client.cluster.version().await.unwrap();
    assert_eq!(asked.await.unwrap(), "CONNECT api.corp.example:6443 HTTP/1.1\r\n");
}

#[tokio::test]
async fn nobody_listening_names_server_and_context() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let directory = TempDir::new().unwrap();
    let client = connect(&[], of(&write(&directory, "config", &configuration(port))))
        .await
        .unwrap();
    let error = client.cluster.version().await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Cluster);
    assert!(
        error.message().contains(&format!("http://127.0.0.1:{port}")),
        "{error}"
    );
    assert!(error.message().contains("`one`"), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(client.retries(), 2);
}

#[tokio::test]
async fn something_that_is_no_api_server_is_said_to_be_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Whatever it says, it is not HTTP.
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await;
            let _ = stream.read(&mut [0; 100]).await;
        }
    });
    let directory = TempDir::new().unwrap();
    let client = connect(&[], of(&write(&directory, "config", &configuration(port))))
        .await
        .unwrap();
    let error = client.cluster.version().await.unwrap_err();
    assert_eq!(error.code(), ExitCode::Cluster);
    assert!(!error.to_string().contains("Error("), "{error}");
}
