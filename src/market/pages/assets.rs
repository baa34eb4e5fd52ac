//! The stylesheet, the icon and the scripts, compiled in.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};

use crate::market::pages::plain;

struct Asset {
    name: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

const ASSETS: [Asset; 4] = [
    Asset {
        name: "causeway.css",
        content_type: "text/css; charset=utf-8",
        body: include_bytes!("../../../assets/causeway.css"),
    },
    Asset {
        name: "causeway.svg",
        content_type: "image/svg+xml",
        body: include_bytes!("../../../assets/causeway.svg"),
    },
    Asset {
        name: "causeway.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_bytes!("../../../assets/causeway.js"),
    },
    Asset {
        name: "htmx.min.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_bytes!("../../../assets/htmx.min.js"),
    },
];

/// Changes with every asset, so that browsers may keep them for ever.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    for asset in &ASSETS {
        asset.body.hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
});

/// What stands in the URLs as `?v=`.
pub fn version() -> &'static str {
    &VERSION
}

/// `GET /assets/{name}?v={version}`: an asset, to be kept for a year where the URL names this
/// version.
pub fn asset(name: &str, version_asked: Option<&str>) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let keep = if version_asked == Some(version()) {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=60"
    };
    let mut response = plain(asset.content_type, asset.body);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    response
}
