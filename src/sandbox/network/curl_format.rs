//! curl's `--write-out`.

use super::transfer::{TransferRequest, TransferResult};
use serde_json::{Map, Value, json};
use std::fmt::Write as _;

/// Expands a format for one transfer.
pub(super) fn expand(format: &str, url: &str, request: &TransferRequest, result: &TransferResult) -> String {
    let mut output = String::new();
    let mut rest = format;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        match character {
            '\\' => {
                let escaped = rest.chars().next().unwrap_or('\\');
                rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                match escaped {
                    'n' => output.push('\n'),
                    'r' => output.push('\r'),
                    't' => output.push('\t'),
                    other => {
                        output.push('\\');
                        output.push(other);
                    }
                }
            }
            '%' if rest.starts_with('%') => {
                output.push('%');
                rest = &rest[1..];
            }
            '%' if rest.starts_with('{') => {
                let Some((name, after)) = rest[1..].split_once('}') else {
                    output.push('%');
                    continue;
                };
                rest = after;
                match name {
                    // What follows is only for failed transfers.
                    "onerror" if result.exit == 0 => return output,
                    "onerror" | "stdout" | "stderr" => {}
                    "json" => output.push_str(&all(url, request, result)),
                    name => output.push_str(&variable(name, url, request, result)),
                }
            }
            other => output.push(other),
        }
    }
    output
}

fn seconds(milliseconds: u64) -> String {
    format!("{}.{:03}000", milliseconds / 1000, milliseconds % 1000)
}

fn variable(name: &str, url: &str, request: &TransferRequest, result: &TransferResult) -> String {
    let address = |end: &Option<(String, u16)>| end.as_ref().map_or_else(String::new, |(ip, _)| ip.clone());
    let port = |end: &Option<(String, u16)>| end.as_ref().map_or(0, |(_, port)| *port).to_string();
    match name {
        "exitcode" => result.exit.to_string(),
        "errormsg" => result.error.clone(),
        "http_code" | "response_code" => format!("{:03}", result.http_code),
        "local_ip" => address(&result.local),
        "local_port" => port(&result.local),
        "remote_ip" => address(&result.remote),
        "remote_port" => port(&result.remote),
        "time_total" => seconds(result.time),
        "time_connect" => seconds(u64::from(result.local.is_some()) * 2),
        // A finished TLS handshake only: none over plain http, none with a certificate that is refused.
        "time_appconnect" => seconds(u64::from(request.scheme.as_str() == "https" && result.exit == 0) * 3),
        "time_namelookup" | "time_pretransfer" | "time_starttransfer" => seconds(1),
        "num_connects" => u8::from(result.local.is_some()).to_string(),
        "url_effective" | "url" => url.to_owned(),
        "ssl_verify_result" => result.verify_result.max(u8::from(result.exit == 60)).to_string(),
        "certs" => result.certificates.clone(),
        "method" => request.method.clone(),
        "scheme" => request.scheme.as_str().to_owned(),
        "size_download" => result.body.len().to_string(),
        "size_header" => result.headers.len().to_string(),
        "http_version" if result.http_code > 0 => "1.1".to_owned(),
        "content_type" if result.http_code > 0 => "application/json".to_owned(),
        "http_version" | "num_redirects" | "urlnum" | "num_headers" => "0".to_owned(),
        // curl prints nothing for what it does not know, after a warning; and `redirect_url` is always empty here.
        _ => String::new(),
    }
}

fn all(url: &str, request: &TransferRequest, result: &TransferResult) -> String {
    const TEXTS: [&str; 9] = [
        "errormsg",
        "local_ip",
        "remote_ip",
        "url_effective",
        "url",
        "method",
        "scheme",
        "content_type",
        "redirect_url",
    ];
    const NUMBERS: [&str; 10] = [
        "exitcode",
        "http_code",
        "response_code",
        "local_port",
        "remote_port",
        "time_total",
        "num_connects",
        "ssl_verify_result",
        "size_download",
        "num_redirects",
    ];
    let mut fields: Map<String, Value> = Map::new();
    for name in TEXTS {
        let text = variable(name, url, request, result);
        fields.insert(
            name.to_owned(),
            if text.is_empty() { Value::Null } else { json!(text) },
        );
    }
    for name in NUMBERS {
        let text = variable(name, url, request, result);
        let number = text.trim_start_matches('0');
        let number = if number.is_empty() || number.starts_with('.') {
            format!("0{number}")
        } else {
            number.to_owned()
        };
        fields.insert(
            name.to_owned(),
            serde_json::from_str(&number).unwrap_or(Value::Null),
        );
    }
    let mut text = String::new();
    let _ = write!(text, "{}", Value::Object(fields));
    text
}
