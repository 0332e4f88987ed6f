//! Keys and certificates of the outside world.

use std::fs;
use std::path::Path;

use anyhow::Result;

use super::pki::{Authority, Subject};
use crate::world::{CertificateKind, SERVERS};

/// Writes the authority that the pods trust, the authority of clients with one ready client certificate, another client's
/// certificate of an authority that no server knows, and a certificate for every server.
///
/// # Errors
/// The folder is not writable.
pub(crate) fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let authority = Authority::new("lab outside world")?;
    authority.write(folder, "ca")?;
    let clients = Authority::new("lab clients of the outside world")?;
    clients.write(folder, "client-ca")?;
    // For clients whom nobody here knows.
    let strangers = Authority::new("lab strangers to the outside world")?;
    strangers.issue(
        folder,
        "stranger",
        &Subject {
            common_name: "stranger",
            ..Subject::default()
        },
    )?;
    clients.issue(
        folder,
        "client",
        &Subject {
            common_name: "client",
            ..Subject::default()
        },
    )?;
    for server in SERVERS {
        let names = server.certificate_names();
        let subject = Subject {
            common_name: names.first().map_or("", String::as_str),
            names: names.clone(),
            expired: server.certificate == CertificateKind::Expired,
            ..Subject::default()
        };
        authority.issue(folder, server.name(), &subject)?;
    }
    Ok(())
}
