//! Sentences of ours in which commands stand between backticks.

use maud::{Markup, html};

/// The sentence with its commands as code.
pub(super) fn words(text: &str) -> Markup {
    // Without an even number of them a backtick is only a character.
    if !text.matches('`').count().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (index, piece) in text.split('`').enumerate() {
            @if index % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}
