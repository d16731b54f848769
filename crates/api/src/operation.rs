//! What a route takes and gives, as a row: its query is checked by it, its body, and the document for clients is made of it.

use api_types::{Schema, Table};

use crate::params::{FIELDS, PAGE, Param, VIEW};

/// What a route takes and gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation {
    /// The place of its parameters in the releases (`microversion`).
    pub(crate) at: &'static str,
    /// Its query parameters, in groups.
    pub(crate) query: &'static [&'static [Param]],
    /// Its body, unless it takes none.
    pub(crate) body: Option<Schema>,
    /// The status of success.
    pub(crate) status: u16,
    /// The body of success, unless it has none.
    pub(crate) reply: Option<Schema>,
}

impl Operation {
    const fn new(status: u16) -> Self {
        Self { at: "", query: &[], body: None, status, reply: None }
    }

    /// Reads something: 200.
    pub(crate) const fn get(reply: Schema) -> Self {
        Self { reply: Some(reply), ..Self::new(200) }
    }

    /// Reads one object of `table`, all of it or the fields asked for.
    pub(crate) const fn show(at: &'static str, table: &'static dyn Table) -> Self {
        Self { at, query: &[FIELDS], ..Self::get(Schema::Shown(table)) }
    }

    /// Reads a page of a list of objects of `table` under the key `at`.
    pub(crate) const fn list(at: &'static str, table: &'static dyn Table) -> Self {
        Self { at, query: &[PAGE, VIEW], ..Self::get(Schema::Page(at, table)) }
    }

    /// The same, always whole objects.
    pub(crate) const fn detail(at: &'static str, table: &'static dyn Table) -> Self {
        Self { at, query: &[PAGE], ..Self::get(Schema::Page(at, table)) }
    }

    /// Makes an object: 201.
    pub(crate) const fn create(table: &'static dyn Table) -> Self {
        Self { body: Some(Schema::New(table)), reply: Some(Schema::Shown(table)), ..Self::new(201) }
    }

    /// Patches an object: 200.
    pub(crate) const fn update(table: &'static dyn Table) -> Self {
        Self { body: Some(Schema::Changes(table)), ..Self::get(Schema::Shown(table)) }
    }

    /// Done at once: 204.
    pub(crate) const fn done() -> Self {
        Self::new(204)
    }

    /// Tells of what happens until the caller goes away: 200.
    pub(crate) const fn follow() -> Self {
        Self::new(200)
    }

    /// Begun, done later: 202.
    pub(crate) const fn begun() -> Self {
        Self::new(202)
    }

    /// The same with a body.
    pub(crate) const fn takes(mut self, body: Schema) -> Self {
        self.body = Some(body);
        self
    }

    /// The same with these parameters at this place in the releases.
    pub(crate) const fn asks(mut self, at: &'static str, query: &'static [&'static [Param]]) -> Self {
        self.at = at;
        self.query = query;
        self
    }

    /// Every query parameter.
    pub(crate) fn params(&self) -> impl Iterator<Item = &'static Param> {
        self.query.iter().copied().flatten()
    }
}
