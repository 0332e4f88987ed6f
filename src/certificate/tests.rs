//! Every bad input of the issue by its own code; and that openssl, where it is there, sees the same.

mod interop;

use super::*;
use crate::finding::Finding;
use crate::vocabulary::HostName;
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use secrecy::ExposeSecret;

const RSA_PKCS1: &[u8] = include_bytes!("testdata/rsa-pkcs1.key");
const RSA_PKCS8: &[u8] = include_bytes!("testdata/rsa-pkcs8.key");
const EC_SEC1: &[u8] = include_bytes!("testdata/ec-sec1.key");
const ENCRYPTED_PKCS1: &[u8] = include_bytes!("testdata/encrypted-pkcs1.key");
const ENCRYPTED_PKCS8: &[u8] = include_bytes!("testdata/encrypted-pkcs8.key");

fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn host() -> HostName {
    "partner.example.com".parse().unwrap()
}

fn request(common_name: &str, names: &[&str]) -> CertificateRequest {
    CertificateRequest {
        common_name: common_name.to_owned(),
        organization: Some("Example".to_owned()),
        dns_names: names.iter().map(|name| name.parse().unwrap()).collect(),
        valid_days: 365,
        now: now(),
    }
}

fn root() -> Authority {
    authority(&request("root", &[])).unwrap()
}

/// Certificate and key of a server that `root` issued.
fn server(root: &Authority) -> (String, String) {
    let issued = root
        .issue_server(&request("server", &["partner.example.com"]))
        .unwrap();
    (issued.certificate_pem, issued.key_pem.expose_secret().to_owned())
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

fn check_server(certificate: &str, key: &[u8], authority: Option<&str>, now: Timestamp) -> Vec<Finding> {
    let bundle = Bundle {
        certificate: certificate.as_bytes(),
        key: Some(key),
        authority: authority.map(str::as_bytes),
    };
    check(&bundle, Use::Server { host: &host() }, now)
}

#[test]
fn what_is_made_is_found_good() {
    let root = root();
    let (certificate, key) = server(&root);
    let findings = check_server(&certificate, key.as_bytes(), Some(&root.certificate_pem), now());
    assert_eq!(codes(&findings), Vec::<&str>::new());
    let said = &inspect_chain(certificate.as_bytes()).unwrap()[0];
    assert_eq!(said.dns_names, ["partner.example.com"]);
    assert_eq!(said.extended_key_usages, ["serverAuth"]);
    assert_eq!(said.key, "ECDSA P-256");
    assert_eq!(said.signature_algorithm, "ecdsa-with-SHA256");
    assert!(!said.is_authority);
    assert_eq!(said.issuer, root.inspected().unwrap().subject);
    let days = said.not_after.duration_since(now()).as_hours() / 24;
    assert_eq!(days, 365);
    let client = root.issue_client(&request("client", &[])).unwrap();
    let said = &inspect_chain(client.certificate_pem.as_bytes()).unwrap()[0];
    assert_eq!(said.extended_key_usages, ["clientAuth"]);
    assert_eq!(said.fingerprint_sha256, client.fingerprint_sha256);
}

#[test]
fn keys_of_the_users_own_serve_as_those_of_ca_and_leaf() {
    for own in [RSA_PKCS1, RSA_PKCS8, EC_SEC1] {
        let first = authority_for(&request("own root", &[]), own).unwrap();
        let root = Authority::from_pem(first.certificate_pem.as_bytes(), own).unwrap();
        let issued = root.issue_client_for(&request("client", &[]), own).unwrap();
        let bundle = Bundle {
            certificate: issued.certificate_pem.as_bytes(),
            key: Some(own),
            authority: Some(root.certificate_pem.as_bytes()),
        };
        assert_eq!(codes(&check(&bundle, Use::Client, now())), Vec::<&str>::new());
    }
    let rsa = authority_for(&request("own root", &[]), RSA_PKCS1).unwrap();
    let said = rsa.inspected().unwrap();
    assert_eq!(
        (said.key.as_str(), said.signature_algorithm.as_str()),
        ("RSA 2048", "sha256WithRSAEncryption")
    );
}

#[test]
fn a_certificate_for_another_host_is_named() {
    let root = root();
    let issued = root
        .issue_server(&request("partner.example.com", &["other.example.com"]))
        .unwrap();
    let key = issued.key_pem.expose_secret().as_bytes();
    let findings = check_server(&issued.certificate_pem, key, None, now());
    assert_eq!(codes(&findings), ["EGR-402"]);
    assert!(
        findings[0].message.contains("it is for other.example.com"),
        "{}",
        findings[0].message
    );
}

#[test]
fn a_certificate_that_is_none_is_told_in_words() {
    let der = pem::certificates(root().certificate_pem.as_bytes())
        .unwrap()
        .remove(0);
    for damaged in [&b"-----BEGIN CERTIFICATE-----"[..], &[], &der[..40], &der[4..]] {
        let error = inspect_der(damaged).unwrap_err().to_string();
        assert!(
            !error.contains('(') && error.starts_with("a certificate cannot be read: it "),
            "{error}"
        );
    }
}

#[test]
fn a_common_name_is_no_host() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "partner.example.com");
    let certificate = params.self_signed(&key).unwrap().pem();
    let findings = check_server(&certificate, key.serialize_pem().as_bytes(), None, now());
    assert_eq!(codes(&findings), ["EGR-402"]);
    assert!(findings[0].message.contains("a common name does not count"));
}

#[test]
fn wildcards_stand_for_exactly_one_label() {
    let names = ["*.example.com".to_owned()];
    assert!(covers(&names, "partner.example.com"));
    assert!(!covers(&names, "example.com"));
    assert!(!covers(&names, "a.partner.example.com"));
    assert!(covers(&["Partner.Example.com".to_owned()], "partner.example.com"));
    assert!(
        covers(&names, "*.example.com"),
        "a wildcard host needs the same wildcard"
    );
}

#[test]
fn a_key_that_does_not_fit_is_named() {
    let root = root();
    let (certificate, _) = server(&root);
    let findings = check_server(&certificate, EC_SEC1, None, now());
    assert_eq!(codes(&findings), ["EGR-403"]);
}

#[test]
fn a_bundle_in_the_wrong_order_is_named() {
    let root = root();
    let (certificate, key) = server(&root);
    let wrong = format!("{}{certificate}", root.certificate_pem);
    let findings = check_server(&wrong, key.as_bytes(), Some(&root.certificate_pem), now());
    assert_eq!(codes(&findings), ["EGR-404"]);
    assert!(
        findings[0].message.contains("is number 2"),
        "{}",
        findings[0].message
    );
    let without_key = Bundle {
        certificate: wrong.as_bytes(),
        key: None,
        authority: None,
    };
    assert_eq!(
        codes(&check(&without_key, Use::Server { host: &host() }, now())),
        ["EGR-404"]
    );
    let stranger = authority(&request("stranger", &[])).unwrap();
    let broken = format!("{certificate}{}", stranger.certificate_pem);
    assert_eq!(
        codes(&check_server(&broken, key.as_bytes(), None, now())),
        ["EGR-404"]
    );
    let right = format!("{certificate}{}", root.certificate_pem);
    assert_eq!(
        codes(&check_server(&right, key.as_bytes(), None, now())),
        Vec::<&str>::new()
    );
}

#[test]
fn encrypted_keys_are_named_in_both_forms() {
    let (certificate, _) = server(&root());
    for key in [ENCRYPTED_PKCS1, ENCRYPTED_PKCS8] {
        assert_eq!(codes(&check_server(&certificate, key, None, now())), ["EGR-405"]);
        let refused = authority_for(&request("root", &[]), key).unwrap_err();
        assert!(
            refused.to_string().contains("encrypted with a passphrase"),
            "{refused}"
        );
    }
}

#[test]
fn validity_is_compared_with_the_time_that_is_given() {
    let root = root();
    let (certificate, key) = server(&root);
    let at = |hours: i64| now().checked_add(SignedDuration::from_hours(hours)).unwrap();
    let code = |when| check_server(&certificate, key.as_bytes(), None, when);
    assert_eq!(codes(&code(at(366 * 24))), ["EGR-406"]);
    assert_eq!(codes(&code(at(-1))), ["EGR-407"]);
    assert_eq!(codes(&code(at(340 * 24))), ["EGR-408"]);
    assert_eq!(
        codes(&check_authorities(root.certificate_pem.as_bytes(), at(366 * 24))),
        ["EGR-406"]
    );
}

#[test]
fn what_is_issued_ends_with_its_issuer() {
    let root = authority(&CertificateRequest {
        valid_days: 10,
        ..request("root", &[])
    })
    .unwrap();
    let issued = root.issue_client(&request("client", &[])).unwrap();
    let said = &inspect_chain(issued.certificate_pem.as_bytes()).unwrap()[0];
    assert_eq!(said.not_after, root.not_after());
}

#[test]
fn what_is_not_pem_is_named_for_what_it_is() {
    let (certificate, key) = server(&root());
    let der = pem::certificates(certificate.as_bytes()).unwrap().remove(0);
    for (given, words) in [
        (b"hello".to_vec(), "it is not PEM"),
        (der, "it may be DER"),
        (
            key.clone().into_bytes(),
            "it holds PRIVATE KEY, but no certificate",
        ),
        (Vec::new(), "it is not PEM"),
        (
            certificate.replace("MII", "M!I").into_bytes(),
            "its PEM block 1 is damaged",
        ),
    ] {
        let bundle = Bundle {
            certificate: &given,
            key: Some(key.as_bytes()),
            authority: None,
        };
        let findings = check(&bundle, Use::Client, now());
        assert_eq!(codes(&findings), ["EGR-401"]);
        assert!(findings[0].message.contains(words), "{}", findings[0].message);
    }
    let swapped = check_server(&certificate, certificate.as_bytes(), None, now());
    assert_eq!(codes(&swapped), ["EGR-412"]);
    assert!(
        swapped[0]
            .message
            .contains("it holds CERTIFICATE, but no private key")
    );
}

#[test]
fn a_foreign_ca_is_named_also_if_it_has_the_same_name() {
    let root = root();
    let (certificate, key) = server(&root);
    let twin = authority(&request("root", &[])).unwrap();
    let findings = check_server(&certificate, key.as_bytes(), Some(&twin.certificate_pem), now());
    assert_eq!(codes(&findings), ["EGR-409"]);
    let both = bundle_of(&[twin.certificate_pem.as_bytes(), root.certificate_pem.as_bytes()]).unwrap();
    let findings = check_server(&certificate, key.as_bytes(), Some(&both), now());
    assert_eq!(codes(&findings), Vec::<&str>::new(), "overlapping trust");
    let again = bundle_of(&[both.as_bytes(), root.certificate_pem.as_bytes()]).unwrap();
    assert_eq!(again, both, "each CA once");
}

#[test]
fn a_missing_usage_is_named() {
    let root = root();
    let client = root
        .issue_client(&request("client", &["partner.example.com"]))
        .unwrap();
    let key = client.key_pem.expose_secret().as_bytes();
    assert_eq!(
        codes(&check_server(&client.certificate_pem, key, None, now())),
        ["EGR-410"]
    );
    let (certificate, key) = server(&root);
    let bundle = Bundle {
        certificate: certificate.as_bytes(),
        key: Some(key.as_bytes()),
        authority: None,
    };
    let findings = check(&bundle, Use::Client, now());
    assert_eq!(codes(&findings), ["EGR-410"]);
    assert!(
        findings[0]
            .message
            .contains("is for serverAuth, not for clientAuth")
    );
}

#[test]
fn a_leaf_is_no_ca() {
    let root = root();
    let (certificate, key) = server(&root);
    assert_eq!(
        codes(&check_authorities(certificate.as_bytes(), now())),
        ["EGR-411"]
    );
    let refused = Authority::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap_err();
    assert!(refused.to_string().contains("do not say CA:TRUE"), "{refused}");
    let refused = Authority::from_pem(root.certificate_pem.as_bytes(), EC_SEC1).unwrap_err();
    assert!(
        refused.to_string().contains("the key is not that of"),
        "{refused}"
    );
}

#[test]
fn a_chain_is_followed_through_intermediates() {
    let root = root();
    let between_key = KeyPair::generate().unwrap();
    let issuer_key = KeyPair::from_pem(root.key_pem.expose_secret()).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_pem(&root.certificate_pem, issuer_key).unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "between");
    let between = params.signed_by(&between_key, &issuer).unwrap();
    let mut leaf = CertificateParams::new(vec!["partner.example.com".to_owned()]).unwrap();
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = leaf
        .signed_by(&leaf_key, &rcgen::Issuer::from_params(&params, &between_key))
        .unwrap();
    let root_der = pem::certificates(root.certificate_pem.as_bytes()).unwrap();
    let chain = [leaf.der().to_vec(), between.der().to_vec()];
    assert_eq!(trust(&chain, &root_der, now()).unwrap(), Trust::Trusted);
    let Trust::Refused(cause) = trust(&chain[..1], &root_der, now()).unwrap() else {
        panic!("an intermediate is missing");
    };
    assert!(cause.contains("is neither in the chain nor trusted"), "{cause}");
    assert_eq!(trust(&chain, &[], now()).unwrap(), Trust::NotAsked);
    let bundle = format!("{}{}", leaf.pem(), between.pem());
    let key = leaf_key.serialize_pem();
    let findings = check_server(&bundle, key.as_bytes(), Some(&root.certificate_pem), now());
    assert_eq!(codes(&findings), Vec::<&str>::new());
}

#[test]
fn secrets_do_not_show_in_debug() {
    let root = root();
    let issued = root.issue_client(&request("client", &[])).unwrap();
    let shown = format!("{root:?} {issued:?}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
}
