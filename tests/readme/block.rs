//! Fenced blocks of a Markdown text.

/// A fenced block.
pub(crate) struct Block {
    /// The line of its fence.
    pub(crate) line: usize,
    info: String,
    pub(crate) text: String,
}

/// All of them. A block that nobody closes is none.
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut found = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(info), None) => {
                open = Some(Block {
                    line: index + 1,
                    info: info.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

impl Block {
    pub(crate) fn language(&self) -> &str {
        self.info.split_whitespace().next().unwrap_or_default()
    }

    /// What the info string says behind `NAME: `.
    pub(crate) fn detail(&self, name: &str) -> Option<&str> {
        let (_, detail) = self.info.split_once(&format!(" {name}: "))?;
        Some(detail.trim())
    }

    /// Each command, with what is shown below it. A line that ends in `\` goes on.
    pub(crate) fn commands(&self) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = Vec::new();
        for line in self.text.lines() {
            if let Some(typed) = line.strip_prefix("$ ").or_else(|| line.strip_prefix("@@RUN ")) {
                all.push((typed.to_owned(), String::new()));
                continue;
            }
            let Some((typed, shown)) = all.last_mut() else {
                continue;
            };
            if typed.ends_with('\\') && shown.is_empty() {
                typed.push('\n');
                typed.push_str(line);
            } else {
                shown.push_str(line);
                shown.push('\n');
            }
        }
        all
    }
}
