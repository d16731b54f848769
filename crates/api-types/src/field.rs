//! Rows of the tables of fields.

use std::fmt;

use microversion::Version;
use model::{Node, Timestamp};
use serde_json::Value;

use crate::{BodyError, Shown, Writer};

/// A JSON type as the contract names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Json {
    /// Any string.
    Text,
    /// A UUID in its canonical form.
    Uuid,
    /// A time.
    Time,
    /// An Ethernet address.
    Mac,
    /// `true` or `false`; requests may also write them as words.
    Flag,
    /// A whole number.
    Integer,
    /// An object.
    Object,
    /// A list of links.
    Links,
    /// A list of lists of links.
    LinkLists,
    /// A list of strings.
    Texts,
    /// A list of objects with members as the contract names them.
    List(&'static str),
}

impl Json {
    /// This type and nothing else.
    pub const fn only(self) -> Type {
        Type { json: self, nullable: false }
    }

    /// This type or null.
    pub const fn or_null(self) -> Type {
        Type { json: self, nullable: true }
    }
}

/// The JSON type of a field as replies show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Type {
    /// Its base.
    pub json: Json,
    /// Whether it may be null.
    pub nullable: bool,
}

/// As in the contract: `string(uuid)|null`.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.json {
            Json::Text => "string",
            Json::Uuid => "string(uuid)",
            Json::Time => "string(date-time)",
            Json::Mac => "string(mac)",
            Json::Flag => "boolean",
            Json::Integer => "integer",
            Json::Object => "object",
            Json::Links => "array[link]",
            Json::LinkLists => "array[array[link]]",
            Json::Texts => "array[string]",
            Json::List(members) => {
                return write!(f, "array[{members}]{}", if self.nullable { "|null" } else { "" });
            }
        })?;
        f.write_str(if self.nullable { "|null" } else { "" })
    }
}

/// What serialisation needs beside the object.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Start of links, as `http://192.0.2.1:6385`, without a slash at the end.
    pub base: &'a str,
    /// The version that the caller asked for.
    pub version: Version,
    /// The present.
    pub now: Timestamp,
    /// Whether everything is written as it is: for patches, never for callers.
    pub reveal: bool,
    /// What of nodes the caller is shown.
    pub shown: &'a Shown,
    /// Which conductor is in charge of a node.
    pub conductor_of: &'a (dyn Fn(&Node) -> Option<String> + Sync),
    /// Whether a conductor that gave its last sign of life at that time counts as alive.
    pub alive_since: Timestamp,
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("base", &self.base)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Writes the value of a field.
pub(crate) type Write<T> = fn(&T, &Context<'_>, &mut Writer);
/// Sets a field from a value that has the field's type; null stands for the default.
pub(crate) type Set<T> = fn(&mut T, Value, Version) -> Result<(), BodyError>;

/// One field of a resource.
pub struct Field<T: 'static> {
    /// Its name.
    pub name: &'static str,
    /// Its type in replies.
    pub ty: Type,
    /// First minor version that shows it; `None` when it is only written.
    pub read: Option<u16>,
    /// First minor version that accepts it at creation.
    pub create: Option<u16>,
    /// First minor version that accepts it in a patch.
    pub patch: Option<u16>,
    /// What it is when nobody says, in the contract's words.
    pub default: &'static str,
    /// Whether short lists show it.
    pub short: bool,
    /// Writes it.
    pub write: Write<T>,
    /// Sets it; fields that callers cannot set have none.
    pub set: Option<Set<T>>,
}

impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({})", self.name)
    }
}

impl<T> Field<T> {
    /// A field that is shown from `read` on and that callers cannot set.
    pub(crate) const fn new(
        name: &'static str,
        ty: Type,
        read: u16,
        default: &'static str,
        write: Write<T>,
    ) -> Self {
        Self {
            name,
            ty,
            read: Some(read),
            create: None,
            patch: None,
            default,
            short: false,
            write,
            set: None,
        }
    }

    /// Shown in short lists.
    pub(crate) const fn short(mut self) -> Self {
        self.short = true;
        self
    }

    /// Accepted at creation and in patches from these versions on.
    pub(crate) const fn writable(mut self, create: u16, patch: u16, set: Set<T>) -> Self {
        self.create = Some(create);
        self.patch = Some(patch);
        self.set = Some(set);
        self
    }

    /// Accepted at creation alone.
    pub(crate) const fn create_only(mut self, create: u16, set: Set<T>) -> Self {
        self.create = Some(create);
        self.set = Some(set);
        self
    }

    /// Accepted in patches alone.
    pub(crate) const fn patch_only(mut self, patch: u16, set: Set<T>) -> Self {
        self.patch = Some(patch);
        self.set = Some(set);
        self
    }

    /// Never shown.
    pub(crate) const fn hidden(mut self) -> Self {
        self.read = None;
        self
    }

    /// Whether `version` shows it.
    pub(crate) fn is_shown(&self, version: Version) -> bool {
        self.read.is_some_and(|min| version.at_least(min))
    }
}

/// A resource: its name and its fields.
#[derive(Debug)]
pub struct Resource<T: 'static> {
    /// The name in messages and in the contract.
    pub name: &'static str,
    /// The collection in URLs.
    pub collection: &'static str,
    /// Its fields, in alphabetical order.
    pub fields: &'static [Field<T>],
}

impl<T> Resource<T> {
    /// The field `name`.
    pub fn field(&self, name: &str) -> Option<&'static Field<T>> {
        self.fields.binary_search_by(|field| field.name.cmp(name)).ok().map(|index| &self.fields[index])
    }
}
