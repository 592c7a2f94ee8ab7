//! Printing: tables or JSON on standard output, notes and failures on standard error.

use std::io::{IsTerminal, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::exit::Failure;

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For scripts.
    Json,
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

    /// Tells a failure: one sentence on standard error, and a document for scripts.
    pub fn failure(&self, failure: &Failure) {
        let message = sentence(&failure.report);
        self.note(&format!("{} {message}", self.paint(Tone::Bad, "error:")));
        if self.is_json() {
            let error = json!({ "code": failure.exit.name(), "exitCode": failure.exit as u8, "message": message });
            print(&json!({ "schema": "sunwork.error.v1", "error": error }).to_string());
        }
    }
}

/// The causes of an error as one sentence; causes that their parent already quotes are left out.
fn sentence(report: &eyre::Report) -> String {
    let mut sentence = String::new();
    for cause in report.chain() {
        let text = cause.to_string();
        if !sentence.contains(&text) {
            if !sentence.is_empty() {
                sentence.push_str(": ");
            }
            sentence.push_str(&text);
        }
    }
    sentence
}

/// Standard output may be closed early (`| head`): that is no failure of ours.
fn print(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Lines of text as aligned columns. Columns of numbers are aligned to the right.
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
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

/// Names with values, aligned.
pub fn fields(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    pairs.iter().map(|(name, value)| format!("{name:<width$}  {value}\n")).collect()
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
    fn causes_are_told_once() {
        let report = eyre::eyre!("disk full").wrap_err("cannot write: disk full").wrap_err("unpacking leaf 3");
        assert_eq!(sentence(&report), "unpacking leaf 3: cannot write: disk full");
    }
}
