//! The style sheet, and the policy that lets nothing else in.

use super::tokens::{TOKENS, Token};
use k8s_openapi::ByteString;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

const RULES: &str = include_str!("page.css");

/// The whole style sheet: colours, then rules.
pub(super) fn sheet() -> String {
    let mut sheet = String::new();
    let mut colors = |opening: &str, of: fn(&Token) -> &'static str, closing: &str| {
        sheet.push_str(opening);
        for token in TOKENS {
            let _ = write!(sheet, "--{}:{};", token.name, of(token));
        }
        sheet.push_str(closing);
    };
    colors(":root{color-scheme:light dark;", |token| token.light, "}\n");
    let dark = "@media (prefers-color-scheme:dark){:root{";
    colors(dark, |token| token.dark, "}}\n");
    // Paper is white, whatever the screen is.
    colors(
        "@media print{:root{color-scheme:light;",
        |token| token.light,
        "}}\n",
    );
    sheet.push_str(RULES);
    sheet
}

/// The Content-Security-Policy: nothing is loaded, nothing runs, and only this style sheet counts.
pub(super) fn policy(sheet: &str) -> String {
    let digest = ByteString(Sha256::digest(sheet.as_bytes()).to_vec());
    let encoded = serde_json::to_value(digest).unwrap_or_default();
    let digest = encoded.as_str().unwrap_or_default();
    format!("default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'")
}
