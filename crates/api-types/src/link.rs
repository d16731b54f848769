//! Links between resources.

use uuid::Uuid;

use crate::{Context, Writer};

/// Writes the two links of a resource: `self` under `/v1`, and the bookmark.
///
/// `path` is its parts, as `["nodes", "<uuid>", "ports"]`.
pub fn write_links(out: &mut Writer, base: &str, path: &[&str]) {
    for (index, (prefix, rel)) in [("/v1/", "self"), ("/", "bookmark")].into_iter().enumerate() {
        out.raw(if index == 0 { "[{\"href\":\"" } else { ",{\"href\":\"" });
        out.escaped(base);
        out.raw(prefix);
        for (index, part) in path.iter().enumerate() {
            out.raw(if index == 0 { "" } else { "/" });
            out.escaped(part);
        }
        out.raw("\",\"rel\":\"");
        out.raw(rel);
        out.raw("\"}");
    }
    out.raw("]");
}

/// The links of the object `uuid` of `collection`, or of its sub-collection `below`.
pub(crate) fn write_object_links(
    out: &mut Writer,
    cx: &Context<'_>,
    collection: &'static str,
    uuid: Uuid,
    below: Option<&'static str>,
) {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    let uuid: &str = uuid.as_hyphenated().encode_lower(&mut buffer);
    // As `write_links`; lists are full of these, and nothing in them but the base may need escapes.
    for (start, version, end) in [
        ("[{\"href\":\"", "/v1/", "\",\"rel\":\"self\"}"),
        (",{\"href\":\"", "/", "\",\"rel\":\"bookmark\"}]"),
    ] {
        out.raw(start);
        out.escaped(cx.base);
        out.raw(version);
        out.raw(collection);
        out.raw("/");
        out.raw(uuid);
        if let Some(below) = below {
            out.raw("/");
            out.raw(below);
        }
        out.raw(end);
    }
}
