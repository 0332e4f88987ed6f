//! `certs`: a CA, a server's and a client's certificate, as files that only their owner reads.

use super::certs_inspect;
use super::document::{CertificateFile, Certificates, Document};
use super::output_file::{Readers, is_taken, replace_all, unwritten};
use crate::certificate::{self, Authority, CertificateRequest, Inspected, Issued};
use crate::cli::{Certs, CertsCommand, Connection};
use crate::error::{Error, Result};
use crate::report::{Printer, view};
use crate::vocabulary::{ExitCode, HostName};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use std::path::{Path, PathBuf};

/// A file to write: its name, what it is, its text.
struct Output {
    name: String,
    what: &'static str,
    text: Text,
}

enum Text {
    Public(String),
    Private(secrecy::SecretString),
}

impl Output {
    fn bytes(&self) -> &[u8] {
        match &self.text {
            Text::Public(text) => text.as_bytes(),
            Text::Private(text) => text.expose_secret().as_bytes(),
        }
    }
}

/// Makes them, or looks at some.
pub(super) async fn certs(connection: &Connection, settings: Certs, printer: &Printer) -> Result<ExitCode> {
    if let Some(CertsCommand::Inspect(settings)) = &settings.inspect {
        return certs_inspect::inspect(connection, settings, printer).await;
    }
    let Some(folder) = &settings.out else {
        return Err(Error::bug("certs without --out"));
    };
    let outputs = make(&settings, Timestamp::now())?;
    let existing: Vec<String> = outputs
        .iter()
        .map(|output| folder.join(&output.name))
        .filter(|path| is_taken(path))
        .map(|path| path.display().to_string())
        .collect();
    if !existing.is_empty() {
        let question = format!("Overwrite {}?", existing.join(", "));
        let agreed = printer.confirm(&question).await.map_err(|error| {
            error.hint("or write elsewhere: --out DIR; keep the CA: --ca-cert FILE --ca-key FILE")
        })?;
        if !agreed {
            return Err(Error::consent("nothing was written, as you did not agree").because(question));
        }
    }
    make_folder(folder)?;
    // Together: a new certificate beside an old key would be worse than either.
    let files: Vec<(PathBuf, &[u8])> = outputs
        .iter()
        .map(|output| (folder.join(&output.name), output.bytes()))
        .collect();
    replace_all(&files, Readers::Owner)?;
    show(folder, &outputs, printer)?;
    let at = |name: &str| folder.join(name).display().to_string();
    let authority = match &settings.ca_cert {
        Some(own) => own.display().to_string(),
        None if settings.keep_trust.is_some() => at("trust.crt"),
        None => at("root.crt"),
    };
    printer.next(&format!(
        "kubectl egress secrets --cert {} --key {} --ca {authority}",
        at(&format!("{}.crt", settings.client_name)),
        at(&format!("{}.key", settings.client_name)),
    ));
    Ok(ExitCode::Success)
}

/// Everything that is to be written; nothing is written yet.
fn make(settings: &Certs, now: Timestamp) -> Result<Vec<Output>> {
    let first = settings
        .hosts
        .first()
        .ok_or_else(|| Error::bug("certs without a host"))?;
    let request = |common_name: &str, dns_names: &[HostName]| CertificateRequest {
        common_name: common_name.to_owned(),
        organization: settings.organization.clone(),
        dns_names: dns_names.to_vec(),
        valid_days: settings.days,
        now,
    };
    let server_name = first.as_str().replace('*', "wildcard");
    if server_name == settings.client_name
        || [&server_name, &settings.client_name]
            .iter()
            .any(|name| ["root", "trust"].contains(&name.as_str()))
    {
        return Err(Error::usage(format!(
            "the files of the client `{}` would be those of another certificate",
            settings.client_name
        ))
        .hint("give the client another name: --client-name NAME"));
    }
    let mut outputs = Vec::new();
    let root = root(settings, &request(&format!("{first} root"), &[]), &mut outputs)?;
    let server_request = request(first.as_str(), &settings.hosts);
    let server = match read_optional(settings.server_key.as_deref())? {
        Some(key) => root.issue_server_for(&server_request, &key)?,
        None => root.issue_server(&server_request)?,
    };
    let client_request = request(&settings.client_name, &[]);
    let client = match read_optional(settings.client_key.as_deref())? {
        Some(key) => root.issue_client_for(&client_request, &key)?,
        None => root.issue_client(&client_request)?,
    };
    outputs.extend(pair(&server_name, "server", server));
    outputs.extend(pair(&settings.client_name, "client", client));
    Ok(outputs)
}

fn root(settings: &Certs, request: &CertificateRequest, outputs: &mut Vec<Output>) -> Result<Authority> {
    let key = read_optional(settings.ca_key.as_deref())?;
    let root = match (&settings.ca_cert, &key) {
        (Some(certificate), Some(key)) => return own_root(&read(certificate)?, key, request.now),
        (_, Some(key)) => certificate::authority_for(request, key)?,
        (_, None) => certificate::authority(request)?,
    };
    let file = |name: &str, what, text| Output {
        name: name.to_owned(),
        what,
        text,
    };
    outputs.push(file("root.crt", "CA", Text::Public(root.certificate_pem.clone())));
    let key = secrecy::SecretString::from(root.key_pem.expose_secret().to_owned());
    outputs.push(file("root.key", "CA", Text::Private(key)));
    if let Some(old) = &settings.keep_trust {
        let both = certificate::bundle_of(&[&read(old)?, root.certificate_pem.as_bytes()])?;
        outputs.push(file("trust.crt", "old and new CA", Text::Public(both)));
    }
    Ok(root)
}

/// The user's CA; one that has expired would only issue what has expired.
fn own_root(certificate: &[u8], key: &[u8], now: Timestamp) -> Result<Authority> {
    let root = Authority::from_pem(certificate, key)?;
    if root.not_after() <= now {
        return Err(Error::usage("this CA cannot issue certificates")
            .because(format!("it expired on {}", root.not_after()))
            .hint("make a new CA, and let both be trusted meanwhile: --keep-trust FILE instead of --ca-cert and --ca-key"));
    }
    Ok(root)
}

fn pair(name: &str, what: &'static str, issued: Issued) -> [Output; 2] {
    [
        Output {
            name: format!("{name}.crt"),
            what,
            text: Text::Public(issued.certificate_pem),
        },
        Output {
            name: format!("{name}.key"),
            what,
            text: Text::Private(issued.key_pem),
        },
    ]
}

fn show(folder: &Path, outputs: &[Output], printer: &Printer) -> Result<()> {
    let mut files = Vec::new();
    for output in outputs {
        let path = folder.join(&output.name).display().to_string();
        let said = match &output.text {
            Text::Public(text) => certificate::inspect_chain(text.as_bytes())?.pop(),
            Text::Private(_) => None,
        };
        files.push(CertificateFile {
            path,
            of: output.what,
            certificate: said,
        });
    }
    let rows = files.iter();
    let shown: Vec<(String, &str, Option<Inspected>)> = rows
        .map(|file| (file.path.clone(), file.of, file.certificate.clone()))
        .collect();
    let document = Document::new(Certificates { files });
    printer.document(&document, |style| view::certificate_files(&shown, style))
}

/// Reads a file of the user's.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        Error::usage(format!("{} cannot be read", path.display())).because(error.to_string())
    })
}

pub(super) fn read_optional(path: Option<&Path>) -> Result<Option<Vec<u8>>> {
    path.map(read).transpose()
}

fn make_folder(folder: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder).map_err(|error| unwritten(folder, &error))
}
