//! BIOS settings of nodes, as they were read last.

use api_types::{BIOS_SETTING, BiosSettingRow, Selection, Shape};

use crate::error::ApiError;
use crate::page::{self, Page};
use crate::reply::{Answer, Reply};
use crate::request::Request;

/// `GET /v1/nodes/{node_ident}/bios`
pub(crate) async fn list(request: Request) -> Answer {
    let page = Page::whole(with_times(page::shape(&request, Shape::Short)?));
    let node = request.node("baremetal:node:bios:get").await?;
    let settings = request.state.db.bios_settings(node.uuid).await?;
    let ident = request.param("node_ident");
    let rows: Vec<BiosSettingRow> =
        settings.into_iter().map(|setting| BiosSettingRow { node: ident.to_owned(), setting }).collect();
    request.list((&BIOS_SETTING, "bios"), &page, &rows, None)
}

/// `GET /v1/nodes/{node_ident}/bios/{setting_name}`
pub(crate) async fn show(request: Request) -> Answer {
    let node = request.node("baremetal:node:bios:get").await?;
    let name = request.param("setting_name");
    let Some(setting) = request.state.db.bios_setting(node.uuid, name).await? else {
        let shown: String = name.chars().take(64).collect();
        return Err(ApiError::not_found(format!("Node {} has no BIOS setting {shown}.", node.uuid)));
    };
    let row = BiosSettingRow { node: node.uuid.to_string(), setting };
    let selection = Selection::new(&BIOS_SETTING, &Shape::Full, request.version)?;
    Ok(Reply::json(request.written(|cx, out| {
        out.raw("{");
        out.text(&row.setting.name);
        out.raw(":");
        selection.write(&row, cx, out);
        out.raw("}");
    })))
}

/// The times of objects that are read from hardware are shown whatever fields are asked for.
pub(crate) fn with_times(shape: Shape) -> Shape {
    match shape {
        Shape::Named(mut names) => {
            names.extend(["created_at", "updated_at"].map(str::to_owned));
            Shape::Named(names)
        }
        other => other,
    }
}
