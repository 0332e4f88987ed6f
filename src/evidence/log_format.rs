//! Access logs in formats of the operator's own: text and JSON made of Envoy's command operators.

use super::log_template::{Field, Template};
use super::{AccessLogLine, parse_line};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::UpstreamCluster;

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
