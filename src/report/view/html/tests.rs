use super::page;
use super::tokens::{ON, TOKENS, Token};
use crate::engine::report_document::ReportDocument;
use serde_json::{Value, json};

/// The share of light of a colour (WCAG 2.2, relative luminance).
fn luminance(color: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&color[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn the_measure_is_right() {
    assert!((contrast("#000000", "#ffffff") - 21.0).abs() < 0.001);
    assert!((contrast("#777777", "#ffffff") - 4.48).abs() < 0.01);
}

#[test]
fn text_is_legible_light_and_dark() {
    let color = |name: &str, of: fn(&Token) -> &'static str| {
        of(TOKENS.iter().find(|token| token.name == name).unwrap())
    };
    for of in [|token: &Token| token.light, |token: &Token| token.dark] {
        for (text, ground) in ON {
            let measured = contrast(color(text, of), color(ground, of));
            assert!(measured >= 4.5, "{text} on {ground}: {measured:.2}");
        }
        // Lines that say something (WCAG 1.4.11).
        for line in ["edge", "accent", "good", "bad", "warn", "open"] {
            let measured = contrast(color(line, of), color("surface", of));
            assert!(measured >= 3.0, "{line}: {measured:.2}");
        }
    }
}

/// A report in which every text that may come from a cluster is hostile.
fn hostile(text: &str) -> ReportDocument {
    let finding = json!({"code": text, "severity": "error", "message": text, "fix": text, "objects": [text]});
    let hop = json!({
        "from": "sidecar", "to": "host", "pod": text, "encryption": "unknown", "failed": text,
        "receipts": [{"witness": "curl", "pod": text, "container": text, "time": text, "text": text}],
    });
    let probe = json!({
        "host": text, "port": 443, "scheme": "https", "source": text, "meshed": true, "expected": "routed",
        "outcome": "bypassed", "blockedBy": null, "hops": [hop], "findings": [finding],
        "curl": {"exitCode": 1, "httpCode": 0, "error": text, "localAddress": text, "remoteAddress": text, "timeTotalMs": 1},
    });
    let attempt = json!({
        "attempt": text, "title": text, "outcome": "out", "stoppedBy": null, "before": "blocked", "source": text,
        "address": text, "why": text, "closedBy": text,
    });
    let certificate = json!({
        "subject": text, "issuer": text, "serial": text, "notBefore": "2026-01-01T00:00:00Z",
        "notAfter": "2026-02-01T00:00:00Z", "dnsNames": [text], "ipAddresses": [], "uris": [text], "key": text,
        "signatureAlgorithm": text, "isAuthority": false, "extendedKeyUsages": [text], "fingerprintSha256": text,
    });
    let document = json!({
        "apiVersion": text, "kind": text, "plan": text, "namespace": text, "context": text,
        "versions": {"kubectlEgress": text, "kubernetes": text, "istio": text, "gatewayImages": [text]},
        "timing": {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-30T00:00:00Z", "verificationMs": 1, "readingMs": 2},
        "verification": {
            "apiVersion": text, "kind": text, "plan": text, "namespace": text, "verdict": "disproven",
            "claims": {"routed": "disproven", "enforced": "inconclusive"}, "probes": [probe],
            "findings": [finding], "bypass": [attempt],
        },
        "check": {"apiVersion": text, "kind": text, "findings": [finding], "unread": [text], "objects": 1},
        "gateway": {
            "service": text, "pods": [{"pod": text, "node": text, "ready": false, "addresses": [text]}],
            "nodes": [{"node": text, "internalAddresses": [text], "externalAddresses": [text]}],
        },
        "objects": [{"object": text, "health": "bad", "detail": text}],
        "certificates": [{"pod": text, "certificates": [{"name": text, "chain": [certificate], "trust": {"result": "refused", "cause": text}}]}],
        "manifests": [{"kind": text, "metadata": {"name": text, "namespace": text, "annotations": {text: text}}}],
        "notRead": [text],
    });
    serde_json::from_value::<ReportDocument>(document).unwrap()
}

#[test]
fn nothing_of_a_cluster_becomes_markup() {
    let page = page(&hostile(
        "<script>\"'&`</title><img src=x onerror=alert(1)>\u{202e}\u{1b}[2J",
    ))
    .unwrap();
    for forbidden in ["<script", "<img", "\u{202e}", "\u{1b}", "alert(1)>"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    assert!(page.contains("&lt;script&gt;") && page.contains(r"\u{202e}\x1b[2J"));
    // In double quotation marks only < & and " matter; maud writes all attributes so.
    assert_eq!(page.matches("<title>").count(), 1);
}

/// SVG has titles of its own, which is why the page is read by a parser here.
#[test]
fn the_page_is_well_formed_and_names_its_parts() {
    let page = page(&hostile("name")).unwrap();
    let body = &page[page.find("<main").unwrap()..page.find("</main>").unwrap() + "</main>".len()];
    let read = roxmltree::Document::parse(body).unwrap();
    let elements = || read.descendants().filter(roxmltree::Node::is_element);
    let ids: Vec<&str> = elements().filter_map(|element| element.attribute("id")).collect();
    for element in elements() {
        let named = element.attribute("aria-labelledby").unwrap_or_default();
        assert!(named.split_whitespace().all(|id| ids.contains(&id)), "{named}");
        match element.tag_name().name() {
            "table" => assert!(element.children().any(|child| child.has_tag_name("caption"))),
            "th" => assert!(element.attribute("scope").is_some()),
            "svg" => assert_eq!(element.attribute("role"), Some("img")),
            _ => assert!(element.attribute("style").is_none(), "the policy forbids it"),
        }
    }
    let unique: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len(), "{ids:?}");
}

#[test]
fn a_document_is_read_back_as_it_was() {
    let document = hostile("name");
    let value: Value = serde_json::to_value(&document).unwrap();
    assert_eq!(serde_json::from_value::<ReportDocument>(value).unwrap(), document);
}
