//! Who may see a row, as a condition of a statement.

use model::{Scope, Stake};

use crate::session::Param;
use crate::statement::Statement;

/// Makes a condition on a table out of one on the columns `owner` and `lessee`.
pub(crate) type Seen = fn(&str) -> String;

/// What a scope shows of a table that has the columns `owner` and `lessee`; `bind` gives a project's placeholder.
pub(crate) fn condition(scope: &Scope, bind: &mut dyn FnMut(&str) -> String) -> String {
    let column = |stake: &Stake| match stake {
        Stake::Owner => "owner",
        Stake::Lessee => "lessee",
    };
    let mut joined = |parts: &[Scope], word: &str| {
        let parts: Vec<String> = parts.iter().map(|part| format!("({})", condition(part, bind))).collect();
        parts.join(word)
    };
    match scope {
        Scope::All => "1 = 1".to_owned(),
        Scope::Nothing => "1 = 0".to_owned(),
        Scope::Has(stake, project) => format!("{} = {}", column(stake), bind(project)),
        Scope::HasNot(stake, project) => {
            let column = column(stake);
            format!("{column} IS NULL OR {column} <> {}", bind(project))
        }
        Scope::Every(parts) => joined(parts, " AND "),
        Scope::Any(parts) => joined(parts, " OR "),
    }
}

/// The statement for one row, `fixed` with its key `?1`, for those who do not see everything; and its parameters.
pub(crate) fn restricted(
    fixed: &Statement,
    key: Param<'_>,
    scope: &Scope,
    seen: Seen,
) -> (String, Vec<Param<'static>>) {
    let mut params = vec![key.into_owned()];
    let mut bind = |project: &str| {
        params.push(Param::Text(project.to_owned().into()));
        format!("?{}", params.len())
    };
    let condition = seen(&condition(scope, &mut bind));
    (format!("{} AND ({condition})", fixed.sqlite()), params)
}

/// Rows that have an owner and a lessee themselves.
pub(crate) fn own(condition: &str) -> String {
    condition.to_owned()
}

/// Rows that belong to nodes.
pub(crate) fn of_nodes(condition: &str) -> String {
    format!("node_uuid IN (SELECT uuid FROM nodes WHERE {condition})")
}
