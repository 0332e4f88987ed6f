//! The way of a probe as a picture, hop by hop: lying for wide screens and paper, upright for narrow ones.
//!
//! How a leg is protected is said three times: by the word on it, by the form of its line, by its colour.

use crate::evidence::ProbeResult;
use crate::vocabulary::{Encryption, Hop, HopEnd};
use maud::{Markup, html};

/// Where the picture's parts are, in its own units; a unit is a pixel at most.
struct Layout {
    upright: bool,
    /// Box of a station.
    width: usize,
    height: usize,
    /// Between two boxes.
    gap: usize,
    /// Characters that fit into a box.
    characters: usize,
}

const FLAT: Layout = Layout {
    upright: false,
    width: 164,
    height: 64,
    gap: 116,
    characters: 22,
};
const UPRIGHT: Layout = Layout {
    upright: true,
    width: 250,
    height: 58,
    gap: 70,
    characters: 34,
};
/// Room around everything.
const MARGIN: usize = 4;

/// A place on the way.
struct Station {
    what: String,
    name: String,
}

/// Both pictures of a probe; the style sheet shows the one that fits. Nothing without a hop.
pub(super) fn pictures(result: &ProbeResult, number: usize) -> Markup {
    if result.hops.is_empty() {
        return html! { p.quiet { "No hop of this probe is witnessed, so there is no way to draw." } };
    }
    let stations = stations(result);
    html! {
        (picture(result, &stations, &FLAT, &format!("way-{number}")))
        (picture(result, &stations, &UPRIGHT, &format!("upright-way-{number}")))
    }
}

fn stations(result: &ProbeResult) -> Vec<Station> {
    let name = |end: HopEnd, hop: Option<&Hop>| match end {
        HopEnd::Application | HopEnd::Sidecar => result.source.clone(),
        HopEnd::Gateway => hop.and_then(|hop| hop.pod.clone()).unwrap_or_default(),
        HopEnd::Host => format!("{}:{}", result.host, result.port),
    };
    let first = result.hops.first().map(|hop| hop.from);
    let ends = first.into_iter().chain(result.hops.iter().map(|hop| hop.to));
    ends.map(|end| Station {
        what: end.to_string(),
        name: name(
            end,
            result
                .hops
                .iter()
                .find(|hop| hop.to == end || hop.from == end)
                .filter(|hop| hop.pod.is_some()),
        ),
    })
    .collect()
}

fn picture(result: &ProbeResult, stations: &[Station], layout: &Layout, id: &str) -> Markup {
    let steps = stations.len().saturating_sub(1);
    let (width, height) = if layout.upright {
        let height = stations.len() * layout.height + steps * layout.gap;
        (layout.width + 2 * MARGIN, height + 2 * MARGIN)
    } else {
        let width = stations.len() * layout.width + steps * layout.gap;
        (width + 2 * MARGIN, layout.height + 2 * MARGIN)
    };
    let class = if layout.upright { "upright" } else { "flat" };
    html! {
        svg class=(class) role="img" aria-labelledby={ (id) "-title " (id) "-text" }
            width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } {
            title id={ (id) "-title" } { "Way of the probe to " (result.host) ":" (result.port) ": " (result.outcome) }
            desc id={ (id) "-text" } { (description(&result.hops)) }
            @for (index, hop) in result.hops.iter().enumerate() { (leg(hop, index, layout)) }
            @for (index, station) in stations.iter().enumerate() { (box_of(station, index, layout)) }
        }
    }
}

/// The picture in words.
fn description(hops: &[Hop]) -> String {
    let legs: Vec<String> = hops
        .iter()
        .map(|hop| match &hop.failed {
            Some(why) => format!("{} to {} failed: {why}", hop.from, hop.to),
            None => format!("{} to {} by {}", hop.from, hop.to, hop.encryption),
        })
        .collect();
    legs.join("; ")
}

/// Where a box begins along the way.
fn start(index: usize, layout: &Layout) -> usize {
    let side = if layout.upright {
        layout.height
    } else {
        layout.width
    };
    MARGIN + index * (side + layout.gap)
}

fn box_of(station: &Station, index: usize, layout: &Layout) -> Markup {
    let (x, y) = if layout.upright {
        (MARGIN, start(index, layout))
    } else {
        (start(index, layout), MARGIN)
    };
    let middle = x + layout.width / 2;
    let named = !station.name.is_empty();
    let first = y + layout.height / 2 + if named { 0 } else { 5 } - if named { 4 } else { 0 };
    html! {
        g {
            rect.box x=(x) y=(y) width=(layout.width) height=(layout.height) rx="10" {}
            text x=(middle) y=(first) text-anchor="middle" { (station.what) }
            @if named {
                text.sub x=(middle) y=(first + 19) text-anchor="middle" { (shortened(&station.name, layout.characters)) }
            }
        }
    }
}

fn leg(hop: &Hop, index: usize, layout: &Layout) -> Markup {
    let class = match (&hop.failed, hop.encryption) {
        (Some(_), _) => "failed",
        (None, Encryption::Mtls) => "mtls",
        (None, Encryption::Tls) => "tls",
        (None, Encryption::Plaintext) => "plaintext",
        (None, Encryption::Unknown) => "unknown",
    };
    let word = match &hop.failed {
        Some(_) => "failed".to_owned(),
        None => hop.encryption.to_string(),
    };
    let side = if layout.upright {
        layout.height
    } else {
        layout.width
    };
    let begin = start(index, layout) + side + 4;
    let end = begin + layout.gap - 8;
    let across = MARGIN
        + if layout.upright {
            layout.width
        } else {
            layout.height
        } / 2;
    let head = 12;
    let middle = usize::midpoint(begin, end) - head / 2;
    let (line, arrow, cross) = if layout.upright {
        (
            format!("M{across} {begin}V{}", end - head),
            format!("M{} {}H{}L{across} {end}Z", across - 8, end - head, across + 8),
            cross(across, middle),
        )
    } else {
        (
            format!("M{begin} {across}H{}", end - head),
            format!("M{} {}V{}L{end} {across}Z", end - head, across - 8, across + 8),
            cross(middle, across),
        )
    };
    let (x, y, anchor) = if layout.upright {
        (across + 20, middle + 5, "start")
    } else {
        (usize::midpoint(begin, end), across - 15, "middle")
    };
    html! {
        g class=(class) {
            path.leg d=(line) {}
            path.head d=(arrow) {}
            @if hop.failed.is_some() { path.cross d=(cross) {} }
            text.what x=(x) y=(y) text-anchor=(anchor) { (word) }
        }
    }
}

fn cross(x: usize, y: usize) -> String {
    let (left, right, top, bottom) = (x - 8, x + 8, y - 8, y + 8);
    format!("M{left} {top}L{right} {bottom}M{right} {top}L{left} {bottom}")
}

/// Long names lose their middle, as both ends tell pods apart; the whole name is beside the picture.
fn shortened(name: &str, most: usize) -> String {
    let count = name.chars().count();
    if count <= most {
        return name.to_owned();
    }
    let kept = most - 1;
    let (front, back) = (kept / 2, kept - kept / 2);
    let begin: String = name.chars().take(front).collect();
    let end: String = name.chars().skip(count - back).collect();
    format!("{begin}…{end}")
}
