//! Statement texts: one for both engines, written with SQLite's `?1` placeholders.

use std::fmt::Write as _;
use std::sync::OnceLock;

use crate::DbError;
use crate::session::{Param, Session};

/// A statement whose text never changes. The registry of all is [`all`].
pub(crate) struct Statement {
    name: &'static str,
    build: fn() -> String,
    sqlite: OnceLock<String>,
    postgres: OnceLock<String>,
}

impl Statement {
    pub(crate) const fn new(name: &'static str, build: fn() -> String) -> Self {
        Self { name, build, sqlite: OnceLock::new(), postgres: OnceLock::new() }
    }

    pub(crate) fn sqlite(&self) -> &str {
        self.sqlite.get_or_init(self.build)
    }

    fn postgres(&self) -> &str {
        self.postgres.get_or_init(|| dollars(self.sqlite()))
    }
}

/// The text of a statement: a registered one, or one built from typed filters.
#[derive(Clone, Copy)]
pub(crate) enum Text<'a> {
    Fixed(&'static Statement),
    Built(&'a str),
}

impl<'a> Text<'a> {
    pub(crate) fn sqlite(&self) -> &'a str {
        match *self {
            Self::Fixed(statement) => statement.sqlite(),
            Self::Built(text) => text,
        }
    }

    pub(crate) fn postgres(&self) -> std::borrow::Cow<'a, str> {
        match *self {
            Self::Fixed(statement) => statement.postgres().into(),
            Self::Built(text) => dollars(text).into(),
        }
    }

    /// The name for messages: never a parameter's value, as those are bound.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Fixed(statement) => statement.name.to_owned(),
            Self::Built(text) => text.chars().take(60).collect(),
        }
    }
}

impl From<&'static Statement> for Text<'_> {
    fn from(statement: &'static Statement) -> Self {
        Self::Fixed(statement)
    }
}

impl<'a> From<&'a String> for Text<'a> {
    fn from(text: &'a String) -> Self {
        Self::Built(text)
    }
}

/// Defines statements and a list of them, which [`all`] gathers.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)*) => {
        $(
            $(#[$doc])*
            static $name: crate::statement::Statement =
                crate::statement::Statement::new(stringify!($name), || ($text).into());
        )*
        /// The statements of this file.
        pub(crate) static STATEMENTS: &[&crate::statement::Statement] = &[$(&$name),*];
    };
}
pub(crate) use statements;

/// Every statement with a fixed text.
pub(crate) fn all() -> impl Iterator<Item = &'static Statement> {
    [
        crate::account::STATEMENTS,
        crate::admission::STATEMENTS,
        crate::census::STATEMENTS,
        crate::bios_setting::STATEMENTS,
        crate::allocation::STATEMENTS,
        crate::chassis::STATEMENTS,
        crate::conductor::STATEMENTS,
        crate::deploy_template::STATEMENTS,
        crate::event::STATEMENTS,
        crate::firmware_component::STATEMENTS,
        crate::flow::STATEMENTS,
        crate::history::STATEMENTS,
        crate::inspection_rule::STATEMENTS,
        crate::inspection::STATEMENTS,
        crate::inventory::STATEMENTS,
        crate::message::STATEMENTS,
        crate::node::read::STATEMENTS,
        crate::node::write::STATEMENTS,
        crate::port::rows::STATEMENTS,
        crate::portgroup::STATEMENTS,
        crate::power::STATEMENTS,
        crate::publisher::STATEMENTS,
        crate::runbook::STATEMENTS,
        crate::trace::STATEMENTS,
        crate::volume_connector::STATEMENTS,
        crate::volume_target::STATEMENTS,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// `?1` as PostgreSQL writes it: `$1`. No statement has a question mark elsewhere.
fn dollars(text: &str) -> String {
    text.replace('?', "$")
}

/// Rows inserted by one statement.
const ROWS: usize = 64;

/// Inserts rows, each with a value for every one of `columns`; one that is there already is left as it is.
pub(crate) fn insert_rows<'p>(
    session: &mut dyn Session,
    table: &str,
    columns: &[&str],
    rows: impl Iterator<Item = Vec<Param<'p>>>,
) -> Result<(), DbError> {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let params: Vec<Param<'p>> = rows.by_ref().take(ROWS).flatten().collect();
        let mut statement = format!("INSERT INTO {table} ({}) VALUES ", columns.join(", "));
        for row in 0..params.len() / columns.len() {
            let places: Vec<String> =
                (1..=columns.len()).map(|column| format!("?{}", row * columns.len() + column)).collect();
            let comma = if row == 0 { "" } else { ", " };
            // Writing to a String does not fail.
            let _ = write!(statement, "{comma}({})", places.join(", "));
        }
        statement.push_str(" ON CONFLICT DO NOTHING");
        session.execute((&statement).into(), &params)?;
    }
    Ok(())
}

/// `?1, ?2, … ?count`.
pub(crate) fn placeholders(count: usize) -> String {
    (1..=count).map(|index| format!("?{index}")).collect::<Vec<_>>().join(", ")
}
