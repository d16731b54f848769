//! The right side of a check: text with attributes put in, as `%(node.owner)s`.

use model::Stake;

use crate::caller::{ATTRIBUTES, Attribute, Caller};
use crate::effective::{Kind, Settings};
use crate::parse::CheckError;

/// Text with attributes put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    /// An attribute of the caller.
    Caller(String),
    /// The project that services with elevated access belong to.
    ServiceProject,
    /// An attribute of the object that the rule is asked about.
    Object(Kind, Stake),
}

/// A template with what is known of the caller put in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Filled {
    /// It is this text, whatever the object.
    Text(String),
    /// It is this part of the object between two texts.
    Object { before: String, stake: Stake, after: String },
    /// Something is not there: no check with it holds.
    Nothing,
}

impl Template {
    pub(crate) fn parse(text: &str) -> Result<Self, CheckError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            plain.push_str(before);
            rest = if let Some(after) = after.strip_prefix('%') {
                plain.push('%');
                after
            } else {
                let malformed = || CheckError::Template { text: text.to_owned() };
                let (name, after) =
                    after.strip_prefix('(').and_then(|open| open.split_once(")s")).ok_or_else(malformed)?;
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(part(name)?);
                after
            };
        }
        plain.push_str(rest);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain));
        }
        let template = Self(parts);
        if template.objects() > 1 {
            return Err(CheckError::TwoObjects { text: text.to_owned() });
        }
        Ok(template)
    }

    /// How many attributes of the object it names.
    pub(crate) fn objects(&self) -> usize {
        self.0.iter().filter(|part| matches!(part, Part::Object(..))).count()
    }

    /// Puts in what is known.
    pub(crate) fn fill(&self, caller: &Caller, settings: &Settings, kind: Kind) -> Filled {
        let mut text = String::new();
        let mut object = None;
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Caller(name) => match caller.attribute(name) {
                    Some(Attribute::Text(Some(value))) => text.push_str(value),
                    Some(Attribute::Flag(flag)) => text.push_str(if flag { "True" } else { "False" }),
                    _ => return Filled::Nothing,
                },
                Part::ServiceProject => match &settings.service_project {
                    Some(project) => text.push_str(project),
                    None => return Filled::Nothing,
                },
                Part::Object(of, stake) if *of == kind => {
                    object = Some((std::mem::take(&mut text), *stake));
                }
                Part::Object(..) => return Filled::Nothing,
            }
        }
        match object {
            Some((before, stake)) => Filled::Object { before, stake, after: text },
            None => Filled::Text(text),
        }
    }
}

fn part(name: &str) -> Result<Part, CheckError> {
    Ok(match name {
        "node.owner" => Part::Object(Kind::Node, Stake::Owner),
        "node.lessee" => Part::Object(Kind::Node, Stake::Lessee),
        "allocation.owner" => Part::Object(Kind::Allocation, Stake::Owner),
        "runbook.owner" => Part::Object(Kind::Runbook, Stake::Owner),
        "config.service_project_name" => Part::ServiceProject,
        _ if ATTRIBUTES.contains(&name) => Part::Caller(name.to_owned()),
        _ => return Err(CheckError::UnknownTarget { name: name.to_owned() }),
    })
}
