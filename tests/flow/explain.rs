//! `explain` as it is typed: without a cluster, from arguments and from standard input.

use std::io::Write;
use std::process::{Command, Output, Stdio};

const DENIED: &str = r#"[2026-11-21T02:26:23.300Z] "- - -" 0 NC - - "-" 0 0 3 - "-" "-" "-" "-" "-" - - 203.0.113.20:443 198.18.0.27:41916 tls.test -"#;
const LEFT: &str = r#"[2026-11-21T02:01:24.339Z] "- - -" 0 - - - "-" 725 2385 50 - "-" "-" "-" "-" "203.0.113.11:443" PassthroughCluster - 203.0.113.11:443 198.18.0.25:53290 edition.cnn.com -"#;

/// Runs `explain` where no kubeconfig is.
fn explain(arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kubectl-egress"))
        .arg("explain")
        .args(arguments)
        .env("HOME", "/nonexistent")
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // It may not read all, or nothing.
    let _ = stdin.write_all(input);
    drop(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// One blank for each break and run of blanks.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn nothing_given_lists_every_finding_and_a_code_prints_its_article() {
    let (code, all, _) = explain(&[], b"");
    assert_eq!(code, Some(0));
    assert!(
        all.contains("EGR-101  error    request left directly from the sidecar\n"),
        "{all}"
    );
    assert!(all.lines().count() > 80);
    let (code, article, _) = explain(&["131"], b"");
    assert_eq!(code, Some(0));
    for heading in [
        "How it shows",
        "Why it happens",
        "How to see it by hand",
        "What to do",
        "References",
    ] {
        assert!(article.contains(heading), "{article}");
    }
    // A command to copy is on one line.
    assert!(
        article.contains("  istioctl proxy-config secret GATEWAY-POD.istio-system\n"),
        "{article}"
    );
    let (code, _, error) = explain(&["EGR-999"], b"");
    assert_eq!(code, Some(2));
    assert!(error.contains("there is no finding EGR-999"), "{error}");
}

#[test]
fn a_line_is_explained_without_a_cluster() {
    let (code, text, next) = explain(&["--log", DENIED], b"");
    assert_eq!(code, Some(0), "{next}");
    let text = flat(&text);
    assert!(
        text.starts_with("✘ EGR-114 the route for tls.test:443 names a cluster")
            || text.contains("EGR-114 the route for tls.test:443"),
        "{text}"
    );
    assert!(
        text.contains("flag NC: the route names a cluster that the proxy does not have"),
        "{text}"
    );
    assert!(next.contains("next: kubectl egress explain EGR-114"), "{next}");
    let (_, json, _) = explain(&["--log", LEFT, "-o", "json"], b"");
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["kind"], "LineExplanation");
    assert_eq!(document["verdict"], "left-unknown");
    assert_eq!(
        (&document["code"], &document["proxy"]),
        (&"EGR-101".into(), &"sidecar".into())
    );
    assert_eq!(document["context"], serde_json::Value::Null);
    let (code, _, error) = explain(&["--log", "hello"], b"");
    assert_eq!(code, Some(2));
    assert!(
        error.contains("this is no line of an access log") && error.contains("[2026-"),
        "{error}"
    );
}

#[test]
fn a_log_is_grouped_and_other_lines_are_counted() {
    let log = format!(
        "[pod/shop-1/istio-proxy] {DENIED}\n2026-11-21T02:26:20Z\tinfo\tready\n\n{DENIED}\n{LEFT}\r\n"
    );
    let (code, text, _) = explain(&["--log"], log.as_bytes());
    assert_eq!(code, Some(0));
    let text = flat(&text);
    assert!(text.contains("3 lines of an access log, 1 other line"), "{text}");
    assert!(text.contains("2 times") && text.contains("once"), "{text}");
    let (_, yaml, _) = explain(&["--log", "-", "-o", "yaml"], log.as_bytes());
    assert!(
        yaml.contains("kind: LogExplanation") && yaml.contains("otherLines: 1"),
        "{yaml}"
    );
    let (code, _, error) = explain(&["--log"], b"one\ntwo\n");
    assert_eq!(code, Some(2));
    assert!(
        error.contains("none of the 2 lines is of an access log"),
        "{error}"
    );
    let (code, _, error) = explain(&["--log"], b"");
    assert_eq!(code, Some(2));
    assert!(error.contains("the log is empty"), "{error}");
}

#[test]
fn a_format_of_the_operators_own_is_read() {
    let format = "%START_TIME% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME%";
    let line = "2026-11-21T02:01:24.339Z - PassthroughCluster; 198.18.0.25:53290 edition.cnn.com";
    let (code, text, error) = explain(&["--log", line, "--log-format", format, "--offline"], b"");
    assert_eq!(code, Some(0), "{error}");
    assert!(
        flat(&text).contains("EGR-101 edition.cnn.com left directly"),
        "{text}"
    );
    let (code, _, _) = explain(&["--log", line, "--log-format", "none"], b"");
    assert_eq!(code, Some(2));
}

#[test]
fn an_exit_code_says_what_it_cannot_prove() {
    let (code, text, _) = explain(&["--exit-code", "35", "--from", "meshed"], b"");
    assert_eq!(code, Some(0));
    let text = flat(&text);
    assert!(
        text.contains("SSL_CONNECT_ERROR") && text.contains("It proves no block"),
        "{text}"
    );
    assert!(
        text.contains("BlackHoleCluster") && !text.contains("without a sidecar not"),
        "{text}"
    );
    assert!(!text.contains("From a pod without a sidecar"), "{text}");
    let (_, json, _) = explain(&["--exit-code", "7", "-o", "json"], b"");
    let document: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["name"], "COULDNT_CONNECT");
    assert_eq!(document["situations"].as_array().unwrap().len(), 5);
    let (_, odd, _) = explain(&["--exit-code", "68"], b"");
    assert!(odd.contains("TFTP_NOTFOUND"), "{odd}");
}
