//! Which objects somebody may see: a formula over what every object that belongs to projects has, its owner and its
//! lessee. The store asks for it in every list and every look-up; policies are turned into it.

/// A project's part in an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stake {
    /// It owns the object.
    Owner,
    /// The object is lent to it.
    Lessee,
}

/// Which objects may be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them: the service itself, and callers whose policy says so.
    All,
    /// None of them.
    Nothing,
    /// Those in which this project has this part.
    Has(Stake, String),
    /// Those in which it has not, those without such a project included.
    HasNot(Stake, String),
    /// Those for which every part of the formula holds. Never empty.
    Every(Vec<Self>),
    /// Those for which some part of the formula holds. Never empty.
    Any(Vec<Self>),
}

impl Scope {
    /// What a project owns or was lent.
    pub fn project(project: impl Into<String>) -> Self {
        let project = project.into();
        Self::Any(vec![Self::Has(Stake::Owner, project.clone()), Self::Has(Stake::Lessee, project)])
    }

    /// What both show.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, _) | (_, Self::Nothing) => Self::Nothing,
            (Self::All, one) | (one, Self::All) => one,
            (one, other) if one == other => one,
            (Self::Every(mut parts), other) => {
                parts.push(other);
                Self::Every(parts)
            }
            (one, other) => Self::Every(vec![one, other]),
        }
    }

    /// What either shows.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::All, _) | (_, Self::All) => Self::All,
            (Self::Nothing, one) | (one, Self::Nothing) => one,
            (one, other) if one == other => one,
            (Self::Any(mut parts), other) => {
                if !parts.contains(&other) {
                    parts.push(other);
                }
                Self::Any(parts)
            }
            (one, other) => Self::Any(vec![one, other]),
        }
    }

    /// What this does not show.
    #[must_use]
    pub fn inverse(self) -> Self {
        match self {
            Self::All => Self::Nothing,
            Self::Nothing => Self::All,
            Self::Has(stake, project) => Self::HasNot(stake, project),
            Self::HasNot(stake, project) => Self::Has(stake, project),
            Self::Every(parts) => parts.into_iter().map(Self::inverse).fold(Self::Nothing, Self::or),
            Self::Any(parts) => parts.into_iter().map(Self::inverse).fold(Self::All, Self::and),
        }
    }

    /// Whether an object of this owner and lessee may be seen.
    pub fn admits(&self, owner: Option<&str>, lessee: Option<&str>) -> bool {
        let has = |stake: &Stake, project: &String| match stake {
            Stake::Owner => owner == Some(project),
            Stake::Lessee => lessee == Some(project),
        };
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Has(stake, project) => has(stake, project),
            Self::HasNot(stake, project) => !has(stake, project),
            Self::Every(parts) => parts.iter().all(|part| part.admits(owner, lessee)),
            Self::Any(parts) => parts.iter().any(|part| part.admits(owner, lessee)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECTS: [Option<&str>; 3] = [None, Some("a"), Some("b")];

    fn formulas() -> Vec<Scope> {
        let leaves = [
            Scope::All,
            Scope::Nothing,
            Scope::Has(Stake::Owner, "a".to_owned()),
            Scope::HasNot(Stake::Lessee, "b".to_owned()),
            Scope::project("b"),
        ];
        let mut all = leaves.to_vec();
        for one in &leaves {
            for other in &leaves {
                all.push(one.clone().and(other.clone()));
                all.push(one.clone().or(other.clone()));
            }
        }
        all
    }

    #[test]
    fn composing_is_the_logic_of_what_is_seen() {
        for one in formulas() {
            for other in formulas() {
                for owner in PROJECTS {
                    for lessee in PROJECTS {
                        let (left, right) = (one.admits(owner, lessee), other.admits(owner, lessee));
                        let and = one.clone().and(other.clone());
                        let or = one.clone().or(other.clone());
                        assert_eq!(and.admits(owner, lessee), left && right, "{one:?} and {other:?}");
                        assert_eq!(or.admits(owner, lessee), left || right, "{one:?} or {other:?}");
                        assert_eq!(and.inverse().admits(owner, lessee), !(left && right));
                        assert_eq!(or.inverse().admits(owner, lessee), !(left || right));
                    }
                }
            }
        }
    }
}
