//! YAML as a small tree in which every node knows its place.
//!
//! Aliases are replaced by copies of what they stand for. Depth and size are limited, so that a small file cannot
//! become a large tree.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use crate::problem::quoted;
use crate::report::{Finding, Place, Report};

/// The deepest nesting of mappings and sequences.
pub(crate) const DEPTH_MAX: usize = 64;

/// The most bytes that the values of one file may take with aliases and `${…}` replaced. Each node counts
/// [`NODE_BYTES`] and its text.
pub(crate) const TREE_BYTES_MAX: usize = 16 << 20;
const NODE_BYTES: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Null,
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>),
    /// Something is wrong with it, and that is already reported.
    Broken,
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Rc<str>,
    /// Written without quotes, and so possibly a number.
    pub(crate) plain: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Rc<str>,
    pub(crate) key_place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// The entry of a mapping with this key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.content {
            Content::Mapping(entries) => entries.iter().find(|entry| &*entry.key == key),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(crate) fn noun(&self) -> &'static str {
        match self.content {
            Content::Null => "nothing",
            Content::Scalar(_) => "a single value",
            Content::Sequence(_) => "a list",
            Content::Mapping(_) => "a mapping",
            Content::Broken => "broken",
        }
    }

    fn bytes(&self) -> usize {
        NODE_BYTES
            + match &self.content {
                Content::Null | Content::Broken => 0,
                Content::Scalar(scalar) => scalar.text.len(),
                Content::Sequence(items) => items.iter().map(Node::bytes).sum(),
                Content::Mapping(entries) => {
                    entries.iter().map(|entry| entry.key.len() + entry.value.bytes()).sum()
                }
            }
    }

    fn depth(&self) -> usize {
        match &self.content {
            Content::Null | Content::Scalar(_) | Content::Broken => 0,
            Content::Sequence(items) => 1 + items.iter().map(Node::depth).max().unwrap_or(0),
            Content::Mapping(entries) => {
                1 + entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0)
            }
        }
    }
}

/// The documents of a file.
pub(crate) struct Stream {
    /// Without those that are null.
    pub(crate) documents: Vec<Node>,
    /// False if the file could not be read to its end; what is wrong is reported.
    pub(crate) complete: bool,
    /// How much of [`TREE_BYTES_MAX`] is left.
    pub(crate) bytes_left: usize,
}

/// Reads the documents of a file up to its end or the first syntax error, which is reported.
pub(crate) fn parse(file: usize, text: &str, report: &Report) -> Stream {
    let mut builder = Builder {
        file,
        report,
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        bytes_left: TREE_BYTES_MAX,
        documents: Vec::new(),
    };
    let complete = builder.read(Parser::new_from_str(text)).is_ok();
    Stream { documents: builder.documents, complete, bytes_left: builder.bytes_left }
}

/// Reading cannot go on; the reason is reported.
struct Stop;

struct Builder<'r, 's> {
    file: usize,
    report: &'r Report<'s>,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, Node>,
    bytes_left: usize,
    documents: Vec<Node>,
}

/// A collection that is still open.
struct Frame {
    node: Node,
    anchor: usize,
    /// The key whose value comes next. Its text is `None` if it cannot be used.
    key: Option<(Option<Rc<str>>, Place)>,
    keys: BTreeMap<Rc<str>, Place>,
}

impl Builder<'_, '_> {
    fn read(&mut self, mut parser: Parser<'_, StrInput<'_>>) -> Result<(), Stop> {
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax(&error))?;
            self.take(event, span)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let content = scalar(&text, style, tag.as_deref());
                self.finished(Node { place, content }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.open(place, Content::Sequence(vec![]), anchor),
            Event::MappingStart(anchor, _) => self.open(place, Content::Mapping(vec![]), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.stack.pop() {
                Some(frame) => self.finished(frame.node, frame.anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => self.alias(place, anchor),
            Event::DocumentEnd => {
                self.anchors.clear();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => {
                Ok(())
            }
        }
    }

    fn open(&mut self, place: Place, content: Content, anchor: usize) -> Result<(), Stop> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(self.too_deep(place));
        }
        let node = Node { place, content };
        self.stack.push(Frame { node, anchor, key: None, keys: BTreeMap::new() });
        Ok(())
    }

    fn alias(&mut self, place: Place, anchor: usize) -> Result<(), Stop> {
        let Some(node) = self.anchors.get(&anchor) else {
            self.error(
                place,
                "an alias stands for a value that contains it",
                "write the value out",
            );
            return self.finished(Node { place, content: Content::Broken }, 0);
        };
        let (bytes, depth) = (node.bytes(), node.depth());
        if self.stack.len() + depth > DEPTH_MAX {
            return Err(self.too_deep(place));
        }
        self.spend(place, bytes)?;
        let node = self.anchors[&anchor].clone();
        self.finished(node, 0)
    }

    /// Puts a complete node where it belongs.
    fn finished(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        self.spend(node.place, NODE_BYTES)?;
        if let Content::Scalar(scalar) = &node.content {
            self.spend(node.place, scalar.text.len())?;
        }
        if anchor != 0 {
            self.spend(node.place, node.bytes())?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(mut frame) = self.stack.pop() else {
            if !matches!(node.content, Content::Null) {
                self.documents.push(node);
            }
            return Ok(());
        };
        match &mut frame.node.content {
            Content::Sequence(items) => items.push(node),
            Content::Mapping(entries) => match frame.key.take() {
                None => frame.key = Some((self.key(&node), node.place)),
                Some((Some(key), key_place)) => match frame.keys.entry(key.clone()) {
                    Slot::Vacant(slot) => {
                        slot.insert(key_place);
                        entries.push(Entry { key, key_place, value: node });
                    }
                    Slot::Occupied(first) => self.written_twice(&key, key_place, *first.get()),
                },
                Some((None, _)) => {}
            },
            _ => {}
        }
        self.stack.push(frame);
        Ok(())
    }

    fn key(&self, node: &Node) -> Option<Rc<str>> {
        match &node.content {
            Content::Scalar(scalar) => Some(scalar.text.clone()),
            Content::Broken => None,
            _ => {
                let message = format!("the key of a mapping is {}, but must be text", node.noun());
                self.error(node.place, &message, "write `name: value`");
                None
            }
        }
    }

    fn written_twice(&self, key: &str, place: Place, first: Place) {
        let message = format!("the key {} is written twice in one mapping", quoted(key));
        let finding = Finding::error(place, "", message).hint("keep one of the two");
        self.report.add(finding.related("first written at", &first.into()));
    }

    fn spend(&mut self, place: Place, bytes: usize) -> Result<(), Stop> {
        match self.bytes_left.checked_sub(bytes) {
            Some(left) => {
                self.bytes_left = left;
                Ok(())
            }
            None => {
                let limit = TREE_BYTES_MAX >> 20;
                let message = format!("the values of this file take more than {limit} MiB");
                self.error(place, &message, "use fewer aliases, or split the file");
                Err(Stop)
            }
        }
    }

    fn too_deep(&self, place: Place) -> Stop {
        let message = format!("values are nested more than {DEPTH_MAX} levels deep");
        self.error(
            place,
            &message,
            "no setting needs that; check the brackets and the indentation",
        );
        Stop
    }

    fn syntax(&self, error: &ScanError) -> Stop {
        let place = self.place(Span::empty(*error.marker()));
        let hint = syntax_hint(error.info(), self.report.line(place.file, place.line));
        self.error(place, &format!("invalid YAML: {}", error.info()), hint);
        Stop
    }

    fn error(&self, place: Place, message: &str, hint: &str) {
        self.report.add(Finding::error(place, "", message).hint(hint));
    }

    fn place(&self, Span { start, end }: Span) -> Place {
        let last = if start.line() == end.line() { end.col() } else { self.line_end(start) };
        Place {
            file: self.file,
            line: start.line(),
            column: start.col() + 1,
            width: last.saturating_sub(start.col()).max(1),
        }
    }

    fn line_end(&self, marker: Marker) -> usize {
        self.report.line(self.file, marker.line()).trim_end().chars().count()
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Content {
    let text_tag = tag.is_some_and(|tag| tag.suffix == "str" || tag.suffix.is_empty());
    let plain = style == ScalarStyle::Plain && !text_tag;
    match text {
        "" | "~" | "null" | "Null" | "NULL" if plain => Content::Null,
        _ => Content::Scalar(Scalar { text: text.into(), plain }),
    }
}

/// The parser says what it met; this is what usually led there.
fn syntax_hint(info: &str, line: &str) -> &'static str {
    let says = |part: &str| info.contains(part);
    if line.trim_start_matches(' ').starts_with('\t') || says("tabs") || says(" tab") {
        "indent with spaces: YAML does not allow tabs"
    } else if says("unknown anchor") {
        "define it first, with `&name` before a value in the same document"
    } else if says("mapping values are not allowed") {
        "check the indentation of this line and the one above; put text that contains `: ` in quotes"
    } else if says("quoted scalar") && says("end of stream") {
        "add the missing quote"
    } else if says("quoted") {
        "put the whole value between the quotes; within double quotes write `\\\\` for a backslash"
    } else if says("flow") {
        "check that every `{` and `[` is closed and that items are separated by commas"
    } else if says("block mapping") || says("block collection") {
        "check the indentation of this line"
    } else if says("simple key") {
        "put a colon and a blank behind the key, and check the indentation of this line"
    } else if says("directive") {
        "remove the line that starts with `%`"
    } else if says("unexpected character") || says("unprintable") {
        "put text with special characters in quotes"
    } else {
        "check this line and the one above"
    }
}
