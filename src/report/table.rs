//! Tables as kubectl prints them: upper-case heads, two blanks between columns, no rules.

use super::escape;
use super::style::{Style, Tone};

/// Rows of cells. On a terminal too narrow for them the widest columns are cut; elsewhere nothing is.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<(Tone, String)>>,
}

/// No column is cut below this.
const NARROWEST: usize = 8;
const GAP: usize = 2;

impl Table {
    /// A table with these heads.
    pub fn new<const COLUMNS: usize>(heads: [&str; COLUMNS]) -> Self {
        Self::default().row(heads.map(|head| (Tone::Quiet, head.to_uppercase())))
    }

    /// Adds a row; missing cells are empty.
    #[must_use]
    pub fn row<Text: Into<String>>(mut self, cells: impl IntoIterator<Item = (Tone, Text)>) -> Self {
        let cells = cells
            .into_iter()
            .map(|(tone, text)| (tone, escape::visible(&text.into()).into_owned()));
        self.rows.push(cells.collect());
        self
    }

    /// The table as text, each line with a line feed.
    pub fn render(&self, style: &Style) -> String {
        let widths = self.widths(style.width);
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            let mut owed = 0;
            for ((tone, cell), &width) in row.iter().zip(&widths) {
                let cell = cut(cell, width, style.ellipsis());
                line.push_str(&" ".repeat(owed));
                line.push_str(&style.color_only(*tone, &cell));
                owed = width + GAP - cell.chars().count();
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let mut widths = vec![0; columns];
        for row in &self.rows {
            for (width, (_, cell)) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let gaps = GAP * columns.saturating_sub(1);
        while limit.is_some_and(|limit| widths.iter().sum::<usize>() + gaps > limit) {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

/// Cuts in the middle: Kubernetes names differ at both ends.
fn cut(cell: &str, width: usize, ellipsis: &str) -> String {
    let length = cell.chars().count();
    if length <= width {
        return cell.to_owned();
    }
    let room = width.saturating_sub(ellipsis.chars().count());
    let head: String = cell.chars().take(room.div_ceil(2)).collect();
    let tail: String = cell.chars().skip(length - room / 2).collect();
    format!("{head}{ellipsis}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::new(["object", "state", "detail"])
            .row([
                (Tone::Plain, "ServiceEntry demo/egress-default-passthrough-000"),
                (Tone::Good, "ready"),
                (Tone::Plain, ""),
            ])
            .row([
                (Tone::Plain, "Gateway istio-system/egress"),
                (Tone::Warning, "drifted"),
                (Tone::Plain, "spec.servers[0]\n\u{1b}[2J"),
            ])
    }

    fn style(width: Option<usize>) -> Style {
        Style {
            color: false,
            unicode: true,
            width,
            verbosity: 0,
        }
    }

    #[test]
    fn nothing_is_cut_off_a_terminal() {
        insta::assert_snapshot!(table().render(&style(None)), @r"
        OBJECT                                            STATE    DETAIL
        ServiceEntry demo/egress-default-passthrough-000  ready
        Gateway istio-system/egress                       drifted  spec.servers[0]\n\x1b[2J
        ");
    }

    #[test]
    fn the_widest_column_gives_way() {
        let text = table().render(&style(Some(60)));
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
        insta::assert_snapshot!(text, @r"
        OBJECT                     STATE    DETAIL
        ServiceEntry…sthrough-000  ready
        Gateway isti…ystem/egress  drifted  spec.servers[0]\n\x1b[2J
        ");
    }
}
