//! The notice of people whose connection can be read on the network, until they have read it.

use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::header::{REFERER, SET_COOKIE};
use url::Url;

use crate::extract::{Visitor, cookies};
use crate::market::api::Market;
use crate::market::pages::login::next_path;
use crate::market::pages::routes::{Fields, to};
use crate::market::pages::submitted::Submitted;

/// The cookie of a browser whose person has read it. It ends with the browser.
const READ: &str = "causeway_exposed";

/// Whether to tell.
pub(super) fn is_told(market: &Market, visitor: &Visitor) -> bool {
    visitor.person().is_some()
        && market.0.parts.address.is_exposed()
        && cookies(&visitor.headers, READ).next().is_none()
}

/// `POST /exposed`: they have read it, and go on where they were.
pub(super) async fn dismiss(
    State(market): State<Market>,
    Submitted { visitor, .. }: Submitted<Fields>,
) -> Response {
    let came_from = visitor.headers.get(REFERER);
    let came_from = came_from.and_then(|value| Url::parse(value.to_str().ok()?).ok());
    let path = came_from.map(|url| match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    });
    let address = &market.0.parts.address;
    let mut response = to(next_path(path.as_deref().map(|path| address.inner(path))));
    let cookie = format!(
        "{READ}=read; Path={}/; HttpOnly; SameSite=Lax",
        address.prefix()
    );
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}
