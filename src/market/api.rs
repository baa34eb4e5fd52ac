//! The management API under `/api/v1`: thin handlers over the flows. `api/openapi.yaml` describes it,
//! and a test holds the two together.

pub(crate) mod calls;
pub(crate) mod credentials;
pub(crate) mod guard;
pub(crate) mod imports;
pub(crate) mod keys;
pub(crate) mod servers;
pub(crate) mod settings;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::IntoResponse;
use axum::routing::{get, post, put};
use http::header::CONTENT_TYPE;

use crate::access::authenticate::Authenticator;
use crate::access::key::Keys;
use crate::access::session::Sessions;
use crate::egress::Egress;
use crate::market::api::imports::Imports;
use crate::mcp::call::Mcp;
use crate::mcp::endpoint::HostPolicy;
use crate::mcp::publish::Publisher;

/// What the management side needs.
pub struct MarketParts {
    pub publisher: Publisher,
    pub keys: Keys,
    pub authenticator: Authenticator,
    pub sessions: Sessions,
    pub egress: Egress,
    pub mcp: Arc<Mcp>,
    pub hosts: HostPolicy,
    /// What clients call this process, without a slash at the end.
    pub public_url: String,
    pub document_bytes_max: usize,
}

/// The management side of a process. Cheap to clone.
#[derive(Clone)]
pub struct Market(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) parts: MarketParts,
    pub(crate) imports: Imports,
}

impl Market {
    pub fn new(parts: MarketParts) -> Self {
        Self(Arc::new(Inner {
            parts,
            imports: Imports::default(),
        }))
    }
}

/// The document of this API, as it is served.
pub const DOCUMENT: &str = include_str!("api/openapi.yaml");

/// Every path with its methods: what [`router`] serves, for the tests that hold the document and the
/// table of permissions against it.
pub const ROUTES: &[(&str, &[&str])] = &[
    ("/api/v1/openapi.json", &["GET"]),
    ("/api/v1/servers", &["GET", "POST"]),
    ("/api/v1/servers/{slug}", &["GET", "PATCH", "DELETE"]),
    ("/api/v1/servers/{slug}/document", &["GET", "PUT"]),
    ("/api/v1/servers/{slug}/report", &["GET"]),
    ("/api/v1/servers/{slug}/tools", &["GET"]),
    ("/api/v1/servers/{slug}/tools/{tool}/call", &["POST"]),
    ("/api/v1/servers/{slug}/credentials", &["GET"]),
    (
        "/api/v1/servers/{slug}/credentials/{scheme}",
        &["PUT", "DELETE"],
    ),
    (
        "/api/v1/servers/{slug}/credentials/{scheme}/approve",
        &["POST"],
    ),
    ("/api/v1/imports/{id}", &["GET"]),
    ("/api/v1/consumers", &["GET"]),
    ("/api/v1/keys", &["GET", "POST"]),
    ("/api/v1/keys/{id}", &["DELETE"]),
];

/// The routes below `/api/v1`.
pub fn router(market: Market) -> Router {
    let limit = market.0.parts.document_bytes_max + (1 << 20);
    Router::new()
        .route("/api/v1/openapi.json", get(openapi_json))
        .route("/api/v1/servers", get(servers::list).post(servers::create))
        .route(
            "/api/v1/servers/{slug}",
            get(servers::show)
                .patch(settings::edit)
                .delete(servers::remove),
        )
        .route(
            "/api/v1/servers/{slug}/document",
            get(servers::document).put(servers::reimport),
        )
        .route("/api/v1/servers/{slug}/report", get(servers::report))
        .route("/api/v1/servers/{slug}/tools", get(servers::tools))
        .route(
            "/api/v1/servers/{slug}/tools/{tool}/call",
            post(calls::call),
        )
        .route("/api/v1/servers/{slug}/credentials", get(credentials::list))
        .route(
            "/api/v1/servers/{slug}/credentials/{scheme}",
            put(credentials::put).delete(credentials::remove),
        )
        .route(
            "/api/v1/servers/{slug}/credentials/{scheme}/approve",
            post(credentials::approve),
        )
        .route("/api/v1/imports/{id}", get(imports::show))
        .route("/api/v1/consumers", get(keys::consumers))
        .route("/api/v1/keys", get(keys::list).post(keys::create))
        .route("/api/v1/keys/{id}", axum::routing::delete(keys::revoke))
        .layer(DefaultBodyLimit::max(limit))
        .layer(middleware::from_fn_with_state(market.clone(), guard::guard))
        .with_state(market)
}

async fn openapi_json() -> impl IntoResponse {
    let document: serde_json::Value = serde_saphyr::from_str(DOCUMENT).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], document.to_string())
}
