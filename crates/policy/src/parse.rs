//! The language of rules: `(role:member and project_id:%(node.owner)s) or rule:admin_api`, and the older lists of lists.

use crate::caller::ATTRIBUTES;
use crate::expression::{Expression, Left};
use crate::template::Template;

/// The longest check, in bytes.
const MAX_LENGTH: usize = 16 << 10;
/// How deep parentheses and `not` may nest.
const MAX_DEPTH: usize = 64;

/// A check that cannot be understood, or not be used to filter lists.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// It ends too early.
    #[error("the check ends where {expected} should be")]
    Ends {
        /// What should follow.
        expected: &'static str,
    },
    /// Something else should be there.
    #[error("'{found}' stands where {expected} should be")]
    Unexpected {
        /// What is there.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// No check.
    #[error(
        "'{found}' is no check: write ATTRIBUTE:VALUE, as role:admin or project_id:%(node.owner)s, or @ (everybody) \
         or ! (nobody)"
    )]
    NotACheck {
        /// What is there.
        found: String,
    },
    /// The left side of a check.
    #[error("'{name}' is no attribute of a caller: use one of role, rule, {}", ATTRIBUTES.join(", "))]
    UnknownAttribute {
        /// What is there.
        name: String,
    },
    /// The right side of a check.
    #[error(
        "%({name})s is no attribute of an object: use one of node.owner, node.lessee, allocation.owner, runbook.owner, \
         config.service_project_name, {}",
        ATTRIBUTES.join(", ")
    )]
    UnknownTarget {
        /// What is there.
        name: String,
    },
    /// A percent sign that begins nothing.
    #[error("'{text}': after a percent sign comes (NAME)s; the sign itself is written %%")]
    Template {
        /// The right side.
        text: String,
    },
    /// Lists are filtered in the store, which can compare one attribute at a time.
    #[error(
        "'{text}' names two attributes of the object: lists could not be filtered by it; write two checks"
    )]
    TwoObjects {
        /// The right side.
        text: String,
    },
    /// Roles are compared without regard to case, which the store cannot do.
    #[error("'role:{text}' depends on the object: lists could not be filtered by it; write roles:{text}")]
    RoleOfObject {
        /// The right side.
        text: String,
    },
    /// A check that asks another server.
    #[error("'{found}' asks another server for every decision, which is not supported: say it with roles")]
    Remote {
        /// What is there.
        found: String,
    },
    /// Too long or too deep.
    #[error("the check is longer than {MAX_LENGTH} bytes or nested deeper than {MAX_DEPTH} times")]
    TooLarge,
}

#[derive(Debug, PartialEq, Eq)]
enum Token<'t> {
    Open,
    Close,
    And,
    Or,
    Not,
    Check(&'t str),
}

impl Token<'_> {
    fn text(&self) -> String {
        match self {
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
            Self::And => "and".to_owned(),
            Self::Or => "or".to_owned(),
            Self::Not => "not".to_owned(),
            Self::Check(text) => (*text).to_owned(),
        }
    }
}

/// Parses a check. One that says nothing allows everybody.
pub(crate) fn text(check: &str) -> Result<Expression, CheckError> {
    if check.len() > MAX_LENGTH {
        return Err(CheckError::TooLarge);
    }
    let tokens = tokens(check);
    if tokens.is_empty() {
        return if check.is_empty() {
            Ok(Expression::Always)
        } else {
            Err(CheckError::Ends { expected: "a check" })
        };
    }
    let mut parser = Parser { tokens: &tokens, depth: 0 };
    let whole = parser.any()?;
    match parser.tokens.first() {
        None => Ok(whole),
        Some(token) => {
            Err(CheckError::Unexpected { found: token.text(), expected: "'and', 'or' or the end" })
        }
    }
}

/// Parses the older form: of the outer list one has to hold, of an inner list all.
pub(crate) fn lists(outer: &[Vec<String>]) -> Result<Expression, CheckError> {
    if outer.is_empty() {
        return Ok(Expression::Always);
    }
    let mut any = Vec::new();
    for inner in outer.iter().filter(|inner| !inner.is_empty()) {
        let all = inner.iter().map(|text| check(text)).collect::<Result<Vec<_>, _>>()?;
        any.push(joined(all, Expression::All));
    }
    Ok(if any.is_empty() { Expression::Never } else { joined(any, Expression::Any) })
}

/// Parentheses stick to words, and may be inside of a check: only those at its ends group.
fn tokens(check: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for word in check.split_whitespace() {
        let bare = word.trim_start_matches('(');
        tokens.extend((0..word.len() - bare.len()).map(|_| Token::Open));
        let inner = bare.trim_end_matches(')');
        match inner.to_ascii_lowercase().as_str() {
            "" => {}
            "and" => tokens.push(Token::And),
            "or" => tokens.push(Token::Or),
            "not" => tokens.push(Token::Not),
            _ => tokens.push(Token::Check(inner)),
        }
        tokens.extend((0..bare.len() - inner.len()).map(|_| Token::Close));
    }
    tokens
}

struct Parser<'t> {
    tokens: &'t [Token<'t>],
    depth: usize,
}

impl Parser<'_> {
    fn take_if(&mut self, token: &Token<'_>) -> bool {
        let there = self.tokens.first() == Some(token);
        if there {
            self.tokens = &self.tokens[1..];
        }
        there
    }

    /// `a or b or c`
    fn any(&mut self) -> Result<Expression, CheckError> {
        let mut parts = vec![self.all()?];
        while self.take_if(&Token::Or) {
            parts.push(self.all()?);
        }
        Ok(joined(parts, Expression::Any))
    }

    /// `a and b and c`, which binds closer.
    fn all(&mut self) -> Result<Expression, CheckError> {
        let mut parts = vec![self.one()?];
        while self.take_if(&Token::And) {
            parts.push(self.one()?);
        }
        Ok(joined(parts, Expression::All))
    }

    /// A check, its opposite, or parentheses.
    fn one(&mut self) -> Result<Expression, CheckError> {
        const EXPECTED: &str = "a check, 'not' or '('";
        let (token, rest) = self.tokens.split_first().ok_or(CheckError::Ends { expected: EXPECTED })?;
        self.tokens = rest;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(CheckError::TooLarge);
        }
        let found = match token {
            Token::Check(text) => check(text)?,
            Token::Not => Expression::Not(Box::new(self.one()?)),
            Token::Open => {
                let inner = self.any()?;
                if !self.take_if(&Token::Close) {
                    return Err(self.missing_close());
                }
                inner
            }
            other => return Err(CheckError::Unexpected { found: other.text(), expected: EXPECTED }),
        };
        self.depth -= 1;
        Ok(found)
    }

    fn missing_close(&self) -> CheckError {
        let expected = "'and', 'or' or ')'";
        match self.tokens.first() {
            Some(token) => CheckError::Unexpected { found: token.text(), expected },
            None => CheckError::Ends { expected },
        }
    }
}

fn joined(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}

/// One check.
fn check(text: &str) -> Result<Expression, CheckError> {
    match text {
        "@" => return Ok(Expression::Always),
        "!" => return Ok(Expression::Never),
        _ => {}
    }
    let not_a_check = || CheckError::NotACheck { found: text.to_owned() };
    let (left, right) = text.split_once(':').ok_or_else(not_a_check)?;
    match left {
        "" => Err(not_a_check()),
        "rule" => Ok(Expression::Rule(right.to_owned())),
        "role" => {
            let name = Template::parse(right)?;
            if name.objects() > 0 {
                return Err(CheckError::RoleOfObject { text: right.to_owned() });
            }
            Ok(Expression::Role(name))
        }
        "http" | "https" => Err(CheckError::Remote { found: text.to_owned() }),
        _ => Ok(Expression::Match(side(left)?, Template::parse(right)?)),
    }
}

/// The left side of a check.
fn side(left: &str) -> Result<Left, CheckError> {
    let quoted = |mark: char| left.strip_prefix(mark).and_then(|rest| rest.strip_suffix(mark));
    if let Some(literal) = quoted('\'').or_else(|| quoted('"')) {
        return Ok(Left::Literal(literal.to_owned()));
    }
    if ["True", "False", "None"].contains(&left) || left.parse::<i64>().is_ok() {
        return Ok(Left::Literal(left.to_owned()));
    }
    if ATTRIBUTES.contains(&left) {
        return Ok(Left::Caller(left.to_owned()));
    }
    Err(CheckError::UnknownAttribute { name: left.to_owned() })
}
