//! What is read from outside never makes the program stumble, and what is written is read back.

use kubectl_egress::certificate::{check_authorities, inspect_chain, inspect_der};
use kubectl_egress::cluster::{Cluster, ConnectionSettings};
use kubectl_egress::plan::{Plan, PlanSettings, PlannedHost, from_file, to_file};
use kubectl_egress::sandbox::{Sandbox, SandboxSettings};
use kubectl_egress::vocabulary::{HostName, PlanIdentity};
use proptest::prelude::*;
use std::io::Write as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Names that are good, or nearly.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "(\\*\\.)?[a-z0-9-]{1,12}(\\.[a-z0-9-]{1,12}){0,4}",
        "[a-zA-Z0-9.*_:/@é -]{0,40}",
        any::<String>(),
    ]
}

fn good_name() -> impl Strategy<Value = HostName> {
    "(\\*\\.)?[a-z][a-z0-9]{0,8}(\\.[a-z][a-z0-9]{0,8}){1,3}"
        .prop_filter_map("no host", |text| text.parse().ok())
}

fn plan() -> impl Strategy<Value = Plan> {
    let host = (good_name(), 1_u16..=65535);
    prop::collection::vec(host, 0..6).prop_filter_map("not valid together", |hosts| {
        let identity = PlanIdentity::new("demo", "default").unwrap();
        let hosts = hosts
            .into_iter()
            .map(|(host, port)| PlannedHost::passthrough(host, port));
        Plan::new(identity, PlanSettings::default(), hosts.collect()).ok()
    })
}

/// A plan file with one line that somebody spoiled.
fn spoiled_file() -> impl Strategy<Value = String> {
    (plan(), any::<prop::sample::Index>(), "[ -~\\t]{0,30}").prop_map(|(plan, at, text)| {
        let file = to_file(&plan).unwrap();
        let mut lines: Vec<&str> = file.lines().collect();
        let index = at.index(lines.len());
        lines[index] = &text;
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn a_host_name_that_is_taken_is_written_as_it_was_meant(text in name()) {
        if let Ok(host) = text.parse::<HostName>() {
            let again: HostName = host.to_string().parse().unwrap();
            prop_assert_eq!(&again, &host);
            // It stands in commands, YAML, curl's arguments: nothing in it means anything there.
            prop_assert!(host.as_str().chars().all(|letter| letter.is_ascii_alphanumeric() || "-.*_".contains(letter)));
            prop_assert!(!host.as_str().starts_with('-'));
        }
    }

    #[test]
    fn a_wildcard_covers_what_is_below_it_and_nothing_beside(name in good_name(), below in "[a-z]{1,8}") {
        let domain = name.as_str().trim_start_matches("*.");
        let wildcard: HostName = format!("*.{domain}").parse().unwrap();
        let inside: HostName = format!("{below}.{domain}").parse().unwrap();
        let beside: HostName = format!("{below}{domain}").parse().unwrap();
        prop_assert!(wildcard.covers(&inside));
        prop_assert!(!wildcard.covers(&beside));
        prop_assert!(!inside.covers(&wildcard));
    }

    #[test]
    fn a_plan_file_is_read_back_as_it_was_written(plan in plan()) {
        let text = to_file(&plan).unwrap();
        match from_file("plan.yaml", &text, None, "elsewhere") {
            Ok(read) => prop_assert_eq!(read, plan),
            // A file without hosts is refused.
            Err(error) => prop_assert!(plan.hosts.is_empty(), "{error}: {text}"),
        }
    }

    #[test]
    fn any_text_is_a_plan_or_a_plain_error(text in prop_oneof![spoiled_file(), any::<String>()]) {
        if let Err(error) = from_file("plan.yaml", &text, None, "demo") {
            prop_assert!(!error.to_string().contains("Some("), "{error}");
        }
    }

    #[test]
    fn any_bytes_are_certificates_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let _ = inspect_der(&bytes);
        let _ = inspect_chain(&bytes);
        let _ = check_authorities(&bytes, now);
        let body = serde_json::to_value(k8s_openapi::ByteString(bytes)).unwrap();
        let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", body.as_str().unwrap());
        let _ = inspect_chain(pem.as_bytes());
        let _ = check_authorities(pem.as_bytes(), now);
    }

    #[test]
    fn any_file_is_a_kubeconfig_or_a_plain_error(
        text in prop_oneof![
            any::<String>(),
            "(apiVersion|kind|clusters|contexts|users|current-context|name|: |- |\\n|\\{|\\}|\\[|\\]|a|&x|\\*x){0,30}",
        ]
    ) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let settings = ConnectionSettings {
            kubeconfig: Some(file.path().to_owned()),
            ..ConnectionSettings::default()
        };
        if let Err(error) = Cluster::kubeconfig_names(&settings) {
            prop_assert!(!error.to_string().contains("Error {"), "{error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What speaks to the embedded cluster's socket without being a client of Kubernetes neither stops nor harms it.
    #[test]
    fn any_bytes_on_the_sandboxs_socket_harm_nobody(
        method in "(GET|POST|PATCH|DELETE|PUT|[A-Z]{0,6})",
        path in "/(api|apis)(/[a-z0-9.%?&=+-]{0,20}){0,6}",
        upgrade in any::<bool>(),
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let answer = runtime.block_on(async {
            let sandbox = Sandbox::new(SandboxSettings::default());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let server = tokio::spawn(async move { sandbox.serve(listener).await });
            let mut strange = tokio::net::TcpStream::connect(address).await.unwrap();
            let wish = if upgrade { "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\n" } else { "" };
            let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{wish}Content-Length: {}\r\n\r\n", body.len());
            // It may close before all of it is sent.
            let _ = strange.write_all(head.as_bytes()).await;
            let _ = strange.write_all(&body).await;
            let mut known = tokio::net::TcpStream::connect(address).await.unwrap();
            known.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            known.read_to_string(&mut answer).await.unwrap();
            prop_assert!(!server.is_finished());
            Ok(answer)
        })?;
        prop_assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
