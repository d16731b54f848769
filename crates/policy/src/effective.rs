//! The rules in force: the table with an operator's file put over it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use model::Scope;

use crate::Caller;
use crate::decisions::{Decisions, Known};
use crate::expression::Expression;
use crate::file::{self, Given};
use crate::parse::{self, CheckError};
use crate::table::{Row, TABLE, TokenScope};

/// What kind of object a rule is asked about: each has attributes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A node, or what belongs to one.
    Node,
    /// An allocation.
    Allocation,
    /// A runbook.
    Runbook,
}

impl Kind {
    /// How many there are.
    pub(crate) const COUNT: usize = 3;
}

/// What rules depend on beside the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The project whose users with the role `service` may do what members of the whole system may; none by default.
    pub service_project: Option<String>,
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The table.
    Default,
    /// A line of the operator's file.
    File {
        /// Counts from 1.
        line: u64,
    },
    /// A line of the operator's file that says it under an older name.
    OlderName {
        /// Counts from 1.
        line: u64,
        /// That name.
        name: &'static str,
    },
}

/// A rule in force, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Its name.
    pub name: String,
    /// Who may.
    pub check: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The row of the table; none for rules that only the operator's file has.
    pub row: Option<&'static Row>,
}

/// A file that cannot be used. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// It is neither YAML nor JSON, or no mapping of names to checks.
    #[error("it is no mapping of names of rules to checks: {0}")]
    Syntax(#[from] Box<serde_saphyr::Error>),
    /// A check that cannot be used.
    #[error("line {line}, rule '{rule}': {problem}")]
    Check {
        /// Of the file.
        line: u64,
        /// Its name.
        rule: String,
        /// What is wrong. Part of the text above, so that it must not be told again as its cause.
        problem: CheckError,
    },
    /// No such rule.
    #[error("line {line}: there is no rule '{rule}'{}; remove the line or mend the name", meant(.nearest.as_deref()))]
    UnknownRule {
        /// Of the file.
        line: u64,
        /// What it says.
        rule: String,
        /// A name that looks much the same.
        nearest: Option<String>,
    },
    /// A reference to a rule that is not there.
    #[error("line {line}, rule '{rule}': there is no rule '{missing}'{}", meant(.nearest.as_deref()))]
    UnknownReference {
        /// Of the file.
        line: u64,
        /// The rule that refers.
        rule: String,
        /// What it refers to.
        missing: String,
        /// A name that looks much the same.
        nearest: Option<String>,
    },
    /// Rules that refer to each other in a circle.
    #[error("line {line}: these rules refer to each other in a circle: {}; one has to stand alone", .rules.join(" -> "))]
    Cycle {
        /// Of the file, where one of them stands.
        line: u64,
        /// The circle.
        rules: Vec<String>,
    },
}

fn meant(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(" (is '{name}' meant?)"))
}

/// The rules in force.
#[derive(Debug)]
pub struct Policy {
    rules: Arc<Rules>,
    known: Known,
}

/// The rules by number, in the order of their names.
#[derive(Debug)]
pub(crate) struct Rules {
    by_number: Vec<Rule>,
    numbers: HashMap<String, usize>,
    settings: Settings,
}

#[derive(Debug, Clone)]
struct Rule {
    expression: Expression,
    scopes: &'static [TokenScope],
    check: String,
    origin: Origin,
    row: Option<&'static Row>,
}

impl Policy {
    /// The table alone.
    pub fn defaults(settings: Settings) -> Self {
        // The table is right: a test reads every row. Were it not, there would be no rules, and nobody could do anything.
        Self::load("", settings.clone()).unwrap_or_else(|_| Self::new(BTreeMap::new(), settings))
    }

    /// The table with the rules of a file put over it.
    ///
    /// # Errors
    /// The first mistake of the file, with its line and what to do.
    pub fn load(file: &str, settings: Settings) -> Result<Self, PolicyError> {
        let given = file::read(file).map_err(Box::new)?;
        let mut rules = BTreeMap::new();
        for row in TABLE {
            let expression = parse::text(row.check).map_err(|problem| wrong(0, row.name, problem))?;
            let (check, origin) = (row.check.to_owned(), Origin::Default);
            let rule = Rule { expression, scopes: row.scopes, check, origin, row: Some(row) };
            rules.insert(row.name.to_owned(), rule);
        }
        for given in &given {
            put(&mut rules, given)?;
        }
        older_names(&mut rules, &given)?;
        check_references(&rules)?;
        let resolved = resolve(&rules)?;
        for (rule, expression) in rules.values_mut().zip(resolved) {
            rule.expression = expression;
        }
        Ok(Self::new(rules, settings))
    }

    fn new(rules: BTreeMap<String, Rule>, settings: Settings) -> Self {
        let numbers = rules.keys().cloned().enumerate().map(|(number, name)| (name, number)).collect();
        let rules = Rules { by_number: rules.into_values().collect(), numbers, settings };
        Self { rules: Arc::new(rules), known: Known::default() }
    }

    /// What the rules allow `caller`: decided once for all that it asks while these rules are in force.
    pub fn decisions(&self, caller: Caller) -> Arc<Decisions> {
        self.known.of(caller, &self.rules)
    }

    /// Which objects of `kind` the rule allows `caller` to use. A rule that is not there allows nothing.
    pub fn scope(&self, rule: &str, caller: &Caller, kind: Kind) -> Scope {
        let Some(index) = self.rules.index(rule) else {
            debug_assert!(false, "there is no rule {rule}");
            return Scope::Nothing;
        };
        self.rules.decide(index, caller, kind)
    }

    /// Whether the rule allows `caller` what is not about any object.
    pub fn allows(&self, rule: &str, caller: &Caller) -> bool {
        self.scope(rule, caller, Kind::Node).admits(None, None)
    }

    /// All rules, by name.
    pub fn rules(&self) -> impl Iterator<Item = Effective> {
        let mut names: Vec<(&String, &usize)> = self.rules.numbers.iter().collect();
        names.sort_unstable();
        names.into_iter().zip(&self.rules.by_number).map(|((name, _), rule)| Effective {
            name: name.clone(),
            check: rule.check.clone(),
            origin: rule.origin,
            row: rule.row,
        })
    }
}

impl Rules {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// The number of the rule of this name.
    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// What the rule of this number allows.
    pub(crate) fn decide(&self, index: usize, caller: &Caller, kind: Kind) -> Scope {
        match self.by_number.get(index) {
            Some(rule) if rule.scopes.is_empty() || rule.scopes.contains(&caller.scope()) => {
                rule.expression.scope(caller, &self.settings, kind)
            }
            _ => Scope::Nothing,
        }
    }
}

fn wrong(line: u64, rule: &str, problem: CheckError) -> PolicyError {
    PolicyError::Check { line, rule: rule.to_owned(), problem }
}

/// Puts a rule of the file in the place of the table's.
fn put(rules: &mut BTreeMap<String, Rule>, given: &Given) -> Result<(), PolicyError> {
    let Given { name, line, .. } = given;
    let row = rules.get(name).and_then(|rule| rule.row);
    if row.is_none() && name.starts_with("baremetal:") {
        let nearest = nearest(rules, name);
        return Err(PolicyError::UnknownRule { line: *line, rule: name.clone(), nearest });
    }
    let expression = given.expression().map_err(|problem| wrong(*line, name, problem))?;
    let scopes = row.map_or(&[] as &[TokenScope], |row| row.scopes);
    let rule = Rule { expression, scopes, check: given.text(), origin: Origin::File { line: *line }, row };
    rules.insert(name.clone(), rule);
    Ok(())
}

/// A file written for older rules means their successors, too, unless it names these or merely repeats the default.
fn older_names(rules: &mut BTreeMap<String, Rule>, given: &[Given]) -> Result<(), PolicyError> {
    for row in TABLE {
        let Some((name, was)) = row.was.filter(|(name, _)| *name != row.name) else { continue };
        let of = |name: &str| given.iter().find(|given| given.name == name);
        let (Some(old), None) = (of(name), of(row.name)) else { continue };
        let expression = old.expression().map_err(|problem| wrong(old.line, name, problem))?;
        let default = parse::text(was).map_err(|problem| wrong(old.line, name, problem))?;
        if expression == default || expression == Expression::Rule(row.name.to_owned()) {
            continue;
        }
        if let Some(rule) = rules.get_mut(row.name) {
            (rule.expression, rule.check) = (expression, old.text());
            rule.origin = Origin::OlderName { line: old.line, name };
        }
    }
    Ok(())
}

fn line(rule: &Rule) -> u64 {
    match rule.origin {
        Origin::Default => 0,
        Origin::File { line } | Origin::OlderName { line, .. } => line,
    }
}

fn check_references(rules: &BTreeMap<String, Rule>) -> Result<(), PolicyError> {
    for (name, rule) in rules {
        for missing in rule.expression.references() {
            if !rules.contains_key(missing) {
                return Err(PolicyError::UnknownReference {
                    line: line(rule),
                    rule: name.clone(),
                    missing: missing.to_owned(),
                    nearest: nearest(rules, missing),
                });
            }
        }
    }
    Ok(())
}

/// Every rule with those it refers to put in, in the order of their names.
fn resolve(rules: &BTreeMap<String, Rule>) -> Result<Vec<Expression>, PolicyError> {
    let mut done = BTreeMap::new();
    rules.keys().map(|name| resolved(rules, name, &mut Vec::new(), &mut done)).collect()
}

fn resolved<'r>(
    rules: &'r BTreeMap<String, Rule>,
    name: &'r str,
    on_the_way: &mut Vec<&'r str>,
    done: &mut BTreeMap<&'r str, Expression>,
) -> Result<Expression, PolicyError> {
    if let Some(known) = done.get(name) {
        return Ok(known.clone());
    }
    if let Some(start) = on_the_way.iter().position(|known| *known == name) {
        let circle = || on_the_way[start..].iter().copied();
        let line = circle().filter_map(|name| rules.get(name)).map(line).max().unwrap_or(0);
        return Err(PolicyError::Cycle { line, rules: circle().chain([name]).map(str::to_owned).collect() });
    }
    let Some(rule) = rules.get(name) else { return Ok(Expression::Never) };
    on_the_way.push(name);
    let whole = put_in(&rule.expression, &mut |name| resolved(rules, name, on_the_way, done))?;
    on_the_way.pop();
    done.insert(name, whole.clone());
    Ok(whole)
}

/// `expression` with each reference replaced by what `find` finds.
fn put_in<'e>(
    expression: &'e Expression,
    find: &mut dyn FnMut(&'e str) -> Result<Expression, PolicyError>,
) -> Result<Expression, PolicyError> {
    let mut all =
        |parts: &'e [Expression]| parts.iter().map(|part| put_in(part, find)).collect::<Result<Vec<_>, _>>();
    Ok(match expression {
        Expression::Rule(name) => find(name)?,
        Expression::Not(part) => Expression::Not(Box::new(put_in(part, find)?)),
        Expression::All(parts) => Expression::All(all(parts)?),
        Expression::Any(parts) => Expression::Any(all(parts)?),
        leaf => leaf.clone(),
    })
}

/// The known name that has most pairs of letters in common with `name`, when that is most of them.
fn nearest(rules: &BTreeMap<String, Rule>, name: &str) -> Option<String> {
    let pairs = |text: &str| text.as_bytes().windows(2).map(<[u8]>::to_vec).collect::<BTreeSet<_>>();
    let wanted = pairs(name);
    let common = |known: &String| {
        let known = pairs(known);
        (1000 * 2 * known.intersection(&wanted).count()).checked_div(known.len() + wanted.len()).unwrap_or(0)
    };
    rules
        .keys()
        .map(|known| (common(known), known))
        .max()
        .filter(|(score, _)| *score > 700)
        .map(|(_, known)| known.clone())
}
