//! Statement texts: one for both engines, written with SQLite's `?1` placeholders.

use std::sync::OnceLock;

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

    fn sqlite(&self) -> &str {
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
        crate::chassis::STATEMENTS,
        crate::conductor::STATEMENTS,
        crate::deploy_template::STATEMENTS,
        crate::event::STATEMENTS,
        crate::flow::STATEMENTS,
        crate::history::STATEMENTS,
        crate::inspection_rule::STATEMENTS,
        crate::inventory::STATEMENTS,
        crate::node::read::STATEMENTS,
        crate::node::write::STATEMENTS,
        crate::port::rows::STATEMENTS,
        crate::portgroup::STATEMENTS,
        crate::runbook::STATEMENTS,
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

/// `?1, ?2, … ?count`.
pub(crate) fn placeholders(count: usize) -> String {
    (1..=count).map(|index| format!("?{index}")).collect::<Vec<_>>().join(", ")
}
