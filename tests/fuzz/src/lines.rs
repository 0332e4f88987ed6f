//! Text that proxies and programs write: access logs, curl's reports, counters.

use kubectl_egress::evidence::explanation::{Explanation, LiveObjects, LogReader, origins, read_line};
use kubectl_egress::evidence::{
    LogFormats, Needs, parse_curl_reports, parse_line, read_addresses, read_counters, render_text,
};
use kubectl_egress::istio::access_log::LogTemplate;

/// Any bytes are lines or not; what was read says the same when it is read again, and what is proposed is harmless.
pub fn access_log(data: &[u8]) {
    let mut reader = LogReader::new(LogFormats::default());
    let mut lines = 0;
    for raw in data.split(|byte| *byte == b'\n') {
        lines += u64::from(!raw.trim_ascii().is_empty());
        reader.take(raw);
        let _ = read_line(raw, &LogFormats::default());
        let Some(line) = parse_line(raw) else {
            continue;
        };
        let again = parse_line(line.raw.as_bytes());
        assert_eq!(again.as_ref(), Some(&line), "the same bytes are the same line");
        let explanation = Explanation::of(&line, None);
        assert!(!explanation.what.is_empty() && !explanation.who.is_empty());
        if let Some(next) = &explanation.next {
            let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b" .-".contains(&byte);
            assert!(next.bytes().all(harmless), "{next}");
        }
        let _ = origins(&line, &LiveObjects::default());
        let _ = render_text(&line);
    }
    let summary = reader.summary();
    assert_eq!(
        summary.lines + summary.other_lines,
        lines,
        "no line is lost or counted twice"
    );
}

/// The first line is a template of the operator's, the rest are lines of anybody's.
pub fn log_template(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let template = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let templates = [
        LogTemplate::Text(template.clone()),
        LogTemplate::Labels([("label".to_owned(), template)].into()),
        LogTemplate::Default,
    ];
    let formats = LogFormats::new(&templates);
    for source in [false, true] {
        let _ = formats.lacks(Needs { source, http: true });
    }
    let mut reader = LogReader::new(formats.clone());
    for raw in lines {
        let line = formats.parse(raw);
        assert_eq!(formats.parse(raw), line);
        reader.take(raw);
    }
    let _ = reader.summary();
}

/// What an exec into somebody's container brings back.
pub fn curl_report(data: &[u8]) {
    let reports = parse_curl_reports(data, data);
    assert!(reports.len() <= data.len());
    let _ = read_counters(data);
    let _ = read_addresses(&String::from_utf8_lossy(data));
}
