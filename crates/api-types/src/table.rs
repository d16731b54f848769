//! Tables of fields without the type of their objects: what documents and tests read them by.

use crate::{Field, Resource, Type};

/// A row of a table of fields, without the ways to read and set the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
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
}

/// A resource as a table of [`Row`]s.
pub trait Table: Sync {
    /// The name in messages and in the contract, as `node`.
    fn name(&self) -> &'static str;
    /// Its fields, in alphabetical order.
    fn rows(&self) -> Vec<Row>;
}

impl<T> Table for Resource<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn rows(&self) -> Vec<Row> {
        self.fields.iter().map(row).collect()
    }
}

fn row<T>(field: &Field<T>) -> Row {
    let Field { name, ty, read, create, patch, default, short, .. } = *field;
    Row { name, ty, read, create, patch, default, short }
}
