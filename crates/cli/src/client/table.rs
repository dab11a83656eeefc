//! Aligned columns.

use super::terminal::escaped_line;

/// The most characters of a cell of the last column, where what is long stands.
const CELL_CHARS_MAX: usize = 120;

/// How a column is aligned.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    Left(&'static str),
    Right(&'static str),
}

pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Table {
        Table { columns: columns.into(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        let mut cells = cells.map(|cell| escaped_line(cell).into_owned());
        if let Some(last) = cells.last_mut() {
            clip(last);
        }
        self.rows.push(cells.into());
    }

    /// The table, each line with a line break at its end.
    pub(crate) fn render(&self) -> String {
        let heads = self.columns.iter().map(|column| match column {
            Column::Left(head) | Column::Right(head) => (*head).to_owned(),
        });
        let heads: Vec<String> = heads.collect();
        let width = |index: usize| {
            let cells = self.rows.iter().map(|row| row[index].chars().count());
            cells.chain([heads[index].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let mut text = String::new();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for ((cell, column), width) in row.iter().zip(&self.columns).zip(&widths) {
                match column {
                    Column::Left(_) => line += &format!("{cell:<width$}  "),
                    Column::Right(_) => line += &format!("{cell:>width$}  "),
                }
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

fn clip(cell: &mut String) {
    if let Some((end, _)) = cell.char_indices().nth(CELL_CHARS_MAX) {
        cell.truncate(end);
        cell.push('…');
    }
}
