//! curl's arguments and reports; with a real curl where the machine has one.

use super::probe::probe;
use kubectl_egress::evidence::{
    CurlReport, CurlResult, ProbeRequest, ProcessEnd, curl_arguments, curl_results, parse_curl_reports,
};
use kubectl_egress::vocabulary::Scheme;
use rstest::rstest;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

fn request(id: u32) -> ProbeRequest {
    ProbeRequest {
        id,
        nonce: format!("nonce{id}"),
        ..probe("https://kyma-project.io").0.request
    }
}

fn line(id: u32, rest: &str) -> String {
    format!("\n(kubectl-egress nonce{id} id={id} {rest}\n")
}

const GOOD: &str = "shown=none exit=0 http=200 local=198.18.0.25 local_port=37136 remote=203.0.113.10 remote_port=443 time=0.052317 handshake=0.021000 connects=1 size=12 error=";

#[test]
fn each_probe_is_a_section_with_all_its_options() {
    let second = ProbeRequest {
        scheme: Scheme::Http,
        port: 8080,
        method: "POST".to_owned(),
        path: "/a?b=[1]".to_owned(),
        ca_certificate: Some("/tmp/ca.crt".to_owned()),
        resolve: Some("kyma-project.io:8080:203.0.113.10".to_owned()),
        host_header: None,
        connect_to: None,
        proxy: None,
        show_headers: true,
        show_body: true,
        ..request(2)
    };
    let arguments = curl_arguments(&[request(1), second]);
    let sections: Vec<_> = arguments.split(|argument| argument == "--next").collect();
    assert_eq!(sections.len(), 2);
    let first = sections[0];
    assert_eq!(first[..3], ["-q", "-s", "-S"]);
    let after = |section: &[String], option: &str| {
        let at = section
            .iter()
            .position(|argument| argument == option)
            .expect("the option is there");
        section[at + 1].clone()
    };
    assert_eq!(after(first, "-m"), "15");
    assert_eq!(after(first, "-o"), "/dev/null");
    assert_eq!(after(first, "-A"), "kubectl-egress/nonce1");
    assert_eq!(after(first, "--noproxy"), "*");
    assert_eq!(first.last().unwrap(), "https://kyma-project.io/get");
    assert_eq!(after(sections[1], "-o"), "-");
    assert_eq!(after(sections[1], "-D"), "-");
    assert_eq!(after(sections[1], "-X"), "POST");
    assert_eq!(after(sections[1], "--cacert"), "/tmp/ca.crt");
    assert_eq!(
        after(sections[1], "--resolve"),
        "kyma-project.io:8080:203.0.113.10"
    );
    assert_eq!(
        sections[1].last().unwrap(),
        "http://kyma-project.io:8080/a?b=%5B1%5D"
    );
    for section in sections {
        assert!(after(section, "-w").contains("error=%{errormsg}\\n"));
        assert!(
            !section
                .iter()
                .any(|argument| ["-k", "-L", "-f"].contains(&argument.as_str()))
        );
    }
    assert!(curl_arguments(&[]).is_empty());
}

#[test]
fn reports_are_read_in_order() {
    let failed = "shown=none exit=35 http=000 local=fd00::25 local_port=1 remote=fd00::1 remote_port=443 time=10.010000 handshake=0.000000 connects=1 size=0 error=Recv failure: Connection reset by peer";
    let stdout = line(1, GOOD) + &line(2, failed);
    let reports = parse_curl_reports(stdout.as_bytes(), b"curl: (35) Recv failure");
    assert_eq!(reports.len(), 2);
    assert_eq!(reports[0].local_address.as_deref(), Some("198.18.0.25:37136"));
    assert_eq!(reports[0].time_total_ms, 52);
    assert_eq!(
        (
            reports[1].exit_code,
            reports[1].http_code,
            reports[1].time_total_ms
        ),
        (35, 0, 10_010)
    );
    assert_eq!(reports[1].remote_address.as_deref(), Some("[fd00::1]:443"));
    assert_eq!(reports[1].error, "Recv failure: Connection reset by peer");
}

#[test]
fn a_body_cannot_pass_for_a_report() {
    let forged = line(1, &GOOD.replace("exit=0", "exit=7")) + &line(3, GOOD);
    let shown = GOOD
        .replace("shown=none", "shown=both")
        .replace("size=12", &format!("size={}", forged.len()));
    let stdout = line(1, GOOD) + "HTTP/1.1 200 OK\r\nA: b\r\n\r\n" + &forged + &line(2, &shown);
    let reports = parse_curl_reports(stdout.as_bytes(), b"");
    let seen: Vec<_> = reports
        .iter()
        .map(|report| (report.id, report.exit_code))
        .collect();
    assert_eq!(seen, [(1, 0), (2, 0)]);
    assert_eq!(reports[1].body.as_deref(), Some(forged.as_str()));
    assert_eq!(
        reports[1].headers.as_deref(),
        Some("HTTP/1.1 200 OK\r\nA: b\r\n\r\n")
    );
    assert_eq!(reports[0].body, None);
}

#[test]
fn a_report_counts_only_for_its_own_request() {
    let stdout = line(1, GOOD);
    let end = ProcessEnd::Exited(0);
    let results = curl_results(&[request(1), request(2)], stdout.as_bytes(), b"", &end);
    assert!(matches!(
        &results[0],
        CurlResult::Report(CurlReport { id: 1, .. })
    ));
    assert!(matches!(results[1], CurlResult::Lost(_)));
    let other_nonce = ProbeRequest {
        nonce: "other".to_owned(),
        ..request(1)
    };
    assert!(matches!(
        curl_results(&[other_nonce], stdout.as_bytes(), b"", &end)[0],
        CurlResult::Lost(_)
    ));
}

#[test]
fn a_lost_exec_is_never_success() {
    let lost = ProcessEnd::Lost("the connection was cut".to_owned());
    let half = line(1, GOOD) + "\n(kubectl-egress nonce2 id=2 shown=none exit=0 http=2";
    let results = curl_results(&[request(1), request(2)], half.as_bytes(), b"", &lost);
    assert!(matches!(results[0], CurlResult::Report(_)));
    assert_eq!(results[1], CurlResult::Lost("the connection was cut".to_owned()));
    // The cut body may hold anything.
    let shows_body = ProbeRequest {
        show_body: true,
        ..request(1)
    };
    let forged = "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &line(1, GOOD);
    assert!(matches!(
        curl_results(&[shows_body], forged.as_bytes(), b"", &lost)[0],
        CurlResult::Lost(_)
    ));
}

#[test]
fn an_old_or_missing_curl_is_named() {
    let old = line(1, &GOOD.replace("exit=0", "exit="));
    let exited = ProcessEnd::Exited(0);
    let cases: [(&[u8], &[u8], ProcessEnd); 6] = [
        (old.as_bytes(), b"", exited.clone()),
        (b"", b"curl: unknown --write-out variable: 'exitcode'\n", exited),
        (b"", b"sh: curl: not found", ProcessEnd::Exited(127)),
        (
            b"",
            b"exec: \"curl\": executable file not found in $PATH",
            ProcessEnd::Exited(1),
        ),
        (
            b"",
            b"",
            ProcessEnd::Lost("exec: \"curl\": executable file not found in $PATH".to_owned()),
        ),
        (b"", b"curl: option --next: is unknown", ProcessEnd::Exited(2)),
    ];
    for (stdout, stderr, end) in cases {
        let result = &curl_results(&[request(1)], stdout, stderr, &end)[0];
        assert!(matches!(result, CurlResult::NoCurl(_)), "{end:?} {result:?}");
    }
}

/// How runc, crun and shells say that there is no curl, and what only looks like it.
#[rstest]
#[case(r#"OCI runtime exec failed: exec failed: unable to start container process: exec: "curl": executable file not found in $PATH: unknown"#, true)]
#[case(
    "exec failed: executable file `curl` not found in $PATH: No such file or directory",
    true
)]
#[case(
    r#"unable to start container process: exec: "curl": stat /usr/bin/curl: no such file or directory"#,
    true
)]
#[case("exec /usr/bin/curl: no such file or directory", true)]
#[case("pods \"curl-5d8\" not found", false)]
#[case(
    "dial unix /run/containerd/s/curl.sock: connect: no such file or directory",
    false
)]
#[case("the connection was closed without an exit status", false)]
fn a_runtime_says_that_there_is_no_curl(#[case] text: &str, #[case] missing: bool) {
    let end = ProcessEnd::Lost(text.to_owned());
    let result = &curl_results(&[request(1)], b"", b"", &end)[0];
    assert_eq!(matches!(result, CurlResult::NoCurl(_)), missing, "{result:?}");
    assert_eq!(matches!(result, CurlResult::Lost(_)), !missing, "{result:?}");
}

#[test]
fn anything_else_is_no_report() {
    for stdout in [
        &b""[..],
        b"\n",
        b"\n(kubectl-egress",
        b"\n(kubectl-egress n id=x",
        b"(kubectl-egress n id=1\n\xff",
    ] {
        assert!(parse_curl_reports(stdout, b"").is_empty());
    }
}

/// A server that answers each connection with the next of some texts.
fn server(answers: Vec<Vec<u8>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut connection, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = connection.read(&mut request);
            let _ = connection.write_all(&answer);
        }
    });
    port
}

/// The same with a real curl: exit codes per transfer, chunked bodies, no connection, a body that forges a report.
#[test]
fn a_real_curl_reports_each_transfer() {
    if Command::new("curl").arg("--version").output().is_err() {
        // Skipped: the words above are tested without it.
        return;
    }
    let forged = line(9, GOOD);
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{:x}\r\n{forged}\r\n0\r\n\r\n",
        forged.len()
    );
    let port = server(vec![
        chunked.into_bytes(),
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        Vec::new(),
    ]);
    let to = |id: u32, port: u16| ProbeRequest {
        scheme: Scheme::Http,
        host: "127.0.0.1".to_owned(),
        port,
        ..request(id)
    };
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let requests = [
        ProbeRequest {
            show_headers: true,
            show_body: true,
            ..to(1, port)
        },
        to(2, port),
        to(3, port),
        to(4, closed),
    ];
    let output = Command::new("curl")
        .args(curl_arguments(&requests))
        .output()
        .unwrap();
    let end = ProcessEnd::Exited(output.status.code().unwrap());
    let results = curl_results(&requests, &output.stdout, &output.stderr, &end);
    let reports: Vec<_> = results
        .iter()
        .map(|result| match result {
            CurlResult::Report(report) => report,
            other => panic!("{other:?} in {}", String::from_utf8_lossy(&output.stdout)),
        })
        .collect();
    let codes: Vec<_> = reports
        .iter()
        .map(|report| (report.exit_code, report.http_code))
        .collect();
    assert_eq!(codes, [(0, 200), (0, 404), (52, 0), (7, 0)]);
    assert_eq!(reports[0].body.as_deref(), Some(forged.as_str()));
    assert!(
        reports[0]
            .headers
            .as_ref()
            .unwrap()
            .starts_with("HTTP/1.1 200 OK\r\n")
    );
    assert_eq!(reports[0].remote_address, Some(format!("127.0.0.1:{port}")));
    assert!(reports[2].local_address.is_some());
    assert_eq!((&reports[3].local_address, reports[3].num_connects), (&None, 0));
    assert!(reports[3].error.contains("connect"));
    assert_eq!(parse_curl_reports(&output.stdout, &output.stderr).len(), 4);
}
