//! `secrets`: a certificate for the gateway, or for our source, as a Secret of the plan.

use super::certs::read;
use super::connection::{connect_to_plan, or_interrupted};
use super::setup;
use crate::cli::{ClientFiles, Connection, ModeFlags, SecretUser as User, Secrets};
use crate::engine::Event;
use crate::engine::client_secret::{
    Holds, SecretContent, SecretUser, SecretWish, client_secret_findings, refuse_errors,
};
use crate::engine::prepare::{Parts, prepare};
use crate::error::{Error, Result};
use crate::plan::PlannedHost;
use crate::plan::secrets::{CLIENT_CREDENTIAL, CURL_SECRET, Credential, SERVER_AUTHORITY};
use crate::report::Printer;
use crate::vocabulary::{ExitCode, Mode};
use jiff::Timestamp;
use std::path::Path;

/// Makes the Secret; without files, looks whether the one that is there can be used.
pub(super) async fn secrets(
    connection: &Connection,
    settings: Secrets,
    printer: &Printer,
) -> Result<ExitCode> {
    let (user, usual) = match settings.used_by {
        User::Gateway => (SecretUser::Gateway, CLIENT_CREDENTIAL),
        User::Curl => (SecretUser::Curl, CURL_SECRET),
    };
    let name = settings.name.clone().unwrap_or_else(|| usual.to_owned());
    // What the user's files say comes before what a cluster says.
    let wish = match (&settings.cert, &settings.key) {
        (Some(certificate), Some(key)) => {
            let credential = credential(certificate, key, settings.ca.as_deref())?;
            Some(SecretWish {
                user,
                name: name.clone(),
                content: SecretContent::Client(credential),
            })
        }
        _ => None,
    };
    let connected = connect_to_plan(connection, &settings.plan, printer).await?;
    let parts = Parts {
        gateway: false,
        source: false,
        routing: false,
    };
    let mut wanted = setup::wanted(&connected.plan, parts, &settings.plan, settings.change);
    let plan = wanted.plan.clone();
    let Some(wish) = wish else {
        let prepared = prepare(&connected.cluster, wanted).await?;
        let namespace = match user {
            SecretUser::Gateway => &prepared.gateway.namespace,
            SecretUser::Curl => &plan.namespace,
        };
        let findings = client_secret_findings(
            &connected.cluster,
            namespace,
            &plan.namespace,
            &[(name.as_str(), Holds::Client)],
            Timestamp::now(),
        )
        .await?;
        for finding in &findings {
            printer.events()(Event::Found(finding.clone()));
        }
        refuse_errors(
            &format!("the Secret {namespace}/{name} cannot be used"),
            &findings,
        )?;
        printer.note(&format!("Secret {namespace}/{name} is as it should be"));
        return Ok(ExitCode::Success);
    };
    wanted.secrets.push(wish);
    let done = or_interrupted(setup::run(&connected, wanted, false, printer), &plan).await?;
    if done {
        printer.next(&match user {
            SecretUser::Gateway => format!("kubectl egress certs inspect --gateway -n {}", plan.namespace),
            SecretUser::Curl => format!(
                "kubectl egress deploy-curl --curl-secret {name} -n {}",
                plan.namespace
            ),
        });
    }
    Ok(ExitCode::Success)
}

/// Names the Secret that `setup` makes from files, unless the user did.
pub(super) fn name(mode: &mut ModeFlags, files: &ClientFiles) {
    if files.client_cert.is_some() {
        mode.client_secret
            .get_or_insert_with(|| CLIENT_CREDENTIAL.to_owned());
    } else if files.server_ca.is_some() && mode.mode == Some(Mode::TlsOrigination) {
        mode.ca_secret.get_or_insert_with(|| SERVER_AUTHORITY.to_owned());
    }
}

/// The Secret that `setup` makes from files, for the hosts that name it; without hosts, for the stored plan.
pub(super) fn of_setup(files: &ClientFiles, hosts: &[PlannedHost]) -> Result<Vec<SecretWish>> {
    let (Some(certificate), Some(key)) = (&files.client_cert, &files.client_key) else {
        let authority = files.server_ca.as_deref();
        let wish = authority.map(|file| authority_alone(file, hosts)).transpose()?;
        return Ok(wish.into_iter().collect());
    };
    let named = hosts
        .iter()
        .find_map(|planned| planned.how.client_certificate.as_ref());
    let name = match named {
        Some(source) => source.secret.clone(),
        None if hosts.is_empty() => CLIENT_CREDENTIAL.to_owned(),
        None => {
            return Err(Error::usage(
                "no host of this plan shows a client certificate, but --client-cert is given",
            )
            .hint("only hosts of mode mtls-origination do: --mode mtls-origination"));
        }
    };
    let credential = credential(certificate, key, files.server_ca.as_deref())?;
    Ok(vec![SecretWish {
        user: SecretUser::Gateway,
        name,
        content: SecretContent::Client(credential),
    }])
}

/// A Secret with nothing but the server's CA, for hosts to which the gateway shows no certificate.
fn authority_alone(file: &Path, hosts: &[PlannedHost]) -> Result<SecretWish> {
    let mut ways = hosts.iter().map(|planned| &planned.how);
    let named = ways.find_map(|how| {
        let source = how.ca_certificate.as_ref();
        source.filter(|_| how.client_certificate.is_none())
    });
    let Some(source) = named else {
        return Err(
            Error::usage("--server-ca is given, and no host of this run takes its CA from a Secret that it makes")
                .because("a CA alone is for mode tls-origination; beside a client certificate it is in the certificate's Secret")
                .hint("--mode tls-origination; or --client-cert and --client-key beside it; or put it as ca.crt into the Secret that --client-secret names"),
        );
    };
    Ok(SecretWish {
        user: SecretUser::Gateway,
        name: source.secret.clone(),
        content: SecretContent::Authority(text(file)?),
    })
}

fn credential(certificate: &Path, key: &Path, authority: Option<&Path>) -> Result<Credential> {
    Ok(Credential {
        certificate: text(certificate)?,
        key: text(key)?.into(),
        authority: authority.map(text).transpose()?,
    })
}

fn text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|_| {
        Error::usage(format!("{} is not PEM", path.display()))
            .because("it is not text; it may be DER or PKCS #12")
            .hint("make it PEM: openssl x509 -inform der -in FILE -out FILE.pem, or openssl pkcs12 -in FILE -nodes")
    })
}
