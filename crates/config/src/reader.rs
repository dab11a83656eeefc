//! Reads mappings by tables of their fields. The tables also name the defaults, find misspelt fields, and become the
//! reference documentation.

use crate::problem::quoted;
use crate::report::{Finding, Place, Report, Wrong};
use crate::scalar::Parsed;
use crate::words;
use crate::yaml::{Content, Entry, Node};

/// A field of a mapping.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) need: Need,
    /// What it is for.
    pub(crate) about: &'static str,
}

/// What is written as the value of a field.
pub(crate) enum Form {
    /// A single value, described by a word.
    One(&'static str),
    /// A list of single values, each described by a word.
    Many(&'static str),
    /// A mapping.
    Object(&'static [Field]),
    /// A list of mappings.
    Objects(&'static [Field]),
    /// A mapping with a `type` that says which other fields it has.
    Typed(&'static [(&'static str, &'static [Field])]),
}

/// What happens without a field.
pub(crate) enum Need {
    /// An error that suggests this value.
    Required(&'static str),
    /// The same, but only then.
    RequiredBy { when: &'static str, example: &'static str },
    /// It is as if this were written.
    Default(&'static str),
    /// It is off; the text says what that means, if it must be said.
    Optional(&'static str),
}

/// What is done with fields that no table knows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// They are ignored, as StateFun does, with a warning if they look like a mistake.
    Ignored,
    /// They are errors.
    Refused,
}

/// A value and its path.
#[derive(Clone)]
pub(crate) struct At<'t> {
    pub(crate) node: &'t Node,
    pub(crate) path: String,
    /// Where to point if something is missing: the key or the item that holds the value.
    pub(crate) owner: Place,
    pub(crate) report: &'t Report<'t>,
}

/// A mapping that is read by a table.
pub(crate) struct Object<'t> {
    at: At<'t>,
    fields: &'static [Field],
}

impl<'t> At<'t> {
    pub(crate) fn place(&self) -> Place {
        match self.node.content {
            Content::Null => self.owner,
            Content::Mapping(_) | Content::Sequence(_) => Place { width: 1, ..self.node.place },
            _ => self.node.place,
        }
    }

    pub(crate) fn add(&self, wrong: Wrong) {
        self.report.add(wrong.at(self.place(), &self.path));
    }

    /// Reads it as a single value.
    pub(crate) fn scalar<T>(&self, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        match &self.node.content {
            Content::Scalar(scalar) => parse(&scalar.text).map_err(|wrong| self.add(wrong)).ok(),
            Content::Broken => None,
            _ => {
                let message = format!("a single value is expected here, not {}", self.node.noun());
                self.add(Wrong::new(message, "write the value behind the colon"));
                None
            }
        }
    }

    /// Reads it as a list.
    pub(crate) fn items(&self) -> Option<Vec<At<'t>>> {
        match &self.node.content {
            Content::Sequence(items) => Some(
                items
                    .iter()
                    .enumerate()
                    .map(|(index, node)| At {
                        node,
                        path: format!("{}[{index}]", self.path),
                        owner: node.place,
                        report: self.report,
                    })
                    .collect(),
            ),
            Content::Broken => None,
            _ => {
                let message = format!("a list is expected here, not {}", self.node.noun());
                self.add(Wrong::new(message, "write each item on its own line, behind `- `"));
                None
            }
        }
    }

    /// Reads it as a list of single values.
    pub(crate) fn scalars<T>(&self, parse: impl Fn(&str) -> Parsed<T>) -> Option<Vec<(T, At<'t>)>> {
        let read: Vec<_> = self
            .items()?
            .into_iter()
            .map(|item| item.scalar(&parse).map(|value| (value, item)))
            .collect();
        read.into_iter().collect()
    }

    /// The entries of a mapping; nothing at all counts as an empty one.
    pub(crate) fn entries(&self) -> Option<&'t [Entry]> {
        match &self.node.content {
            Content::Mapping(entries) => Some(entries),
            Content::Null => Some(&[]),
            Content::Broken => None,
            _ => {
                let message = format!("a mapping is expected here, not {}", self.node.noun());
                self.add(Wrong::new(message, "write `name: value` lines, indented below this key"));
                None
            }
        }
    }

    /// The value of an entry of this mapping.
    pub(crate) fn below(&self, entry: &'t Entry) -> At<'t> {
        let path = match self.path.as_str() {
            "" => entry.key.to_string(),
            path => format!("{path}.{}", entry.key),
        };
        At { node: &entry.value, path, owner: entry.key_place, report: self.report }
    }

    /// Reads it as a mapping by a table. Unknown fields are reported.
    pub(crate) fn object(&self, fields: &'static [Field], unknown: Unknown) -> Option<Object<'t>> {
        self.object_but(fields, unknown, &[])
    }

    /// As [`At::object`]; `elsewhere` are names that are unknown here, with a hint where they belong.
    pub(crate) fn object_but(
        &self,
        fields: &'static [Field],
        unknown: Unknown,
        elsewhere: &[(&str, &str)],
    ) -> Option<Object<'t>> {
        let entries = self.entries()?;
        let object = Object { at: self.clone(), fields };
        for entry in object.unknown_entries(entries) {
            object.unknown(entry, unknown, elsewhere);
        }
        Some(object)
    }
}

impl<'t> Object<'t> {
    pub(crate) fn path(&self, name: &str) -> String {
        match self.at.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        }
    }

    /// The value of a field, if it is there and not null.
    pub(crate) fn child(&self, name: &str) -> Option<At<'t>> {
        let entry = self.at.entries()?.iter().find(|entry| &*entry.key == name)?;
        match entry.value.content {
            Content::Null => None,
            _ => Some(self.at.below(entry)),
        }
    }

    /// What stands for a mapping that is left out, all of whose fields have defaults.
    pub(crate) fn nothing(&self) -> Node {
        Node { place: self.at.owner, content: Content::Null }
    }

    pub(crate) fn child_or<'n>(&'n self, name: &str, nothing: &'n Node) -> At<'n> {
        self.child(name).unwrap_or_else(|| At {
            node: nothing,
            path: self.path(name),
            owner: self.at.owner,
            report: self.at.report,
        })
    }

    /// The value of a field that must be there.
    pub(crate) fn required(&self, name: &str) -> Option<At<'t>> {
        self.child(name).or_else(|| {
            self.missing(name, "");
            None
        })
    }

    /// A single value with its default from the table. `None` if something is wrong with it, which is reported.
    pub(crate) fn scalar<T>(&self, name: &str, parse: impl Fn(&str) -> Parsed<T>) -> Option<T> {
        match self.child(name) {
            Some(child) => child.scalar(parse),
            None => match self.known(name).need {
                Need::Default(text) => Some(parse(text).expect("defaults in tables are valid")),
                _ => {
                    self.missing(name, "");
                    None
                }
            },
        }
    }

    /// A single value that may be left out. The outer `None` means that something is wrong with it.
    pub(crate) fn optional<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Parsed<T>,
    ) -> Option<Option<T>> {
        match self.child(name) {
            Some(child) => child.scalar(parse).map(Some),
            None => Some(None),
        }
    }

    /// The default of a field as it would be written.
    pub(crate) fn default_text(&self, name: &str) -> &'static str {
        match self.known(name).need {
            Need::Default(text) => text,
            Need::Required(_) | Need::RequiredBy { .. } | Need::Optional(_) => "",
        }
    }

    fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    fn known(&self, name: &str) -> &'static Field {
        self.field(name).expect("only fields of the table are read")
    }

    /// Says that a field is missing; `or` ends the hint with what would do too.
    pub(crate) fn missing(&self, name: &str, or: &str) {
        let message = match self.misspelt(name) {
            Some(entry) => format!("`{name}` is missing, but there is {}", quoted(&entry.key)),
            None => format!("`{name}` is missing"),
        };
        let place = self.misspelt(name).map_or(self.at.owner, |entry| entry.key_place);
        let hint = match (self.misspelt(name), &self.known(name).need) {
            (Some(entry), _) => format!("rename {} to `{name}`", quoted(&entry.key)),
            (None, Need::Required(example)) if example.starts_with('\n') => {
                format!("add\n{name}:{example}")
            }
            (None, Need::Required(example) | Need::RequiredBy { example, .. }) => {
                format!("add `{name}: {example}`{or}")
            }
            (None, _) => format!("add `{name}`{or}"),
        };
        self.at.report.add(Finding::error(place, &self.path(name), message).hint(hint));
    }

    /// The unknown entry that was probably meant to be this absent field.
    fn misspelt(&self, name: &str) -> Option<&'t Entry> {
        self.unknown_entries(self.at.entries()?)
            .find(|entry| self.correction(&entry.key) == Some(name))
    }

    /// Not more of them than somebody would read about.
    fn unknown_entries(&self, entries: &'t [Entry]) -> impl Iterator<Item = &'t Entry> {
        const LOOKED_AT_MAX: usize = 100;
        entries.iter().filter(|entry| self.field(&entry.key).is_none()).take(LOOKED_AT_MAX)
    }

    /// The absent field which an unknown key was probably meant to be.
    fn correction(&self, key: &str) -> Option<&'static str> {
        let absent = self.fields.iter().map(|field| field.name);
        words::meant(key, absent.filter(|name| self.at.node.entry(name).is_none()))
    }

    fn unknown(&self, entry: &Entry, unknown: Unknown, elsewhere: &[(&str, &str)]) {
        let place = entry.key_place;
        let path = self.path(&entry.key);
        let correction = self.correction(&entry.key);
        let required =
            correction.is_some_and(|name| matches!(self.known(name).need, Need::Required(_)));
        let misplaced = elsewhere.iter().find(|(name, _)| *name == &*entry.key);
        let hint = match (misplaced, correction) {
            (Some((_, hint)), _) => Some((*hint).to_owned()),
            // Reported where it is missed.
            (None, Some(_)) if required => return,
            (None, Some(name)) => Some(format!("did you mean `{name}`?")),
            (None, None) if &*entry.key == "<<" => {
                Some("merge keys are not supported; write the fields out".to_owned())
            }
            (None, None) => None,
        };
        let key = quoted(&entry.key);
        let finding = match (unknown, hint) {
            (Unknown::Ignored, None) => return,
            (Unknown::Ignored, Some(hint)) => {
                Finding::warning(place, &path, format!("the unknown field {key} is ignored"))
                    .hint(hint)
            }
            (Unknown::Refused, hint) => {
                Finding::error(place, &path, format!("unknown field {key}"))
                    .hint(hint.unwrap_or_else(|| self.known_names()))
            }
        };
        self.at.report.add(finding);
    }

    fn known_names(&self) -> String {
        let names: Vec<_> = self.fields.iter().map(|field| format!("`{}`", field.name)).collect();
        format!("the fields are {}", names.join(", "))
    }
}
