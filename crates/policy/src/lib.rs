//! Who may do what: the rules, in the language of oslo.policy, and what a caller may see by them.
//!
//! A rule is parsed once into an expression. For a caller it becomes a [`Scope`](model::Scope): all objects, none, or
//! those that a project owns or was lent. The same value answers "may this caller do that to this object" and is part
//! of the query of every list, so that the two cannot differ. It knows nothing of HTTP, of routes or of files: texts in,
//! decisions out.

mod caller;
mod decisions;
mod effective;
mod expression;
mod file;
mod page;
mod parse;
mod table;
mod template;

pub use caller::{Caller, ServiceCaller};
pub use decisions::Decisions;
pub use effective::{Effective, Kind, Origin, Policy, PolicyError, Settings};
pub use parse::CheckError;
pub use table::{Row, TABLE, TokenScope};
