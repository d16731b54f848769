//! Bodies of creation requests.

use microversion::Version;
use serde_json::{Map, Value};

use crate::value::{check_type, kind_of};
use crate::{BodyError, Invalid, Resource};

/// Sets every member of `body` on `item`, which holds the defaults.
///
/// Refuses what is no field, what cannot be set at creation, what `version` does not have and values of the wrong type.
pub fn create<T>(
    resource: &Resource<T>,
    item: &mut T,
    body: Map<String, Value>,
    version: Version,
) -> Result<(), BodyError> {
    for (name, value) in body {
        let (field, min, set) = resource
            .field(&name)
            .and_then(|field| Some((field, field.create?, field.set?)))
            .ok_or_else(|| unexpected(resource, &name))?;
        if !version.at_least(min) {
            return Err(BodyError::too_new(&name, min, version));
        }
        if value.is_null() && field.default.starts_with("required") {
            return Err(Invalid::at(
                format!("/{name}"),
                format!("a value is required, not {}", kind_of(&value)),
            )
            .into());
        }
        check_type(field, &value)?;
        set(item, value, version)?;
    }
    Ok(())
}

fn unexpected<T>(resource: &Resource<T>, name: &str) -> BodyError {
    let shown: String = name.chars().take(64).collect();
    let problem = if resource.field(name).is_some() {
        format!("a {} cannot be created with it", resource.name)
    } else {
        format!("a {} has no such field", resource.name)
    };
    Invalid::at(format!("/{shown}"), problem).into()
}
