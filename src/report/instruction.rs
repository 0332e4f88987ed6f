//! What a user is to type, laid out for a terminal: prose is broken at its width, a command only where a shell lets it go on.

use super::columns::columns;

/// Blanks before further lines of prose; a command that goes on stands further in.
const INDENT: usize = 2;

/// A text, behind `used` columns, broken at a terminal's width. A command moves to a line of its own if it fits there;
/// a longer one is broken between its flags, with a backslash, so that it can be copied as it stands. Windows' shells
/// know no backslash: there it stays whole.
pub(super) fn lay_out(text: &str, used: usize, width: usize) -> String {
    let mut lines = Lines {
        text: String::new(),
        used,
        width,
    };
    if used + columns(text) < width {
        return text.to_owned();
    }
    for part in parts(text) {
        match part {
            Part::Word(word) => lines.word(word),
            Part::Command(command) => lines.command(&command),
        }
    }
    lines.text
}

enum Part<'text> {
    Word(&'text str),
    /// Words that must not be torn apart: a flag with its value, a quotation, a pipe with the command behind it.
    Command(Vec<String>),
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let bare = word.trim_start_matches(['`', '(']);
        if bare != "kubectl" {
            parts.push(Part::Word(word));
            continue;
        }
        let quoted = word.starts_with('`');
        let mut command = vec![word.to_owned()];
        while let Some(next) = words.next_if(|next| quoted || !next.starts_with('(')) {
            let mut whole = next.to_owned();
            while let Some(more) = is_open(&whole).then(|| words.next()).flatten() {
                whole = format!("{whole} {more}");
            }
            let last = command.last_mut().filter(|last| {
                let takes_value = last.starts_with('-') && !last.contains(['=', ' ']);
                // What a pipe leads to stands behind it, up to its flags.
                (takes_value || last.starts_with('|')) && !whole.starts_with('-')
            });
            let ends = if quoted {
                whole.contains('`')
            } else {
                whole.ends_with([';', ',', ')'])
            };
            match last {
                Some(flag) => *flag = format!("{flag} {whole}"),
                None => command.push(whole),
            }
            if ends {
                break;
            }
        }
        parts.push(Part::Command(command));
    }
    parts
}

/// Whether a quotation begins in it and does not end.
fn is_open(word: &str) -> bool {
    let mut characters = word.chars();
    let quote = characters.next().filter(|first| matches!(first, '\'' | '"'));
    quote.is_some_and(|quote| !characters.any(|character| character == quote))
}

struct Lines {
    text: String,
    used: usize,
    width: usize,
}

impl Lines {
    fn word(&mut self, word: &str) {
        let length = columns(word);
        if self.text.is_empty() {
            self.text.push_str(word);
            self.used += length;
        } else if self.used + 1 + length < self.width {
            self.text.push(' ');
            self.text.push_str(word);
            self.used += 1 + length;
        } else {
            self.next_line(INDENT, word);
        }
    }

    fn command(&mut self, words: &[String]) {
        let whole = words.join(" ");
        let length = columns(&whole);
        let fits = !self.text.is_empty() && self.used + 1 + length < self.width;
        if fits || (self.text.is_empty() && self.used + length < self.width) {
            self.word(&whole);
        } else if INDENT + length < self.width || cfg!(windows) {
            self.next_line(INDENT, &whole);
        } else {
            let (first, rest) = words
                .split_first()
                .map_or(("", words), |(first, rest)| (first.as_str(), rest));
            if self.text.is_empty() {
                self.word(first);
            } else {
                self.next_line(INDENT, first);
            }
            for word in rest {
                // Behind it the backslash must have room.
                if self.used + 1 + columns(word) + 2 < self.width {
                    self.word(word);
                } else {
                    self.text.push_str(" \\");
                    self.next_line(2 * INDENT, word);
                }
            }
        }
    }

    fn next_line(&mut self, indent: usize, word: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
            self.text.push_str(&" ".repeat(indent));
        }
        self.text.push_str(word);
        self.used = indent + columns(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stays_as_it_is() {
        assert_eq!(
            lay_out("kubectl egress verify -n demo", 6, 80),
            "kubectl egress verify -n demo"
        );
    }

    #[test]
    fn a_command_moves_to_a_line_of_its_own() {
        let text = "make one: kubectl egress deploy-curl -n demo; or probe from a workload of yours: --from deploy/NAME";
        insta::assert_snapshot!(lay_out(text, 6, 50), @r"
        make one:
          kubectl egress deploy-curl -n demo; or probe
          from a workload of yours: --from deploy/NAME
        ");
    }

    #[cfg(not(windows))]
    #[test]
    fn a_pipe_stays_with_the_command_that_it_leads_to() {
        let shown = lay_out(
            "kubectl egress logs --raw -n demo | kubectl egress explain --log",
            6,
            40,
        );
        insta::assert_snapshot!(shown, @r"
        kubectl egress logs --raw \
            -n demo | kubectl egress explain \
            --log
        ");
    }

    #[cfg(not(windows))]
    #[test]
    fn a_longer_one_goes_on_as_a_shell_reads_it() {
        let text = "there: kubectl patch rule egress -n demo --type merge -p '{\"spec\": {\"a b\": 1}}' (nobody else loses it)";
        let shown = lay_out(text, 6, 40);
        insta::assert_snapshot!(shown, @r#"
        there:
          kubectl patch rule egress -n demo \
            --type merge \
            -p '{"spec": {"a b": 1}}' (nobody
          else loses it)
        "#);
        for line in shown.lines() {
            assert!(columns(line) < 40, "{line}");
        }
        // Read by a shell it is the command.
        let joined = shown
            .replace(" \\\n", " ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert_eq!(joined, text);
    }
}
