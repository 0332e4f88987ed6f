//! PEM and X.509 as users bring them.

use kubectl_egress::certificate::{
    Authority, Bundle, Use, bundle_of, check, check_authorities, inspect_chain, inspect_der, trust_of_pem,
};

/// Any bytes are certificates and keys, or an error in plain words.
pub fn certificate(data: &[u8]) {
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    // The last part is a key, if there is one.
    let at = data
        .windows(2)
        .rposition(|pair| pair == b"\n\n")
        .unwrap_or(data.len());
    let (certificates, key) = data.split_at(at);
    for inspected in [
        inspect_chain(certificates),
        inspect_der(data).map(|one| vec![one]),
    ] {
        match inspected {
            Ok(all) => {
                let shown = serde_json::to_string(&all).unwrap();
                assert!(!shown.contains('\u{1b}'));
            }
            Err(error) => super::assert_plain(&error.to_string(), &String::from_utf8_lossy(data)),
        }
    }
    let host = "example.com".parse().unwrap();
    for authority in [None, Some(data)] {
        let bundle = Bundle {
            certificate: certificates,
            key: Some(key),
            authority,
        };
        let _ = check(&bundle, Use::Client, now);
        let _ = check(&bundle, Use::Server { host: &host }, now);
    }
    let _ = check_authorities(data, now);
    let _ = trust_of_pem(certificates, data, now);
    let _ = Authority::from_pem(certificates, key);
    if let Ok(bundle) = bundle_of(&[certificates, data]) {
        // Each certificate once, and readable as one bundle.
        assert_eq!(
            bundle_of(&[bundle.as_bytes(), bundle.as_bytes()]).unwrap(),
            bundle
        );
    }
}
