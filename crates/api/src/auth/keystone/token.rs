//! What Keystone says of a token (Identity API v3, "Validate and show information for token").

use model::Timestamp;
use policy::Caller;
use serde::Deserialize;

/// A token that is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    /// Whose it is.
    pub(super) caller: Caller,
    /// Until when.
    pub(super) expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Body {
    token: Content,
}

#[derive(Deserialize)]
struct Content {
    expires_at: String,
    user: User,
    project: Option<Project>,
    domain: Option<Named>,
    system: Option<System>,
    #[serde(default)]
    roles: Vec<Role>,
    is_admin_project: Option<bool>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    domain: Option<Named>,
}

#[derive(Deserialize)]
struct Project {
    id: String,
    name: Option<String>,
    domain: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    id: Option<String>,
}

#[derive(Deserialize)]
struct System {
    all: Option<bool>,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

impl Token {
    /// Reads Keystone's answer.
    pub(super) fn read(body: &[u8]) -> Result<Self, String> {
        let Body { token } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let expires_at =
            token.expires_at.parse().map_err(|error: model::InvalidTimestamp| error.to_string())?;
        let id = |named: Option<Named>| named.and_then(|named| named.id);
        let (project, project_name, project_domain) = match token.project {
            Some(project) => (Some(project.id), project.name, id(project.domain)),
            None => (None, None, None),
        };
        let caller = Caller {
            user: Some(token.user.id),
            user_domain: id(token.user.domain),
            project,
            project_name,
            project_domain,
            domain: id(token.domain),
            roles: token.roles.into_iter().map(|role| role.name).collect(),
            system: token.system.and_then(|system| system.all).unwrap_or(false),
            is_admin_project: token.is_admin_project.unwrap_or(true),
            is_public: false,
            service: None,
        };
        Ok(Self { caller, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(more: &Value) -> Caller {
        let mut token = json!({"expires_at": "2026-11-22T10:00:00.000000Z", "methods": ["password"],
            "user": {"id": "u", "name": "ada", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "1", "name": "member"}, {"id": "2", "name": "reader"}]});
        token.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let token = Token::read(json!({"token": token}).to_string().as_bytes()).unwrap();
        assert_eq!(token.expires_at.to_string(), "2026-11-22T10:00:00.000000+00:00");
        token.caller
    }

    #[test]
    fn the_three_scopes_and_none() {
        let project = read(&json!({"project": {"id": "p", "name": "demo", "domain": {"id": "d"}}}));
        assert_eq!((project.project.as_deref(), project.project_name.as_deref()), (Some("p"), Some("demo")));
        assert_eq!((project.project_domain.as_deref(), project.system), (Some("d"), false));
        assert_eq!((project.user.as_deref(), project.user_domain.as_deref()), (Some("u"), Some("default")));
        assert_eq!(project.roles, ["member", "reader"]);
        let system = read(&json!({"system": {"all": true}}));
        assert_eq!((system.project, system.system), (None, true));
        let domain = read(&json!({"domain": {"id": "d", "name": "D"}}));
        assert_eq!((domain.domain.as_deref(), domain.system), (Some("d"), false));
        assert_eq!(read(&json!({})).project, None);
        assert!(!read(&json!({"is_admin_project": false})).is_admin_project);
    }

    #[test]
    fn other_answers_are_told() {
        for body in ["", "[]", "{}", r#"{"token": {"expires_at": "soon", "user": {"id": "u"}}}"#] {
            assert!(Token::read(body.as_bytes()).is_err(), "{body}");
        }
    }
}
