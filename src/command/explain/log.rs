//! `explain --log`: a line, or a whole log from standard input.

use super::live::{self, Live};
use crate::cli::{Connection, Explain};
use crate::command::log_lines::{Line, for_each_line};
use crate::error::{Error, Result};
use crate::evidence::LogFormats;
use crate::evidence::explanation::{Explanation, LogReader, LogSummary, origins, read_line};
use crate::istio::access_log::LogTemplate;
use crate::report::{Printer, interruption, view};
use crate::vocabulary::{ExitCode, names};
use schemars::JsonSchema;
use serde::Serialize;
use std::io::{BufReader, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};

/// What `explain --log LINE -o json` prints.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::command) struct LineExplanation {
    /// Version of the document.
    api_version: String,
    /// Always `LineExplanation`.
    kind: String,
    #[serde(flatten)]
    explanation: Explanation,
    /// The cluster that was asked.
    context: Option<String>,
    /// What its objects tell.
    objects: Vec<String>,
}

/// What `explain --log -o json` prints of a whole log.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::command) struct LogExplanation {
    /// Version of the document.
    api_version: String,
    /// Always `LogExplanation`.
    kind: String,
    #[serde(flatten)]
    summary: LogSummary,
    /// The cluster that was asked.
    context: Option<String>,
    /// What its objects tell, group by group.
    objects: Vec<Vec<String>>,
}

/// Explains the line, or the log.
pub(super) async fn explain(
    connection: &Connection,
    settings: &Explain,
    printer: &Printer,
) -> Result<ExitCode> {
    let formats = formats(settings.log_format.as_deref())?;
    let given = settings.log.as_deref().unwrap_or("-");
    if given == "-" || given.trim().contains('\n') {
        let summary = read_log(given, formats.clone(), printer).await?;
        let live = objects(connection, settings, printer).await;
        return log(summary, &formats, live.as_ref(), printer);
    }
    let read = read_line(given.as_bytes(), &formats)
        .ok_or_else(|| Error::usage("this is no line of an access log").hint(EXPECTED))?;
    let explanation = Explanation::of(&read.line, read.pod.as_deref());
    let live = objects(connection, settings, printer).await;
    let said = live
        .as_ref()
        .map_or_else(Vec::new, |live| origins(&read.line, &live.objects));
    let document = LineExplanation {
        api_version: names::API_VERSION.to_owned(),
        kind: "LineExplanation".to_owned(),
        explanation,
        context: live.map(|live| live.context),
        objects: said,
    };
    printer.document(&document, |style| {
        let context = document.context.as_deref();
        view::explanation(&document.explanation, context, &document.objects, style)
    })?;
    if let Some(next) = &document.explanation.next {
        printer.next(next);
    }
    Ok(ExitCode::Success)
}

const EXPECTED: &str = "Envoy's text begins with [2026-11-21T…] \"GET …\", its JSON with {\"; another format is given with --log-format; in a shell, put the line between single quotes or send it by a pipe: kubectl logs POD -c istio-proxy | kubectl egress explain --log";

/// Istio's own formats are always understood.
fn formats(own: Option<&str>) -> Result<LogFormats> {
    let Some(own) = own else {
        return Ok(LogFormats::default());
    };
    if !own.contains('%') {
        return Err(Error::usage("--log-format has no operator of Envoy's")
            .hint("give it as in meshConfig.accessLogFormat, for example '%START_TIME% %RESPONSE_FLAGS% %UPSTREAM_CLUSTER%'"));
    }
    let labels = serde_json::from_str(own).ok();
    Ok(LogFormats::new(&[labels.map_or_else(
        || LogTemplate::Text(own.to_owned()),
        LogTemplate::Labels,
    )]))
}

async fn objects(connection: &Connection, settings: &Explain, printer: &Printer) -> Option<Live> {
    if settings.offline {
        return None;
    }
    live::read(connection, printer).await
}

/// Reads until the log ends, or Ctrl-C: then what was read is explained.
async fn read_log(given: &str, formats: LogFormats, printer: &Printer) -> Result<LogSummary> {
    let reader = Arc::new(Mutex::new(LogReader::new(formats)));
    let shared = Arc::clone(&reader);
    let take = move |line: Line| {
        let mut reader = shared.lock().unwrap_or_else(PoisonError::into_inner);
        match line {
            Line::Whole(line) => reader.take(line),
            Line::TooLong => reader.skip(),
        }
        true
    };
    let read = if given == "-" {
        if std::io::stdin().is_terminal() {
            printer.note("reading a log from standard input; Ctrl-D ends it");
        }
        let reading = tokio::task::spawn_blocking(move || {
            for_each_line(&mut BufReader::with_capacity(64 * 1024, std::io::stdin()), take)
        });
        tokio::select! {
            read = reading => read.unwrap_or_else(|error| Err(std::io::Error::other(error))),
            () = interruption() => Ok(()),
        }
    } else {
        for_each_line(&mut given.as_bytes(), take)
    };
    read.map_err(|error| Error::usage("the log cannot be read").because(error.to_string()))?;
    let summary = reader.lock().unwrap_or_else(PoisonError::into_inner).summary();
    if summary.lines == 0 {
        let what = match summary.other_lines {
            0 => "the log is empty".to_owned(),
            1 => "the only line is not of an access log".to_owned(),
            lines => format!("none of the {lines} lines is of an access log"),
        };
        return Err(Error::usage(what).hint(EXPECTED));
    }
    Ok(summary)
}

fn log(
    summary: LogSummary,
    formats: &LogFormats,
    live: Option<&Live>,
    printer: &Printer,
) -> Result<ExitCode> {
    let said: Vec<Vec<String>> = summary
        .groups
        .iter()
        .map(|group| {
            let line = formats.parse(group.example.as_bytes());
            live.zip(line)
                .map_or_else(Vec::new, |(live, line)| origins(&line, &live.objects))
        })
        .collect();
    let document = LogExplanation {
        api_version: names::API_VERSION.to_owned(),
        kind: "LogExplanation".to_owned(),
        summary,
        context: live.map(|live| live.context.clone()),
        objects: said,
    };
    printer.document(&document, |style| {
        let context = document.context.as_deref();
        view::log_summary(&document.summary, context, &document.objects, style)
    })?;
    let worst = document
        .summary
        .groups
        .iter()
        .find_map(|group| group.explanation.next.as_deref());
    if let Some(next) = worst {
        printer.next(next);
    }
    Ok(ExitCode::Success)
}
