//! `certs inspect`: what `openssl x509`, `openssl verify` and `openssl s_client` would show, without openssl.

use super::certs::{read, read_optional};
use super::connection::{connect, connect_to_plan};
use super::document::{self, Document};
use super::source;
use crate::certificate::{Bundle, Inspected, Trust, Use, check, inspect_chain, trust_of_pem};
use crate::cli::{CertsInspect, Connection, inspected_host};
use crate::engine::inspect::{
    GatewayCertificates, ServerCertificates, ServerQuestion, of_gateway, of_server,
};
use crate::engine::prepare::{Parts, prepare};
use crate::error::{Error, Result};
use crate::finding::{Finding, Severity, catalogue};
use crate::report::{Printer, Style, view};
use crate::vocabulary::{ExitCode, names};
use jiff::Timestamp;
use std::io::Read as _;
use std::path::Path;

/// Shows certificates. Exit 1 if something is wrong with them.
pub(super) async fn inspect(
    connection: &Connection,
    settings: &CertsInspect,
    printer: &Printer,
) -> Result<ExitCode> {
    let Some(target) = &settings.target else {
        return gateway(connection, settings, printer).await;
    };
    let path = Path::new(target);
    if target == "-" || path.is_file() {
        return file(target, settings, printer);
    }
    server(connection, settings, target, printer).await
}

fn file(name: &str, settings: &CertsInspect, printer: &Printer) -> Result<ExitCode> {
    let now = Timestamp::now();
    let text = if name == "-" {
        let mut text = Vec::new();
        std::io::stdin()
            .read_to_end(&mut text)
            .map_err(|error| Error::usage("standard input cannot be read").because(error.to_string()))?;
        text
    } else {
        read(Path::new(name))?
    };
    let key = read_optional(settings.key.as_deref())?;
    let authority = read_optional(settings.authority.as_deref())?;
    let chain = inspect_chain(&text)?;
    let bundle = Bundle {
        certificate: &text,
        key: key.as_deref(),
        authority: authority.as_deref(),
    };
    let mut findings = match &settings.sni {
        Some(host) => check(&bundle, Use::Server { host }, now),
        None => check(&bundle, Use::Client, now),
    };
    if settings.sni.is_none() {
        // What a file is for, nobody said.
        findings.retain(|finding| finding.code != catalogue::USAGE_MISSING.code);
    }
    let trust = match &authority {
        Some(authority) => trust_of_pem(&text, authority, now)?,
        None => Trust::NotAsked,
    };
    let document = Document::new(document::CertificateInspection {
        file: name.to_owned(),
        chain: chain.clone(),
        trust: trust.clone(),
        findings: findings.clone(),
    });
    printer.document(&document, |style| {
        let mut text = view::certificate_chain(name, &chain, style);
        if authority.is_some() {
            text.push_str(&view::certificate_trust(&trust, style));
        }
        text + &shown(&findings, style)
    })?;
    printer.next(&match findings.first() {
        Some(finding) => format!("kubectl egress explain {}", finding.code),
        None => "kubectl egress secrets --cert FILE --key FILE --ca FILE".to_owned(),
    });
    Ok(exit(&findings))
}

async fn gateway(connection: &Connection, settings: &CertsInspect, printer: &Printer) -> Result<ExitCode> {
    let flags = settings.plan_flags();
    let connected = connect_to_plan(connection, &flags, printer).await?;
    let parts = Parts {
        gateway: false,
        source: false,
        routing: false,
    };
    let change = crate::cli::ChangeFlags {
        dry_run: crate::cli::DryRun::Client,
        force_conflicts: false,
    };
    let mut wanted = super::setup::wanted(&connected.plan, parts, &flags, change);
    wanted.create_namespace = true;
    let prepared = prepare(&connected.cluster, wanted).await?;
    let all = of_gateway(&connected.cluster, &prepared.gateway, Timestamp::now()).await?;
    let document = Document::new(document::GatewayCertificates {
        gateway: prepared.gateway.to_string(),
        pods: all.clone(),
    });
    printer.document(&document, |style| gateway_text(&all, style))?;
    printer.next(&format!("kubectl egress verify -n {}", connected.plan.namespace));
    let good = all.iter().all(|pod| {
        let mut trusts = pod.certificates.iter().filter_map(|held| held.trust.as_ref());
        trusts.all(|trust| *trust == Trust::Trusted)
    });
    Ok(if good {
        ExitCode::Success
    } else {
        ExitCode::Disproven
    })
}

fn gateway_text(pods: &[GatewayCertificates], style: &Style) -> String {
    let mut text = String::new();
    for pod in pods {
        for held in &pod.certificates {
            let what = match held.name.as_str() {
                "default" => "mesh identity".to_owned(),
                "ROOTCA" => "CA of the mesh".to_owned(),
                other => other.to_owned(),
            };
            text.push_str(&view::certificate_chain(
                &format!("{}: {what}", pod.pod),
                &held.chain,
                style,
            ));
            if let Some(trust) = &held.trust {
                text.push_str(&view::certificate_trust(trust, style));
            }
        }
    }
    text
}

async fn server(
    connection: &Connection,
    settings: &CertsInspect,
    target: &str,
    printer: &Printer,
) -> Result<ExitCode> {
    let host = inspected_host(target)
        .map_err(|cause| Error::usage(format!("`{target}` is neither a file nor a host")).because(cause))?;
    if settings.key.is_some() {
        return Err(Error::usage(
            "--key is for a file's certificate, not for a server's",
        ));
    }
    let authority = read_optional(settings.authority.as_deref())?;
    let connected = connect(connection, &settings.plan_flags(), printer).await?;
    let timeout = settings.plan_flags().timeout;
    let source = source::find(&connected, &settings.probe, names::SOURCE_IMAGE, timeout, printer).await?;
    let name = settings.sni.as_ref().unwrap_or(&host.host).to_string();
    let question = ServerQuestion {
        host: host.host.to_string(),
        port: host.port.unwrap_or(443),
        server_name: name,
        authority,
        ca_certificate: settings.probe.ca_certificate.clone(),
        max_time_seconds: settings.probe.max_time,
    };
    let shown = of_server(&connected.cluster, &source, &question, Timestamp::now()).await?;
    let document = Document::new(document::ServerCertificates {
        source: source.pod.to_string(),
        shown: shown.clone(),
    });
    printer.document(&document, |style| server_text(&shown, style))?;
    Ok(if shown.trust == Trust::Trusted && shown.names_it {
        ExitCode::Success
    } else {
        ExitCode::Disproven
    })
}

fn server_text(shown: &ServerCertificates, style: &Style) -> String {
    let title = format!("{} (server name {})", shown.server, shown.server_name);
    let mut text = view::certificate_chain(&title, &shown.chain, style);
    text.push_str(&view::certificate_trust(&shown.trust, style));
    if !shown.names_it {
        let subject = shown
            .chain
            .first()
            .map_or("", |leaf: &Inspected| leaf.subject.as_str());
        let message = format!("the certificate {subject} does not name {}", shown.server_name);
        text.push_str(&view::finding(
            &Finding::new(&catalogue::HOST_NOT_NAMED, message),
            style,
        ));
    }
    text
}

fn shown(findings: &[Finding], style: &Style) -> String {
    findings
        .iter()
        .map(|finding| view::finding(finding, style))
        .collect()
}

fn exit(findings: &[Finding]) -> ExitCode {
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        ExitCode::Disproven
    } else {
        ExitCode::Success
    }
}
