//! `explain EGR-nnn`: the article of a code.

use crate::cli::Explain;
use crate::error::{Error, Result};
use crate::finding;
use crate::report::{Printer, view};
use crate::vocabulary::ExitCode;
use serde_json::json;

/// Prints the article.
pub(super) fn explain(settings: &Explain, printer: &Printer) -> Result<ExitCode> {
    let Some(article) = finding::article(&settings.code) else {
        let known: Vec<&str> = finding::catalogue::CATALOGUE
            .iter()
            .map(|article| article.code)
            .collect();
        return Err(Error::usage(format!("there is no finding {}", settings.code))
            .hint(format!("known codes: {}", known.join(", "))));
    };
    let document = json!({
        "code": article.code, "severity": article.severity, "title": article.title, "cause": article.cause, "fix": article.fix,
    });
    printer.document(&document, |style| view::article(article, style))?;
    Ok(ExitCode::Success)
}
