//! From a request to a response.

use std::net::IpAddr;
use std::sync::Arc;

use boot_trace::{BootEventKind, FileRole, ScriptTarget};
use bytes::Bytes;
use http::header::{ACCEPT_RANGES, ALLOW, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use model::MacAddr;

use super::body::{Body, Sent};
use super::content::{self, Content};
use super::range::{Selection, select};
use crate::script::boot_script;
use crate::service::Shared;
use crate::source::{Area, BootTarget};

/// What a path names.
enum Route {
    Script(MacAddr),
    Loader(String),
    File(Area, String),
}

/// Reads a path as it is on the wire. Percent escapes are resolved once and must give plain names.
fn route(path: &str) -> Option<Route> {
    let decoded = unescape(path)?;
    let (area, name) = decoded.strip_prefix('/')?.split_once('/')?;
    if name.starts_with('/') {
        return None;
    }
    let name = tftp::FileName::new(name).ok()?.as_str().to_owned();
    Some(match area {
        "boot" => Route::Script(name.strip_suffix(".ipxe")?.parse().ok()?),
        "ipxe" => Route::Loader(name),
        "files" => Route::File(Area::Files, name),
        "images" => Route::File(Area::Images, name),
        _ => return None,
    })
}

fn unescape(path: &str) -> Option<String> {
    let mut out = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digit = |digit: u8| char::from(digit).to_digit(16);
            out.push(u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// Answers one request. The body reports what was sent when it ends.
pub(super) async fn answer(
    shared: Arc<Shared>,
    client: IpAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, _) = request.into_parts();
    let path: String = head.uri.path().chars().take(256).collect();
    let sent = Sent::new(Arc::clone(&shared), client, path);
    if !matches!(head.method, Method::GET | Method::HEAD) {
        let mut response = text(sent, StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    match route(head.uri.path()) {
        None => not_found(sent),
        Some(Route::Script(mac)) => script(&shared, sent.with_role(FileRole::Script), client, mac),
        Some(Route::Loader(name)) => {
            let sent = sent.with_role(FileRole::Loader);
            let opened = blocking(move || content::of_file(shared.loaders.open(&name)?, None)).await;
            match opened {
                Some(content) => file(sent, &head.method, &head.headers, content),
                None => not_found(sent),
            }
        }
        Some(Route::File(area, name)) => {
            let sent = if area == Area::Images { sent.with_role(FileRole::Image) } else { sent };
            let opened = blocking(move || content::of_source(shared.files.open(area, &name, client)?)).await;
            match opened {
                Some(content) => file(sent, &head.method, &head.headers, content),
                None => not_found(sent),
            }
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Option<T> + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok().flatten()
}

fn not_found(sent: Sent) -> Response<Body> {
    text(sent, StatusCode::NOT_FOUND, "there is no such file\n")
}

fn text(sent: Sent, status: StatusCode, body: &'static str) -> Response<Body> {
    whole(sent, status, "text/plain", Bytes::from_static(body.as_bytes()))
}

fn whole(sent: Sent, status: StatusCode, kind: &'static str, bytes: Bytes) -> Response<Body> {
    let sent = sent.with_status(status, bytes.len() as u64);
    let mut response = Response::new(Body::bytes(bytes, sent));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn script(shared: &Shared, sent: Sent, client: IpAddr, mac: MacAddr) -> Response<Body> {
    let Some(host) = shared.source.host(mac) else { return not_found(sent) };
    // A script can hold secrets of its machine: an address that we leased to another gets none of it.
    if !shared.book.claims(client, mac) {
        tracing::warn!(%client, %mac, "a machine asked for the boot script of another");
        return text(sent, StatusCode::FORBIDDEN, "this is the script of another machine\n");
    }
    match boot_script(mac, &host.boot, shared.http) {
        Ok(script) => {
            let target = match host.boot {
                BootTarget::Ramdisk(_) => ScriptTarget::Ramdisk,
                BootTarget::LocalDisk => ScriptTarget::LocalDisk,
                BootTarget::Nothing => ScriptTarget::Nothing,
            };
            shared.record(mac, Some(&host), BootEventKind::Script { target });
            whole(sent, StatusCode::OK, "text/plain", Bytes::from(script.into_string()))
        }
        Err(error) => {
            let text = chain(&error);
            tracing::error!(%mac, error = %text, "no boot script");
            shared.record(mac, Some(&host), BootEventKind::ScriptError { error: text });
            self::text(sent, StatusCode::INTERNAL_SERVER_ERROR, "the boot script cannot be made\n")
        }
    }
}

/// An error and its causes on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

fn file(sent: Sent, method: &Method, headers: &HeaderMap, content: Content) -> Response<Body> {
    let size = content.size();
    let etag = HeaderValue::from_str(&format!("\"{}\"", content.etag()));
    let Ok(etag) = etag else { return not_found(sent) };
    let mut response = Response::new(Body::nothing());
    response.headers_mut().insert(ETAG, etag.clone());
    response.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if headers.get(IF_NONE_MATCH).is_some_and(|asked| *asked == etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Body::bytes(Bytes::new(), sent.with_status(StatusCode::NOT_MODIFIED, 0));
        return response;
    }
    let (status, part) = match select(method, headers, &etag, size) {
        Selection::Whole => (StatusCode::OK, 0..size),
        Selection::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Selection::Unsatisfiable => {
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, CONTENT_RANGE, &format!("bytes */{size}"));
            *response.body_mut() =
                Body::bytes(Bytes::new(), sent.with_status(StatusCode::RANGE_NOT_SATISFIABLE, 0));
            return response;
        }
    };
    *response.status_mut() = status;
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut response, CONTENT_RANGE, &format!("bytes {}-{}/{size}", part.start, part.end - 1));
    }
    set(&mut response, CONTENT_LENGTH, &(part.end - part.start).to_string());
    let sent = sent.with_status(status, part.end - part.start);
    let sent = if status == StatusCode::PARTIAL_CONTENT { sent.from(part.start) } else { sent };
    *response.body_mut() = if *method == Method::HEAD {
        Body::bytes(Bytes::new(), sent)
    } else {
        Body::part(content, part, sent)
    };
    response
}

fn set(response: &mut Response<Body>, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let file = |path: &str| match route(path) {
            Some(Route::File(area, name)) => Some((area, name)),
            _ => None,
        };
        assert_eq!(file("/files/a/b.c"), Some((Area::Files, "a/b.c".into())));
        assert_eq!(file("/images/a%20b"), Some((Area::Images, "a b".into())));
        assert!(matches!(route("/ipxe/snponly.efi"), Some(Route::Loader(name)) if name == "snponly.efi"));
        let mac = MacAddr::new([0x52, 0x54, 0, 0, 0, 1]);
        for path in ["/boot/52:54:00:00:00:01.ipxe", "/boot/52%3A54%3a00:00:00:01.ipxe"] {
            assert!(matches!(route(path), Some(Route::Script(found)) if found == mac), "{path}");
        }
        for path in [
            "",
            "/",
            "/files",
            "/files/",
            "/files//etc/passwd",
            "/files/../x",
            "/files/a/../../x",
            "/files/%2e%2e/x",
            "/files/%2fetc/passwd",
            "/files/a%00",
            "/files/a%0ab",
            "/files/.ssh/id",
            "/files/%",
            "/files/%2",
            "/files/%zz",
            "/files/%ff",
            "/files/a\\b",
            "/boot/x.ipxe",
            "/boot/52:54:00:00:00:01",
            "/other/a",
            "files/a",
            "/files/%252e%252e/x",
        ] {
            assert!(route(path).is_none(), "{path}");
        }
    }
}
