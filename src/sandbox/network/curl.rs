//! curl, in a container of the sandbox.

use super::curl_arguments::{self, Job, Refused, Section};
use super::curl_format;
use super::transfer::{TransferRequest, transfer};
use crate::sandbox::state::{Inner, State};
use crate::sandbox::streams::files;
use crate::vocabulary::Scheme;
use serde_json::Value;

/// What a process wrote, and its exit code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::sandbox) struct Output {
    pub(in crate::sandbox) stdout: Vec<u8>,
    pub(in crate::sandbox) stderr: Vec<u8>,
    pub(in crate::sandbox) exit: i32,
}

/// Version that the sandbox's curl says it is.
const VERSION: &str = "8.18.0";

/// Runs curl in a container of a pod.
pub(in crate::sandbox) fn run(
    inner: &Inner,
    state: &mut State,
    source: &Value,
    container: &Value,
    arguments: &[String],
) -> Output {
    let sections = match curl_arguments::parse(arguments) {
        Ok(Job::Transfers(sections)) => sections,
        Ok(Job::Version) => {
            let text = format!("curl {VERSION} (sandbox) libcurl/{VERSION}\nProtocols: http https\n");
            return Output {
                stdout: text.into_bytes(),
                ..Output::default()
            };
        }
        Err(Refused(exit, message)) => {
            return Output {
                stderr: message.into_bytes(),
                exit,
                ..Output::default()
            };
        }
    };
    let mut output = Output::default();
    for section in &sections {
        for (index, url) in section.urls.iter().enumerate() {
            if let Some(path) = url.strip_prefix("file://") {
                file(
                    section,
                    path,
                    files::read(state, source, container, path),
                    &mut output,
                );
                continue;
            }
            let files = used_files(section, |path| files::read(state, source, container, path));
            match files {
                Ok(files) => one(inner, state, source, (section, files), url, index, &mut output),
                Err(path) => {
                    output.exit = 77;
                    let line = format!("curl: (77) error setting certificate file: {path}\n");
                    output.stderr.extend_from_slice(line.as_bytes());
                }
            }
        }
    }
    output
}

/// Files of the container that curl uses in TLS.
struct Shown {
    authorities: Option<String>,
    certificate: Option<String>,
}

/// Reads the files that a transfer uses in TLS, or names the one that is not there.
fn used_files(section: &Section, read: impl Fn(&str) -> Option<String>) -> Result<Shown, String> {
    let read = |path: Option<&String>| match path {
        None => Ok(None),
        Some(path) => read(path).map(Some).ok_or_else(|| path.clone()),
    };
    Ok(Shown {
        authorities: read(section.authorities.as_ref())?,
        certificate: read(section.certificate.as_ref())?,
    })
}

/// A file of the container instead of a transfer.
fn file(section: &Section, path: &str, text: Option<String>, output: &mut Output) {
    output.exit = if text.is_some() { 0 } else { 37 };
    match text {
        Some(text) => output.stdout.extend_from_slice(text.as_bytes()),
        None if section.silent && !section.show_error => {}
        None => {
            let line = format!("curl: (37) Couldn't open file {path}\n");
            output.stderr.extend_from_slice(line.as_bytes());
        }
    }
}

fn one(
    inner: &Inner,
    state: &mut State,
    source: &Value,
    (section, files): (&Section, Shown),
    url: &str,
    index: usize,
    output: &mut Output,
) {
    let request = read_url(url, section).map(|request| TransferRequest {
        authorities: files.authorities,
        client_certificate: files.certificate,
        ..request
    });
    let Some(request) = request else {
        output.exit = 3;
        output
            .stderr
            .extend_from_slice(b"curl: (3) URL using bad/illegal format or missing URL\n");
        return;
    };
    let mut result = transfer(inner, state, source, &request);
    if section.fail && result.exit == 0 && result.http_code >= 400 {
        result.exit = 22;
        result.error = format!("The requested URL returned error: {}", result.http_code);
    }
    let to_stdout = section.outputs.get(index).is_none_or(|file| file == "-");
    if section.dump_headers.as_deref() == Some("-") {
        output.stdout.extend_from_slice(result.headers.as_bytes());
    }
    if to_stdout {
        if section.include || section.head {
            output.stdout.extend_from_slice(result.headers.as_bytes());
        }
        output.stdout.extend_from_slice(&result.body);
    }
    if result.exit != 0 && (!section.silent || section.show_error) {
        let line = format!("curl: ({}) {}\n", result.exit, result.error);
        output.stderr.extend_from_slice(line.as_bytes());
    }
    if let Some(format) = &section.write_out {
        let text = curl_format::expand(format, url, &request, &result);
        output.stdout.extend_from_slice(text.as_bytes());
    }
    output.exit = result.exit;
}

fn read_url(url: &str, section: &Section) -> Option<TransferRequest> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return None,
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, if scheme == Scheme::Http { 80 } else { 443 }),
    };
    let method = section
        .method
        .clone()
        .unwrap_or_else(|| if section.head { "HEAD" } else { "GET" }.to_owned());
    (!host.is_empty()).then(|| TransferRequest {
        scheme,
        // The SNI is the URL's name, whatever the Host header says.
        host: section
            .host_header
            .clone()
            .filter(|_| scheme == Scheme::Http)
            .unwrap_or_else(|| host.to_owned()),
        connect_to: host.to_owned(),
        port,
        path: if path.is_empty() {
            "/".to_owned()
        } else {
            path.to_owned()
        },
        method,
        user_agent: section
            .user_agent
            .clone()
            .unwrap_or_else(|| format!("curl/{VERSION}")),
        max_time: section.max_time,
        connect_timeout: section.connect_timeout,
        resolve: section.resolve.clone(),
        insecure: section.insecure,
        authorities: None,
        client_certificate: None,
    })
}
