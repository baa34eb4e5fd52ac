//! The management API under `/api/v1`: thin handlers over the flows. `api/openapi.yaml` describes it,
//! and a test holds the two together.

pub(crate) mod accounts;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod bulk;
pub(crate) mod calls;
pub(crate) mod canary;
pub(crate) mod clients;
mod connection;
pub(crate) mod credentials;
mod csv;
pub(crate) mod curations;
mod doctor;
pub(crate) mod grants;
pub(crate) mod guard;
pub mod idempotency;
pub(crate) mod imports;
pub(crate) mod issuers;
pub(crate) mod keys;
mod ledger;
pub(crate) mod lifecycle;
pub(crate) mod limits;
mod listing;
pub(crate) mod model_usage;
pub(crate) mod models;
pub(crate) mod names;
mod ownership;
mod page;
pub(crate) mod personal;
mod probes;
pub(crate) mod providers;
pub(crate) mod security;
pub(crate) mod servers;
pub(crate) mod settings;
mod shapes;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod versions;
pub mod within;

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;

use crate::access::account::Accounts;
use crate::access::authenticate::Authenticator;
use crate::access::key::Keys;
use crate::access::oidc::Provider;
use crate::egress::Egress;
use crate::llm::proxy::Llm;
use crate::market::address::Address;
use crate::market::api::imports::Imports;
use crate::market::doctor::Doctor;
use crate::market::gate;
use crate::market::table::routes;
use crate::mcp::call::Mcp;
use crate::mcp::endpoint::HostPolicy;
use crate::mcp::publish::Publisher;

/// What the management side needs.
pub struct MarketParts {
    pub publisher: Publisher,
    pub keys: Keys,
    pub authenticator: Authenticator,
    pub accounts: Accounts,
    /// The identity provider people may sign in through.
    pub oidc: Option<Provider>,
    pub egress: Egress,
    pub mcp: Arc<Mcp>,
    /// Providers and models, as requests find them, and what asks them.
    pub llm: Arc<Llm>,
    pub hosts: HostPolicy,
    /// What clients call this process.
    pub address: Address,
    pub document_bytes_max: usize,
    /// What looks whether the process is well.
    pub doctor: Doctor,
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

routes! {
    /// Every path with its methods, for the tests that hold the document and the table of permissions
    /// against it.
    "/api/v1/openapi.json" { GET openapi_json }
    "/api/v1/servers" { GET listing::list, POST servers::create }
    "/api/v1/servers/{slug}" { GET servers::show, PATCH settings::edit, DELETE lifecycle::remove }
    "/api/v1/servers/{slug}/state" { PUT lifecycle::put_state }
    "/api/v1/servers/{slug}/transfer" { POST lifecycle::hand_over }
    "/api/v1/deleted-servers" { GET lifecycle::list_deleted }
    "/api/v1/deleted-servers/{name}/restore" { POST lifecycle::bring_back }
    "/api/v1/servers/{slug}/document" { GET servers::document, PUT servers::reimport }
    "/api/v1/servers/{slug}/report" { GET servers::report }
    "/api/v1/servers/{slug}/tools" { GET servers::tools }
    "/api/v1/servers/{slug}/tools/{tool}/call" { POST calls::call }
    "/api/v1/servers/{slug}/curations" { GET curations::list }
    "/api/v1/servers/{slug}/review" { GET curations::review }
    "/api/v1/servers/{slug}/tools/{tool}/curation" { GET curations::show, PUT curations::put, DELETE curations::remove }
    "/api/v1/servers/{slug}/tools/{tool}/fixes" { POST curations::mend }
    "/api/v1/servers/{slug}/versions" { GET versions::list }
    "/api/v1/servers/{slug}/versions/{number}/diff" { GET versions::diff }
    "/api/v1/servers/{slug}/versions/{number}/promote" { POST versions::promote }
    "/api/v1/servers/{slug}/staged" { DELETE versions::discard }
    "/api/v1/servers/{slug}/canary" { PUT versions::start_canary, DELETE versions::end_canary }
    "/api/v1/servers/{slug}/source" { GET versions::source, PUT versions::put_source, DELETE versions::remove_source }
    "/api/v1/servers/{slug}/source/sync" { POST versions::sync_now }
    "/api/v1/servers/{slug}/credentials" { GET credentials::list }
    "/api/v1/servers/{slug}/credentials/{scheme}" { PUT credentials::put, DELETE credentials::remove }
    "/api/v1/servers/{slug}/credentials/{scheme}/approve" { POST credentials::approve }
    "/api/v1/servers/{slug}/credentials/{scheme}/connect" { POST clients::connect }
    "/api/v1/servers/{slug}/credentials/{scheme}/connection" { DELETE clients::disconnect }
    "/api/v1/servers/{slug}/accounts" { GET accounts::list }
    "/api/v1/account/connections" { GET accounts::list_own }
    "/api/v1/account/connections/{id}" { DELETE accounts::disconnect }
    "/api/v1/imports" { GET imports::list, POST bulk::create }
    "/api/v1/imports/{id}" { GET imports::show }
    "/api/v1/imports/{id}/retry" { POST bulk::retry }
    "/api/v1/consumers" { GET keys::consumers }
    "/api/v1/consumers/{name}" { GET limits::consumer, PATCH limits::edit_consumer }
    "/api/v1/consumers/{name}/plans/{slug}" { PUT limits::assign, DELETE limits::unassign }
    "/api/v1/consumers/{name}/export" { GET personal::export_consumer }
    "/api/v1/consumers/{name}/erase" { POST personal::erase_consumer }
    "/api/v1/account/export" { GET personal::export_own }
    "/api/v1/plans" { GET limits::list }
    "/api/v1/plans/{name}" { GET limits::show, PUT limits::put, DELETE limits::remove }
    "/api/v1/provider-kinds" { GET providers::kinds }
    "/api/v1/providers" { GET providers::list }
    "/api/v1/providers/{name}" { GET providers::show, PUT providers::put, DELETE providers::remove }
    "/api/v1/providers/{name}/keys/{key}" { PUT providers::put_key, DELETE providers::remove_key }
    "/api/v1/providers/{name}/test" { POST providers::test }
    "/api/v1/models" { GET models::list }
    "/api/v1/models/{name}" { GET models::show, PUT models::put, DELETE models::remove }
    "/api/v1/models/{name}/canary" { GET canary::show }
    "/api/v1/models/{name}/canary/promote" { POST canary::promote }
    "/api/v1/models/{name}/canary/rollback" { POST canary::roll_back }
    "/api/v1/keys" { GET keys::list, POST keys::create }
    "/api/v1/keys/{id}" { DELETE keys::revoke }
    "/api/v1/keys/{id}/rotate" { POST keys::rotate }
    "/api/v1/issuers" { GET issuers::list }
    "/api/v1/issuers/{name}" { GET issuers::show, PUT issuers::put, DELETE issuers::remove }
    "/api/v1/users" { GET users::list, POST users::create }
    "/api/v1/users/{name}" { PATCH users::edit }
    "/api/v1/users/{name}/reset" { POST users::reset }
    "/api/v1/users/{name}/export" { GET personal::export_user }
    "/api/v1/users/{name}/erase" { POST personal::erase_user }
    "/api/v1/users/{name}/codes" { DELETE users::forget_device }
    "/api/v1/approvals" { GET approvals::list }
    "/api/v1/approvals/{id}" { POST approvals::decide }
    "/api/v1/servers/{slug}/approval-webhook" { GET approvals::webhook, POST approvals::renew_secret }
    "/api/v1/audit" { GET audit::list }
    "/api/v1/doctor" { GET doctor::show }
    "/api/v1/ledger" { GET ledger::list }
    "/api/v1/ledger.csv" { GET ledger::csv }
    "/api/v1/ledger.json" { GET ledger::file }
    "/api/v1/model-usage" { GET usage::show::<model_usage::Asked> }
    "/api/v1/model-usage.csv" { GET usage::csv_file::<model_usage::Asked> }
    "/api/v1/model-usage.json" { GET usage::json_file::<model_usage::Asked> }
    "/api/v1/usage" { GET usage::show::<usage::Asked> }
    "/api/v1/usage.csv" { GET usage::csv_file::<usage::Asked> }
    "/api/v1/usage.json" { GET usage::json_file::<usage::Asked> }
}

/// The routes below `/api/v1`.
pub fn router(market: Market) -> Router {
    let guarded = middleware::from_fn_with_state(market.clone(), guard::guard);
    inside(market).layer(guarded)
}

/// The same for requests that come from inside the process, where no browser sends any.
fn inside(market: Market) -> Router {
    let limit = market.0.parts.document_bytes_max + (1 << 20);
    table()
        .layer(DefaultBodyLimit::max(limit))
        .layer(middleware::from_fn_with_state(
            market.clone(),
            idempotency::once,
        ))
        .layer(middleware::from_fn_with_state(market.clone(), gate::of_api))
        .with_state(market)
}

/// The document as JSON, read once.
static JSON: LazyLock<String> = LazyLock::new(|| {
    let document: serde_json::Value = serde_saphyr::from_str(DOCUMENT).unwrap_or_default();
    document.to_string()
});

async fn openapi_json() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], JSON.as_str())
}
