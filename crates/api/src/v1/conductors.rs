//! Conductors.

use std::cmp::Ordering;

use api_types::{CONDUCTOR, Shape};
use model::Conductor;

use crate::error::ApiError;
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/conductors`
pub(crate) async fn list(request: Request) -> Answer {
    request.authorise("baremetal:conductor:get", None)?;
    let page = Page::read(&request, &CONDUCTOR, false)?;
    let order = order(&page.sort_key).ok_or_else(|| page.unsortable())?;
    let mut all = request.state.db.list_conductors().await?;
    all.sort_by(|a, b| order(a, b).then(a.id.cmp(&b.id)));
    if page.descending {
        all.reverse();
    }
    let start = match &page.marker {
        Some(host) => {
            1 + all.iter().position(|row| row.hostname == *host).ok_or_else(|| no_conductor(host))?
        }
        None => 0,
    };
    let rows: Vec<Conductor> = all.into_iter().skip(start).take(page.limit).collect();
    let marker = rows.last().filter(|_| rows.len() == page.limit).map(|row| row.hostname.clone());
    request.list((&CONDUCTOR, "conductors"), &page, &rows, marker)
}

/// `GET /v1/conductors/{hostname}`
pub(crate) async fn show(request: Request) -> Answer {
    request.authorise("baremetal:conductor:get", None)?;
    let shape = page::shape(&request, Shape::Full)?;
    let hostname = request.param("hostname");
    let row = request.state.db.get_conductor(hostname).await?.ok_or_else(|| no_conductor(hostname))?;
    Ok(Reply::json(request.object(&CONDUCTOR, &shape, &row)?))
}

/// There are few conductors: they are put in order here.
fn order(sort_key: &str) -> Option<fn(&Conductor, &Conductor) -> Ordering> {
    Some(match sort_key {
        "id" => |a, b| a.id.cmp(&b.id),
        "hostname" => |a, b| a.hostname.cmp(&b.hostname),
        "conductor_group" => |a, b| a.conductor_group.cmp(&b.conductor_group),
        "created_at" => |a, b| a.created_at.cmp(&b.created_at),
        "updated_at" => |a, b| a.updated_at.cmp(&b.updated_at),
        _ => return None,
    })
}

fn no_conductor(hostname: &str) -> ApiError {
    ApiError::not_found(format!(
        "Conductor {} could not be found.",
        hostname.chars().take(300).collect::<String>()
    ))
}
