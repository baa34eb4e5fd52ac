//! Calls that somebody has to agree to, over real sockets: two endpoints on one database, an API that
//! counts what reaches it, and a clock that the test moves.

mod asking;
mod people;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use axum::Router;
use causeway::access::approval::Inbox;
use causeway::access::authenticate::Authenticator;
use causeway::access::caller::{Caller, Grants};
use causeway::access::confirmation::Confirmations;
use causeway::access::ledger::{Ledger, LedgerEntry, LedgerStatus};
use causeway::access::limit::Limiter;
use causeway::access::upstream_auth::Tokens;
use causeway::access::vault::master::MasterKey;
use causeway::access::webhook::Webhooks;
use causeway::answers::Answers;
use causeway::credential::Credentials;
use causeway::jq::Jq;
use causeway::live::Catalog;
use causeway::mcp::call::Mcp;
use causeway::mcp::curation::Curations;
use causeway::mcp::endpoint::{Endpoint, EndpointParts, HostPolicy, Origins};
use causeway::mcp::server::{
    Access, Server, ServerParts, ServerSettings, SessionSettings, ToolsMode,
};
use causeway::mcp::tool::define;
use causeway::openapi::{self, DocumentLimits, OperationKey};
use causeway::policy::Policies;
use causeway::store::audit::NewAudit;
use causeway::store::servers::{NewServer, NewVersion};
use causeway::store::{Location, Store};
use causeway::types::{Clock, KeyId, OrganizationId, ServerId, VersionId};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::egress::{egress, serve_local};
use crate::endpoint::{MODERN, request};

pub(crate) const ANNA: &str = "key-of-anna";
pub(crate) const BEN: &str = "key-of-ben";

/// A shop: looking costs nothing, cancelling asks the user, refunding asks a person.
pub(crate) struct Shop {
    /// Of two endpoints that share the database.
    pub(crate) origins: [String; 2],
    pub(crate) sent: Arc<AtomicUsize>,
    pub(crate) bodies: Arc<parking_lot::Mutex<Vec<String>>>,
    pub(crate) ledger: mpsc::Receiver<LedgerEntry>,
    pub(crate) inbox: Inbox,
    pub(crate) id: ServerId,
    hand: Arc<AtomicI64>,
    http: reqwest::Client,
    _stop: tokio_util::sync::DropGuard,
    _folder: tempfile::TempDir,
}

fn document() -> Value {
    let body = json!({ "required": true, "content": { "application/json": { "schema": {
        "type": "object", "additionalProperties": false, "required": ["order"], "properties": {
            "order": { "type": "integer" },
            "note": { "type": "string" },
            "pin": { "type": "string", "format": "password" },
            "answer": { "type": "string", "writeOnly": true },
        } } } } });
    let post = |name: &str| {
        json!({ "post": { "operationId": name, "requestBody": body,
            "responses": { "200": { "description": "done" } } } })
    };
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Shop", "version": "1" },
        "servers": [{ "url": "/" }],
        "paths": {
            "/look": post("look"), "/cancel": post("cancel"), "/other": post("other"),
            "/refund": post("refund"),
        },
    })
}

fn curations() -> Curations {
    let set = |path: &str, who: &str| {
        let curation = serde_json::from_value(json!({ "confirm": who })).unwrap();
        (OperationKey(format!("POST {path}")), curation)
    };
    [
        set("/cancel", "client"),
        set("/other", "client"),
        set("/refund", "human"),
    ]
    .into_iter()
    .collect()
}

fn caller() -> Caller {
    Caller {
        key: Some(KeyId::generate()),
        grants: Grants::Organization,
        ..Caller::anonymous()
    }
}

fn compiled(id: ServerId, origin: &str, settings: ServerSettings, mcp: &Mcp) -> Server {
    let api = openapi::read(
        document().to_string().as_bytes(),
        &DocumentLimits::default(),
    );
    let api = api.unwrap();
    let (server, findings) = Server::compile(ServerParts {
        id,
        organization: OrganizationId::DEFAULT,
        slug: "shop".parse().unwrap(),
        version: VersionId::generate(),
        revision: 1,
        title: api.title.clone(),
        description: None,
        settings: ServerSettings {
            access: Access::Key,
            upstream: Some(origin.to_owned()),
            ..settings
        },
        tools: define(&api).tools,
        curations: curations(),
        schemes: api.security_schemes.clone(),
        credentials: Credentials::default(),
        upstream: mcp.egress.upstream(&[]),
        document_url: None,
    });
    assert!(findings.is_empty(), "{findings:?}");
    server
}

async fn stored(store: &Store, id: ServerId) {
    let organization = OrganizationId::DEFAULT;
    let act = NewAudit::of(
        (organization, "test".into()),
        "test",
        ("server", "shop".into()),
    );
    let version = NewVersion {
        id: VersionId::generate(),
        document: b"{}".to_vec(),
        document_hash: [0; 32],
        document_url: None,
        overlays: None,
        converter: "test".into(),
        title: "Shop".into(),
        description: None,
        tools: "[]".into(),
        schemes: "{}".into(),
        findings: "[]".into(),
        listed: causeway::store::listed::NewListed::default(),
    };
    let new = NewServer {
        id,
        owner: None,
        closed: None,
        slug: "shop".parse().unwrap(),
        settings: "{}".into(),
        version,
        credentials: Vec::new(),
    };
    let now = Clock::system().now();
    store.create_server(&new, &act, now).await.unwrap();
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::with(ServerSettings::default()).await
    }

    #[expect(clippy::too_many_lines, reason = "one story, told in its order")]
    pub(crate) async fn with(settings: ServerSettings) -> Self {
        let (sent, bodies) = (Arc::new(AtomicUsize::new(0)), Arc::default());
        let api = counting(sent.clone(), Arc::clone(&bodies)).await;
        let hand = Arc::new(AtomicI64::new(1_800_000_000));
        let seconds = hand.clone();
        let now =
            move || chrono::DateTime::from_timestamp(seconds.load(Ordering::SeqCst), 0).unwrap();
        let clock = Clock::from_fn(now);
        let folder = tempfile::tempdir().unwrap();
        let place = Location::File(folder.path().join("causeway.db"));
        let stop = CancellationToken::new();
        let (id, master) = (ServerId::generate(), MasterKey::from_bytes([7; 32]));
        let (ledger, entries) = Ledger::channel(64);
        let callers = [(ANNA.to_owned(), caller()), (BEN.to_owned(), caller())];
        let mut origins = Vec::new();
        let mut inbox = None;
        for number in 0..2 {
            let store = Store::open(&place, 4).await.unwrap();
            if number == 0 {
                store.migrate().await.unwrap();
                stored(&store, id).await;
            }
            let egress = egress(&["127.0.0.0/8"]);
            let (webhooks, queue) = Webhooks::channel(&master, "http://here/approvals".into());
            tokio::spawn(queue.deliver(egress.clone(), store.clone(), stop.clone()));
            let own = Inbox {
                store: store.clone(),
                clock: clock.clone(),
                webhooks,
            };
            inbox.get_or_insert_with(|| own.clone());
            let mcp = Arc::new(Mcp {
                tokens: Tokens::new(egress.clone(), clock.clone()),
                egress,
                ledger: ledger.clone(),
                limiter: Limiter::memory(Clock::system()),
                meters: causeway::access::meter::Meters::default(),
                telemetry: causeway::telemetry::Telemetry::default(),
                watch: causeway::mcp::watch::Watch::default(),
                policies: Policies::default(),
                answers: Answers::memory(clock.clone()),
                jq: Jq::new(env!("CARGO_BIN_EXE_causeway").into()),
                confirmations: Confirmations::stored(store, &master, clock.clone(), own),
                clock: clock.clone(),
            });
            let server = compiled(id, &api, settings.clone(), &mcp);
            let endpoint = Endpoint::new(EndpointParts {
                catalog: Catalog::fixed(Arc::new(server)),
                authenticator: Authenticator::known(callers.clone()),
                mcp,
                hosts: HostPolicy::Loopback { public: None },
                legacy_sse: true,
                prefix: String::new(),
                reached_at: Arc::new(|_| String::new()),
                origins: Origins::default(),
                shutdown: stop.clone(),
            });
            origins.push(format!("http://{}", serve_local(endpoint.router()).await));
        }
        Self {
            origins: origins.try_into().unwrap(),
            sent,
            bodies,
            ledger: entries,
            inbox: inbox.unwrap(),
            id,
            hand,
            http: reqwest::Client::new(),
            _stop: stop.drop_guard(),
            _folder: folder,
        }
    }

    /// Time goes by, in seconds.
    pub(crate) fn later(&self, seconds: i64) {
        self.hand.fetch_add(seconds, Ordering::SeqCst);
    }

    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// How the ledger names the next call.
    pub(crate) async fn status(&mut self) -> LedgerStatus {
        self.ledger.recv().await.unwrap().status
    }

    /// A POST to one of the endpoints.
    pub(crate) fn post(
        &self,
        place: usize,
        key: &str,
        (headers, body): (&[(&str, String)], &Value),
    ) -> reqwest::RequestBuilder {
        let url = format!("{}/mcp/shop", self.origins[place]);
        let mut post = self.http.post(url).bearer_auth(key);
        post = post.header("content-type", "application/json");
        post = post.header("accept", "application/json, text/event-stream");
        for (name, value) in headers {
            post = post.header(*name, value);
        }
        post.body(body.to_string())
    }

    /// The result of a call by a client without forms.
    pub(crate) async fn call(&self, place: usize, key: &str, call: (&str, Value)) -> Value {
        let params = json!({ "name": call.0, "arguments": call.1 });
        let (headers, body) = request("2025-11-25", "tools/call", params);
        let answer = self
            .post(place, key, (&headers, &body))
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }

    /// The result of a call by a client of 2026-07-28 that has forms, with more in its parameters.
    pub(crate) async fn modern(
        &self,
        place: usize,
        key: &str,
        call: (&str, Value, Value),
    ) -> Value {
        let mut params = json!({ "name": call.0, "arguments": call.1 });
        for (name, value) in call.2.as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        let (headers, mut body) = request(MODERN, "tools/call", params);
        let meta = &mut body["params"]["_meta"];
        meta["io.modelcontextprotocol/clientCapabilities"] = json!({ "elicitation": {} });
        let answer = self
            .post(place, key, (&headers, &body))
            .send()
            .await
            .unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }
}

/// An API that counts the requests that reach it, and keeps their bodies.
async fn counting(sent: Arc<AtomicUsize>, bodies: Arc<parking_lot::Mutex<Vec<String>>>) -> String {
    let router = Router::new().fallback(axum::routing::any(async move |body: String| {
        sent.fetch_add(1, Ordering::SeqCst);
        bodies.lock().push(body);
        "done"
    }));
    format!("http://{}", serve_local(router).await)
}

/// The text of a result, which has to be an error or not.
#[track_caller]
pub(crate) fn said(result: &Value, is_error: bool) -> String {
    assert_eq!(result["isError"], is_error, "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// The token of a refusal.
pub(crate) fn token(text: &str) -> String {
    let after = text.split_once("`_confirm`: \"").expect(text).1;
    after.split('"').next().unwrap().to_owned()
}

/// Settings with sessions, and with a search in place of the list.
pub(crate) fn with_sessions() -> ServerSettings {
    ServerSettings {
        sessions: Some(SessionSettings::default()),
        ..ServerSettings::default()
    }
}

pub(crate) fn searched() -> ServerSettings {
    ServerSettings {
        tools: ToolsMode::Search,
        ..ServerSettings::default()
    }
}
