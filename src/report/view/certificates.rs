//! Certificates as `openssl s_client` and `openssl x509 -text` show them, in fewer lines.

use crate::certificate::{Inspected, Trust};
use crate::report::style::{Mark, Style, Tone};
use crate::report::table::Table;
use std::fmt::Write;

/// Files that were written, and what the certificates among them say.
pub fn certificate_files(files: &[(String, &str, Option<Inspected>)], style: &Style) -> String {
    let mut table = Table::new(["file", "of", "subject", "names", "until"]);
    for (path, what, said) in files {
        let (subject, names, until) = match said {
            Some(said) => (
                said.subject.clone(),
                said.dns_names.join(", "),
                day(&said.not_after.to_string()),
            ),
            None => ("private key".to_owned(), String::new(), String::new()),
        };
        table = table.row([
            (Tone::Plain, path.clone()),
            (Tone::Plain, (*what).to_owned()),
            (Tone::Plain, subject),
            (Tone::Plain, names),
            (Tone::Plain, until),
        ]);
    }
    table.render(style)
}

/// A chain: each certificate with what matters of it.
pub fn certificate_chain(title: &str, chain: &[Inspected], style: &Style) -> String {
    let mut text = format!("{}\n", style.paint(Tone::Strong, title));
    for (depth, said) in chain.iter().enumerate() {
        let mut names = said.dns_names.clone();
        names.extend(said.ip_addresses.iter().map(ToString::to_string));
        names.extend(said.uris.iter().cloned());
        let names = names.join(", ");
        let usage = match said.extended_key_usages.join(", ") {
            usage if usage.is_empty() => "any use".to_owned(),
            usage => usage,
        };
        let kind = if said.is_authority { "CA, " } else { "" };
        let lines = [
            format!("{depth} subject: {}", or_dash(&said.subject)),
            format!("  issuer:  {}", said.issuer),
            format!("  names:   {}", or_dash(&names)),
            format!("  valid:   {} to {}", said.not_before, said.not_after),
            format!(
                "  key:     {}, {kind}{usage}, signed {}",
                said.key, said.signature_algorithm
            ),
            format!("  sha256:  {}", said.fingerprint_sha256),
        ];
        for line in lines {
            let _ = writeln!(text, "  {}", style.paint(Tone::Plain, &line));
        }
    }
    text
}

/// The date of a time.
fn day(time: &str) -> String {
    time.split('T').next().unwrap_or(time).to_owned()
}

/// Mesh identities have no subject, clients no names.
fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// Whether a chain is trusted, in one line.
pub fn certificate_trust(trust: &Trust, style: &Style) -> String {
    let (mark, said) = match trust {
        Trust::Trusted => (Mark::Good, "verified: the chain leads to a trusted CA".to_owned()),
        Trust::Refused(cause) => (Mark::Bad, format!("not verified: {cause}")),
        Trust::NotAsked => (Mark::Open, "not verified: no CA to compare with".to_owned()),
    };
    format!("{} {}\n", style.mark(mark), style.paint(Tone::Plain, &said))
}
