//! The colours, each once for light and once for dark. A test computes the contrast of every pair that carries text.

/// A colour by its name in the style sheet, light and dark, as `#rrggbb`.
pub(super) struct Token {
    pub(super) name: &'static str,
    pub(super) light: &'static str,
    pub(super) dark: &'static str,
}

const fn token(name: &'static str, light: &'static str, dark: &'static str) -> Token {
    Token { name, light, dark }
}

/// All colours. Those of a state come in pairs: text on its own ground.
pub(super) const TOKENS: &[Token] = &[
    token("ground", "#f4f6fa", "#0e1218"),
    token("surface", "#ffffff", "#161c26"),
    token("raised", "#f0f3f8", "#1e2632"),
    token("text", "#17202e", "#e7ecf4"),
    token("quiet", "#4f5b6e", "#a8b4c6"),
    token("line", "#d3dae5", "#2f3a4b"),
    token("edge", "#7c889b", "#74829a"),
    token("accent", "#1b57b3", "#8fbcff"),
    token("good", "#0b5f33", "#79dda3"),
    token("good-ground", "#e2f4e9", "#10301f"),
    token("bad", "#a01914", "#ffa79f"),
    token("bad-ground", "#fdeae8", "#3d1613"),
    token("warn", "#704700", "#f3c86d"),
    token("warn-ground", "#fff1d1", "#362a0c"),
    token("open", "#3c4a63", "#bccae0"),
    token("open-ground", "#e6ebf4", "#262f3f"),
];

/// Pairs of text and ground that the style sheet puts on each other.
#[cfg(test)]
pub(super) const ON: &[(&str, &str)] = &[
    ("text", "ground"),
    ("text", "surface"),
    ("text", "raised"),
    ("quiet", "ground"),
    ("quiet", "surface"),
    ("quiet", "raised"),
    ("accent", "ground"),
    ("accent", "surface"),
    ("good", "good-ground"),
    ("good", "surface"),
    ("bad", "bad-ground"),
    ("bad", "surface"),
    ("warn", "warn-ground"),
    ("warn", "surface"),
    ("open", "open-ground"),
    ("open", "surface"),
    ("text", "good-ground"),
    ("text", "bad-ground"),
    ("text", "warn-ground"),
    ("text", "open-ground"),
];
