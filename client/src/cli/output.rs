//! Printing: tables or JSON on standard output, notes and failures on standard error.

use std::io::{IsTerminal, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::errors::{hint, sentence};
use super::exit::{Exit, Failure};

/// Columns of text where nobody says how many there are.
const DEFAULT_COLUMNS: usize = 80;
/// Longest lines of running text.
const MAX_TEXT_COLUMNS: usize = 100;
/// Fewest columns that are worked with.
const MIN_COLUMNS: usize = 20;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For scripts.
    Json,
}

impl Format {
    /// As it is written in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Json => "json",
        }
    }

    /// Reads it.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Table, Self::Json].into_iter().find(|format| format.name() == text)
    }
}

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    format: Format,
    colour: bool,
}

/// What became of a line, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Good news.
    Good,
    /// Bad news.
    Bad,
}

impl Output {
    /// Colours only on a terminal, and not when `NO_COLOR` is set.
    pub fn new(format: Format) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { format, colour: !no_colour && std::io::stderr().is_terminal() }
    }

    /// True when scripts read.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints `value` as one JSON document with its schema, or what `people` writes.
    pub fn document(&self, command: &str, value: &impl Serialize, people: impl FnOnce() -> String) {
        if !self.is_json() {
            print(people().trim_end());
            return;
        }
        let mut document = json!({ "schema": format!("sunwork.{command}.v1") });
        match serde_json::to_value(value) {
            Ok(Value::Object(fields)) => {
                if let Some(object) = document.as_object_mut() {
                    object.extend(fields);
                }
            }
            Ok(other) => document["value"] = other,
            // Every type printed here has string keys and plain fields.
            Err(error) => document["error"] = json!(error.to_string()),
        }
        print(&document.to_string());
    }

    /// A note for people, on standard error.
    pub fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// Paints text for standard error.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => 32,
            Tone::Bad => 31,
        };
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// Tells a failure: what went wrong, and what to do; as a document for scripts.
    pub fn failure(&self, failure: &Failure) {
        let message = sentence(&failure.report);
        self.note(&format!("{} {message}", self.paint(Tone::Bad, "error:")));
        let hint = hint(failure.exit, &message);
        if let Some(hint) = hint {
            self.note(&format!("what to do: {hint}"));
        }
        if self.is_json() {
            print(&error_document(failure.exit, &message, hint).to_string());
        }
    }
}

/// What scripts read of a failure.
pub fn error_document(exit: Exit, message: &str, hint: Option<&str>) -> Value {
    let error = json!({ "code": exit.name(), "exitCode": exit as u8, "message": message, "hint": hint });
    json!({ "schema": "sunwork.error.v1", "error": error })
}

/// Standard output may be closed early (`| head`): that is no failure of ours.
pub fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Columns of the reader's terminal: `COLUMNS` where it is set, else the terminal's own; `None` where nobody looks.
pub fn columns() -> Option<usize> {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    let found = || {
        let (width, _) = terminal_size::terminal_size_of(std::io::stdout())?;
        Some(usize::from(width.0))
    };
    // Narrower than this no sentence fits; wider than this nobody reads.
    told.or_else(found).filter(|width| (1..=1000).contains(width)).map(|width| width.max(MIN_COLUMNS))
}

/// Width for running text.
pub fn text_columns() -> usize {
    columns().unwrap_or(DEFAULT_COLUMNS).min(MAX_TEXT_COLUMNS)
}

/// "1 leaf", "3 leaves".
pub fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Text broken at spaces to `width` columns, each line behind `indent`. A word that is too long (an id, a hash) stands alone
/// on its line in one piece, so that it can be copied.
pub fn wrap(text: &str, indent: &str, width: usize) -> String {
    let options = textwrap::Options::new(width)
        .initial_indent(indent)
        .subsequent_indent(indent)
        .break_words(false)
        .wrap_algorithm(textwrap::WrapAlgorithm::FirstFit)
        .word_separator(textwrap::WordSeparator::AsciiSpace)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    textwrap::wrap(text, options).iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Lines of text as aligned columns, numbers to the right. Where the terminal is too narrow, each row is a small list.
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    table_in(columns(), headers, rows)
}

fn table_in(columns: Option<usize>, headers: &[&str], rows: &[Vec<String>]) -> String {
    let wide = wide_table(headers, rows);
    let too_wide = |width: usize| wide.lines().any(|line| line.chars().count() > width);
    match columns {
        Some(width) if too_wide(width) => stacked(headers, rows, width),
        _ => wide,
    }
}

fn stacked(headers: &[&str], rows: &[Vec<String>], width: usize) -> String {
    let row = |row: &Vec<String>| {
        let pairs: Vec<(&str, String)> = headers
            .iter()
            .zip(row)
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(header, cell)| (*header, cell.clone()))
            .collect();
        fields_in(width, &pairs)
    };
    rows.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn wide_table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let width = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = headers.iter().map(|h| width(h)).collect();
    for row in rows {
        for (cell, column) in row.iter().zip(&mut widths) {
            *column = (*column).max(width(cell));
        }
    }
    let numeric: Vec<bool> = (0..headers.len())
        .map(|i| {
            let mut cells = rows.iter().filter_map(|row| row.get(i)).filter(|cell| !cell.is_empty()).peekable();
            cells.peek().is_some() && cells.all(|cell| cell.chars().all(|c| c.is_ascii_digit() || c == '.'))
        })
        .collect();
    let mut out = String::new();
    let heads: Vec<String> = headers.iter().map(|h| (*h).to_owned()).collect();
    for row in std::iter::once(&heads).chain(rows) {
        let mut line = String::new();
        for (i, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths.get(i).copied().unwrap_or(0).saturating_sub(width(cell)));
            let right = numeric.get(i).copied().unwrap_or(false);
            let (before, after) = if right { (pad.as_str(), "") } else { ("", pad.as_str()) };
            line.push_str(&format!("{before}{cell}{after}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Names with values, aligned; long values are wrapped below themselves.
pub fn fields(pairs: &[(&str, String)]) -> String {
    fields_in(text_columns(), pairs)
}

/// The same for a given width.
pub fn fields_in(width: usize, pairs: &[(&str, String)]) -> String {
    let column = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let indent = " ".repeat(column + 2);
    let mut text = String::new();
    for (name, value) in pairs {
        let wrapped = wrap(value, &indent, width);
        let line = wrapped.trim_end();
        if line.lines().all(|line| line.chars().count() <= width) {
            text.push_str(&format!("{name:<column$}  {}\n", line.trim_start()));
        } else {
            // Below its name there is more room.
            text.push_str(&format!("{name}\n{}", wrap(value, "  ", width)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = vec![vec!["a".into(), "5".into()], vec!["long".into(), "10".into()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME   N\na      5\nlong  10\n");
        assert_eq!(fields(&[("a", "1".into()), ("long", "2".into())]), "a     1\nlong  2\n");
    }

    #[test]
    fn narrow_terminals_get_lists_instead_of_tables() {
        let id = "0x1234567890abcdef1234567890abcdef12345678";
        let rows = vec![vec![id.into(), "Working".into()], vec![id.into(), "Settled (Verified)".into()]];
        assert!(table_in(None, &["AGREEMENT", "STATUS"], &rows).starts_with("AGREEMENT "));
        assert!(table_in(Some(80), &["AGREEMENT", "STATUS"], &rows).starts_with("AGREEMENT "));
        let narrow = table_in(Some(40), &["AGREEMENT", "STATUS"], &rows);
        assert_eq!(
            narrow,
            format!("AGREEMENT\n  {id}\nSTATUS     Working\n\nAGREEMENT\n  {id}\nSTATUS     Settled (Verified)\n")
        );
    }

    #[test]
    fn text_is_wrapped_and_ids_stay_whole() {
        let id = "0x1234567890abcdef1234567890abcdef12345678";
        let text = wrap(&format!("the worker {id} computes four leaves of the bag"), "  ", 30);
        assert_eq!(text, format!("  the worker\n  {id}\n  computes four leaves of the\n  bag\n"));
        assert_eq!(
            fields_in(24, &[("name", "one two three four five".into())]),
            "name  one two three four\n      five\n"
        );
    }
}
