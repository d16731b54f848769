//! Traits of runbooks: a node needs one of them to be given the runbook.

use model::{Runbook, Trait};
use serde_json::{Value, json};

use super::runbooks::{UPDATE, change, find_readable};
use crate::error::ApiError;
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// Traits that a runbook may have.
const MAX_TRAITS: usize = 50;

/// `GET /v1/runbooks/{runbook_ident}/traits`
pub(crate) async fn list(request: Request) -> Answer {
    let runbook = find_readable(&request).await?;
    let names: Vec<&str> = runbook.traits.iter().map(Trait::as_str).collect();
    Ok(Reply::json(json!({"traits": names}).to_string()))
}

/// `PUT /v1/runbooks/{runbook_ident}/traits`
pub(crate) async fn replace(request: Request) -> Answer {
    let Some(Value::Array(names)) = request.shaped()?.remove("traits") else {
        return Err(ApiError::bad_request("/traits: expected a list of traits"));
    };
    let wanted = names.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    change(&request, &[UPDATE], |before| with_traits(before, wanted.clone())).await?;
    Ok(Reply::no_content())
}

/// `DELETE /v1/runbooks/{runbook_ident}/traits`
pub(crate) async fn clear(request: Request) -> Answer {
    change(&request, &[UPDATE], |before| with_traits(before, Vec::new())).await?;
    Ok(Reply::no_content())
}

/// `PUT /v1/runbooks/{runbook_ident}/traits/{trait}`
pub(crate) async fn add(request: Request) -> Answer {
    request.no_body()?;
    let new = read(&json!(request.param("trait")))?;
    change(&request, &[UPDATE], |before| {
        let mut traits = before.traits.clone();
        traits.push(new.clone());
        with_traits(before, traits)
    })
    .await?;
    Ok(Reply::no_content()
        .at(request.url(&format!("runbooks/{}/traits/{new}", request.param("runbook_ident")))))
}

/// `DELETE /v1/runbooks/{runbook_ident}/traits/{trait}`; one that is not there is as good as removed.
pub(crate) async fn remove(request: Request) -> Answer {
    let old = request.param("trait");
    change(&request, &[UPDATE], |before| {
        with_traits(before, before.traits.iter().filter(|name| name.as_str() != old).cloned().collect())
    })
    .await?;
    Ok(Reply::no_content())
}

fn read(name: &Value) -> Result<Trait, ApiError> {
    let text = name.as_str().ok_or_else(|| ApiError::bad_request("/traits: expected names of traits"))?;
    text.parse().map_err(|error: model::InvalidTrait| ApiError::bad_request(error.to_string()))
}

/// `runbook` with these traits, in order and each once.
fn with_traits(runbook: &Runbook, mut traits: Vec<Trait>) -> Result<Runbook, ApiError> {
    traits.sort_unstable();
    traits.dedup();
    if traits.len() > MAX_TRAITS {
        let text = format!("/traits: a runbook may have {MAX_TRAITS} traits at most");
        return Err(ApiError::bad_request(text));
    }
    Ok(Runbook { traits, ..runbook.clone() })
}
