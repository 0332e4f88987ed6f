//! The text form, as `kubectl -l` and the API's `labelSelector` parameter take it.

use super::{LabelSelector, Requirement};
use std::fmt;
use std::str::FromStr;

/// Why a text is not a label selector: one sentence with the input and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not a label selector: {rule}")]
pub struct LabelSelectorError {
    given: String,
    rule: String,
}

impl LabelSelectorError {
    pub(super) fn new(given: &str, rule: impl Into<String>) -> Self {
        // What was typed is shown on a terminal: control characters must not reach it.
        let visible = |character: char| {
            if character.is_control() {
                character.escape_default().collect::<String>()
            } else {
                character.to_string()
            }
        };
        Self {
            given: given.chars().map(visible).collect(),
            rule: rule.into(),
        }
    }
}

impl FromStr for LabelSelector {
    type Err = LabelSelectorError;

    /// Understands `a=b`, `a==b`, `c!=d`, `e in (f,g)`, `h notin (i)`, `j`, `!k`, joined by commas. Empty: everything.
    fn from_str(given: &str) -> Result<Self, LabelSelectorError> {
        let mut reader = Reader {
            given,
            tokens: tokens(given),
            next: 0,
        };
        let mut requirements = Vec::new();
        if reader.peek().is_none() {
            return Ok(Self::default());
        }
        loop {
            requirements.push(reader.requirement()?);
            match reader.take() {
                None => return Ok(Self { requirements }),
                Some(Token::Symbol(',')) => {}
                Some(other) => {
                    return Err(reader.wrong(format!("a comma is missing before `{other}`")));
                }
            }
        }
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, requirement) in self.requirements.iter().enumerate() {
            if position > 0 {
                formatter.write_str(",")?;
            }
            write!(formatter, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In { key, values } => match values.as_slice() {
                [value] => write!(formatter, "{key}={value}"),
                _ => write!(formatter, "{key} in ({})", values.join(",")),
            },
            Self::NotIn { key, values } => match values.as_slice() {
                [value] => write!(formatter, "{key}!={value}"),
                _ => write!(formatter, "{key} notin ({})", values.join(",")),
            },
            Self::Exists { key } => write!(formatter, "{key}"),
            Self::DoesNotExist { key } => write!(formatter, "!{key}"),
        }
    }
}

/// A word, or one of the characters that separate words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Word(&'a str),
    Symbol(char),
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => formatter.write_str(word),
            Self::Symbol(symbol) => write!(formatter, "{symbol}"),
        }
    }
}

fn is_symbol(character: char) -> bool {
    "=!(),<>".contains(character)
}

fn tokens(given: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = given.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_symbol(first) {
            tokens.push(Token::Symbol(first));
            first.len_utf8()
        } else {
            let end = rest
                .find(|character: char| is_symbol(character) || character.is_whitespace())
                .unwrap_or(rest.len());
            tokens.push(Token::Word(&rest[..end]));
            end
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

struct Reader<'a> {
    given: &'a str,
    tokens: Vec<Token<'a>>,
    next: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<Token<'a>> {
        self.tokens.get(self.next).copied()
    }

    fn take(&mut self) -> Option<Token<'a>> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn skip(&mut self, symbol: char) -> bool {
        let found = self.peek() == Some(Token::Symbol(symbol));
        self.next += usize::from(found);
        found
    }

    fn wrong(&self, rule: impl Into<String>) -> LabelSelectorError {
        LabelSelectorError::new(self.given, rule)
    }

    fn requirement(&mut self) -> Result<Requirement, LabelSelectorError> {
        if self.skip('!') {
            return Ok(Requirement::DoesNotExist { key: self.key()? });
        }
        let key = self.key()?;
        let operator = match self.peek() {
            None | Some(Token::Symbol(',')) => return Ok(Requirement::Exists { key }),
            Some(operator) => operator,
        };
        self.next += 1;
        match operator {
            Token::Symbol('=') => {
                self.skip('=');
                let values = vec![self.value()?];
                Ok(Requirement::In { key, values })
            }
            Token::Symbol('!') if self.skip('=') => {
                let values = vec![self.value()?];
                Ok(Requirement::NotIn { key, values })
            }
            Token::Word("in") => {
                let values = self.values()?;
                Ok(Requirement::In { key, values })
            }
            Token::Word("notin") => {
                let values = self.values()?;
                Ok(Requirement::NotIn { key, values })
            }
            other => Err(self.wrong(format!(
                "after `{key}` comes `{other}`, where one of =, !=, in, notin is possible"
            ))),
        }
    }

    fn key(&mut self) -> Result<String, LabelSelectorError> {
        match self.take() {
            Some(Token::Word(key)) => check_key(self.given, key).map(|()| key.to_owned()),
            Some(other) => Err(self.wrong(format!("the name of a label is missing before `{other}`"))),
            None => Err(self.wrong("the name of a label is missing at the end")),
        }
    }

    /// One value; nothing before a comma, a bracket or the end is the empty value.
    fn value(&mut self) -> Result<String, LabelSelectorError> {
        match self.peek() {
            Some(Token::Word(value)) => {
                self.next += 1;
                check_value(self.given, value)?;
                Ok(value.to_owned())
            }
            _ => Ok(String::new()),
        }
    }

    fn values(&mut self) -> Result<Vec<String>, LabelSelectorError> {
        if !self.skip('(') {
            return Err(self.wrong("after in and notin comes a list in brackets, such as (a,b)"));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.value()?);
            match self.take() {
                Some(Token::Symbol(',')) => {}
                Some(Token::Symbol(')')) => return Ok(values),
                _ => {
                    return Err(
                        self.wrong("the list in brackets needs commas between its values and `)` at its end")
                    );
                }
            }
        }
    }
}

/// Checks the name of a label: `[domain/]name`.
pub(super) fn check_key(given: &str, key: &str) -> Result<(), LabelSelectorError> {
    let (domain, name) = key
        .rsplit_once('/')
        .map_or((None, key), |(domain, name)| (Some(domain), name));
    let label = |label: &str| {
        let plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
        label.starts_with(plain)
            && label.ends_with(plain)
            && label
                .chars()
                .all(|character| plain(character) || character == '-')
    };
    let valid_domain = domain.is_none_or(|domain| domain.len() <= 253 && domain.split('.').all(label));
    if valid_domain && !name.is_empty() && is_name(name) {
        Ok(())
    } else {
        Err(LabelSelectorError::new(
            given,
            format!(
                "the label name `{}` must be letters, digits, `-`, `_` and `.`, at most 63, beginning and ending with a letter or digit, optionally after a domain in lower case and `/`",
                key.escape_default()
            ),
        ))
    }
}

/// Checks the value of a label.
pub(super) fn check_value(given: &str, value: &str) -> Result<(), LabelSelectorError> {
    if value.is_empty() || is_name(value) {
        Ok(())
    } else {
        Err(LabelSelectorError::new(
            given,
            format!(
                "the value `{}` must be letters, digits, `-`, `_` and `.`, at most 63, beginning and ending with a letter or digit",
                value.escape_default()
            ),
        ))
    }
}

fn is_name(text: &str) -> bool {
    let plain = |character: char| character.is_ascii_alphanumeric();
    text.len() <= 63
        && text.starts_with(plain)
        && text.ends_with(plain)
        && text
            .chars()
            .all(|character| plain(character) || "-_.".contains(character))
}
