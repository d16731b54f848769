//! The conditions of a list, built from typed filters: columns are ours, values are always bound.

use std::fmt::Write as _;

use crate::scope::{self, Seen};
use crate::session::Param;
use crate::stored::{Stored, text};
use crate::{DbError, Scope};

/// The most values of one set. SQLite takes 32,766 parameters in a statement.
const SET_LIMIT: usize = 16_384;

/// The part of a statement after `WHERE`, and its parameters.
#[derive(Default)]
pub(crate) struct Conditions {
    text: String,
    params: Vec<Param<'static>>,
}

impl Conditions {
    /// Begins with what the caller may see: `seen` makes a condition on the table out of one on owner and lessee.
    pub(crate) fn seen_by(scope: &Scope, seen: Seen) -> Self {
        let mut conditions = Self::default();
        conditions.within(scope, seen);
        conditions
    }

    /// Adds that a row is in `scope`.
    pub(crate) fn within(&mut self, scope: &Scope, seen: Seen) {
        if *scope != Scope::All {
            let condition = scope::condition(scope, &mut |project| self.bind(text(project)));
            self.and(&seen(&condition));
        }
    }

    /// Adds a parameter; its placeholder.
    pub(crate) fn bind(&mut self, param: Param<'_>) -> String {
        self.params.push(param.into_owned());
        format!("?{}", self.params.len())
    }

    /// Adds a condition.
    pub(crate) fn and(&mut self, condition: &str) {
        self.text.push_str(if self.text.is_empty() { "(" } else { " AND (" });
        self.text.push_str(condition);
        self.text.push(')');
    }

    /// `column` equals the value, when there is one.
    pub(crate) fn equals<T: Stored>(&mut self, column: &str, value: Option<&T>) {
        if let Some(value) = value {
            let place = self.bind(value.param());
            self.and(&format!("{column} = {place}"));
        }
    }

    /// Whether `column` has a value.
    pub(crate) fn present(&mut self, column: &str, present: Option<bool>) {
        if let Some(present) = present {
            self.and(&format!("{column} IS {}NULL", if present { "NOT " } else { "" }));
        }
    }

    /// `column` is one of `values`, when they are given; an empty set has none.
    pub(crate) fn one_of<T: Stored>(&mut self, column: &str, values: Option<&[T]>) -> Result<(), DbError> {
        if let Some(values) = values {
            let condition = self.membership(column, values)?;
            self.and(&condition);
        }
        Ok(())
    }

    /// The row's node has one of `values` in `column`.
    pub(crate) fn one_of_nodes<T: Stored>(&mut self, column: &str, values: &[T]) -> Result<(), DbError> {
        let condition = self.membership(column, values)?;
        self.and(&format!("node_uuid IN (SELECT uuid FROM nodes WHERE {condition})"));
        Ok(())
    }

    /// The condition that `column` is one of `values`, for use within others.
    pub(crate) fn membership<T: Stored>(&mut self, column: &str, values: &[T]) -> Result<String, DbError> {
        if values.len() > SET_LIMIT {
            return Err(DbError::TooManyValues { limit: SET_LIMIT, found: values.len() });
        }
        let Some(last) = values.last() else {
            return Ok("1 = 0".to_owned());
        };
        // Sets of 5, 6, 7 and 8 share one text, and so one prepared statement: the last value is repeated.
        let padding = values.len().next_power_of_two() - values.len();
        let mut condition = format!("{column} IN (");
        for (index, value) in values.iter().chain(std::iter::repeat_n(last, padding)).enumerate() {
            self.params.push(value.param().into_owned());
            let separator = if index == 0 { "" } else { ", " };
            // Writing to a String does not fail.
            let _ = write!(condition, "{separator}?{}", self.params.len());
        }
        condition.push(')');
        Ok(condition)
    }

    /// `column` has `part` in it; upper and lower case ASCII are the same, on both engines.
    pub(crate) fn contains(&mut self, column: &str, part: Option<&str>) {
        if let Some(part) = part {
            let mut pattern = String::from("%");
            for character in part.to_ascii_lowercase().chars() {
                if matches!(character, '%' | '_' | '\\') {
                    pattern.push('\\');
                }
                pattern.push(character);
            }
            pattern.push('%');
            let place = self.bind(text(&pattern));
            self.and(&format!("lower({column}) LIKE {place} ESCAPE '\\'"));
        }
    }

    /// The rows after the one with this value in `column` and this id. Absent values come before all others.
    pub(crate) fn after(&mut self, column: &str, descending: bool, value: Param<'_>, id: i64) {
        let beyond = if descending { "<" } else { ">" };
        if column == "id" {
            let id = self.bind(Param::Int(id));
            return self.and(&format!("id {beyond} {id}"));
        }
        let condition = match (value, descending) {
            (Param::Null, true) => format!("{column} IS NULL AND id < {}", self.bind(Param::Int(id))),
            (Param::Null, false) => {
                format!("{column} IS NOT NULL OR id > {}", self.bind(Param::Int(id)))
            }
            (value, _) => {
                let value = self.bind(value);
                let id = self.bind(Param::Int(id));
                let absent = if descending { format!(" OR {column} IS NULL") } else { String::new() };
                format!("{column} {beyond} {value} OR ({column} = {value} AND id {beyond} {id}){absent}")
            }
        };
        self.and(&condition);
    }

    /// The whole statement: `select`, the conditions, the order and the limit; and its parameters.
    pub(crate) fn page(
        mut self,
        select: &str,
        column: &str,
        descending: bool,
        limit: usize,
    ) -> (String, Vec<Param<'static>>) {
        let mut statement = self.select(select);
        let (direction, absent) = if descending { ("DESC", "LAST") } else { ("ASC", "FIRST") };
        statement.push_str(" ORDER BY ");
        if column != "id" {
            let _ = write!(statement, "{column} {direction} NULLS {absent}, ");
        }
        let _ = write!(statement, "id {direction}");
        if limit != usize::MAX {
            let place = self.bind(crate::stored::limit(limit));
            let _ = write!(statement, " LIMIT {place}");
        }
        (statement, self.params)
    }

    /// The statement without an order; and its parameters.
    pub(crate) fn whole(self, select: &str) -> (String, Vec<Param<'static>>) {
        (self.select(select), self.params)
    }

    fn select(&self, select: &str) -> String {
        if self.text.is_empty() { select.to_owned() } else { format!("{select} WHERE {}", self.text) }
    }
}
