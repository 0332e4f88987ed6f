//! Tables as kubectl prints them: upper-case heads, two blanks between columns, no rules.

use super::columns::{columns, cut_middle, padding};
use super::escape;
use super::style::{Style, Tone};

/// Rows of cells. On a terminal too narrow for them the widest columns are cut; elsewhere nothing is.
#[derive(Debug, Clone, Default)]
pub struct Table {
    rows: Vec<Vec<(Tone, String)>>,
    /// Heads of columns that go where the terminal is too narrow, the first first.
    spare: Vec<String>,
}

/// No column is cut below this.
const NARROWEST: usize = 8;
const GAP: usize = 2;

impl Table {
    /// A table with these heads.
    pub fn new<const COLUMNS: usize>(heads: [&str; COLUMNS]) -> Self {
        Self::default().row(heads.map(|head| (Tone::Quiet, head.to_uppercase())))
    }

    /// Names columns that are left out one by one, the first first, before any cell is cut.
    #[must_use]
    pub fn spare(mut self, heads: &[&str]) -> Self {
        self.spare = heads.iter().map(|head| head.to_uppercase()).collect();
        self
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
        let rows = self.narrowed(style.width);
        let widths = widths(&rows, style.width);
        let mut text = String::new();
        for row in &rows {
            let mut line = String::new();
            let mut owed = String::new();
            for ((tone, cell), &width) in row.iter().zip(&widths) {
                let cell = cut_middle(cell, width, style.ellipsis());
                line.push_str(&owed);
                line.push_str(&style.color_only(*tone, &cell));
                owed = padding(&cell, width + GAP);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// The rows without the spare columns that have no room.
    fn narrowed(&self, limit: Option<usize>) -> Vec<Vec<(Tone, String)>> {
        let mut rows = self.rows.clone();
        for head in &self.spare {
            if limit.is_none_or(|limit| total(&natural(&rows)) <= limit) {
                break;
            }
            let heads = rows.first().map_or(&[][..], Vec::as_slice);
            let Some(at) = heads.iter().position(|(_, cell)| cell == head) else {
                continue;
            };
            for row in rows.iter_mut().filter(|row| at < row.len()) {
                row.remove(at);
            }
        }
        rows
    }
}

/// As wide as the widest cell of each column.
fn natural(rows: &[Vec<(Tone, String)>]) -> Vec<usize> {
    let count = rows.iter().map(Vec::len).max().unwrap_or_default();
    let mut widths = vec![0; count];
    for row in rows {
        for (width, (_, cell)) in widths.iter_mut().zip(row) {
            *width = (*width).max(columns(cell));
        }
    }
    widths
}

fn total(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

fn widths(rows: &[Vec<(Tone, String)>], limit: Option<usize>) -> Vec<usize> {
    let mut widths = natural(rows);
    while limit.is_some_and(|limit| total(&widths) > limit) {
        match widths.iter_mut().max() {
            Some(widest) if *widest > NARROWEST => *widest -= 1,
            _ => break,
        }
    }
    widths
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
        assert!(text.lines().all(|line| columns(line) <= 60), "{text}");
        insta::assert_snapshot!(text, @r"
        OBJECT                     STATE    DETAIL
        ServiceEntry…sthrough-000  ready
        Gateway isti…ystem/egress  drifted  spec.servers[0]\n\x1b[2J
        ");
    }

    #[test]
    fn spare_columns_go_before_anything_is_cut() {
        let table = table().spare(&["state"]);
        assert!(table.render(&style(Some(80))).starts_with("OBJECT"));
        insta::assert_snapshot!(table.render(&style(Some(78))), @r"
        OBJECT                                            DETAIL
        ServiceEntry demo/egress-default-passthrough-000
        Gateway istio-system/egress                       spec.servers[0]\n\x1b[2J
        ");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let table = Table::new(["name", "state"]).row([(Tone::Plain, "工作負載"), (Tone::Good, "ready")]);
        insta::assert_snapshot!(table.render(&style(Some(60))), @r"
        NAME      STATE
        工作負載  ready
        ");
    }
}
