//! Makes invisible characters visible, so that nothing from the cluster can move the cursor, recolour the screen,
//! set the clipboard (OSC 52) or turn text around (Unicode's bidirectional controls, "Trojan Source").

use std::borrow::Cow;
use std::fmt::Write;

/// One line with every control or invisible character spelled out: `\n`, `\t`, `\x1b`, `\u{202e}`.
///
/// Borrowed if there is nothing to spell out. A backslash stays as it is.
pub fn visible(text: &str) -> Cow<'_, str> {
    spell(text, |_| false)
}

/// Like [`visible`], but line feeds and tabs stay: for texts of several lines that we lay out.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    spell(text, |character| matches!(character, '\n' | '\t'))
}

/// Like [`visible_lines`], but colours stay: sequences of the form `ESC [ digits and ; m` (ECMA-48 SGR).
///
/// The last line of defence for texts that we laid out; what comes from the cluster was made visible before.
pub(super) fn visible_but_colors(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let mut safe = visible_lines(pieces.next().unwrap_or_default()).into_owned();
    for piece in pieces {
        let parameters = piece.find(|character: char| !character.is_ascii_digit() && character != ';');
        match parameters {
            Some(end) if piece[end..].starts_with('m') => safe.push_str("\u{1b}["),
            _ => safe.push_str("\\x1b["),
        }
        safe.push_str(&visible_lines(piece));
    }
    safe
}

/// A JSON text with every such character inside its strings as `\uXXXX`, which means the same to a parser.
///
/// serde_json escapes only what is below U+0020; outside of strings none of the others occurs.
pub(super) fn json(text: &str) -> Cow<'_, str> {
    let hostile = |character: char| is_hidden(character) && character != '\n';
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if hostile(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

/// Whether a text of several lines holds anything that would be spelled out.
pub(super) fn has_hidden(text: &str) -> bool {
    text.contains(|character: char| is_hidden(character) && character != '\n')
}

fn spell(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hostile = |character: char| is_hidden(character) && !keep(character);
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if !hostile(character) {
            safe.push(character);
            continue;
        }
        let _ = match character {
            '\n' => write!(safe, "\\n"),
            '\r' => write!(safe, "\\r"),
            '\t' => write!(safe, "\\t"),
            _ if (character as u32) < 0x80 => write!(safe, "\\x{:02x}", character as u32),
            _ => write!(safe, "\\u{{{:x}}}", character as u32),
        };
    }
    Cow::Owned(safe)
}

/// C0, DEL and C1 controls; bidirectional controls; separators and characters of no width; tags.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::clear_screen("\u{1b}[2J", r"\x1b[2J")]
    #[case::clipboard("\u{1b}]52;c;ZXZpbA==\u{7}", r"\x1b]52;c;ZXZpbA==\x07")]
    #[case::c1_csi("\u{9b}31m", r"\u{9b}31m")]
    #[case::bidirectional("a\u{202e}b\u{2066}c", r"a\u{202e}b\u{2066}c")]
    #[case::lines("a\r\nb\u{2028}c\td", r"a\r\nb\u{2028}c\td")]
    #[case::no_width("kyma\u{200b}-project.io\u{feff}", r"kyma\u{200b}-project.io\u{feff}")]
    #[case::delete("a\u{7f}\u{8}b", r"a\x7f\x08b")]
    fn spells_out(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(visible(text), expected);
    }

    #[test]
    fn leaves_letters_alone_and_borrows() {
        assert!(matches!(visible("Grüße, мир, 世界 \\n 🦀"), Cow::Borrowed(_)));
        assert_eq!(visible_lines("a\n\tb\u{1b}"), "a\n\tb\\x1b");
    }

    #[test]
    fn only_colours_stay_in_what_we_laid_out() {
        let text = "\u{1b}[1;32mok\u{1b}[0m\n\u{1b}[2J\u{1b}]0;t\u{7}\u{1b}[\u{1b}[3\u{9b}m";
        let safe = "\u{1b}[1;32mok\u{1b}[0m\n\\x1b[2J\\x1b]0;t\\x07\\x1b[\\x1b[3\\u{9b}m";
        assert_eq!(visible_but_colors(text), safe);
    }

    proptest! {
        #[test]
        fn nothing_hidden_is_left(text in any::<String>()) {
            prop_assert!(!visible(&text).contains(is_hidden));
        }

        #[test]
        fn json_means_the_same_afterwards(text in any::<String>()) {
            let rendered = serde_json::to_string_pretty(&[&text]).unwrap();
            let safe = json(&rendered);
            prop_assert!(!has_hidden(&safe));
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&safe).unwrap(), vec![text]);
        }
    }
}
