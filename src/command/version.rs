//! `version`: build facts; with `--schema` the JSON Schema of a document.

use super::document::{
    CertificateInspection, Certificates, Cleanup, Diff, Document, GatewayCertificates, Probes,
    ServerCertificates, Target, TwoClusters, Unlock,
};
use super::explain::{LineExplanation, LogExplanation};
use crate::cli::Version;
use crate::engine::bundle::BundleContents;
use crate::engine::check::Findings;
use crate::engine::learn::Learned;
use crate::engine::lockdown::Lockdown;
use crate::engine::path::Paths;
use crate::engine::report_document::ReportDocument;
use crate::engine::status::Status;
use crate::error::{Error, Result};
use crate::evidence::Verification;
use crate::report::Printer;
use crate::vocabulary::{ExitCode, names};
use schemars::{Schema, schema_for};
use serde_json::json;

/// A document by its kind, who prints it, and its schema.
type Documented = (&'static str, &'static str, fn() -> Schema);

/// Every document that has a schema.
const SCHEMAS: &[Documented] = &[
    ("Verification", "verify -o json", Verification::schema),
    ("Report", "report -o json", ReportDocument::schema),
    ("Lockdown", "lockdown -o json", Lockdown::schema),
    ("Findings", "check -o json", Findings::schema),
    ("Status", "status -o json", || schema_for!(Status)),
    ("Learned", "learn -o json", Learned::schema),
    ("Paths", "explain HOST -o json", || schema_for!(Paths)),
    ("LineExplanation", "explain --log LINE -o json", || {
        schema_for!(LineExplanation)
    }),
    ("LogExplanation", "explain --log -o json", || {
        schema_for!(LogExplanation)
    }),
    ("Probes", "probe -o json", Document::<Probes>::schema),
    ("Diff", "diff -o json", Document::<Diff>::schema),
    ("Unlock", "unlock -o json", Document::<Unlock>::schema),
    ("Cleanup", "cleanup -o json", Document::<Cleanup>::schema),
    ("Target", "deploy-target -o json", Document::<Target>::schema),
    (
        "TwoClusters",
        "setup --target-context NAME -o json",
        Document::<TwoClusters<'_>>::schema,
    ),
    ("Certificates", "certs -o json", Document::<Certificates>::schema),
    (
        "CertificateInspection",
        "certs inspect FILE -o json",
        Document::<CertificateInspection>::schema,
    ),
    (
        "GatewayCertificates",
        "certs inspect --gateway -o json",
        Document::<GatewayCertificates>::schema,
    ),
    (
        "ServerCertificates",
        "certs inspect HOST -o json",
        Document::<ServerCertificates>::schema,
    ),
    (
        "SupportArchive",
        "report --bundle FILE -o json",
        BundleContents::schema,
    ),
];

/// Prints it.
pub(super) fn version(settings: &Version, printer: &Printer) -> Result<ExitCode> {
    match settings.schema.as_deref() {
        None => {
            let document = json!({"version": env!("CARGO_PKG_VERSION"), "apiVersion": names::API_VERSION, "sourceImage": names::SOURCE_IMAGE});
            printer.document(&document, |_| {
                format!("kubectl-egress {}\n", env!("CARGO_PKG_VERSION"))
            })?;
        }
        Some("") => list(printer)?,
        Some(name) => {
            let schema = schema(name).ok_or_else(|| {
                Error::usage(format!("there is no schema `{name}`"))
                    .hint("their names: kubectl egress version --schema")
            })?;
            let text =
                serde_json::to_string_pretty(&schema).map_err(|error| Error::bug(error.to_string()))?;
            printer.document(&schema, |_| format!("{text}\n"))?;
        }
    }
    Ok(ExitCode::Success)
}

fn list(printer: &Printer) -> Result<()> {
    let entry = |(kind, command, _): &Documented| json!({"kind": kind, "printedBy": command});
    let document: Vec<_> = SCHEMAS.iter().map(entry).collect();
    printer.document(&document, |_| {
        let line = |(kind, command, _): &Documented| format!("{kind:<21}  kubectl egress {command}\n");
        SCHEMAS.iter().map(line).collect()
    })
}

/// By the kind of the document, in any case.
fn schema(name: &str) -> Option<Schema> {
    let mut all = SCHEMAS.iter();
    let (kind, _, schema) = all.find(|(kind, _, _)| kind.eq_ignore_ascii_case(name))?;
    let mut schema = schema();
    // The types say that both are texts; a document of another kind is not this one.
    for (field, value) in [("apiVersion", names::API_VERSION), ("kind", kind)] {
        if let Some(described) = schema.pointer_mut(&format!("/properties/{field}")) {
            described["const"] = json!(value);
        }
    }
    Some(schema)
}
