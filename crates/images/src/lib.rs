//! Images on the service's side: fetched from the URLs that users name, verified while they stream, kept on
//! disk within a bound; and config drives brought into the one shape an agent gets. Does not know nodes, agents
//! or the Image service.
//!
//! * [`ImageCache`] is the entry: [`ImageCache::fetch`] gives a verified [`CachedImage`].
//! * [`Web`] is the bounded HTTP client underneath; other crates use it for documents that users name.
//! * [`configdrive`] takes what `instance_info.configdrive` may hold.
//!
//! The process must have installed a default rustls crypto provider before [`Web::new`].

mod address;
mod cache;
pub mod configdrive;
mod error;
mod inspect;
mod request;
mod sink;
mod store;
mod sums;
mod transfer;
mod web;

pub use address::Reach;
pub use cache::{ImageCache, Options, Usage};
pub use error::ImageError;
pub use request::{CachedImage, ChecksumSource, ImageFacts, ImageRequest, Progress};
pub use web::{Web, WebError, WebOptions, WebSetupError, parse_url, shown};
