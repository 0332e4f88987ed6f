//! The ways in which a request fails.

use bytes::Bytes;
use kubectl_egress::sandbox::FaultKind;
use serde_json::json;
use std::time::Duration;

/// Which requests a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strikes {
    All,
    /// What an admission webhook is asked about.
    Writes,
    /// exec and logs.
    Streams,
}

/// A named way to fail.
#[derive(Debug, Clone)]
pub(crate) struct Failing {
    pub(crate) name: &'static str,
    pub(crate) kind: FaultKind,
    pub(crate) strikes: Strikes,
    /// Whether the answer truthfully denies that something exists, which a command may take at its word.
    pub(crate) denies: bool,
    /// Whether the command does as it usually does, whichever request it was: the same once more is enough.
    pub(crate) passes: bool,
}

fn refusal(code: u16, reason: &str) -> FaultKind {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code,
        "message": format!("things \"thing\": {reason}"), "details": {"name": "thing", "kind": "things"},
    });
    FaultKind::Reply(code, body.to_string())
}

/// What the API server says while istiod is rolled out.
fn uncalled_webhook() -> String {
    let message = "Internal error occurred: failed calling webhook \"validation.istio.io\": failed to call webhook: Post \
        \"https://istiod.istio-system.svc:443/validate?timeout=10s\": dial tcp 10.96.0.9:443: connect: connection refused";
    json!({"kind": "Status", "status": "Failure", "reason": "InternalError", "message": message, "code": 500})
        .to_string()
}

/// All of them.
pub(crate) fn all() -> Vec<Failing> {
    let every = |name, kind| Failing {
        name,
        kind,
        strikes: Strikes::All,
        denies: false,
        passes: false,
    };
    let stream = |name, kind| Failing {
        strikes: Strikes::Streams,
        ..every(name, kind)
    };
    let denying = |name, kind| Failing {
        denies: true,
        ..every(name, kind)
    };
    let status = |code| FaultKind::Status(code, None);
    let long_line = Bytes::from(vec![b'x'; 100 * 1024 * 1024]);
    vec![
        every("401", status(401)),
        every("403", status(403)),
        denying("404, no such path", status(404)),
        denying("404, no such object", refusal(404, "NotFound")),
        every("409 Conflict", status(409)),
        every("409 AlreadyExists", refusal(409, "AlreadyExists")),
        every("410", status(410)),
        every("422", status(422)),
        every("429", status(429)),
        every("429, retry after 1 s", FaultKind::Status(429, Some(1))),
        every("429, retry after 1 h", FaultKind::Status(429, Some(3600))),
        every("500", status(500)),
        Failing {
            strikes: Strikes::Writes,
            passes: true,
            ..every("500, webhook", FaultKind::Reply(500, uncalled_webhook()))
        },
        every("503", status(503)),
        every("503, retry after 1 h", FaultKind::Status(503, Some(3600))),
        every("refused once", FaultKind::Refused(1)),
        every("refused ten times", FaultKind::Refused(10)),
        every("cut before the work", FaultKind::Cut),
        every("cut after the work", FaultKind::CutAfterWork),
        every("cut in the body", FaultKind::CutAfterBytes(17)),
        every("hang", FaultKind::Hang),
        every("hang in the body", FaultKind::HangAfterBytes(17)),
        every(
            "garbage, 200",
            FaultKind::Reply(200, "<html>\u{1b}[31mlog in\u{0}</html>".to_owned()),
        ),
        every(
            "garbage, 502",
            FaultKind::Reply(502, "<html>\u{1b}[31mBad\nerror: Gateway</html>".to_owned()),
        ),
        every("empty, 200", FaultKind::Reply(200, String::new())),
        every(
            "another type, 200",
            FaultKind::Reply(200, "[{\"kind\": 7, \"items\": {}}]".to_owned()),
        ),
        every(
            "not UTF-8",
            FaultKind::Before(Bytes::from_static(b"\xff\xfe\x00\xc3\x28\n")),
        ),
        every("trickle", FaultKind::Trickle(Duration::from_secs(7))),
        stream("no status", FaultKind::NoStatus),
        stream("a line of 100 MB", FaultKind::Before(long_line)),
        stream("reordered", FaultKind::Reordered),
    ]
}
