//! How many columns a text takes on a terminal, and texts cut to a number of them.
//!
//! A character of East Asian scripts takes two columns, a combining one none (Unicode, UAX 11).

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Columns of a text of one line that holds neither colours nor control characters.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// Blanks that fill a text up to a width; none if it is as wide already.
pub(super) fn padding(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(columns(text)))
}

/// The text, or as much of its beginning as fits before an ellipsis.
pub(super) fn cut_end(text: &str, width: usize, ellipsis: &str) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    if width < columns(ellipsis) {
        return String::new();
    }
    format!("{}{ellipsis}", head(text, width - columns(ellipsis)))
}

/// The text, or its beginning and its end round an ellipsis: Kubernetes names differ at both ends.
pub(super) fn cut_middle(text: &str, width: usize, ellipsis: &str) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(columns(ellipsis));
    format!(
        "{}{ellipsis}{}",
        head(text, room.div_ceil(2)),
        tail(text, room / 2)
    )
}

/// The longest beginning within a width; what takes no column stays with what it stands on.
fn head(text: &str, width: usize) -> &str {
    let mut used = 0;
    for (at, character) in text.char_indices() {
        used += character.width().unwrap_or_default();
        if used > width {
            return &text[..at];
        }
    }
    text
}

/// The longest end within a width that does not begin with a combining character.
fn tail(text: &str, width: usize) -> &str {
    let (mut used, mut from) = (0, text.len());
    for (at, character) in text.char_indices().rev() {
        let takes = character.width().unwrap_or_default();
        used += takes;
        if used > width {
            break;
        }
        if takes > 0 {
            from = at;
        }
    }
    &text[from..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::letters("gateway", 7)]
    #[case::east_asian("ワークロード", 12)]
    #[case::combining("cafe\u{301}", 4)]
    #[case::marks("✔ ‼ … – ⠋ →", 11)]
    fn columns_are_counted_and_not_characters(#[case] text: &str, #[case] expected: usize) {
        assert_eq!(columns(text), expected);
    }

    #[test]
    fn a_wide_character_is_never_halved_nor_a_mark_left_alone() {
        assert_eq!(cut_end("工作負載", 6, "…"), "工作…");
        assert_eq!(cut_middle("工作負載工作", 8, "…"), "工作…作");
        assert_eq!(cut_middle("abcdee\u{301}", 5, "…"), "ab…ee\u{301}");
        assert_eq!(cut_middle("abcde\u{301}f", 4, "…"), "ab…f");
    }

    proptest! {
        #[test]
        fn what_is_cut_fits(text in "[a-z工作e\u{301}]{0,30}", width in 3_usize..40) {
            prop_assert!(columns(&cut_end(&text, width, "…")) <= width);
            prop_assert!(columns(&cut_middle(&text, width, "…")) <= width);
        }
    }
}
