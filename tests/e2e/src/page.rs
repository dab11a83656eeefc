//! The commands that a page of the documentation shows.

use crate::sdk::repository;

/// A page of the documentation.
#[derive(Clone, Debug)]
pub struct Page(Vec<Block>);

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The title above it.
    pub section: String,
    /// `sh`, `json`, ...
    pub language: String,
    /// What stands in it.
    pub lines: Vec<String>,
}

impl Page {
    /// Reads a page of the repository.
    ///
    /// # Panics
    /// If it is not there.
    #[must_use]
    pub fn read(path: &str) -> Page {
        let text = std::fs::read_to_string(repository().join(path)).expect(path);
        let (mut blocks, mut section, mut open) = (Vec::new(), String::new(), None::<Block>);
        for line in text.lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(language), None) => {
                    let (section, language) = (section.clone(), language.to_owned());
                    open = Some(Block { section, language, lines: Vec::new() });
                }
                (None, Some(block)) => block.lines.push(line.to_owned()),
                (None, None) if line.starts_with('#') => {
                    section = line.trim_matches(['#', ' ']).to_owned();
                }
                (None, None) => {}
            }
        }
        Page(blocks)
    }

    /// All blocks, in order.
    #[must_use]
    pub fn all(&self) -> &[Block] {
        &self.0
    }

    /// The blocks of a language in a section, at least one.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn blocks(&self, section: &str, language: &str) -> Vec<Block> {
        let wanted = |block: &&Block| block.section == section && block.language == language;
        let found: Vec<Block> = self.0.iter().filter(wanted).cloned().collect();
        assert!(!found.is_empty(), "no `{language}` in section `{section}`");
        found
    }

    /// All lines of a language on the page.
    pub fn lines(&self, language: &str) -> impl Iterator<Item = &str> {
        let wanted = move |block: &&Block| block.language == language;
        self.0.iter().filter(wanted).flat_map(|block| &block.lines).map(String::as_str)
    }
}

/// The words of a line of a shell that knows no more than blanks and single quotes.
///
/// # Panics
/// If a quote is left open.
#[must_use]
pub fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!quoted, "an open quote: {line}");
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_blanks() {
        let words = words("A=1 curl -d '{\"a\": 1}' -H 'B: c'  '' http://x/");
        assert_eq!(words, ["A=1", "curl", "-d", "{\"a\": 1}", "-H", "B: c", "", "http://x/"]);
    }
}
