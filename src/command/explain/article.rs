//! `explain EGR-nnn`: the article of a code; without a code, all titles.

use crate::error::{Error, Result};
use crate::finding::{self, Article, catalogue};
use crate::report::{Printer, view};
use crate::vocabulary::ExitCode;
use serde_json::{Value, json};

/// Prints the article.
pub(super) fn explain(code: &str, printer: &Printer) -> Result<ExitCode> {
    let Some(article) = finding::article(code) else {
        return Err(Error::usage(format!("there is no finding {code}"))
            .hint("all of them with their titles: kubectl egress explain"));
    };
    printer.document(&document(article), |style| view::article(article, style))?;
    printer.next("kubectl egress check");
    Ok(ExitCode::Success)
}

/// Prints every code with its title.
pub(super) fn list(printer: &Printer) -> Result<ExitCode> {
    let all: Vec<Value> = catalogue::all()
        .map(|article| json!({"code": article.code, "severity": article.severity, "title": article.title}))
        .collect();
    printer.document(&all, view::articles)?;
    printer.next("kubectl egress explain EGR-101");
    Ok(ExitCode::Success)
}

fn document(article: &Article) -> Value {
    let guide = article.guide();
    json!({
        "code": article.code,
        "severity": article.severity,
        "title": article.title,
        "symptom": guide.map(|guide| guide.symptom),
        "cause": article.cause,
        "byHand": guide.map(|guide| guide.by_hand),
        "fix": article.fix,
        "references": guide.map(|guide| guide.references),
    })
}
