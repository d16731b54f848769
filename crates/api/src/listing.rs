//! A page of a list that is written while its rows are read: neither the rows nor what they mean is kept.

use api_types::{Resource, Selection, Shape, Writer};

use crate::error::ApiError;
use crate::page::Page;
use crate::reply::Reply;
use crate::request::Request;

/// Bytes of an item that is shown whole, as most nodes are, and of one that is not.
const WHOLE: usize = 4096;
const PART: usize = 512;
/// Bytes that a list begins with at most; it grows.
const MOST_ROOM: usize = 4 << 20;

/// The page so far.
pub(crate) struct Listing<T: 'static> {
    request: Request,
    page: Page,
    selection: Selection<T>,
    out: Writer,
    shown: usize,
    passed: usize,
    last: Option<String>,
}

impl<T> Listing<T> {
    /// An empty page; `key` names the list in the reply.
    pub(crate) fn new(
        request: Request,
        (resource, key): (&Resource<T>, &'static str),
        page: Page,
    ) -> Result<Self, ApiError> {
        let selection = Selection::new(resource, &page.shape, request.version)?;
        // What is not written to is no memory yet; what has to grow is copied.
        let item = if page.shape == Shape::Full { WHOLE } else { PART };
        let mut out = Writer::with_capacity(page.limit.saturating_mul(item).min(MOST_ROOM));
        open(&mut out, key);
        Ok(Self { request, page, selection, out, shown: 0, passed: 0, last: None })
    }

    /// What is listed for.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// Takes note of rows that were read, shown or not: the next page begins after the last, which `last` names.
    pub(crate) fn pass(&mut self, rows: usize, last: Option<String>) {
        self.passed += rows;
        self.last = last.or_else(|| self.last.take());
    }

    /// Writes items.
    pub(crate) fn show<'a>(&mut self, items: impl IntoIterator<Item = &'a T>) {
        let Self { request, selection, out, shown, .. } = self;
        *shown = request.with_context(false, |cx| selection.write_items(*shown, items, cx, out));
    }

    /// The reply. A full page says where the next one is, if there `may` be one.
    pub(crate) fn finish(mut self, may_go_on: bool) -> Reply {
        let marker = self.last.filter(|_| may_go_on && self.passed == self.page.limit);
        close(&mut self.out, &self.request, &self.page, marker);
        Reply::json(self.out.into_bytes())
    }
}

/// Begins a list.
pub(crate) fn open(out: &mut Writer, key: &'static str) {
    out.raw("{");
    out.key(true, key);
    out.raw("[");
}

/// Ends a list. With a `marker` (the last item of a full page) there may be more, and the list says where.
pub(crate) fn close(out: &mut Writer, request: &Request, page: &Page, marker: Option<String>) {
    out.raw("]");
    if let Some(marker) = marker {
        let query = request.query.next_page(page.limit, &marker);
        out.key(false, "next");
        out.text(&format!("{}{}?{query}", request.base, request.path));
    }
    out.raw("}");
}
