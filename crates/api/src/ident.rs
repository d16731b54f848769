//! What the last part of a path may name.

use model::validate_logical_name;
use uuid::Uuid;

use crate::error::ApiError;

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ident {
    /// A UUID in its canonical form.
    Uuid(Uuid),
    /// A logical name.
    Name(String),
}

/// A UUID or a logical name. Other spellings of a UUID are well formed and name nothing.
pub(crate) fn uuid_or_name(noun: &str, ident: &str) -> Result<Ident, ApiError> {
    let shown: String = ident.chars().take(300).collect();
    match Uuid::parse_str(ident) {
        Ok(uuid) if uuid.to_string() == ident => Ok(Ident::Uuid(uuid)),
        Ok(_) => Err(ApiError::not_found(format!("{noun} {shown} could not be found."))),
        Err(_) if validate_logical_name(ident).is_ok() => Ok(Ident::Name(shown)),
        Err(_) => {
            Err(ApiError::bad_request(format!("Expected a logical name or UUID but received {shown}.")))
        }
    }
}

/// A UUID and nothing else.
pub(crate) fn uuid_alone(noun: &str, ident: &str) -> Result<Uuid, ApiError> {
    match uuid_or_name(noun, ident) {
        Ok(Ident::Uuid(uuid)) => Ok(uuid),
        Ok(Ident::Name(name)) => Err(ApiError::bad_request(format!("Expected a UUID but received {name}."))),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let uuid = Uuid::new_v4();
        assert_eq!(uuid_or_name("X", &uuid.to_string()).unwrap(), Ident::Uuid(uuid));
        assert_eq!(uuid_or_name("X", "CUSTOM_A").unwrap(), Ident::Name("CUSTOM_A".to_owned()));
        let status = |ident: &str| uuid_or_name("X", ident).unwrap_err().status().as_u16();
        assert_eq!(status(&uuid.simple().to_string()), 404);
        assert_eq!(status("a b"), 400);
        assert_eq!(uuid_alone("X", "CUSTOM_A").unwrap_err().status().as_u16(), 400);
        assert_eq!(uuid_alone("X", &uuid.to_string()).unwrap(), uuid);
    }
}
