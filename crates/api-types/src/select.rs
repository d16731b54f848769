//! Which fields of a resource a reply shows, and writing them.

use microversion::Version;

use crate::{BodyError, Context, Field, Invalid, Resource, Writer};

/// What a caller wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// The few fields of short lists.
    Short,
    /// Everything.
    Full,
    /// These fields, and links.
    Named(Vec<String>),
}

/// The fields that a reply shows.
#[derive(Debug)]
pub struct Selection<T: 'static> {
    fields: Vec<&'static Field<T>>,
    /// The keys of all fields one after the other, as they are written: `,"name":`.
    keys: String,
}

/// What a key has beside its name.
const AROUND: usize = r#","":"#.len();

impl<T> Selection<T> {
    /// Resolves `shape` for `version`. Unknown names are [`BodyError::Invalid`], newer ones [`BodyError::TooNew`].
    pub fn new(resource: &Resource<T>, shape: &Shape, version: Version) -> Result<Self, BodyError> {
        let shown = resource.fields.iter().filter(|field| field.is_shown(version));
        let fields: Vec<&'static Field<T>> = match shape {
            Shape::Full => shown.collect(),
            Shape::Short => shown.filter(|field| field.short).collect(),
            Shape::Named(names) => {
                for name in names {
                    known(resource, name, version)?;
                }
                shown
                    .filter(|field| field.name == "links" || names.iter().any(|name| name == field.name))
                    .collect()
            }
        };
        let mut keys = String::with_capacity(fields.iter().map(|field| field.name.len() + AROUND).sum());
        for field in &fields {
            keys.push_str(",\"");
            keys.push_str(field.name);
            keys.push_str("\":");
        }
        Ok(Self { fields, keys })
    }

    /// Whether `name` is shown.
    pub fn shows(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name)
    }

    /// Writes `item` as an object.
    pub fn write(&self, item: &T, cx: &Context<'_>, out: &mut Writer) {
        out.raw("{");
        // No comma stands before the first.
        let (mut from, mut to) = (1, 0);
        for field in &self.fields {
            to += field.name.len() + AROUND;
            out.raw(self.keys.get(from..to).unwrap_or_default());
            (field.write)(item, cx, out);
            from = to;
        }
        out.raw("}");
    }

    /// Writes `items` as the value of a list; separators included.
    pub fn write_list<'a>(&self, items: impl IntoIterator<Item = &'a T>, cx: &Context<'_>, out: &mut Writer) {
        out.raw("[");
        self.write_items(0, items, cx, out);
        out.raw("]");
    }

    /// Writes `items` of a list that has `before` already. How many it has then.
    pub fn write_items<'a>(
        &self,
        before: usize,
        items: impl IntoIterator<Item = &'a T>,
        cx: &Context<'_>,
        out: &mut Writer,
    ) -> usize {
        let mut count = before;
        for item in items {
            out.raw(if count == 0 { "" } else { "," });
            self.write(item, cx, out);
            count += 1;
        }
        count
    }
}

fn known<T>(resource: &Resource<T>, name: &str, version: Version) -> Result<(), BodyError> {
    match resource.field(name).and_then(|field| field.read) {
        Some(min) if version.at_least(min) => Ok(()),
        Some(min) => Err(BodyError::too_new(name, min, version)),
        None => Err(BodyError::Invalid(Invalid::at(
            "fields",
            format!("'{}' is not a field of a {}", name.chars().take(64).collect::<String>(), resource.name),
        ))),
    }
}
