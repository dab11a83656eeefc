//! Aligned columns, and what becomes of them where lines are short.

use super::style::{Style, Tone};
use super::terminal::escaped_line;

/// The most characters of a cell that may be cut.
const CELL_CHARS_MAX: usize = 120;

/// What is left of such a cell, at least, where lines are short.
const CELL_CHARS_MIN: usize = 16;

/// Between two columns.
const GAP: usize = 2;

/// A column: its head, and how it behaves.
#[derive(Clone, Copy)]
pub(crate) struct Column {
    head: &'static str,
    is_right: bool,
    is_spare: bool,
    is_long: bool,
}

impl Column {
    pub(crate) const fn left(head: &'static str) -> Column {
        Column { head, is_right: false, is_spare: false, is_long: false }
    }

    /// For numbers.
    pub(crate) const fn right(head: &'static str) -> Column {
        Column { is_right: true, ..Column::left(head) }
    }

    /// For what may be long and may be cut. It is the last one.
    pub(crate) const fn long(head: &'static str) -> Column {
        Column { is_long: true, ..Column::left(head) }
    }

    /// It is left out where lines are short.
    pub(crate) const fn spare(self) -> Column {
        Column { is_spare: true, ..self }
    }
}

/// What stands in a column of a row.
#[derive(Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A text that somebody else may have written.
    pub(crate) fn new(text: impl AsRef<str>) -> Cell {
        Cell { text: escaped_line(text.as_ref()).into_owned(), tone: Tone::Plain }
    }

    pub(crate) fn toned(text: impl AsRef<str>, tone: Tone) -> Cell {
        Cell { tone, ..Cell::new(text) }
    }

    /// A text, or a dash.
    pub(crate) fn or_dash(text: Option<impl AsRef<str>>) -> Cell {
        text.map_or_else(|| Cell::toned("-", Tone::Dim), Cell::new)
    }

    /// A number.
    pub(crate) fn count(number: impl ToString) -> Cell {
        Cell::new(number.to_string())
    }

    /// A number that should be zero.
    pub(crate) fn alarm(number: impl ToString, tone: Tone) -> Cell {
        let text = number.to_string();
        let tone = if text == "0" { Tone::Plain } else { tone };
        Cell::toned(text, tone)
    }

    /// Its text in another tone, where it stands alone.
    pub(crate) fn paint(&self, tone: Tone, style: &Style) -> String {
        style.paint(tone, &self.text).into_owned()
    }

    fn len(&self) -> usize {
        self.text.chars().count()
    }
}

/// Rows under heads. Rows may be written in several goes: columns don't get narrower, and the heads are written once.
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    widths: Vec<usize>,
    written: Option<Layout>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Layout {
    /// These columns side by side.
    Columns(Vec<usize>),
    /// Each row as a block, with a line for each column.
    Blocks,
}

impl Table {
    pub(crate) fn new(columns: impl Into<Vec<Column>>) -> Table {
        let columns = columns.into();
        let widths = columns.iter().map(|column| column.head.chars().count()).collect();
        Table { columns, rows: Vec::new(), widths, written: None }
    }

    /// Adds a row with a cell for each column.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let mut cells = cells.into();
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        for ((cell, column), width) in cells.iter_mut().zip(&self.columns).zip(&mut self.widths) {
            if column.is_long {
                clip(&mut cell.text, CELL_CHARS_MAX);
            }
            *width = cell.len().max(*width);
        }
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The heads are written again.
    pub(crate) fn repeat_heads(&mut self) {
        self.written = None;
    }

    /// The rows that were not written yet, each line with a line break at its end.
    pub(crate) fn render(&mut self, style: &Style) -> String {
        let (layout, last_max) = self.layout(style);
        let rows = std::mem::take(&mut self.rows);
        let mut text = String::new();
        match &layout {
            Layout::Blocks => rows.iter().for_each(|row| self.block(row, style, &mut text)),
            Layout::Columns(shown) => {
                if self.written.as_ref() != Some(&layout) {
                    let heads = self.columns.iter();
                    let heads: Vec<_> =
                        heads.map(|column| Cell::toned(column.head, Tone::Head)).collect();
                    self.line(&heads, shown, None, style, &mut text);
                }
                for row in &rows {
                    self.line(row, shown, last_max, style, &mut text);
                }
            }
        }
        self.written = Some(layout);
        text
    }

    /// Where all fit: the columns themselves, those that are not spare, with a last one that is cut; else blocks.
    fn layout(&self, style: &Style) -> (Layout, Option<usize>) {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        let Some(width) = style.width else { return (Layout::Columns(shown), None) };
        loop {
            let last = shown.last().copied().unwrap_or_default();
            let all: usize = shown.iter().map(|index| self.widths[*index] + GAP).sum();
            let without_last = all.saturating_sub(self.widths[last] + GAP);
            let left = width.saturating_sub(without_last);
            if left >= self.widths[last] {
                return (Layout::Columns(shown), None);
            }
            let spare = shown.iter().rposition(|index| self.columns[*index].is_spare);
            match spare {
                // What is cut can't be read; so that comes before other columns go only if much is left of it.
                _ if self.columns[last].is_long && left >= 2 * CELL_CHARS_MIN => {
                    return (Layout::Columns(shown), Some(left));
                }
                Some(spare) => drop(shown.remove(spare)),
                None if self.columns[last].is_long && left >= CELL_CHARS_MIN => {
                    return (Layout::Columns(shown), Some(left));
                }
                None => return (Layout::Blocks, None),
            }
        }
    }

    fn line(
        &self,
        row: &[Cell],
        shown: &[usize],
        last_max: Option<usize>,
        style: &Style,
        text: &mut String,
    ) {
        let mut blank = 0;
        for index in shown {
            let (cell, column) = (&row[*index], &self.columns[*index]);
            let mut cell_text = cell.text.clone();
            if let Some(max) = last_max.filter(|_| column.is_long) {
                clip(&mut cell_text, max.saturating_sub(1));
            }
            let left = self.widths[*index].saturating_sub(cell_text.chars().count());
            blank += if column.is_right { left } else { 0 };
            if !cell_text.is_empty() {
                text.extend(std::iter::repeat_n(' ', blank));
                *text += &style.paint(cell.tone, &cell_text);
                blank = 0;
            }
            blank += GAP + if column.is_right { 0 } else { left };
        }
        text.push('\n');
    }

    fn block(&self, row: &[Cell], style: &Style, text: &mut String) {
        let widest = self.columns.iter().map(|column| column.head.len()).max().unwrap_or_default();
        for (cell, column) in row.iter().zip(&self.columns) {
            let head = format!("{:<widest$}", column.head);
            *text += &format!(
                "{}  {}\n",
                style.paint(Tone::Head, &head),
                style.paint(cell.tone, &cell.text)
            );
        }
        text.push('\n');
    }
}

/// Names and what they are, a line for each.
#[derive(Default)]
pub(crate) struct Fields(Vec<(&'static str, Cell)>);

impl Fields {
    pub(crate) fn add(&mut self, name: &'static str, cell: Cell) {
        self.0.push((name, cell));
    }

    pub(crate) fn text(&mut self, name: &'static str, text: impl AsRef<str>) {
        self.add(name, Cell::new(text));
    }

    /// Only if there is something.
    pub(crate) fn maybe(&mut self, name: &'static str, text: Option<impl AsRef<str>>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    pub(crate) fn render(&self, style: &Style) -> String {
        let widest = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
        let line = |(name, cell): &(&str, Cell)| {
            let name = format!("{name:<widest$}");
            let value = style.paint(cell.tone, &cell.text);
            format!("{}  {value}\n", style.paint(Tone::Dim, &name))
        };
        self.0.iter().map(line).collect()
    }
}

fn clip(text: &mut String, chars_max: usize) {
    if let Some((end, _)) = text.char_indices().nth(chars_max) {
        text.truncate(end);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn table() -> Table {
        let columns = [
            Column::left("NAME"),
            Column::right("COUNT"),
            Column::left("SINCE").spare(),
            Column::long("REASON"),
        ];
        let mut table = Table::new(columns);
        table.row([
            Cell::new("example/a"),
            Cell::count(5),
            Cell::or_dash(None::<&str>),
            Cell::toned("the disk of the function server is full", Tone::Bad),
        ]);
        table.row([
            Cell::new("example/bb\u{1b}"),
            Cell::alarm(1000, Tone::Warn),
            Cell::new("2026-01-21"),
            Cell::new(""),
        ]);
        table
    }

    fn check(style: Style, expected: Expect) {
        expected.assert_eq(&table().render(&style));
    }

    #[test]
    fn columns_are_aligned() {
        check(
            Style::default(),
            expect![[r#"
                NAME              COUNT  SINCE       REASON
                example/a             5  -           the disk of the function server is full
                example/bb\u{1b}   1000  2026-01-21
            "#]],
        );
    }

    #[test]
    fn what_has_a_meaning_has_a_colour() {
        let text = table().render(&Style { colours: true, width: None });
        expect![[r#"
            "\u{1b}[1mNAME\u{1b}[0m              \u{1b}[1mCOUNT\u{1b}[0m  \u{1b}[1mSINCE\u{1b}[0m       \u{1b}[1mREASON\u{1b}[0m\nexample/a             5  \u{1b}[2m-\u{1b}[0m           \u{1b}[31mthe disk of the function server is full\u{1b}[0m\nexample/bb\\u{1b}   \u{1b}[33m1000\u{1b}[0m  2026-01-21\n"
        "#]]
        .assert_debug_eq(&text);
    }

    #[test]
    fn on_short_lines_the_last_column_is_cut_and_spare_ones_are_left_out() {
        let narrow = |width| Style { colours: false, width: Some(width) };
        check(
            narrow(72),
            expect![[r#"
                NAME              COUNT  SINCE       REASON
                example/a             5  -           the disk of the function server is…
                example/bb\u{1b}   1000  2026-01-21
            "#]],
        );
        check(
            narrow(48),
            expect![[r#"
                NAME              COUNT  REASON
                example/a             5  the disk of the functi…
                example/bb\u{1b}   1000
            "#]],
        );
        check(
            narrow(30),
            expect![[r#"
                NAME    example/a
                COUNT   5
                SINCE   -
                REASON  the disk of the function server is full

                NAME    example/bb\u{1b}
                COUNT   1000
                SINCE   2026-01-21
                REASON  

            "#]],
        );
        for width in 0..120 {
            let text = table().render(&narrow(width));
            let is_blocks = text.starts_with("NAME    example");
            assert!(is_blocks || text.lines().all(|line| line.chars().count() <= width), "{text}");
        }
    }

    #[test]
    fn later_rows_stand_under_the_same_heads() {
        let mut table = table();
        table.render(&Style::default());
        table.row([Cell::new("c"), Cell::count(7), Cell::new("-"), Cell::new("x")]);
        expect![[r#"
            c                     7  -           x
        "#]]
        .assert_eq(&table.render(&Style::default()));
    }
}
