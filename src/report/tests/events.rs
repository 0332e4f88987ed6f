//! Events off a terminal, and that nothing from the cluster can do harm.

use super::*;
use crate::engine::Event;
use crate::error::Error;
use crate::report::{Printer, ReportSettings, view};
use crate::vocabulary::{Change, ColorChoice, ObjectReference};
use std::time::Duration;

fn story() -> Vec<Event> {
    let id = || "source".to_owned();
    let entry = ObjectReference::namespaced(kind("ServiceEntry"), "demo", "egress-default");
    vec![
        Event::StepStarted {
            id: id(),
            title: "deploy the source".into(),
        },
        Event::StepWaiting {
            id: id(),
            on: "pulling docker.io/curlimages/curl:8.18.0".into(),
        },
        Event::ObjectChanged {
            id: id(),
            object: entry.clone(),
            change: Change::Created,
            dry_run: false,
        },
        Event::ObjectChanged {
            id: id(),
            object: entry,
            change: Change::Unchanged,
            dry_run: false,
        },
        Event::StepFinished {
            id: id(),
            detail: Some("pod curl-x".into()),
            elapsed: Duration::from_millis(4_210),
        },
        Event::StepSkipped {
            id: "log".into(),
            title: "switch the access log on".into(),
            reason: "it is on".into(),
        },
        Event::StepStarted {
            id: "route".into(),
            title: "apply the routing".into(),
        },
        Event::StepFailed {
            id: "route".into(),
            message: "forbidden".into(),
            elapsed: Duration::from_millis(90),
        },
        Event::Probed(Box::new(routed())),
        Event::Found(bypassed().findings.remove(0)),
        Event::Note("the gateway is shared with plan shop/default".into()),
        Event::Note("the gateway is shared with plan shop/default".into()),
        Event::Warning("2 workloads have no sidecar".into()),
        Event::Retrying("GET /api/v1/pods: 503".into()),
        Event::Requested("GET /api/v1/pods: 200 (3 ms)".into()),
        Event::WorkedOut("2 requests followed through 9 objects (1 ms)".into()),
    ]
}

fn told(settings: ReportSettings) -> String {
    let (printer, captured) = Printer::captured_with(settings);
    let events = printer.events();
    for event in story() {
        events(event);
    }
    printer.finish().unwrap();
    assert_eq!(captured.stdout(), "");
    captured.stderr()
}

#[test]
fn events_off_a_terminal_are_one_line_each() {
    let text = told(ReportSettings::default());
    fits_80_columns(&text);
    insta::assert_snapshot!(text, @r"
    … deploy the source
    … deploy the source: pulling docker.io/curlimages/curl:8.18.0
      serviceentry/egress-default created in demo
    ✔ deploy the source  pod curl-x  4.2s
    – switch the access log on  it is on
    … apply the routing
    ✘ apply the routing  forbidden  0.1s
    error: EGR-101 edition.cnn.com:443 left through PassthroughCluster: no
      VirtualService routes it to the gateway
        VirtualService demo/egress-default
        fix: run `kubectl egress setup HOST`, or `kubectl egress status` to see
          which routing object is missing; `kubectl egress lockdown` stops whatever
          does not go through the gateway
    note: the gateway is shared with plan shop/default
    warning: 2 workloads have no sidecar
    ");
}

#[test]
fn quiet_leaves_what_must_be_noticed_and_verbose_adds() {
    insta::assert_snapshot!(told(ReportSettings { quiet: true, ..ReportSettings::default() }), @r"
    error: EGR-101 edition.cnn.com:443 left through PassthroughCluster: no
      VirtualService routes it to the gateway
        VirtualService demo/egress-default
        fix: run `kubectl egress setup HOST`, or `kubectl egress status` to see
          which routing object is missing; `kubectl egress lockdown` stops whatever
          does not go through the gateway
    warning: 2 workloads have no sidecar
    ");
    let verbose = told(ReportSettings {
        verbosity: 1,
        ..ReportSettings::default()
    });
    assert!(
        verbose.contains("serviceentry/egress-default unchanged in demo"),
        "{verbose}"
    );
    assert!(verbose.contains("retrying: GET /api/v1/pods: 503"), "{verbose}");
    assert!(
        !verbose.contains("200 (3 ms)") && !verbose.contains("(1 ms)"),
        "{verbose}"
    );
    let more = told(ReportSettings {
        verbosity: 2,
        ..ReportSettings::default()
    });
    assert!(more.contains("GET /api/v1/pods: 200 (3 ms)"), "{more}");
    assert!(
        more.contains("2 requests followed through 9 objects (1 ms)"),
        "{more}"
    );
}

#[test]
fn nothing_from_the_cluster_reaches_the_terminal_raw() {
    let (printer, captured) = Printer::captured_with(ReportSettings {
        verbosity: 1,
        ..ReportSettings::default()
    });
    let text = || HOSTILE.to_owned();
    let mut probe = routed();
    (probe.host, probe.source) = (text(), text());
    probe.hops[1].pod = Some(text());
    probe.hops[1].failed = Some(text());
    probe.hops[1].receipts[0].text = text();
    probe.hops[1].receipts[0].pod = text();
    probe.curl.as_mut().unwrap().error = text();
    probe.findings = vec![
        Finding::new(&catalogue::CONTRADICTION, text())
            .about(text())
            .fixed_by(text()),
    ];
    let object = ObjectReference::namespaced(kind("Gateway"), text(), text());
    let events = printer.events();
    for event in [
        Event::StepStarted {
            id: text(),
            title: text(),
        },
        Event::StepWaiting {
            id: text(),
            on: text(),
        },
        Event::ObjectChanged {
            id: text(),
            object,
            change: Change::Created,
            dry_run: false,
        },
        Event::StepFinished {
            id: text(),
            detail: Some(text()),
            elapsed: Duration::ZERO,
        },
        Event::StepSkipped {
            id: text(),
            title: text(),
            reason: text(),
        },
        Event::StepFailed {
            id: text(),
            message: text(),
            elapsed: Duration::ZERO,
        },
        Event::Probed(Box::new(probe.clone())),
        Event::Found(probe.findings[0].clone()),
        Event::Note(text()),
        Event::Warning(text()),
        Event::Retrying(text()),
        Event::Requested(text()),
        Event::WorkedOut(text()),
    ] {
        events(event);
    }
    printer.error(&Error::cluster(text()).because(text()).hint(text()));
    printer.next(HOSTILE);
    printer.data(HOSTILE);
    printer.raw_line(HOSTILE.as_bytes());
    let mut value = document(vec![probe], Verdict::Proven, ClaimState::Proven);
    (value.plan, value.namespace) = (text(), text());
    printer.styled(&view::verification(&value, printer.style()));
    printer.styled(&view::diff(HOSTILE, printer.style()));
    is_harmless(&captured.stderr());
    is_harmless(&captured.stdout());
    assert!(captured.stdout().contains("\\x1b]52;c;ZXZpbA=="));
}

#[test]
fn colour_changes_no_letter() {
    let color = ReportSettings {
        color: ColorChoice::Always,
        ..ReportSettings::default()
    };
    let colored = told(color);
    assert!(colored.contains("\u{1b}[32m✔\u{1b}[0m"), "{colored:?}");
    assert_eq!(
        anstream::adapter::strip_str(&colored).to_string(),
        told(ReportSettings::default())
    );
}
