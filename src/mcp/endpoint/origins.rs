//! Web pages of other origins that an operator lets call us from browsers: MCP's servers, and what models are asked at.
//! None are, unless they are named; and no cookie comes along.

use std::time::Duration;

use http::header::{ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// What pages may read of an answer beside its body.
const EXPOSED: [HeaderName; 9] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-causeway-target"),
    HeaderName::from_static("x-causeway-dropped"),
    HeaderName::from_static("x-causeway-provider-request-id"),
    HeaderName::from_static("x-should-retry"),
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    RETRY_AFTER,
    WWW_AUTHENTICATE,
];

/// Whose pages these are.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    any: bool,
    named: Vec<HeaderValue>,
}

impl Origins {
    /// Origins as browsers write them, or `*` for every one.
    pub fn of(said: &[String]) -> Self {
        let named = said.iter().filter(|origin| *origin != "*");
        Self {
            any: said.iter().any(|origin| origin == "*"),
            named: named
                .filter_map(|origin| HeaderValue::from_str(origin).ok())
                .collect(),
        }
    }

    /// Whether a request comes from one of their pages.
    pub(crate) fn admit(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(ORIGIN);
        origin.is_some_and(|origin| self.any || self.named.contains(origin))
    }

    /// What tells browsers so; `None`: there is none.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let origins = match (self.any, self.named.is_empty()) {
            (true, _) => AllowOrigin::any(),
            (false, false) => AllowOrigin::list(self.named.clone()),
            (false, true) => return None,
        };
        let methods = [Method::GET, Method::POST, Method::DELETE, Method::OPTIONS];
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(methods)
            .allow_headers(AllowHeaders::mirror_request())
            .expose_headers(EXPOSED)
            .max_age(Duration::from_hours(1));
        Some(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(said: &[&str], origin: Option<&'static str>) -> bool {
        let said: Vec<String> = said.iter().map(|one| (*one).to_owned()).collect();
        let origin = origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin)));
        Origins::of(&said).admit(&origin.into_iter().collect())
    }

    #[test]
    fn pages_are_admitted_by_the_whole_of_their_origin() {
        let named = ["https://app.example.com", "tauri://localhost"];
        for (origin, expected) in [
            ("https://app.example.com", true),
            ("tauri://localhost", true),
            ("http://app.example.com", false),
            ("https://app.example.com:8443", false),
            ("https://app.example.com.evil.example", false),
            ("null", false),
        ] {
            assert_eq!(admits(&named, Some(origin)), expected, "{origin}");
            assert!(admits(&["*"], Some(origin)), "{origin}");
            assert!(!admits(&[], Some(origin)), "{origin}");
        }
        assert!(!admits(&["*"], None));
        assert!(Origins::default().layer().is_none());
    }
}
