//! Whether two requests are the same. Pure.

use aws_lc_rs::digest::{Context, SHA256};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use memchr::memmem;

/// A digest of what a request asks for: its method, its path and query, its media type and its body. The
/// boundary of a multipart body, which clients make anew for each try, is none of it.
pub(super) fn fingerprint(parts: &Parts, body: &[u8]) -> [u8; 32] {
    let kind = parts.headers.get(CONTENT_TYPE);
    let kind = kind.and_then(|value| value.to_str().ok());
    let kind = kind.unwrap_or_default();
    let (essence, parameters) = kind.split_once(';').unwrap_or((kind, ""));
    let mut context = Context::new(&SHA256);
    let query = parts.uri.query().unwrap_or_default();
    for text in [
        parts.method.as_str(),
        parts.uri.path(),
        query,
        essence.trim(),
    ] {
        context.update(text.as_bytes());
        context.update(&[0]);
    }
    match boundary(parameters) {
        Some(boundary) => {
            let mut from = 0;
            for at in memmem::find_iter(body, boundary) {
                context.update(&body[from..at]);
                context.update(&[0]);
                from = at + boundary.len();
            }
            context.update(&body[from..]);
        }
        None => context.update(body),
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

fn boundary(parameters: &str) -> Option<&str> {
    let mut parameters = parameters.split(';').map(str::trim);
    let value = parameters.find_map(|parameter| parameter.strip_prefix("boundary="))?;
    Some(value.trim_matches('"')).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, kind: &str, body: &str) -> [u8; 32] {
        let request = http::Request::post(path)
            .header(CONTENT_TYPE, kind)
            .body(());
        fingerprint(&request.unwrap().into_parts().0, body.as_bytes())
    }

    #[test]
    fn another_request_has_another_fingerprint() {
        let one = of("/a", "application/json", "{}");
        assert_eq!(one, of("/a", "application/json; charset=utf-8", "{}"));
        assert_ne!(one, of("/b", "application/json", "{}"));
        assert_ne!(one, of("/a?x", "application/json", "{}"));
        assert_ne!(one, of("/a", "text/plain", "{}"));
        assert_ne!(one, of("/a", "application/json", "{ }"));
    }

    #[test]
    fn the_boundary_of_a_form_is_no_part_of_it() {
        let form = |boundary: &str, value: &str| {
            let kind = format!("multipart/form-data; boundary={boundary}");
            of(
                "/a",
                &kind,
                &format!("--{boundary}\r\n\r\n{value}\r\n--{boundary}--"),
            )
        };
        assert_eq!(form("abc", "1"), form("defgh", "1"));
        assert_ne!(form("abc", "1"), form("abc", "2"));
    }
}
