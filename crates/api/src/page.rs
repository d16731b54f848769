//! Paging: limits, markers, order, and which fields a list shows.

use api_types::{Resource, Shape};

use crate::error::ApiError;
use crate::request::Request;

/// Which part of a list is wanted, and how it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// The most items.
    pub(crate) limit: usize,
    /// The last item of the page before.
    pub(crate) marker: Option<String>,
    /// The field to order by; `id` unless given.
    pub(crate) sort_key: String,
    /// Whether the order is reversed.
    pub(crate) descending: bool,
    /// Which fields are shown.
    pub(crate) shape: Shape,
}

impl Page {
    /// All of a list that is never cut into pages.
    pub(crate) fn whole(shape: Shape) -> Self {
        Self { limit: usize::MAX, marker: None, sort_key: String::new(), descending: false, shape }
    }

    /// Reads the paging parameters of `request`. `detail` is the shape of a route that always shows everything.
    pub(crate) fn read<T>(request: &Request, resource: &Resource<T>, detail: bool) -> Result<Self, ApiError> {
        let query = &request.query;
        let limit = query.parsed("limit", "a whole number above 0", |text| {
            text.parse::<i64>()
                .ok()
                .filter(|limit| *limit > 0)
                .map(|limit| usize::try_from(limit).unwrap_or(usize::MAX))
        })?;
        let max = request.state.options.max_limit;
        let descending = query.parsed("sort_dir", "asc or desc", |text| match text {
            "asc" => Some(false),
            "desc" => Some(true),
            _ => None,
        })?;
        let sort_key = query.get("sort_key").unwrap_or("id").to_owned();
        if let Some(min) = resource.field(&sort_key).and_then(|field| field.read)
            && !request.version.at_least(min)
        {
            return Err(ApiError::not_acceptable(format!(
                "sort_key: '{sort_key}' needs API version 1.{min}."
            )));
        }
        Ok(Self {
            limit: limit.unwrap_or(max).min(max),
            marker: query.text("marker"),
            sort_key,
            descending: descending.unwrap_or(false),
            shape: if detail { Shape::Full } else { shape(request, Shape::Short)? },
        })
    }

    /// What is said when a list cannot be ordered by the field asked for.
    pub(crate) fn unsortable(&self) -> ApiError {
        let shown: String = self.sort_key.chars().take(64).collect();
        ApiError::bad_request(format!("sort_key: lists cannot be ordered by '{shown}'"))
    }

    /// The part of a list of `T` as the store wants it; 400 when such lists cannot be ordered so.
    pub(crate) fn paging<T: db::Sorted>(&self) -> Result<db::Paging<T>, ApiError> {
        Ok(db::Paging {
            sort: db::Sort::from_field(&self.sort_key).ok_or_else(|| self.unsortable())?,
            descending: self.descending,
            marker: self.uuid_marker()?.map(|uuid| uuid.to_string()),
            limit: self.limit,
        })
    }

    /// The marker as a UUID; one that is none was never an item.
    pub(crate) fn uuid_marker(&self) -> Result<Option<uuid::Uuid>, ApiError> {
        let read = |text: &String| {
            let shown: String = text.chars().take(64).collect();
            uuid::Uuid::parse_str(text)
                .map_err(|_| ApiError::bad_request(format!("marker: expected a UUID, not '{shown}'")))
        };
        self.marker.as_ref().map(read).transpose()
    }
}

/// Which fields `request` asks for by `fields` or `detail`; `otherwise` when it asks by neither.
pub(crate) fn shape(request: &Request, otherwise: Shape) -> Result<Shape, ApiError> {
    let query = &request.query;
    let detail = query.flag("detail")?.unwrap_or(false);
    match query.joined("fields") {
        Some(_) if detail => Err(ApiError::bad_request("fields and detail exclude each other")),
        Some(names) => Ok(Shape::Named(
            names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        )),
        None if detail => Ok(Shape::Full),
        None => Ok(otherwise),
    }
}
