//! What a host says of the headers that it saw, as a receipt: httpbin's `/headers` and the like answer with them as JSON.

use super::probe_plan;
use crate::evidence::{CurlResult, Expected, ProbeResult};
use crate::finding::{Finding, catalogue};
use crate::plan::{Plan, routing};
use crate::vocabulary::{HopEnd, Receipt, Witness};
use serde_json::Value;

/// Adds the receipt to the leg to the host, and says if the host is told who called though the plan does not want it.
/// An answer without headers in it adds nothing.
pub(super) fn add(result: &mut ProbeResult, curl: &CurlResult, plan: &Plan) {
    let CurlResult::Report(report) = curl else { return };
    if result.expected != Expected::Routed {
        return;
    }
    let Some(headers) = report.body.as_deref().and_then(headers) else {
        return;
    };
    let at = format!("{}:{}", result.host, result.port);
    if let Some(hop) = result.hops.iter_mut().rev().find(|hop| hop.to == HopEnd::Host) {
        hop.receipts.push(Receipt {
            witness: Witness::HostEcho,
            pod: at.clone(),
            container: None,
            time: None,
            text: format!("saw the headers {}", headers.join(", ")),
        });
    }
    let kept =
        probe_plan::declared(plan, &result.host, result.port).is_some_and(|planned| planned.how.keep_headers);
    let told: Vec<&str> = headers
        .iter()
        .map(String::as_str)
        .filter(|name| routing::TELLING_HEADERS.contains(name))
        .collect();
    if !told.is_empty() && !kept {
        let message = format!("{at} was sent {}", told.join(", "));
        result
            .findings
            .push(Finding::new(&catalogue::CALLER_TOLD, message));
    }
}

/// Names of the headers in an echo, in lower case and sorted.
fn headers(body: &str) -> Option<Vec<String>> {
    let echo: Value = serde_json::from_str(body).ok()?;
    let headers = echo["headers"].as_object()?;
    let mut names: Vec<String> = headers.keys().map(|name| name.to_ascii_lowercase()).collect();
    names.sort();
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_read_and_anything_else_is_not() {
        let body = r#"{"headers": {"User-Agent": "x", "Accept": ["*/*"]}}"#;
        assert_eq!(headers(body).unwrap(), ["accept", "user-agent"]);
        assert_eq!(headers("<html>"), None);
        assert_eq!(headers(r#"{"other": 1}"#), None);
    }
}
