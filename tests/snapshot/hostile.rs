//! Whatever stands in names, labels, log lines, headers and messages of the cluster: no command sends it to a terminal as
//! anything but visible text.

use crate::stage::{Served, quick};
use kubectl_egress::report::ReportSettings;
use kubectl_egress::vocabulary::{ColorChoice, PodName};
use serde_json::{Value, json};

/// Clears the screen, sets a title, the clipboard, a colour by C1, and turns text around.
const HOSTILE: &str = "x\u{1b}[2J\u{1b}]0;title\u{7}\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}[35m\u{9b}31m\u{202e}\u{2066}\u{8}\r\u{1b}P1$r\u{1b}\\y";

/// The colours of our own screen; the planted one is another.
const OUR_COLORS: &[&str] = &["0", "1", "2", "31", "32", "33", "36"];

/// What our own screen is made of: colours, "erase to the end" of line and screen, "up".
fn is_ours(sequence: &str) -> bool {
    let Some(rest) = sequence.strip_prefix('[') else {
        return false;
    };
    let end = rest.find(|character: char| !character.is_ascii_digit() && character != ';');
    end.is_some_and(|end| {
        let (parameters, last) = (&rest[..end], &rest[end..]);
        match last.as_bytes()[0] {
            b'm' => OUR_COLORS.contains(&parameters),
            b'K' | b'J' => parameters.is_empty(),
            b'A' => true,
            _ => false,
        }
    })
}

/// No byte but letters, our own sequences, line feeds and, on a terminal, the carriage returns of its driver.
#[track_caller]
pub(crate) fn is_harmless_on_a_terminal(raw: &str) {
    is_harmless(&raw.replace("\r\n", "\n").replace("\r\u{1b}[", "\u{1b}["));
}

#[track_caller]
fn is_harmless(text: &str) {
    let mut pieces = text.split('\u{1b}');
    let first = pieces.next().unwrap_or_default();
    let rest: Vec<&str> = pieces.collect();
    for piece in &rest {
        assert!(is_ours(piece), "ESC{:?}", &piece[..piece.len().min(40)]);
    }
    for piece in std::iter::once(first).chain(rest) {
        for character in piece.chars() {
            let hidden = character.is_control() && !matches!(character, '\n' | '\t');
            let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            assert!(!hidden && !turns, "{character:?} in {piece:?}");
        }
    }
}

fn object(kind: &str, version: &str, namespace: &str, name: &str, rest: &Value) -> Value {
    let mut object = json!({
        "apiVersion": version, "kind": kind,
        "metadata": {
            "name": name, "namespace": namespace,
            "annotations": {"note": HOSTILE},
        },
    });
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

/// A plan that is set up, and beside it everything hostile that a cluster can hold.
pub(crate) async fn planted() -> Served {
    let served = Served::new(quick()).await;
    let set_up = "setup kyma-project.io -n demo --create-namespace --no-probe";
    let said = served.run(set_up, ReportSettings::default(), 80).await;
    assert_eq!(said.code, 0, "{}", said.error);
    let istio = "networking.istio.io/v1";
    for planted in [
        object(
            "ServiceEntry",
            istio,
            "demo",
            "planted",
            &json!({"spec": {
            "hosts": [HOSTILE, "evil.example"], "ports": [{"number": 443, "name": HOSTILE, "protocol": HOSTILE}],
            "resolution": HOSTILE, "location": "MESH_EXTERNAL", "exportTo": [HOSTILE]}}),
        ),
        object(
            "VirtualService",
            istio,
            "demo",
            "planted",
            &json!({"spec": {
            "hosts": ["kyma-project.io", HOSTILE], "gateways": ["mesh", HOSTILE],
            "tls": [{"match": [{"port": 443, "sniHosts": [HOSTILE]}], "route": [{"destination": {"host": HOSTILE}}]}]}}),
        ),
        object(
            "DestinationRule",
            istio,
            "demo",
            "planted",
            &json!({"spec": {"host": HOSTILE, "subsets": [{"name": HOSTILE}]}}),
        ),
        object(
            "Gateway",
            istio,
            "demo",
            "planted",
            &json!({"spec": {
            "selector": {"istio": HOSTILE}, "servers": [{"hosts": [HOSTILE], "tls": {"mode": "PASSTHROUGH"}, "port": {"number": 443, "name": HOSTILE, "protocol": "TLS"}}]}}),
        ),
        object(
            "Telemetry",
            "telemetry.istio.io/v1",
            "demo",
            "planted",
            &json!({"spec": {"accessLogging": [{"filter": {"expression": HOSTILE}}]}}),
        ),
        object(
            "NetworkPolicy",
            "networking.k8s.io/v1",
            "demo",
            "planted",
            &json!({"spec": {"podSelector": {"matchLabels": {"app": "nobody"}}, "policyTypes": ["Egress"], "egress": [{}]}}),
        ),
        object(
            "Event",
            "v1",
            "demo",
            "planted",
            &json!({"message": HOSTILE, "reason": HOSTILE, "involvedObject": {"kind": "Pod", "name": "curl", "namespace": "demo"}, "type": "Warning"}),
        ),
    ] {
        let put = served.sandbox.put(&planted);
        assert!(put.is_ok(), "{}: {put:?}", planted["kind"]);
    }
    for name in served
        .sandbox
        .dump()
        .keys()
        .filter_map(|name| name.strip_prefix("Pod "))
    {
        let (namespace, pod) = name.split_once('/').unwrap();
        for line in lines() {
            let pod = PodName::new(namespace, pod);
            served.sandbox.write_log(&pod, "istio-proxy", &line);
        }
    }
    served
}

/// Lines of an access log, as somebody who sends requests can make them.
fn lines() -> Vec<String> {
    let time = "[2026-11-21T09:00:00.123Z]";
    vec![
        format!(
            "{time} \"GET /{HOSTILE} HTTP/1.1\" 200 - via_upstream - \"-\" 0 5 1 1 \"{HOSTILE}\" \"{HOSTILE}\" \"id\" \
             \"{HOSTILE}\" \"1.2.3.4:443\" outbound|443||{HOSTILE} 10.0.0.1:1 10.0.0.2:443 10.0.0.3:2 {HOSTILE} -"
        ),
        format!(
            "{time} \"- - -\" 0 UF,URX - {HOSTILE} \"-\" 0 5 1 - \"-\" \"-\" \"-\" \"-\" \"1.2.3.4:443\" \
             PassthroughCluster 10.0.0.1:1 10.0.0.2:443 10.0.0.3:2 {HOSTILE} -"
        ),
        HOSTILE.to_owned(),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_command_lets_it_through() {
    let served = planted().await;
    let log = served.folder().join("log");
    std::fs::write(&log, lines().join("\n")).unwrap();
    let hostile_file = served.folder().join("objects.json");
    let first = served
        .sandbox
        .dump()
        .into_values()
        .filter(|object| object.to_string().contains("evil"));
    std::fs::write(
        &hostile_file,
        json!({"apiVersion": "v1", "kind": "List", "items": first.collect::<Vec<_>>()}).to_string(),
    )
    .unwrap();
    let mut shown = 0;
    for typed in [
        "check",
        "check -A",
        "check -f {folder}/objects.json",
        "status",
        "verify",
        "verify --bypass --yes",
        "probe kyma-project.io",
        "probe http://kyma-project.io --show-headers",
        "logs",
        "logs --raw",
        "learn --since 1h",
        "explain kyma-project.io",
        "explain evil.example",
        "explain kyma-project.io -f {folder}/objects.json",
        "diff edition.cnn.com",
        "render",
        "setup edition.cnn.com",
        "route www.example.com",
        "lockdown --dry-run=client",
        "lockdown --yes",
        "unlock",
        "certs inspect kyma-project.io",
        "cleanup --dry-run=server",
        "cleanup --verify",
        "setup --context \u{1b}]0;title\u{7} kyma-project.io",
        "explain EGR-\u{1b}[2J",
    ] {
        for output in ["", " -o json", " -o yaml"] {
            // What changes the cluster is done once.
            let changing = [
                "setup",
                "route",
                "lockdown --yes",
                "unlock",
                "cleanup --verify",
                "verify --bypass",
            ];
            if !output.is_empty() && changing.iter().any(|command| typed.starts_with(command)) {
                continue;
            }
            let settings = ReportSettings {
                color: if output.is_empty() {
                    ColorChoice::Always
                } else {
                    ColorChoice::Never
                },
                verbosity: 2,
                ..ReportSettings::default()
            };
            let said = served.run(&format!("{typed}{output}"), settings, 80).await;
            let known = said.code != 2 || typed.contains('\u{1b}');
            assert!(known, "{typed} cannot be read: {}", said.error);
            for text in [&said.output, &said.error] {
                is_harmless(text);
                shown += text.matches("title").count();
            }
        }
    }
    assert!(shown > 20, "what was planted is hardly shown: {shown} times");
}

#[test]
fn the_test_itself_sees_what_is_hostile() {
    for hostile in [
        "\u{1b}[2J",
        "\u{1b}[35m",
        "\u{1b}]0;t\u{7}",
        "\u{9b}31m",
        "a\u{202e}b",
        "a\u{8}",
        "a\rb",
        "\u{1b}Pq",
    ] {
        assert!(
            std::panic::catch_unwind(|| is_harmless(hostile)).is_err(),
            "{hostile:?}"
        );
    }
    is_harmless("\u{1b}[1m\u{1b}[31mred\u{1b}[0m\n\u{1b}[2A\u{1b}[K\u{1b}[J");
}
