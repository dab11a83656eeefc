//! What the quickstart remembers of answers it got, apart from the engine, so that a new start can tell whether
//! anything of it was lost.
//!
//! The file has one line for each visitor, in their order: the number of visits answered, as 20 digits. A line is
//! overwritten in place; a process that is killed leaves the old number or the new one.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;

const DIGITS: usize = 20;
const LINE: usize = DIGITS + 1;

/// The visits that were answered.
pub(super) struct Book {
    file: File,
    answered: Vec<i64>,
}

impl Book {
    /// Opens the book, or begins one.
    pub(super) fn open(path: &Path, visitors: usize) -> anyhow::Result<Book> {
        let context = || format!("cannot open `{}`", path.display());
        let options =
            File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = options.with_context(context)?;
        let text = std::fs::read_to_string(path).with_context(context)?;
        let mut answered: Vec<i64> = text.lines().map_while(|line| line.parse().ok()).collect();
        answered.resize(visitors, 0);
        let book = Book { file, answered };
        if text.len() != visitors * LINE {
            (0..visitors).try_for_each(|visitor| book.write_line(visitor))?;
        }
        Ok(book)
    }

    pub(super) fn answered(&self, visitor: usize) -> i64 {
        self.answered[visitor]
    }

    pub(super) fn sum(&self) -> i64 {
        self.answered.iter().sum()
    }

    /// A visit was answered with this count.
    pub(super) fn write(&mut self, visitor: usize, count: i64) -> anyhow::Result<()> {
        self.answered[visitor] = count;
        self.write_line(visitor)
    }

    fn write_line(&self, visitor: usize) -> anyhow::Result<()> {
        let text = format!("{:0DIGITS$}\n", self.answered[visitor]);
        let written = self.file.write_all_at(text.as_bytes(), (visitor * LINE) as u64);
        written.context("cannot write down what was answered")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_down_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("answered");
        let mut book = Book::open(&path, 3).unwrap();
        book.write(2, 1).unwrap();
        book.write(0, 7).unwrap();
        book.write(0, 8).unwrap();
        let book = Book::open(&path, 3).unwrap();
        assert_eq!((book.answered(0), book.answered(1), book.answered(2)), (8, 0, 1));
        assert_eq!(book.sum(), 9);
    }
}
