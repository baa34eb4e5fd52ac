//! The stylesheet, the icon and the scripts, compiled in.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::market::pages::plain;

struct Asset {
    name: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

const ASSETS: [Asset; 5] = [
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
        name: "playground.js",
        content_type: "text/javascript; charset=utf-8",
        body: include_bytes!("../../../assets/playground.js"),
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

/// The same, compressed once. Pages are never compressed: they hold tokens beside what others wrote.
static COMPRESSED: LazyLock<[Vec<u8>; 5]> = LazyLock::new(|| {
    ASSETS.each_ref().map(|asset| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing into memory does not fail; if it did, the asset would be served as it is.
        let written = encoder
            .write_all(asset.body)
            .and_then(|()| encoder.finish());
        written.unwrap_or_default()
    })
});

/// What stands in the URLs as `?v=`.
pub fn version() -> &'static str {
    &VERSION
}

/// `GET /assets/{name}?v={version}`: an asset, to be kept for a year where the URL names this
/// version, and compressed for whoever reads that.
pub fn asset(name: &str, version_asked: Option<&str>, asking: &HeaderMap) -> Response {
    let Some(place) = ASSETS.iter().position(|asset| asset.name == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let asset = &ASSETS[place];
    let compressed =
        Some(&*COMPRESSED[place]).filter(|body| !body.is_empty() && reads_gzip(asking));
    let keep = if version_asked == Some(version()) {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=60"
    };
    let mut response = plain(asset.content_type, compressed.unwrap_or(asset.body));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if compressed.is_some() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// Whether `Accept-Encoding` names gzip, and not to refuse it.
fn reads_gzip(asking: &HeaderMap) -> bool {
    let lists = asking.get_all(ACCEPT_ENCODING).iter();
    let mut named = lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','));
    named.any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
        name.trim().eq_ignore_ascii_case("gzip") && weight.parse().is_ok_and(|it: f32| it > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_compressed_for_whoever_reads_that() {
        for (accepted, compressed) in [
            (None, false),
            (Some("gzip, deflate, br"), true),
            (Some("br;q=1.0, GZIP;q=0.5"), true),
            (Some("gzip;q=0, br"), false),
            (Some("xgzip"), false),
        ] {
            let mut asking = HeaderMap::new();
            if let Some(accepted) = accepted {
                asking.insert(ACCEPT_ENCODING, HeaderValue::from_static(accepted));
            }
            let answer = asset("htmx.min.js", None, &asking);
            let coding = answer.headers().get(CONTENT_ENCODING);
            assert_eq!(coding.is_some(), compressed, "{accepted:?}");
        }
        for (asset, body) in ASSETS.iter().zip(&*COMPRESSED) {
            let mut plain = Vec::new();
            let mut reader = flate2::read::GzDecoder::new(body.as_slice());
            std::io::Read::read_to_end(&mut reader, &mut plain).unwrap();
            assert_eq!(plain, asset.body, "{}", asset.name);
        }
    }
}
