//! The cluster's keys and certificates, made anew for every `up`.

use std::fs;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::layout::ClusterLayout;

/// How long certificates hold, and how far they reach back for machines whose clocks differ.
const VALIDITY: Duration = Duration::days(365);
const BACK: Duration = Duration::days(2);

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate (PEM).
    pub certificate: String,
    /// Its key (PEM).
    pub key: String,
}

/// What a certificate is to say.
#[derive(Default)]
pub(crate) struct Subject<'a> {
    /// Common name; a user's name for the API server.
    pub common_name: &'a str,
    /// Organisation; a group for the API server.
    pub organisation: Option<&'a str>,
    /// DNS names.
    pub names: Vec<String>,
    /// Addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it has ended already.
    pub expired: bool,
}

impl Authority {
    /// Makes an authority with a new key.
    ///
    /// # Errors
    /// The key cannot be made.
    pub(crate) fn new(common_name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = params(&Subject {
            common_name,
            ..Subject::default()
        })?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let certificate = params.self_signed(&key)?.pem();
        let key_pem = key.serialize_pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
            key: key_pem,
        })
    }

    /// Writes `NAME.pem` and `NAME.key` of the authority itself.
    ///
    /// # Errors
    /// The folder is not writable.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<()> {
        write_pair(folder, name, &self.certificate, &self.key)
    }

    /// Makes a certificate for servers and clients and writes it as `NAME.pem` and `NAME.key`.
    ///
    /// # Errors
    /// A name cannot stand in a certificate, or the folder is not writable.
    pub(crate) fn issue(&self, folder: &Path, name: &str, subject: &Subject<'_>) -> Result<()> {
        let key = KeyPair::generate()?;
        let mut params = params(subject)?;
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, &self.issuer)?;
        write_pair(folder, name, &certificate.pem(), &key.serialize_pem())
    }
}

fn params(subject: &Subject<'_>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(subject.names.clone())?;
    params
        .distinguished_name
        .push(DnType::CommonName, subject.common_name);
    if let Some(organisation) = subject.organisation {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organisation);
    }
    params.subject_alt_names.extend(
        subject
            .addresses
            .iter()
            .map(|address| SanType::IpAddress(*address)),
    );
    let now = OffsetDateTime::now_utc();
    params.not_before = now - BACK;
    params.not_after = if subject.expired {
        now - Duration::days(1)
    } else {
        now + VALIDITY
    };
    Ok(params)
}

fn write_pair(folder: &Path, name: &str, certificate: &str, key: &str) -> Result<()> {
    fs::write(folder.join(format!("{name}.pem")), certificate)?;
    write_secret(&folder.join(format!("{name}.key")), key)
}

fn write_secret(path: &Path, content: &str) -> Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut file = fs::File::options()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(file.write_all(content.as_bytes())?)
}

/// Makes every key of the cluster.
///
/// # Errors
/// The folder is not writable.
pub(crate) fn create(layout: &ClusterLayout) -> Result<()> {
    let folder = layout.pki();
    fs::create_dir_all(&folder)?;
    let authority = Authority::new("lab cluster")?;
    authority.write(&folder, "ca")?;
    authority.issue(&folder, "apiserver", &api_server(layout))?;
    let node_user = format!("system:node:{}", layout.name());
    let users = [
        ("admin", "admin", Some("system:masters")),
        ("apiserver-kubelet", "apiserver", Some("system:masters")),
        ("kube-controller-manager", "system:kube-controller-manager", None),
        ("kube-scheduler", "system:kube-scheduler", None),
        ("kube-proxy", "system:kube-proxy", None),
        ("node", &node_user, Some("system:nodes")),
    ];
    for (file, common_name, organisation) in users {
        authority.issue(
            &folder,
            file,
            &Subject {
                common_name,
                organisation,
                ..Subject::default()
            },
        )?;
    }
    let kubelet = Subject {
        common_name: &layout.name(),
        names: vec![layout.name()],
        addresses: vec![layout.node_address().into()],
        ..Subject::default()
    };
    authority.issue(&folder, "kubelet-server", &kubelet)?;

    let front_proxy = Authority::new("lab front proxy")?;
    front_proxy.write(&folder, "front-proxy-ca")?;
    front_proxy.issue(
        &folder,
        "front-proxy",
        &Subject {
            common_name: "front-proxy",
            ..Subject::default()
        },
    )?;

    let key = KeyPair::generate()?;
    write_secret(&folder.join("service-account.key"), &key.serialize_pem())?;
    fs::write(folder.join("service-account.pub"), key.public_key_pem())?;
    Ok(())
}

fn api_server(layout: &ClusterLayout) -> Subject<'static> {
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    ];
    Subject {
        common_name: "kube-apiserver",
        names: names.map(ToOwned::to_owned).to_vec(),
        addresses: vec![
            layout.node_address().into(),
            layout.kubernetes_service().into(),
            std::net::Ipv4Addr::LOCALHOST.into(),
        ],
        ..Subject::default()
    }
}

#[cfg(test)]
mod tests {
    use x509_parser::pem::parse_x509_pem;

    use super::*;

    #[test]
    fn an_expired_certificate_has_ended_and_keys_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new("test").unwrap();
        let subject = Subject {
            common_name: "x",
            names: vec!["x.test".into()],
            expired: true,
            ..Subject::default()
        };
        authority.issue(folder.path(), "x", &subject).unwrap();
        let (_, pem) = parse_x509_pem(&fs::read(folder.path().join("x.pem")).unwrap()).unwrap();
        let certificate = pem.parse_x509().unwrap();
        assert!(!certificate.validity().is_valid());
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &fs::metadata(folder.path().join("x.key")).unwrap().permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn groups_stand_in_the_subject() {
        let folder = tempfile::tempdir().unwrap();
        let subject = Subject {
            common_name: "admin",
            organisation: Some("system:masters"),
            ..Subject::default()
        };
        Authority::new("test")
            .unwrap()
            .issue(folder.path(), "a", &subject)
            .unwrap();
        let (_, pem) = parse_x509_pem(&fs::read(folder.path().join("a.pem")).unwrap()).unwrap();
        let subject = pem.parse_x509().unwrap().subject().to_string();
        assert!(
            subject.contains("O=system:masters") && subject.contains("CN=admin"),
            "{subject}"
        );
    }
}
