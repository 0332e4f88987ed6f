//! Access logs in formats of the operator's own: text and JSON made of Envoy's command operators.
//!
//! Envoy escapes nothing in text, so whoever chooses a header's value could write fields of his own behind it. Fields
//! before the first such value are read from the beginning of a line, fields behind the last one from its end, and what
//! stands between two of them counts as not there.

use super::text_format::{present, split_flags};
use super::{AccessLogLine, UpstreamCluster, parse_line};
use crate::istio::access_log::LogTemplate;
use serde_json::Value;

/// The formats that one proxy writes, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFormats(Vec<LogFormat>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum LogFormat {
    /// Istio's own.
    Default,
    Text(Template),
    /// JSON: each label with its text.
    Labels(Vec<(String, Template)>),
}

/// A piece of a text format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Operator(Operator),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Operator {
    /// The field that is read from it; `None` if none is.
    field: Option<Field>,
    /// Whether its value may hold what stands behind it.
    is_free: bool,
}

impl Piece {
    fn is_free(&self) -> bool {
        matches!(self, Self::Operator(operator) if operator.is_free)
    }
}

/// A text with operators in it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template(Vec<Piece>);

type Field = &'static str;

/// What every probe's judgement rests on, as Envoy's operators are called.
const NEEDED: [Field; 5] = [
    "DOWNSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_HOST",
    "RESPONSE_FLAGS",
    "REQUESTED_SERVER_NAME",
];
/// What a source's sidecar must tell besides: its end of the connection to the gateway.
const NEEDED_OF_SOURCE: [Field; 1] = ["UPSTREAM_LOCAL_ADDRESS"];
/// What it takes besides to judge plain HTTP.
const NEEDED_FOR_HTTP: [Field; 3] = ["REQ(:METHOD)", "REQ(USER-AGENT)", "RESPONSE_CODE_DETAILS"];

/// What a format is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Of a source's sidecar, not of a gateway.
    pub source: bool,
    /// Plain HTTP is to be judged.
    pub http: bool,
}

impl LogFormats {
    /// The formats of these templates.
    pub fn new(templates: &[LogTemplate]) -> Self {
        let format = |template: &LogTemplate| match template {
            LogTemplate::Default => LogFormat::Default,
            LogTemplate::Text(text) => LogFormat::Text(Template::new(text)),
            LogTemplate::Labels(labels) => LogFormat::Labels(
                labels
                    .iter()
                    .map(|(label, text)| (label.clone(), Template::new(text)))
                    .collect(),
            ),
        };
        Self(templates.iter().map(format).collect())
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a line; Istio's own formats are always understood. `None` if it is no line of an access log.
    pub fn parse(&self, raw: &[u8]) -> Option<AccessLogLine> {
        let own = self.0.iter().find_map(|format| match format {
            LogFormat::Default => None,
            LogFormat::Text(template) => {
                let raw = String::from_utf8_lossy(raw.trim_ascii_end());
                let mut line = AccessLogLine::default();
                template.read(&raw, &mut line)?;
                line.raw = raw.into_owned();
                Some(line)
            }
            LogFormat::Labels(labels) => parse_labels(labels, raw),
        });
        own.or_else(|| parse_line(raw))
    }

    /// What is needed and no format tells, as Envoy's operators are called; empty if one tells everything.
    pub fn lacks(&self, needs: Needs) -> Vec<&'static str> {
        let mut wanted = NEEDED.to_vec();
        if needs.source {
            wanted.extend(NEEDED_OF_SOURCE);
        }
        if needs.http {
            wanted.extend(NEEDED_FOR_HTTP);
        }
        let lacking = |format: &LogFormat| -> Vec<&'static str> {
            let told: Vec<Field> = match format {
                LogFormat::Default => return Vec::new(),
                LogFormat::Text(template) => template.fields(),
                LogFormat::Labels(labels) => labels
                    .iter()
                    .flat_map(|(_, template)| template.fields())
                    .collect(),
            };
            wanted
                .iter()
                .copied()
                .filter(|field| !told.contains(field))
                .collect()
        };
        self.0
            .iter()
            .map(lacking)
            .min_by_key(Vec::len)
            .unwrap_or_default()
    }
}

fn parse_labels(labels: &[(String, Template)], raw: &[u8]) -> Option<AccessLogLine> {
    let text = String::from_utf8_lossy(raw.trim_ascii());
    let Value::Object(object) = serde_json::from_str(&text).ok()? else {
        return None;
    };
    // An application's JSON has not all of them: Envoy writes a label without value as null.
    if !labels.iter().all(|(label, _)| object.contains_key(label)) {
        return None;
    }
    let mut line = AccessLogLine::default();
    for (label, template) in labels {
        let value = match &object[label] {
            Value::String(text) => text.clone(),
            Value::Null => continue,
            other => other.to_string(),
        };
        template.read_value(&value, &mut line);
    }
    line.raw = text.into_owned();
    Some(line)
}

impl Template {
    fn new(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text.trim_end_matches(['\n', '\r']);
        let mut literal = String::new();
        while let Some(percent) = rest.find('%') {
            literal.push_str(&rest[..percent]);
            rest = &rest[percent + 1..];
            if let Some(after) = rest.strip_prefix('%') {
                literal.push('%');
                rest = after;
                continue;
            }
            let Some(end) = end_of_operator(rest) else { break };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Operator(operator(&rest[..end])));
            rest = &rest[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let mut template = Self(pieces);
        template.free_what_is_unbounded();
        template
    }

    /// Two operators without anything between them cannot be told apart.
    fn free_what_is_unbounded(&mut self) {
        for index in 1..self.0.len() {
            if let [Piece::Operator(first), Piece::Operator(second)] = &mut self.0[index - 1..=index] {
                (first.is_free, second.is_free) = (true, true);
            }
        }
    }

    /// Pieces that are read from the beginning, and those from the end; with nothing free all are the former.
    fn ends(&self) -> (&[Piece], &[Piece]) {
        let first = self.0.iter().position(Piece::is_free);
        let last = self.0.iter().rposition(Piece::is_free);
        match (first, last) {
            (Some(first), Some(last)) => (&self.0[..first], &self.0[last + 1..]),
            _ => (&self.0, &[]),
        }
    }

    /// Fields that can be read: at both ends, and of the free ones those that are headers, of which nothing is proven but
    /// what a nonce of ours in them shows.
    fn fields(&self) -> Vec<Field> {
        let (head, tail) = self.ends();
        let operators = |pieces: &[Piece]| -> Vec<Field> {
            let found = pieces.iter().filter_map(|piece| match piece {
                Piece::Operator(operator) => operator.field,
                Piece::Literal(_) => None,
            });
            found.collect()
        };
        let is_header = |field: &Field| field.starts_with("REQ(") || field.starts_with("RESP(");
        let between = operators(&self.0[head.len()..self.0.len() - tail.len()]);
        let mut told = operators(head);
        told.extend(operators(tail));
        told.extend(between.into_iter().filter(is_header));
        told
    }

    /// Reads a whole line of text. `None` if it does not fit.
    fn read(&self, text: &str, line: &mut AccessLogLine) -> Option<()> {
        let (head, tail) = self.ends();
        let rest = read_forwards(head, text, line)?;
        let middle = read_backwards(tail, rest, line)?;
        let between = &self.0[head.len()..self.0.len() - tail.len()];
        if between.is_empty() {
            return middle.is_empty().then_some(());
        }
        // Whatever it is, it is the client's: only what he may choose anyway is taken from it.
        read_free(between, middle, line);
        Some(())
    }

    /// Reads a label's value, which nothing follows.
    fn read_value(&self, value: &str, line: &mut AccessLogLine) {
        if let [
            Piece::Operator(Operator {
                field: Some(field), ..
            }),
        ] = self.0.as_slice()
        {
            set(line, field, value);
        } else {
            // A text of several; what does not fit tells nothing.
            let mut read = line.clone();
            if self.read(value, &mut read).is_some() {
                *line = read;
            }
        }
    }
}

/// Reads pieces from the beginning of a text; returns what is behind them.
fn read_forwards<'t>(pieces: &[Piece], text: &'t str, line: &mut AccessLogLine) -> Option<&'t str> {
    let mut rest = text;
    let mut open: Option<&Operator> = None;
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => {
                let at = match open {
                    Some(_) => rest.find(literal.as_str())?,
                    None => rest.starts_with(literal.as_str()).then_some(0)?,
                };
                take(open.take(), &rest[..at], line);
                rest = &rest[at + literal.len()..];
            }
            Piece::Operator(operator) => open = Some(operator),
        }
    }
    if let Some(operator) = open {
        take(Some(operator), rest, line);
        rest = "";
    }
    Some(rest)
}

/// Reads pieces from the end of a text; returns what is before them.
fn read_backwards<'t>(pieces: &[Piece], text: &'t str, line: &mut AccessLogLine) -> Option<&'t str> {
    let mut rest = text;
    let mut open: Option<&Operator> = None;
    for piece in pieces.iter().rev() {
        match piece {
            Piece::Literal(literal) => {
                let at = match open {
                    Some(_) => rest.rfind(literal.as_str())?,
                    None => rest.len() - rest.ends_with(literal.as_str()).then_some(literal.len())?,
                };
                take(open.take(), &rest[at + literal.len()..], line);
                rest = &rest[..at];
            }
            Piece::Operator(operator) => open = Some(operator),
        }
    }
    Some(rest)
}

/// Reads what stands between the first and the last free value, as far as it fits.
fn read_free(pieces: &[Piece], text: &str, line: &mut AccessLogLine) {
    let mut read = AccessLogLine::default();
    if read_forwards(pieces, text, &mut read).is_none() {
        return;
    }
    line.user_agent = line.user_agent.take().or(read.user_agent);
    line.authority = line.authority.take().or(read.authority);
    line.path = line.path.take().or(read.path);
    line.x_forwarded_for = line.x_forwarded_for.take().or(read.x_forwarded_for);
    line.request_id = line.request_id.take().or(read.request_id);
    line.upstream_service_time = line.upstream_service_time.take().or(read.upstream_service_time);
}

fn take(operator: Option<&Operator>, value: &str, line: &mut AccessLogLine) {
    if let Some(field) = operator.and_then(|operator| operator.field) {
        set(line, field, value);
    }
}

/// Where the operator that a text begins with ends: at its closing percent sign, which its arguments may hold too.
fn end_of_operator(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '%' if depth == 0 => return Some(index),
            _ => {}
        }
    }
    None
}

/// Reads `NAME(ARGUMENTS):LENGTH`.
fn operator(text: &str) -> Operator {
    // A length cuts the value, which is then no longer the whole.
    let (text, cut) = match text.rsplit_once(':') {
        Some((operator, length))
            if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            (operator, true)
        }
        _ => (text, false),
    };
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name, rest.strip_suffix(')').unwrap_or(rest)),
        None => (text, ""),
    };
    let field = field(name, arguments).filter(|_| !cut);
    let is_bounded = match name {
        // Envoy refuses requests whose method, path or authority hold blanks (RFC 9110).
        "REQ" => arguments.starts_with(':') || arguments.to_ascii_uppercase().ends_with("?:PATH"),
        "START_TIME" => arguments.is_empty(),
        "RESP" | "TRAILER" | "DYNAMIC_METADATA" | "FILTER_STATE" | "UPSTREAM_METADATA" | "METADATA"
        | "LOCAL_REPLY_BODY" | "GRPC_STATUS" | "ENVIRONMENT" | "CEL" => false,
        name => !name.ends_with("_SUBJECT") && !name.ends_with("_SAN") && !name.ends_with("_URI_SAN"),
    };
    Operator {
        field,
        is_free: !is_bounded,
    }
}

/// The field behind one of Envoy's operators (Envoy documentation, "Access logging", command operators).
fn field(name: &str, arguments: &str) -> Option<Field> {
    const PLAIN: [Field; 17] = [
        "START_TIME",
        "PROTOCOL",
        "RESPONSE_CODE",
        "RESPONSE_FLAGS",
        "RESPONSE_CODE_DETAILS",
        "CONNECTION_TERMINATION_DETAILS",
        "UPSTREAM_TRANSPORT_FAILURE_REASON",
        "BYTES_RECEIVED",
        "BYTES_SENT",
        "DURATION",
        "UPSTREAM_HOST",
        "UPSTREAM_CLUSTER",
        "UPSTREAM_LOCAL_ADDRESS",
        "DOWNSTREAM_LOCAL_ADDRESS",
        "DOWNSTREAM_REMOTE_ADDRESS",
        "REQUESTED_SERVER_NAME",
        "ROUTE_NAME",
    ];
    match (name, arguments.to_ascii_uppercase().as_str()) {
        // Another name of the same cluster, without the observability name in its place.
        ("UPSTREAM_CLUSTER_RAW", _) => Some("UPSTREAM_CLUSTER"),
        ("REQ", ":METHOD") => Some("REQ(:METHOD)"),
        ("REQ", ":PATH" | "X-ENVOY-ORIGINAL-PATH?:PATH") => Some("REQ(:PATH)"),
        ("REQ", ":AUTHORITY" | "HOST") => Some("REQ(:AUTHORITY)"),
        ("REQ", "USER-AGENT") => Some("REQ(USER-AGENT)"),
        ("REQ", "X-REQUEST-ID") => Some("REQ(X-REQUEST-ID)"),
        ("REQ", "X-FORWARDED-FOR") => Some("REQ(X-FORWARDED-FOR)"),
        ("RESP", "X-ENVOY-UPSTREAM-SERVICE-TIME") => Some("RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)"),
        (name, "") => PLAIN.into_iter().find(|plain| *plain == name),
        _ => None,
    }
}

fn set(line: &mut AccessLogLine, field: Field, value: &str) {
    let text = || present(value).map(str::to_owned);
    let number = || value.parse().unwrap_or_default();
    match field {
        "START_TIME" => line.start_time = text(),
        "PROTOCOL" => line.protocol = text(),
        "RESPONSE_CODE" => line.response_code = value.parse().unwrap_or_default(),
        "RESPONSE_FLAGS" => line.response_flags = split_flags(value),
        "RESPONSE_CODE_DETAILS" => line.response_code_details = text(),
        "CONNECTION_TERMINATION_DETAILS" => line.connection_termination_details = text(),
        "UPSTREAM_TRANSPORT_FAILURE_REASON" => line.upstream_transport_failure_reason = text(),
        "BYTES_RECEIVED" => line.bytes_received = number(),
        "BYTES_SENT" => line.bytes_sent = number(),
        "DURATION" => line.duration = number(),
        "UPSTREAM_HOST" => line.upstream_host = text(),
        "UPSTREAM_CLUSTER" => line.upstream_cluster = present(value).map(UpstreamCluster::parse),
        "UPSTREAM_LOCAL_ADDRESS" => line.upstream_local_address = text(),
        "DOWNSTREAM_LOCAL_ADDRESS" => line.downstream_local_address = text(),
        "DOWNSTREAM_REMOTE_ADDRESS" => line.downstream_remote_address = text(),
        "REQUESTED_SERVER_NAME" => line.requested_server_name = text(),
        "ROUTE_NAME" => line.route_name = text(),
        "REQ(:METHOD)" => line.method = text(),
        "REQ(:PATH)" => line.path = text(),
        "REQ(:AUTHORITY)" => line.authority = text(),
        "REQ(USER-AGENT)" => line.user_agent = text(),
        "REQ(X-REQUEST-ID)" => line.request_id = text(),
        "REQ(X-FORWARDED-FOR)" => line.x_forwarded_for = text(),
        "RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)" => line.upstream_service_time = text(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "%START_TIME% %REQ(:METHOD)% %RESPONSE_CODE% %RESPONSE_FLAGS% agent=\"%REQ(USER-AGENT)%\" %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME%\n";
    const SOURCE: Needs = Needs {
        source: true,
        http: false,
    };

    fn text(template: &str) -> LogFormats {
        LogFormats::new(&[LogTemplate::Text(template.to_owned())])
    }

    #[test]
    fn a_text_of_the_operator_s_own_is_read_by_its_template() {
        let raw = b"2026-11-21T10:00:00.000Z - 0 UF,URX agent=\"-\" outbound|443||a.example 203.0.113.1:443 - 10.0.0.9:4711 a.example";
        let line = text(OWN).parse(raw).unwrap();
        assert_eq!(line.start_time.as_deref(), Some("2026-11-21T10:00:00.000Z"));
        assert_eq!(line.response_flags, ["UF", "URX"]);
        assert_eq!(
            line.upstream_cluster.unwrap().to_string(),
            "outbound|443||a.example"
        );
        assert_eq!(line.upstream_local_address, None);
        assert_eq!(line.downstream_remote_address.as_deref(), Some("10.0.0.9:4711"));
        assert_eq!(line.requested_server_name.as_deref(), Some("a.example"));
        assert!(line.method.is_none());
        assert_eq!(text(OWN).lacks(SOURCE), Vec::<&str>::new());
    }

    /// Without escaping, a client may write what looks like the rest of the line.
    #[test]
    fn a_hostile_header_moves_no_field() {
        let hostile = "x\" outbound|443||evil.example 1.2.3.4:443 1.1.1.1:1 10.0.0.9:4711 evil.example";
        let raw = format!(
            "2026-11-21T10:00:00.000Z GET 200 - agent=\"{hostile}\" outbound|80||a.example 203.0.113.1:80 10.0.0.7:1 10.0.0.8:2 -"
        );
        let line = text(OWN).parse(raw.as_bytes()).unwrap();
        assert_eq!(
            line.upstream_cluster.unwrap().to_string(),
            "outbound|80||a.example"
        );
        assert_eq!(line.downstream_remote_address.as_deref(), Some("10.0.0.8:2"));
        assert_eq!(line.user_agent.as_deref(), Some(hostile));
        assert_eq!(line.response_code, 200);
    }

    #[test]
    fn what_stands_between_two_headers_counts_as_not_there() {
        let between = text(
            "%RESPONSE_FLAGS% \"%REQ(USER-AGENT)%\" %UPSTREAM_CLUSTER% \"%REQ(X-FORWARDED-FOR)%\" %DOWNSTREAM_REMOTE_ADDRESS% %UPSTREAM_HOST% %REQUESTED_SERVER_NAME% %UPSTREAM_LOCAL_ADDRESS%",
        );
        assert_eq!(between.lacks(SOURCE), ["UPSTREAM_CLUSTER"]);
        let line = between
            .parse(b"- \"curl\" outbound|443||a.example \"-\" 10.0.0.9:1 1.1.1.1:443 a.example 10.0.0.9:2")
            .unwrap();
        assert_eq!(line.upstream_cluster, None);
        assert_eq!(line.user_agent.as_deref(), Some("curl"));
    }

    #[test]
    fn what_is_lacking_is_named_as_envoy_names_it() {
        let short = text("%START_TIME(%Y-%m-%d %H:%M)% %UPSTREAM_HOST% %UPSTREAM_CLUSTER:10%");
        assert_eq!(
            short.lacks(Needs {
                source: true,
                http: true
            }),
            [
                "DOWNSTREAM_REMOTE_ADDRESS",
                "UPSTREAM_CLUSTER",
                "RESPONSE_FLAGS",
                "REQUESTED_SERVER_NAME",
                "UPSTREAM_LOCAL_ADDRESS",
                "REQ(:METHOD)",
                "REQ(USER-AGENT)",
                "RESPONSE_CODE_DETAILS"
            ]
        );
        let line = short
            .parse(b"2026-11-21 10:00 203.0.113.1:443 outbound|4")
            .unwrap();
        assert_eq!(line.upstream_host.as_deref(), Some("203.0.113.1:443"));
        assert_eq!(
            LogFormats::new(&[LogTemplate::Default]).lacks(SOURCE),
            Vec::<&str>::new()
        );
    }

    #[test]
    fn labels_of_the_operator_s_own_are_read_by_what_they_hold() {
        let labels = [
            ("to", "%UPSTREAM_CLUSTER%"),
            ("from", "%DOWNSTREAM_REMOTE_ADDRESS%"),
            ("ended", "flags=%RESPONSE_FLAGS%"),
            ("bytes", "%BYTES_SENT%"),
        ];
        let labels = labels.map(|(label, text)| (label.to_owned(), text.to_owned()));
        let formats = LogFormats::new(&[LogTemplate::Labels(labels.into())]);
        let raw = br#"{"bytes":17,"ended":"flags=UF","from":"10.0.0.9:1","to":"PassthroughCluster"}"#;
        let line = formats.parse(raw).unwrap();
        assert_eq!(line.upstream_cluster, Some(UpstreamCluster::Passthrough));
        assert_eq!(
            (line.bytes_sent, line.response_flags),
            (17, vec!["UF".to_owned()])
        );
        assert!(formats.lacks(SOURCE).contains(&"UPSTREAM_HOST"));
        // An application's own JSON.
        assert_eq!(formats.parse(br#"{"to": "somebody"}"#), None);
    }

    #[test]
    fn istio_s_own_lines_and_other_output_are_told_apart() {
        let formats = text(OWN);
        assert_eq!(formats.parse(b"2026-11-21T10:00:00Z\tinfo\tready"), None);
        assert_eq!(text("%UPSTREAM_CLUSTER%%UPSTREAM_HOST%").lacks(SOURCE).len(), 6);
    }
}
