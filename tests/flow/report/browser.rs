//! Reports in a real browser: nothing is missing, loaded, cut off or unreadable, by eye, keyboard, ear or on paper.

use super::devtools::{Browser, program};
use super::page;
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Widths that the page is looked at.
const WIDTHS: [u32; 2] = [400, 1280];

/// Where pictures are left, to be looked at.
fn pictures() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_good_in_a_browser() {
    let Some(program) = program() else {
        let must = std::env::var("BROWSER_REQUIRED").is_ok_and(|value| value == "1");
        assert!(
            !must,
            "BROWSER_REQUIRED is set, and there is no Chromium: apt-get install chromium"
        );
        eprintln!("skipped: there is no Chromium on PATH (apt-get install chromium)");
        return;
    };
    let certificates = tokio::task::spawn_blocking(page::with_certificates);
    let (proven, disproven, certificates) = tokio::join!(page::proven(), page::disproven(), certificates);
    let mut browser = Browser::start(program).await;
    for (name, text, verdict) in [
        ("proven", proven, "Verdict: Proven"),
        ("disproven", disproven, "Verdict: Disproven"),
        ("certificates", certificates.unwrap(), "Verdict: Proven"),
    ] {
        let file = pictures().join(format!("{name}.html"));
        std::fs::write(&file, text).unwrap();
        let url = format!("file://{}", file.display());
        for width in WIDTHS {
            for scheme in ["light", "dark"] {
                look(&mut browser, &url, (name, width, scheme)).await;
            }
        }
        reads_aloud(&mut browser, &url, verdict).await;
        prints(&mut browser, &url).await;
    }
}

async fn screen(browser: &mut Browser, width: u32, scheme: &str, media: &str) {
    let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
    browser.call("Emulation.setDeviceMetricsOverride", size).await;
    let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
    let media = json!({"media": media, "features": features});
    browser.call("Emulation.setEmulatedMedia", media).await;
}

/// No complaint, no request, nothing wider than the screen, the picture that fits; keyboard users see where they are.
async fn look(browser: &mut Browser, url: &str, (name, width, scheme): (&str, u32, &str)) {
    screen(browser, width, scheme, "screen").await;
    browser.open(url).await;
    let of = |method: &str| {
        let all = browser.events.iter().filter(|event| event["method"] == method);
        all.cloned().collect::<Vec<Value>>()
    };
    for complaint in [
        "Runtime.consoleAPICalled",
        "Runtime.exceptionThrown",
        "Log.entryAdded",
    ] {
        assert_eq!(of(complaint), Vec::<Value>::new(), "{name} at {width}");
    }
    let asked: BTreeSet<String> = of("Network.requestWillBeSent")
        .iter()
        .filter_map(|event| event["params"]["request"]["url"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(asked, BTreeSet::from([url.to_owned()]), "{name} at {width}");
    let fits = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]";
    let fits = browser.value(fits).await;
    assert!(fits[0].as_u64() <= fits[1].as_u64(), "{name} at {width}: {fits}");
    let cut = "[...document.querySelectorAll('main *')].filter(e => { const r = e.getBoundingClientRect(); \
               return r.width > 0 && !e.closest('thead') && (r.right > innerWidth + 1 || r.left < -1) })\
               .map(e => e.outerHTML.slice(0, 90))";
    assert_eq!(browser.value(cut).await, json!([]), "{name} at {width}");
    let ground = browser
        .value("getComputedStyle(document.documentElement).backgroundColor")
        .await;
    let expected = if scheme == "dark" {
        "rgb(14, 18, 24)"
    } else {
        "rgb(244, 246, 250)"
    };
    assert_eq!(ground, expected, "{name} at {width}");
    let shown = "['flat','upright'].filter(c => getComputedStyle(document.querySelector('svg.' + c)).display !== 'none')";
    let expected = if width < 700 { "upright" } else { "flat" };
    assert_eq!(browser.value(shown).await, json!([expected]), "{name} at {width}");
    picture(browser, &format!("{name}-{width}-{scheme}.png")).await;
    for kind in ["rawKeyDown", "keyUp"] {
        let tab = json!({"type": kind, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9});
        browser.call("Input.dispatchKeyEvent", tab).await;
    }
    let focused = browser
        .value("(e => [e.className, e.getBoundingClientRect().top >= 0])(document.activeElement)")
        .await;
    assert_eq!(focused, json!(["skip", true]), "{name} at {width}");
}

async fn picture(browser: &mut Browser, name: &str) {
    let how = json!({"format": "png", "captureBeyondViewport": true, "clip": Value::Null});
    let mut how = how;
    let size = browser
        .value("({x: 0, y: 0, width: document.documentElement.clientWidth, height: document.documentElement.scrollHeight, scale: 1})")
        .await;
    how["clip"] = size;
    let taken = browser.call("Page.captureScreenshot", how).await;
    let bytes: ByteString = serde_json::from_value(taken["data"].clone()).unwrap();
    assert!(
        bytes.0.starts_with(b"\x89PNG") && bytes.0.len() > 20_000,
        "{name}"
    );
    std::fs::write(pictures().join(name), bytes.0).unwrap();
}

/// What a screen reader finds, where no script may run.
async fn reads_aloud(browser: &mut Browser, url: &str, verdict: &str) {
    screen(browser, 1280, "light", "screen").await;
    browser
        .call("Emulation.setScriptExecutionDisabled", json!({"value": true}))
        .await;
    browser.open(url).await;
    let tree = browser.call("Accessibility.getFullAXTree", json!({})).await;
    browser
        .call("Emulation.setScriptExecutionDisabled", json!({"value": false}))
        .await;
    let nodes: Vec<(String, String, u64)> = tree["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| node["ignored"] == false)
        .map(|node| {
            let text = |field: &str| node[field]["value"].as_str().unwrap_or_default().to_owned();
            let properties = node["properties"].as_array().into_iter().flatten();
            let level = properties.clone().find(|property| property["name"] == "level");
            let level = level.and_then(|level| level["value"]["value"].as_u64());
            (text("role"), text("name"), level.unwrap_or_default())
        })
        .collect();
    let names = |role: &str| -> Vec<&str> {
        let of_role = nodes.iter().filter(|(found, _, _)| found == role);
        of_role.map(|(_, name, _)| name.as_str()).collect()
    };
    let headings: Vec<(u64, &str)> = nodes
        .iter()
        .filter(|(role, _, _)| role == "heading")
        .map(|(_, name, level)| (*level, name.as_str()))
        .collect();
    assert_eq!(headings[0], (1, "Egress of plan demo/default"));
    assert_eq!(headings[1], (2, verdict));
    for title in [
        "Findings",
        "Gateway, and what a firewall sees",
        "Probes, their ways and receipts",
        "Ways round the gateway",
        "Certificates of the gateway",
        "Objects of the plan",
        "Manifests",
        "Versions and timing",
    ] {
        assert!(headings.contains(&(2, title)), "{title}: {headings:?}");
    }
    // No level is left out.
    for pair in headings.windows(2) {
        assert!(pair[1].0 <= pair[0].0 + 1, "{pair:?}");
    }
    for landmark in ["banner", "main", "contentinfo", "navigation"] {
        assert_eq!(names(landmark).len(), 1, "{landmark}");
    }
    let tables = names("table");
    assert!(
        tables.len() >= 5 && tables.iter().all(|name| !name.is_empty()),
        "{tables:?}"
    );
    let ways = names("image")
        .into_iter()
        .chain(names("img"))
        .filter(|name| name.starts_with("Way of the probe"))
        .count();
    assert!(ways >= 1, "{nodes:?}");
    assert!(!names("columnheader").is_empty() && !names("rowheader").is_empty());
}

/// On paper everything is there, folded or not.
async fn prints(browser: &mut Browser, url: &str) {
    screen(browser, 1280, "dark", "print").await;
    browser.open(url).await;
    let folded = "[...document.querySelectorAll('details pre, details table')].filter(e => e.getBoundingClientRect().height < 5).length";
    assert_eq!(browser.value(folded).await, 0);
    let paper = browser
        .value("getComputedStyle(document.documentElement).backgroundColor")
        .await;
    assert_eq!(paper, "rgb(255, 255, 255)");
    let printed = browser
        .call("Page.printToPDF", json!({"printBackground": true}))
        .await;
    let bytes: ByteString = serde_json::from_value(printed["data"].clone()).unwrap();
    assert!(bytes.0.starts_with(b"%PDF"));
    screen(browser, 1280, "light", "screen").await;
}
