//! Istio's default JSON format, and JSON with labels of the operator's own that keep Istio's names.

use super::text_format::{present, split_flags};
use super::{AccessLogLine, UpstreamCluster};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// Fields that only a proxy writes. Two of them make a JSON object a line of an access log; an application that
/// logs its requests as JSON has `method` and `path` as well.
const ONLY_PROXIES_WRITE: u8 = 2;

/// Reads a line; `None` if it is not a JSON object, or not one of an access log.
pub(super) fn parse(line: &[u8]) -> Option<AccessLogLine> {
    let raw = String::from_utf8_lossy(line);
    let Fields { mut line, telling } = serde_json::from_str(&raw).ok()?;
    line.raw = raw.into_owned();
    (telling >= ONLY_PROXIES_WRITE).then_some(line)
}

struct Fields {
    line: AccessLogLine,
    telling: u8,
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an access log line")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut line = AccessLogLine::default();
        let mut telling = 0_u8;
        let mut raw_cluster = None;
        while let Some(Text(key)) = map.next_key()? {
            let key = key.unwrap_or_default();
            let telling_before = telling;
            telling = telling.saturating_add(1);
            match key.as_ref() {
                "response_flags" => {
                    line.response_flags = text(&mut map)?
                        .map(|flags| split_flags(&flags))
                        .unwrap_or_default();
                }
                "upstream_host" => line.upstream_host = text(&mut map)?,
                "upstream_cluster" => {
                    line.upstream_cluster = text(&mut map)?.map(|name| UpstreamCluster::parse(&name));
                }
                "upstream_cluster_raw" => {
                    raw_cluster = text(&mut map)?.map(|name| UpstreamCluster::parse(&name));
                }
                "upstream_local_address" => line.upstream_local_address = text(&mut map)?,
                "downstream_local_address" => line.downstream_local_address = text(&mut map)?,
                "downstream_remote_address" => line.downstream_remote_address = text(&mut map)?,
                "requested_server_name" => line.requested_server_name = text(&mut map)?,
                "response_code_details" => line.response_code_details = text(&mut map)?,
                "connection_termination_details" => line.connection_termination_details = text(&mut map)?,
                "upstream_transport_failure_reason" => {
                    line.upstream_transport_failure_reason = text(&mut map)?;
                }
                other => {
                    telling = telling_before;
                    common_field(other, &mut line, &mut map)?;
                }
            }
        }
        line.upstream_cluster = raw_cluster.or(line.upstream_cluster);
        // Kyma's `stdout-json` writes the details of the termination under both names.
        if line.upstream_transport_failure_reason == line.connection_termination_details {
            line.upstream_transport_failure_reason = None;
        }
        Ok(Fields { line, telling })
    }
}

/// Fields that an application's log may have as well.
fn common_field<'de, A: MapAccess<'de>>(
    key: &str,
    line: &mut AccessLogLine,
    map: &mut A,
) -> Result<(), A::Error> {
    match key {
        "start_time" => line.start_time = text(map)?,
        "method" => line.method = text(map)?,
        "path" => line.path = text(map)?,
        "protocol" => line.protocol = text(map)?,
        "response_code" => line.response_code = number(map)?,
        "bytes_received" => line.bytes_received = number(map)?,
        "bytes_sent" => line.bytes_sent = number(map)?,
        "duration" => line.duration = number(map)?,
        "upstream_service_time" => line.upstream_service_time = text(map)?,
        "x_forwarded_for" => line.x_forwarded_for = text(map)?,
        "user_agent" => line.user_agent = text(map)?,
        "request_id" => line.request_id = text(map)?,
        "authority" => line.authority = text(map)?,
        "route_name" => line.route_name = text(map)?,
        _ => {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(())
}

fn text<'de, A: MapAccess<'de>>(map: &mut A) -> Result<Option<String>, A::Error> {
    let Text(text) = map.next_value()?;
    Ok(text.filter(|text| present(text).is_some()).map(Cow::into_owned))
}

fn number<'de, N: std::str::FromStr + Default, A: MapAccess<'de>>(map: &mut A) -> Result<N, A::Error> {
    let Text(text) = map.next_value()?;
    Ok(text.and_then(|text| text.parse().ok()).unwrap_or_default())
}

/// Any JSON value as text: formats of the operator's own write numbers as texts, or the other way round.
struct Text<'a>(Option<Cow<'a, str>>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Borrowed(value))))
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(value.to_owned()))))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(value.to_string()))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(value.to_string()))))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(value.to_string()))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Text(Some(Cow::Owned(value.to_string()))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Text(None))
    }
}
