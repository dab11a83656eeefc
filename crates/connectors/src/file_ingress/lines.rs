//! Splitting a file into lines, with a bound on what is kept of one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};

const READ_BYTES: usize = 256 * 1024;

/// Of a line that is too long, so many of its first bytes are kept.
pub(super) const TOO_LONG_BYTES_KEPT: usize = 64 * 1024;

/// A file being read line by line. Lines end with `\n` or `\r\n`.
#[derive(Debug)]
pub(super) struct Lines {
    input: BufReader<File>,
    /// The first bytes of the current line, with its end if it came.
    line: Vec<u8>,
    /// Bytes of the current line so far, with its end.
    line_length: u64,
    whole: bool,
    line_bytes_max: usize,
    /// Bytes of all lines before the next one.
    pub(super) offset: u64,
    /// All lines before the next one.
    pub(super) count: u64,
}

/// What the end of the file means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AtEnd {
    /// More may come; the last line waits for its end.
    Wait,
    /// No more comes; what follows the last line end is a line.
    Finish,
}

/// A line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    Whole(&'a [u8]),
    /// Its first bytes.
    TooLong(&'a [u8]),
}

impl Lines {
    /// Begins after `count` lines of together `offset` bytes.
    pub(super) fn new(
        mut file: File,
        offset: u64,
        count: u64,
        line_bytes_max: usize,
    ) -> io::Result<Lines> {
        file.seek(SeekFrom::Start(offset))?;
        let input = BufReader::with_capacity(READ_BYTES, file);
        Ok(Lines {
            input,
            line: Vec::new(),
            line_length: 0,
            whole: false,
            line_bytes_max,
            offset,
            count,
        })
    }

    pub(super) fn file(&self) -> &File {
        self.input.get_ref()
    }

    /// How much of the file has been read, with what there is of an unfinished line.
    pub(super) fn read_to(&self) -> u64 {
        if self.whole { self.offset } else { self.offset + self.line_length }
    }

    /// Moves to the next line; `false` if there is none yet.
    pub(super) fn advance(&mut self, at_end: AtEnd) -> io::Result<bool> {
        if self.whole {
            self.line.clear();
            self.line_length = 0;
            self.whole = false;
        }
        while !self.whole {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            if available.is_empty() && (at_end == AtEnd::Wait || self.line_length == 0) {
                return Ok(false);
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(available.len(), |at| at + 1);
            self.whole = end.is_some() || available.is_empty();
            // Two more than allowed, for the line end.
            let room = (self.line_bytes_max + 2).saturating_sub(self.line.len());
            self.line.extend_from_slice(&available[..taken.min(room)]);
            self.line_length += taken as u64;
            self.input.consume(taken);
        }
        self.offset += self.line_length;
        self.count += 1;
        Ok(true)
    }

    /// The line to which [`Lines::advance`] moved.
    pub(super) fn line(&self) -> Line<'_> {
        let content = match self.line.strip_suffix(b"\n") {
            Some(content) => content.strip_suffix(b"\r").unwrap_or(content),
            None => &self.line,
        };
        let complete = self.line_length == self.line.len() as u64;
        if complete && content.len() <= self.line_bytes_max {
            Line::Whole(content)
        } else {
            Line::TooLong(&content[..content.len().min(TOO_LONG_BYTES_KEPT)])
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn check(text: &str, at_end: AtEnd, expected: &[(Line<'_>, u64)]) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let mut lines = Lines::new(file, 0, 0, 4).unwrap();
        for (line, offset) in expected {
            assert!(lines.advance(at_end).unwrap(), "{text:?} ends before {line:?}");
            assert_eq!((lines.line(), lines.offset), (*line, *offset), "{text:?}");
        }
        assert!(!lines.advance(at_end).unwrap(), "{text:?} has more lines");
    }

    #[test]
    fn lines_end_with_or_without_a_carriage_return() {
        check("ab\ncd\r\n", AtEnd::Wait, &[(Line::Whole(b"ab"), 3), (Line::Whole(b"cd"), 7)]);
        check("\n\r\n", AtEnd::Wait, &[(Line::Whole(b""), 1), (Line::Whole(b""), 3)]);
        check("a\rb\n", AtEnd::Wait, &[(Line::Whole(b"a\rb"), 4)]);
    }

    #[test]
    fn an_unfinished_line_counts_only_where_no_more_can_come() {
        check("ab\ncd", AtEnd::Wait, &[(Line::Whole(b"ab"), 3)]);
        check("ab\ncd", AtEnd::Finish, &[(Line::Whole(b"ab"), 3), (Line::Whole(b"cd"), 5)]);
        check("", AtEnd::Finish, &[]);
    }

    #[test]
    fn the_longest_line_is_whole_and_a_longer_one_is_not() {
        check("abcd\n", AtEnd::Wait, &[(Line::Whole(b"abcd"), 5)]);
        check("abcd\r\n", AtEnd::Wait, &[(Line::Whole(b"abcd"), 6)]);
        check("abcde\nf\n", AtEnd::Wait, &[(Line::TooLong(b"abcde"), 6), (Line::Whole(b"f"), 8)]);
        check("abcdefghi", AtEnd::Finish, &[(Line::TooLong(b"abcdef"), 9)]);
    }
}
