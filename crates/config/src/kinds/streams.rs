//! What the kinds for Kafka and for Kinesis have in common: properties, routes, and mappings with a `type`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use crate::kinds::ingress::{field, some};
use crate::problem::quoted;
use crate::reader::{At, Field, Form, Need, Object, Unknown};
use crate::report::{Finding, Place, Wrong};
use crate::scalar::{self, Parsed};
use crate::universe::Universe;
use crate::yaml::{Content, Entry};
use crate::{BadRecords, StreamRoute};

pub(crate) const ID: Field = field("id", "name", Need::Required("<namespace>/<name>"), "Its id.");

pub(crate) const BAD_RECORDS: Field = field(
    "badRecords",
    "`dead-letter`, `skip` or `fail`",
    Need::Default("dead-letter"),
    "What happens to a record that can't become a message, because it has no key or no value: it goes to the dead letters, is forgotten, or stops this ingress. Not a field of StateFun, which fails.",
);

pub(crate) fn bad_records(object: &Object<'_>) -> Option<BadRecords> {
    const POLICIES: &[(&str, BadRecords)] = &[
        ("dead-letter", BadRecords::DeadLetter),
        ("skip", BadRecords::Skip),
        ("fail", BadRecords::Fail),
    ];
    object.scalar("badRecords", |text| scalar::choice(text, POLICIES))
}

/// A name with a value, and where they stand.
pub(crate) struct Pair<'t> {
    pub(crate) name: &'t str,
    pub(crate) name_place: Place,
    pub(crate) value: At<'t>,
}

/// Reads a list of `- name: value`, or a mapping, which is taken too.
pub(crate) fn pairs<'t>(at: &At<'t>) -> Option<Vec<Pair<'t>>> {
    let pair = |holder: &At<'t>, entry: &'t Entry| Pair {
        name: &entry.key,
        name_place: entry.key_place,
        value: holder.below(entry),
    };
    if let Content::Mapping(entries) = &at.node.content {
        return Some(entries.iter().map(|entry| pair(at, entry)).collect());
    }
    let items = at.items()?;
    let read: Vec<_> = items
        .iter()
        .map(|item| match &item.node.content {
            Content::Mapping(entries) => {
                Some(entries.iter().map(|entry| pair(item, entry)).collect::<Vec<_>>())
            }
            Content::Broken => None,
            _ => {
                let message = format!("`name: value` is expected here, not {}", item.node.noun());
                item.add(Wrong::new(message, "write `- name: value`"));
                None
            }
        })
        .collect();
    Some(read.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect())
}

/// Values by name with their places. Of several the last is kept, and the others are reported.
pub(crate) struct LastOfEach<'t, K, V>(BTreeMap<K, (V, At<'t>)>);

impl<K, V> Default for LastOfEach<'_, K, V> {
    fn default() -> Self {
        LastOfEach(BTreeMap::new())
    }
}

impl<'t, K: Ord, V> LastOfEach<'t, K, V> {
    /// `place` is that of the name, which is `shown` to the user.
    pub(crate) fn add(&mut self, key: K, shown: &str, place: Place, value: (V, At<'t>)) {
        match self.0.entry(key) {
            Slot::Vacant(slot) => {
                slot.insert(value);
            }
            Slot::Occupied(mut slot) => {
                let (_, first) = slot.get();
                let message = format!("{} is there twice; only the last one counts", quoted(shown));
                let finding = Finding::warning(place, &value.1.path, message);
                let first = first.owner.into();
                value.1.report.add(finding.related("first at", &first).hint("keep one of the two"));
                slot.insert(value);
            }
        }
    }

    pub(crate) fn values(self) -> BTreeMap<K, V> {
        self.0.into_iter().map(|(key, (value, _))| (key, value)).collect()
    }
}

/// The properties of a client.
pub(crate) type Properties<'t> = LastOfEach<'t, String, String>;

pub(crate) fn properties<'t>(object: &Object<'t>, name: &str) -> Option<Properties<'t>> {
    let mut properties = Properties::default();
    let Some(at) = object.child(name) else { return Some(properties) };
    let mut complete = true;
    for Pair { name, name_place, value } in pairs(&at)? {
        match value.scalar(scalar::text) {
            Some(text) => properties.add(name.to_owned(), name, name_place, (text, value)),
            None => complete = false,
        }
    }
    complete.then_some(properties)
}

impl<'t> Properties<'t> {
    pub(crate) fn get(&self, name: &str) -> Option<&(String, At<'t>)> {
        self.0.get(name)
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<(String, At<'t>)> {
        self.0.remove(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }

    /// Removes a property because something else goes before it, which is said unless it says the same.
    pub(crate) fn overrule(&mut self, name: &str, by: &str, value: Option<&str>) {
        let Some((text, at)) = self.remove(name) else { return };
        if value.is_none_or(|value| value == text) {
            return;
        }
        let message = format!("the property `{name}` is ignored, because `{by}` goes before it");
        let finding = Finding::warning(at.owner, &at.path, message);
        at.report.add(finding.hint(format!("remove the property, and write its value as `{by}`")));
    }
}

/// The properties of a client with what its fields say. `None` if any of them is wrong, which is reported.
pub(crate) fn with_fields(
    properties: Option<Properties<'_>>,
    fields: impl IntoIterator<Item = (&'static str, Option<String>)>,
) -> Option<BTreeMap<String, String>> {
    let fields: Option<Vec<_>> =
        fields.into_iter().map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let mut properties = properties?.values();
    properties.extend(fields?);
    Some(properties)
}

/// How the list of topics or of streams is written.
pub(crate) struct Routes {
    pub(crate) list: &'static str,
    pub(crate) noun: &'static str,
    pub(crate) fields: &'static [Field],
    pub(crate) name: fn(&str) -> Parsed<String>,
}

pub(crate) const VALUE_TYPE: Field = field(
    "valueType",
    "name",
    Need::Required("<namespace>/<name>"),
    "The typename of the message; its value is that of the record as it is.",
);

pub(crate) const TARGETS: Field = Field {
    name: "targets",
    form: Form::Many("name"),
    need: Need::Required("[<namespace>/<name>]"),
    about: "The functions that receive each record, in this order. At least one.",
};

pub(crate) fn routes(
    object: &Object<'_>,
    kind: &Routes,
    universe: &mut Universe,
) -> Option<Vec<StreamRoute>> {
    let at = object.required(kind.list)?;
    let mut routes = LastOfEach::default();
    let mut complete = true;
    for item in some(&at, kind.noun)? {
        match route(&item, kind, universe) {
            Some((route, at)) => {
                let name = route.name.clone();
                routes.add(name.clone(), &name, at.place(), (route, at));
            }
            None => complete = false,
        }
    }
    complete.then(|| routes.values().into_values().collect())
}

fn route<'t>(at: &At<'t>, kind: &Routes, universe: &mut Universe) -> Option<(StreamRoute, At<'t>)> {
    let object = at.object(kind.fields, Unknown::Ignored)?;
    let name_at = object.required(kind.noun);
    let name = name_at.as_ref().and_then(|at| at.scalar(kind.name));
    let value_type = object.scalar("valueType", scalar::name);
    let targets = object.required("targets").and_then(|at| {
        some(&at, "target")?;
        at.scalars(scalar::function)
    });
    for (target, at) in targets.iter().flatten() {
        universe.sends_to(target, at);
    }
    let envelope = match kind.fields.iter().any(|field| field.name == "envelope") {
        true => object.scalar("envelope", scalar::boolean),
        false => Some(false),
    };
    let targets = targets?.into_iter().map(|(target, _)| target).collect();
    let route = StreamRoute { name: name?, value_type: value_type?, targets, envelope: envelope? };
    Some((route, name_at?))
}

/// A mapping with a `type`, and which of its other fields belong to which type.
pub(crate) struct Typed<T: 'static> {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
    pub(crate) types: &'static [(&'static str, T)],
    pub(crate) belongs: &'static [(&'static str, &'static str)],
    /// What a single value was probably meant as, to be written before it.
    pub(crate) short: Option<&'static str>,
}

impl<T: Copy> Typed<T> {
    /// The mapping and its type. The outer `None` means that something is wrong with it, the inner that it is not there.
    pub(crate) fn read<'t>(&self, holder: &Object<'t>) -> Option<Option<(T, Object<'t>)>> {
        let Some(at) = holder.child(self.name) else { return Some(None) };
        if let Content::Scalar(scalar) = &at.node.content {
            let name = self.name;
            let text = &*scalar.text;
            let example = match self.short {
                _ if scalar::choice(text, self.types).is_ok() => format!("type: {text}"),
                Some(short) => format!("{short}{text}"),
                None => format!("type: {}", self.types[0].0),
            };
            let message = format!("`{name}` is expected to be a mapping, not a single value");
            at.add(Wrong::new(message, format!("write `{name}: {{ {example} }}`")));
            return None;
        }
        let object = at.object(self.fields, Unknown::Ignored)?;
        let type_at = object.required("type")?;
        let text = type_at.scalar(scalar::text)?;
        let value = type_at.scalar(|text| scalar::choice(text, self.types))?;
        for (name, of) in self.belongs.iter().filter(|(name, _)| !self.takes(&text, name)) {
            if let Some(useless) = object.child(name) {
                let message = format!("`{name}` is ignored, because the type is `{text}`");
                let finding = Finding::warning(useless.owner, &useless.path, message);
                at.report.add(finding.hint(format!("write `type: {of}`, or remove `{name}`")));
            }
        }
        Some(Some((value, object)))
    }

    fn takes(&self, text: &str, name: &str) -> bool {
        self.belongs.contains(&(name, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_that_belongs_to_a_type_is_one() {
        fn check<T: Copy>(typed: &Typed<T>) {
            for (name, of) in typed.belongs {
                assert!(typed.fields.iter().any(|field| field.name == *name), "{name}");
                assert!(typed.types.iter().any(|(name, _)| name == of), "{of}");
            }
        }
        check(&crate::kinds::kafka::STARTUP);
        check(&crate::kinds::kafka::DELIVERY);
        check(&crate::kinds::kinesis::STARTUP);
        check(&crate::kinds::kinesis::REGION);
        check(&crate::kinds::kinesis::CREDENTIALS);
    }
}
