//! Query strings: known parameters only, each from its version on, read as the types they should have.

use http::StatusCode;
use microversion::{Version, param_gate};
use uuid::Uuid;

use crate::error::ApiError;
use crate::operation::Operation;

/// A query string, decoded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Decodes a query string.
    pub(crate) fn parse(raw: &str) -> Self {
        Self(url::form_urlencoded::parse(raw.as_bytes()).into_owned().collect())
    }

    /// Refuses the character NUL, which not every store can look for.
    pub(crate) fn check_text(&self) -> Result<(), ApiError> {
        match self.0.iter().find(|(_, value)| value.contains('\0')) {
            Some((name, value)) => Err(wrong(name, "text without NUL", value)),
            None => Ok(()),
        }
    }

    /// Checks that every parameter is one that `operation` asks for, of its kind, and that `version` has it.
    pub(crate) fn check_row(&self, operation: &Operation, version: Version) -> Result<(), ApiError> {
        for (name, value) in &self.0 {
            let param =
                operation.params().find(|param| param.name == name).ok_or_else(|| unexpected(name))?;
            admit(operation.at, name, version)?;
            param.kind.check(value).map_err(|expected| wrong(name, &expected, value))?;
        }
        Ok(())
    }

    /// Checks that every parameter is one of `names` and that `version` has it; `at` is its place in the releases.
    pub(crate) fn check(&self, at: &str, names: &[&str], version: Version) -> Result<(), ApiError> {
        for (name, _) in &self.0 {
            if !names.contains(&name.as_str()) {
                return Err(unexpected(name));
            }
            admit(at, name, version)?;
        }
        Ok(())
    }

    /// The last value given for `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values given for `name`, as if they were one list.
    pub(crate) fn joined(&self, name: &str) -> Option<String> {
        let values: Vec<&str> =
            self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect();
        (!values.is_empty()).then(|| values.join(","))
    }

    /// The last value given for `name`, owned.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// A boolean word.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.parsed(name, "true or false", api_types::flag_text)
    }

    /// Words between commas, each once; empty ones do not count.
    pub(crate) fn list(&self, name: &str) -> Option<Vec<String>> {
        let mut words: Vec<String> = Vec::new();
        for word in self.get(name)?.split(',').map(str::trim) {
            if !word.is_empty() && !words.iter().any(|known| known == word) {
                words.push(word.to_owned());
            }
        }
        Some(words)
    }

    /// The shards that `shard` names, as they are written and in small letters: clients may rely on either.
    pub(crate) fn shards(&self) -> Option<Vec<String>> {
        let mut shards = self.list("shard")?;
        for small in shards.iter().map(|shard| shard.to_lowercase()).collect::<Vec<_>>() {
            if !shards.contains(&small) {
                shards.push(small);
            }
        }
        Some(shards)
    }

    /// A UUID.
    pub(crate) fn uuid(&self, name: &str) -> Result<Option<Uuid>, ApiError> {
        self.parsed(name, "a UUID", |text| Uuid::parse_str(text).ok())
    }

    /// Any other type; `expected` is said when it does not fit.
    pub(crate) fn parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let read = |text: &str| parse(text).ok_or_else(|| wrong(name, expected, text));
        self.get(name).map(read).transpose()
    }

    /// The same query for the page after `marker`.
    pub(crate) fn next_page(&self, limit: usize, marker: &str) -> String {
        let kept = self.0.iter().filter(|(name, _)| name != "limit" && name != "marker");
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &limit.to_string()).append_pair("marker", marker);
        query.extend_pairs(kept).finish()
    }
}

/// Refuses a parameter that `version` lacks; `at` is its place in the releases.
fn admit(at: &str, name: &str, version: Version) -> Result<(), ApiError> {
    let gate = param_gate(at, name);
    if gate.admits(version) {
        return Ok(());
    }
    let text =
        format!("The parameter '{name}' needs API version 1.{}; this request asks for {version}.", gate.min);
    Err(ApiError::new(StatusCode::from_u16(gate.below).unwrap_or(StatusCode::NOT_ACCEPTABLE), text))
}

fn unexpected(name: &str) -> ApiError {
    ApiError::bad_request(format!("Unexpected arguments: {}", cut(name)))
}

fn wrong(name: &str, expected: &str, value: &str) -> ApiError {
    ApiError::bad_request(format!("{name}: expected {expected}, not '{}'", cut(value)))
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_reading() {
        let query = Query::parse("a=1&b=X,y,,x&c=maybe&d=%20z");
        assert!(query.flag("a").unwrap().unwrap());
        assert_eq!(query.list("b").unwrap(), ["X", "y", "x"]);
        assert!(query.flag("c").is_err());
        assert_eq!(query.get("d"), Some(" z"));
        assert!(query.uuid("a").is_err());
        assert_eq!(Query::parse("f=a,b&x=1&f=c").joined("f").as_deref(), Some("a,b,c"));
        assert_eq!(query.joined("f"), None);
        assert_eq!(Query::parse("shard=Rack-A,b,B").shards().unwrap(), ["Rack-A", "b", "B", "rack-a"]);
        assert_eq!(query.shards(), None);
        assert_eq!(
            Query::parse("x=1&limit=3&marker=m&y=a b").next_page(5, "n"),
            "limit=5&marker=n&x=1&y=a+b"
        );
    }

    #[test]
    fn only_known_parameters_of_the_version() {
        let check = |raw: &str, minor| {
            Query::parse(raw)
                .check("nodes", &["driver", "detail"], Version::new(minor).unwrap())
                .map_err(|error| error.status().as_u16())
        };
        assert_eq!(check("bogus=1", 115), Err(400));
        assert_eq!(check("driver=x", 15), Err(406));
        assert_eq!(check("detail=1", 42), Err(400));
        assert_eq!(check("driver=x&detail=1", 43), Ok(()));
    }
}
