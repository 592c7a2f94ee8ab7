//! A table that prints as Markdown and as JSON.

use serde_json::{Value, json};

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words.
    Text(String),
    /// A whole number.
    Int(u128),
    /// A number with so many digits after the point.
    Num(f64, usize),
    /// A fraction, printed in percent with so many digits after the point.
    Percent(f64, usize),
    /// No such value.
    None,
}

impl Cell {
    /// Words.
    pub fn text(text: impl Into<String>) -> Cell {
        Cell::Text(text.into())
    }

    /// A whole number.
    pub fn int(number: impl Into<u128>) -> Cell {
        Cell::Int(number.into())
    }

    fn markdown(&self) -> String {
        match self {
            Cell::Text(text) => text.clone(),
            Cell::Int(number) => number.to_string(),
            Cell::Num(number, _) | Cell::Percent(number, _) if !number.is_finite() => "no limit".to_owned(),
            // Rounding must not leave a minus before zero.
            Cell::Num(number, digits) => tidy(format!("{number:.digits$}")),
            Cell::Percent(fraction, digits) => tidy(format!("{:.digits$}", fraction * 100.0)) + " %",
            Cell::None => "-".to_owned(),
        }
    }

    fn json(&self) -> Value {
        match self {
            Cell::Text(text) => json!(text),
            Cell::Int(number) => json!(number.to_string()),
            Cell::Num(number, _) | Cell::Percent(number, _) => json!(number),
            Cell::None => Value::Null,
        }
    }
}

fn tidy(printed: String) -> String {
    let zero = printed.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if zero { printed.trim_start_matches('-').to_owned() } else { printed }
}

/// A table with a name that the documentation refers to.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Name between the markers of the documentation.
    pub name: &'static str,
    /// What it shows, with its units.
    pub title: String,
    /// Headings.
    pub columns: Vec<String>,
    /// Rows of as many cells.
    pub rows: Vec<Vec<Cell>>,
}

impl Table {
    /// Without rows.
    pub fn new(name: &'static str, title: impl Into<String>, columns: &[&str]) -> Table {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Table { name, title: title.into(), columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<Cell>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "{}", self.name);
        self.rows.push(cells);
    }

    /// Title and a Markdown table.
    pub fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let mut text = format!("{}\n\n", self.title);
        text += &line(self.columns.clone());
        text += &format!("|{}\n", "---|".repeat(self.columns.len()));
        for row in &self.rows {
            text += &line(row.iter().map(Cell::markdown).collect());
        }
        text
    }

    /// `{name, title, columns, rows}`; fractions as numbers, amounts as decimal strings.
    pub fn json(&self) -> Value {
        let rows: Vec<Vec<Value>> = self.rows.iter().map(|row| row.iter().map(Cell::json).collect()).collect();
        json!({ "name": self.name, "title": self.title, "columns": self.columns, "rows": rows })
    }
}
