//! Which part of a list is wanted, in which order.

use std::marker::PhantomData;

/// A noun whose lists can be ordered.
pub trait Sorted {
    /// The columns that lists can be ordered by, named as on the wire: all but JSON.
    const SORTED: &'static [&'static str];
}

/// An order of a list of `T`; equal ones follow their row number, absent values come first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort<T>(&'static str, PhantomData<fn() -> T>);

impl<T: Sorted> Sort<T> {
    /// The order of creation.
    pub fn by_id() -> Self {
        Self("id", PhantomData)
    }

    /// The order by the field of this name on the wire; `None` when there is no such order.
    pub fn from_field(name: &str) -> Option<Self> {
        let column = std::iter::once(&"id").chain(T::SORTED).find(|column| **column == name)?;
        Some(Self(column, PhantomData))
    }

    /// Every order.
    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(&"id").chain(T::SORTED).map(|column| Self(column, PhantomData))
    }

    pub(crate) fn column(&self) -> &'static str {
        self.0
    }
}

/// A page of a list of `T`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging<T> {
    /// In which order.
    pub sort: Sort<T>,
    /// Whether the order is reversed.
    pub descending: bool,
    /// The UUID of the last item of the page before.
    pub marker: Option<String>,
    /// The most items on the page; `usize::MAX` for all.
    pub limit: usize,
}

impl<T: Sorted> Default for Paging<T> {
    /// All of them, oldest first.
    fn default() -> Self {
        Self { sort: Sort::by_id(), descending: false, marker: None, limit: usize::MAX }
    }
}
