//! Host names, as they are typed or stand in files.

use kubectl_egress::vocabulary::HostName;

/// A host name that is taken is written as it was meant, and means nothing to a shell or to YAML; a
/// wildcard covers names below its domain alone.
pub fn host_name(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut words = text.split('\n');
    let first = words.next().unwrap_or_default().parse::<HostName>();
    match &first {
        Ok(host) => {
            let again: HostName = host.to_string().parse().unwrap();
            assert_eq!(&again, host);
            let harmless = |letter: char| letter.is_ascii_alphanumeric() || "-.*_".contains(letter);
            assert!(host.as_str().chars().all(harmless), "{host}");
            assert!(!host.as_str().starts_with('-'));
            assert!(!host.covers(host));
        }
        Err(error) => super::assert_plain(&error.to_string(), &text),
    }
    let (Ok(one), Some(Ok(other))) = (first, words.next().map(str::parse::<HostName>)) else {
        return;
    };
    if one.covers(&other) {
        let domain = one.as_str().trim_start_matches('*');
        assert!(
            one.is_wildcard() && other.as_str().ends_with(domain),
            "{one} {other}"
        );
        assert!(!other.covers(&one), "{one} {other}");
    }
}
