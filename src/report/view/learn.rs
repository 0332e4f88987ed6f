//! The text of `learn`.

use super::simulation::{heard, not_known, seconds, simulation};
use crate::engine::learn::{DestinationSeen, Learned, Open, Spoken, Way};
use crate::report::style::{Style, Tone};
use crate::report::table::Table;
use std::fmt::Write;

/// Where the workloads go, what is open, what is not known, what is proposed and what is not, and what a lock breaks.
pub fn learned(learned: &Learned, style: &Style) -> String {
    let title = format!("What the workloads of namespace {} reach", learned.namespace);
    let by = format!("looked at: {}", heard(&learned.observed));
    let mut text = format!(
        "{}\n{}\n",
        style.paint(Tone::Strong, &title),
        style.wrap_painted(Tone::Quiet, &by, 2)
    );
    text.push_str(&destinations(learned, style));
    for more in &learned.more {
        let line = format!(
            "{}: {} destinations are listed, and {} more connections went to others",
            more.workload, more.listed, more.count
        );
        let _ = writeln!(text, "{}", style.wrap_item(&line, 2));
    }
    text.push_str(&open(&learned.open, style));
    text.push_str(&not_known(&learned.not_known, style));
    if !learned.not_proposed.is_empty() {
        heading(&mut text, "Not proposed", style);
        for left_out in &learned.not_proposed {
            let by = left_out.workloads.join(", ");
            let line = format!("{} (by {by}): {}", left_out.destination, left_out.why);
            let _ = writeln!(text, "{}", style.wrap_item(&line, 2));
        }
    }
    heading(&mut text, &format!("Proposed for plan {}", learned.plan), style);
    if learned.adds.is_empty() {
        text.push_str("  no host more than it has\n");
    }
    for host in &learned.adds {
        let _ = writeln!(text, "  + {}", style.paint(Tone::Good, host));
    }
    text.push('\n');
    match (&learned.shadow, &learned.lock_unknown) {
        // Of whom nothing is known stands above.
        (Some(shadow), _) => {
            let mut shadow = shadow.clone();
            shadow.not_known.clear();
            text.push_str(&simulation(&shadow, style));
        }
        (None, why) => {
            let why = why.as_deref().unwrap_or("no lock was derived");
            let _ = writeln!(
                text,
                "{}",
                style.wrap_item(&format!("What a lock would break is not known: {why}"), 0)
            );
        }
    }
    text
}

/// The command that a user wants next; `written`: the file of the plan.
pub fn next_after_learning(learned: &Learned, written: Option<&str>) -> String {
    let namespace = &learned.namespace;
    match written {
        _ if !learned.knows_anything() => "kubectl egress explain EGR-202".to_owned(),
        Some(file) => format!("kubectl egress diff -f {file} -n {namespace}"),
        None if !learned.adds.is_empty() => {
            format!("kubectl egress learn -n {namespace} --since 1h --write plan.yaml")
        }
        None => format!("kubectl egress lockdown -n {namespace} --dry-run=client"),
    }
}

fn heading(text: &mut String, title: &str, style: &Style) {
    let _ = writeln!(text, "\n{}", style.color_only(Tone::Strong, title));
}

fn destinations(learned: &Learned, style: &Style) -> String {
    if learned.destinations.is_empty() {
        let nothing = if learned.knows_anything() {
            "no connection was logged"
        } else {
            "not known: no sidecar told anything"
        };
        return format!("  {nothing}\n");
    }
    let mut table = Table::new([
        "workload",
        "destination",
        "protocol",
        "way",
        "times",
        "failed",
        "out",
        "in",
        "last seen",
    ])
    .spare(&["in", "out", "last seen", "protocol", "failed"]);
    for seen in &learned.destinations {
        let (tone, way) = way(seen);
        let last = seen.last_seen.as_deref().map(seconds).unwrap_or_default();
        table = table.row([
            (Tone::Plain, seen.workload.clone()),
            (Tone::Plain, place(seen)),
            (Tone::Quiet, spoken(seen.protocol).to_owned()),
            (tone, way),
            (Tone::Plain, seen.count.to_string()),
            (Tone::Plain, seen.failed.to_string()),
            (Tone::Quiet, bytes(seen.bytes_out)),
            (Tone::Quiet, bytes(seen.bytes_in)),
            (Tone::Quiet, last),
        ]);
    }
    table.render(style)
}

fn place(seen: &DestinationSeen) -> String {
    let who = seen
        .host
        .as_deref()
        .or(seen.address.as_deref())
        .unwrap_or("unknown");
    if who.contains(':') {
        format!("[{who}]:{}", seen.port)
    } else {
        format!("{who}:{}", seen.port)
    }
}

fn way(seen: &DestinationSeen) -> (Tone, String) {
    match (seen.way, &seen.by) {
        (Way::Gateway, _) if seen.planned => (Tone::Good, "gateway, planned".to_owned()),
        (Way::Gateway, Some(gateway)) => (Tone::Good, format!("gateway {gateway}")),
        (Way::Gateway, None) => (Tone::Good, "gateway".to_owned()),
        (Way::Direct, Some(service)) => (Tone::Warning, format!("direct, as Service {service}")),
        (Way::Direct, None) => (Tone::Warning, "direct".to_owned()),
        (Way::InCluster, _) => (Tone::Plain, "in the cluster".to_owned()),
        (Way::Refused, _) => (Tone::Plain, "refused by the sidecar".to_owned()),
    }
}

fn spoken(spoken: Spoken) -> &'static str {
    match spoken {
        Spoken::Http => "http",
        Spoken::Tls => "tls",
        Spoken::Tcp => "tcp",
    }
}

fn open(open: &[Open], style: &Style) -> String {
    if open.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    heading(&mut text, "Open now, without a line yet", style);
    let mut table = Table::new(["workload", "cluster of the sidecar", "address", "connections"]);
    for one in open {
        table = table.row([
            (Tone::Plain, one.workload.clone()),
            (Tone::Plain, one.cluster.clone()),
            (Tone::Plain, one.address.clone().unwrap_or_default()),
            (Tone::Plain, one.connections.to_string()),
        ]);
    }
    text.push_str(&table.render(style));
    text
}

/// `725 B`, `2.3 kB`, `14 MB`: powers of 1000.
fn bytes(count: u64) -> String {
    const UNITS: &[&str] = &["kB", "MB", "GB", "TB", "PB", "EB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut unit = 0;
    let mut scale = 1000_u64;
    while unit + 1 < UNITS.len() && count / scale >= 1000 {
        scale *= 1000;
        unit += 1;
    }
    let (whole, tenth) = (count / scale, count % scale * 10 / scale);
    if whole < 10 {
        format!("{whole}.{tenth} {}", UNITS[unit])
    } else {
        format!("{whole} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_short() {
        let said = [0, 999, 1000, 2385, 999_999, 14_000_000, u64::MAX].map(bytes);
        assert_eq!(
            said,
            ["0 B", "999 B", "1.0 kB", "2.3 kB", "999 kB", "14 MB", "18 EB"]
        );
    }
}
