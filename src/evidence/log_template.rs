//! Texts with Envoy's command operators in them, such as `%UPSTREAM_CLUSTER% to %UPSTREAM_HOST%`, and what they give back
//! of a line.
//!
//! Envoy escapes nothing in text, so whoever chooses a header's value could write fields of his own behind it. Fields
//! before the first such value are read from the beginning of a line, fields behind the last one from its end, and what
//! stands between two of them counts as not there.

use super::text_format::{present, split_flags};
use super::{AccessLogLine, UpstreamCluster};

/// A field of a line, named as the operator that gives it.
pub(super) type Field = &'static str;

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
pub(super) struct Template(Vec<Piece>);

impl Template {
    pub(super) fn new(text: &str) -> Self {
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
    pub(super) fn fields(&self) -> Vec<Field> {
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
    pub(super) fn read(&self, text: &str, line: &mut AccessLogLine) -> Option<()> {
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
    pub(super) fn read_value(&self, value: &str, line: &mut AccessLogLine) {
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
