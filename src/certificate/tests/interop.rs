//! The machine's openssl, as a second opinion.

#![expect(clippy::print_stderr, reason = "a test that is skipped says so")]

use super::{EC_SEC1, RSA_PKCS1, authority_for, request, root, server};
use crate::certificate::{Authority, inspect_chain};
use std::path::Path;
use std::process::Command;

/// What openssl says; `None` (and a word) where it is not there.
fn openssl(folder: &Path, arguments: &str) -> Option<String> {
    let run = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output();
    match run {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(output.status.success(), "openssl {arguments}: {text}");
            Some(text)
        }
        Err(error) => {
            eprintln!("skipped: there is no openssl on this machine ({error})");
            None
        }
    }
}

#[test]
fn openssl_verifies_what_we_issue() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    for root in [
        root(),
        authority_for(&request("rsa root", &[]), RSA_PKCS1).unwrap(),
        authority_for(&request("ec root", &[]), EC_SEC1).unwrap(),
    ] {
        let (certificate, key) = server(&root);
        write("root.crt", &root.certificate_pem);
        write("server.crt", &certificate);
        write("server.key", &key);
        let verify = "verify -x509_strict -attime 1795262400 -CAfile root.crt -purpose sslserver -verify_hostname partner.example.com server.crt";
        let Some(said) = openssl(folder.path(), verify) else {
            return;
        };
        assert!(said.contains("server.crt: OK"), "{said}");
        let ours = inspect_chain(certificate.as_bytes()).unwrap();
        let print = openssl(folder.path(), "x509 -in server.crt -noout -fingerprint -sha256").unwrap();
        let theirs = print
            .trim()
            .rsplit('=')
            .next()
            .unwrap()
            .replace(':', "")
            .to_lowercase();
        assert_eq!(ours[0].fingerprint_sha256, theirs);
        let public = openssl(folder.path(), "pkey -in server.key -pubout").unwrap();
        assert_eq!(
            openssl(folder.path(), "x509 -in server.crt -noout -pubkey").unwrap(),
            public
        );
    }
}

#[test]
fn an_authority_that_openssl_made_issues() {
    let folder = tempfile::tempdir().unwrap();
    let make = "req -x509 -newkey rsa:2048 -nodes -days 30 -subj /O=Example/CN=theirs -addext keyUsage=keyCertSign -keyout ca.key -out ca.crt";
    if openssl(folder.path(), make).is_none() {
        return;
    }
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let root = Authority::from_pem(&read("ca.crt"), &read("ca.key")).unwrap();
    let (certificate, _) = server(&root);
    std::fs::write(folder.path().join("server.crt"), &certificate).unwrap();
    // What openssl made is of today.
    let said = openssl(folder.path(), "verify -no_check_time -CAfile ca.crt server.crt").unwrap();
    assert!(said.contains("server.crt: OK"), "{said}");
    assert_eq!(
        inspect_chain(certificate.as_bytes()).unwrap()[0].issuer,
        "O=Example, CN=theirs"
    );
}
