//! Paths into JSON objects, as rules write them: `driver_info/ipmi_address` or `driver_info.ipmi_address`.

use serde_json::{Map, Value};

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// A part of the path is empty.
    #[error("'{0}' is not a path")]
    Malformed(String),
    /// Something on the way is no object.
    #[error("'{0}' is not an object")]
    NotAnObject(String),
    /// What is to be extended is no list.
    #[error("'{0}' is not a list")]
    NotAList(String),
    /// There is nothing to remove.
    #[error("there is no '{0}'")]
    Missing(String),
}

/// A path, in parts; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Path {
    above: Vec<String>,
    last: String,
}

impl Path {
    /// Reads a path with slashes, or else with dots.
    pub(crate) fn parse(text: &str) -> Result<Self, PathError> {
        if text.contains('/') { Self::split(text.trim_matches('/'), '/', text) } else { Self::dotted(text) }
    }

    /// Reads a path with dots; slashes are part of the names.
    pub(crate) fn dotted(text: &str) -> Result<Self, PathError> {
        Self::split(text, '.', text)
    }

    fn split(trimmed: &str, separator: char, text: &str) -> Result<Self, PathError> {
        let mut parts: Vec<String> = trimmed.split(separator).map(str::to_owned).collect();
        match parts.pop().filter(|last| !last.is_empty()) {
            Some(last) if parts.iter().all(|part| !part.is_empty()) => Ok(Self { above: parts, last }),
            _ => Err(PathError::Malformed(text.chars().take(100).collect())),
        }
    }

    /// Puts a value there; objects on the way are made.
    pub(crate) fn set(&self, root: &mut Map<String, Value>, value: Value) -> Result<(), PathError> {
        self.holder(root)?.insert(self.last.clone(), value);
        Ok(())
    }

    /// Appends a value to the list there, which is made if need be; `unique` only unless it is there already.
    pub(crate) fn extend(
        &self,
        root: &mut Map<String, Value>,
        value: Value,
        unique: bool,
    ) -> Result<(), PathError> {
        let place = self.holder(root)?.entry(&self.last).or_insert_with(|| Value::Array(Vec::new()));
        if place.is_null() {
            *place = Value::Array(Vec::new());
        }
        let list = place.as_array_mut().ok_or_else(|| PathError::NotAList(self.last.clone()))?;
        if !unique || !list.contains(&value) {
            list.push(value);
        }
        Ok(())
    }

    /// Removes what is there.
    pub(crate) fn remove(&self, root: &mut Map<String, Value>) -> Result<Value, PathError> {
        let missing = |part: &String| PathError::Missing(part.clone());
        let mut current = root;
        for part in &self.above {
            current = current.get_mut(part).and_then(Value::as_object_mut).ok_or_else(|| missing(part))?;
        }
        current.remove(&self.last).ok_or_else(|| missing(&self.last))
    }

    /// Removes what is there, and the object that it was in when that is empty now; whether there was something.
    pub(crate) fn prune(&self, root: &mut Map<String, Value>) -> bool {
        if self.remove(root).is_err() {
            return false;
        }
        let mut above = self.above.clone();
        if let Some(last) = above.pop() {
            let holder = Self { above, last };
            if holder.get(root).and_then(Value::as_object).is_some_and(Map::is_empty) {
                let _ = holder.remove(root);
            }
        }
        true
    }

    fn get<'v>(&self, root: &'v Map<String, Value>) -> Option<&'v Value> {
        let mut current = root;
        for part in &self.above {
            current = current.get(part)?.as_object()?;
        }
        current.get(&self.last)
    }

    /// The object that the last part is in; made, with those above it, where nothing is.
    fn holder<'v>(&self, root: &'v mut Map<String, Value>) -> Result<&'v mut Map<String, Value>, PathError> {
        let mut current = root;
        for part in &self.above {
            let next = current.entry(part).or_insert_with(|| Value::Object(Map::new()));
            if next.is_null() {
                *next = Value::Object(Map::new());
            }
            current = next.as_object_mut().ok_or_else(|| PathError::NotAnObject(part.clone()))?;
        }
        Ok(current)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: &Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn both_spellings() {
        for text in ["a/b/c", "/a/b/c/", "a.b.c"] {
            let mut root = Map::new();
            Path::parse(text).unwrap().set(&mut root, json!(1)).unwrap();
            assert_eq!(Value::from(root), json!({"a": {"b": {"c": 1}}}), "{text}");
        }
        let whole = Path { above: Vec::new(), last: "a/b".to_owned() };
        assert_eq!(Path::dotted("a/b"), Ok(whole));
        for text in ["", "/", "a//b", "a..b", "."] {
            assert!(Path::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn lists_grow_and_places_go() {
        let mut root = object(&json!({"a": {"l": [1]}, "x": 5, "n": null}));
        let list = Path::parse("a/l").unwrap();
        list.extend(&mut root, json!(1), false).unwrap();
        list.extend(&mut root, json!(1), true).unwrap();
        list.extend(&mut root, json!(2), true).unwrap();
        Path::parse("n").unwrap().extend(&mut root, json!(3), true).unwrap();
        assert_eq!(Value::from(root.clone()), json!({"a": {"l": [1, 1, 2]}, "x": 5, "n": [3]}));
        let wrong = Path::parse("x/y").unwrap();
        assert_eq!(wrong.set(&mut root, json!(1)), Err(PathError::NotAnObject("x".to_owned())));
        let wrong = Path::parse("x").unwrap().extend(&mut root, json!(1), false);
        assert_eq!(wrong, Err(PathError::NotAList("x".to_owned())));
        assert_eq!(
            Path::parse("a/none").unwrap().remove(&mut root),
            Err(PathError::Missing("none".to_owned()))
        );
        assert!(list.prune(&mut root) && !list.prune(&mut root));
        assert_eq!(Value::from(root), json!({"x": 5, "n": [3]}));
    }
}
