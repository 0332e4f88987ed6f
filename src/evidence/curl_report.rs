//! What curl says about each transfer.

use super::curl_arguments::{ProbeRequest, REPORT_MARK};
use super::socket_address;

/// curl's report of one transfer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CurlReport {
    /// The probe's number.
    pub id: u32,
    /// The probe's random word.
    pub nonce: String,
    /// The transfer's exit code, never the process's.
    pub exit_code: i32,
    /// curl's own words on what went wrong; empty if nothing did.
    pub error: String,
    /// HTTP status; 0 if there was no response.
    pub http_code: u16,
    /// `ip:port` of curl's end of the connection; `None` if none was made.
    pub local_address: Option<String>,
    /// `ip:port` that curl connected to; `None` if no connection was made.
    pub remote_address: Option<String>,
    /// Milliseconds from start to end.
    pub time_total_ms: u64,
    /// Whether a TLS handshake was finished: over https curl has then verified the host's certificate.
    pub handshake: bool,
    /// New connections made.
    pub num_connects: u32,
    /// Bytes of the response's body.
    pub size_download: u64,
    /// The response's headers, if asked for.
    pub headers: Option<String>,
    /// The response's body, if asked for; bytes that are not UTF-8 are replaced.
    pub body: Option<String>,
}

/// How a transfer ended, as far as is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurlResult {
    /// curl reported.
    Report(CurlReport),
    /// The exec ended without curl's report; why.
    Lost(String),
    /// There is no curl, or one that cannot do this; why.
    NoCurl(String),
}

/// How the process in the container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEnd {
    /// With this exit code, which is that of its last transfer and proves nothing.
    Exited(i32),
    /// Nobody knows: the connection was lost, or a deadline passed; why.
    Lost(String),
}

/// Reads the reports out of curl's output, in the order of the transfers.
///
/// Read from the end: each report says how long the body before it is, so that nothing inside a body passes for a
/// report. What curl wrote to stderr has no transfer's number and is not needed: its text is in the report.
/// Reports of a curl before 7.75, which knows no `%{exitcode}`, are left out.
pub fn parse_curl_reports(stdout: &[u8], _stderr: &[u8]) -> Vec<CurlReport> {
    let mut reports = Vec::new();
    let mut end = stdout.len();
    while let Some((start, line_end)) = last_report(&stdout[..end]) {
        end = start;
        let Some((mut report, shown)) = parse_report(&stdout[start + 1..line_end]) else {
            continue;
        };
        if shown.body {
            let size = usize::try_from(report.size_download).unwrap_or(usize::MAX);
            if let Some(body_start) = start.checked_sub(size) {
                report.body = Some(String::from_utf8_lossy(&stdout[body_start..start]).into_owned());
                end = body_start;
            }
        }
        if shown.headers {
            let headers_start =
                last_report(&stdout[..end]).map_or(0, |(_, line_end)| (line_end + 1).min(end));
            report.headers = Some(String::from_utf8_lossy(&stdout[headers_start..end]).into_owned());
        }
        reports.push(report);
    }
    reports.reverse();
    reports
}

/// Gives each request its result, in the order of the requests.
///
/// A report counts only with the id and the nonce of its request. Where the process was lost, reports are taken
/// only if no body was asked for: the cut may have left a body without the report that says where it ends.
pub fn curl_results(
    requests: &[ProbeRequest],
    stdout: &[u8],
    stderr: &[u8],
    end: &ProcessEnd,
) -> Vec<CurlResult> {
    let bodies = requests.iter().any(|request| request.show_body);
    let reports = match end {
        ProcessEnd::Lost(_) if bodies => Vec::new(),
        _ => parse_curl_reports(stdout, stderr),
    };
    let missing = why_missing(stdout, stderr, end);
    requests
        .iter()
        .map(|request| {
            let report = reports
                .iter()
                .rev()
                .find(|report| report.id == request.id && report.nonce == request.nonce);
            report.map_or_else(|| missing.clone(), |report| CurlResult::Report(report.clone()))
        })
        .collect()
}

/// What a missing report means.
fn why_missing(stdout: &[u8], stderr: &[u8], end: &ProcessEnd) -> CurlResult {
    let stderr = String::from_utf8_lossy(stderr);
    let said = stderr
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim();
    if stderr.contains("unknown --write-out variable") || has_report_without_exit_code(stdout) {
        return CurlResult::NoCurl(
            "it is older than 7.75, which first reports each transfer's exit code".to_owned(),
        );
    }
    match end {
        ProcessEnd::Exited(126 | 127) => CurlResult::NoCurl(describe("the container has no curl", said)),
        ProcessEnd::Exited(_) if says_no_curl(&stderr) => {
            CurlResult::NoCurl(describe("the container has no curl", said))
        }
        // 2 is curl's own word for options that it does not know.
        ProcessEnd::Exited(2) => CurlResult::NoCurl(describe("it does not know our options", said)),
        ProcessEnd::Exited(code) => CurlResult::Lost(describe(
            &format!("the process ended with exit code {code} before it reported this transfer"),
            said,
        )),
        ProcessEnd::Lost(why) if says_no_curl(why) || says_no_curl(&stderr) => {
            CurlResult::NoCurl("the container has no curl".to_owned())
        }
        ProcessEnd::Lost(why) => CurlResult::Lost(why.clone()),
    }
}

/// Whether a container runtime, or a shell, says that there is no curl to start.
///
/// runc: `exec: "curl": executable file not found in $PATH`, or for a path `stat /usr/bin/curl: no such file or
/// directory`; crun: ``executable file `curl` not found in $PATH: No such file or directory``; a shell: `curl: not
/// found`. A pod called curl that is not found, or a runtime that misses a file of its own, says neither.
pub fn says_no_curl(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let names_program = text.contains("exec: \"curl\"") || text.contains("curl: no such file");
    text.contains("executable file") && text.contains("not found")
        || text.contains("curl: not found")
        || names_program && text.contains("no such file or directory")
}

fn describe(what: &str, said: &str) -> String {
    if said.is_empty() {
        what.to_owned()
    } else {
        format!("{what} ({said})")
    }
}

fn has_report_without_exit_code(stdout: &[u8]) -> bool {
    last_report(stdout).is_some_and(|(start, end)| {
        let line = String::from_utf8_lossy(&stdout[start + 1..end]);
        line.contains(" exit= ")
    })
}

/// Where the last report begins (at the line end before it) and ends (at its own line end, or the output's).
fn last_report(output: &[u8]) -> Option<(usize, usize)> {
    let mark = REPORT_MARK.as_bytes();
    let mut before = output.len();
    loop {
        let start = output[..before].iter().rposition(|byte| *byte == b'\n')?;
        if output[start + 1..].starts_with(mark) {
            let line = &output[start + 1..];
            let length = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
            return Some((start, start + 1 + length));
        }
        before = start;
    }
}

struct Shown {
    headers: bool,
    body: bool,
}

fn parse_report(line: &[u8]) -> Option<(CurlReport, Shown)> {
    let line = String::from_utf8_lossy(line);
    let rest = line.strip_prefix(REPORT_MARK)?.strip_prefix(' ')?;
    let (nonce, mut rest) = rest.split_once(' ')?;
    let mut field = |name: &str| -> Option<&str> {
        let (value, after) = rest.strip_prefix(name)?.strip_prefix('=')?.split_once(' ')?;
        rest = after;
        Some(value)
    };
    let id = field("id")?.parse().ok()?;
    let shown = field("shown")?;
    let exit_code = field("exit")?.parse().ok()?;
    let http_code = field("http")?.parse().unwrap_or_default();
    let local = (field("local")?, field("local_port")?);
    let remote = (field("remote")?, field("remote_port")?);
    let time = field("time")?;
    // 0.000000 where there was none.
    let handshake = field("handshake")?.contains(|digit: char| ('1'..='9').contains(&digit));
    let num_connects = field("connects")?.parse().unwrap_or_default();
    let size_download = field("size")?.parse().ok()?;
    let error = rest.strip_prefix("error=")?.trim();
    let report = CurlReport {
        id,
        nonce: nonce.to_owned(),
        exit_code,
        error: error.to_owned(),
        http_code,
        local_address: end_of_connection(local),
        remote_address: end_of_connection(remote),
        time_total_ms: milliseconds(time),
        handshake,
        num_connects,
        size_download,
        headers: None,
        body: None,
    };
    let shown = Shown {
        headers: matches!(shown, "headers" | "both"),
        body: matches!(shown, "body" | "both"),
    };
    Some((report, shown))
}

/// curl writes an empty address and port 0 (or -1) where there was no connection.
fn end_of_connection((address, port): (&str, &str)) -> Option<String> {
    let port: u16 = port.parse().ok()?;
    (!address.is_empty() && port != 0).then(|| socket_address(address, port))
}

/// `1.234567` seconds; some locales write a comma.
fn milliseconds(seconds: &str) -> u64 {
    let (whole, fraction) = seconds.split_once(['.', ',']).unwrap_or((seconds, ""));
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    let whole: u64 = whole.parse().unwrap_or_default();
    whole
        .saturating_mul(1000)
        .saturating_add(thousandths.parse().unwrap_or_default())
}
