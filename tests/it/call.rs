//! The call flow over real sockets, from a document to a result.

mod connections;
mod credentials;
mod failing;
mod flow;
pub(crate) mod issuer;
mod own;
mod tokens;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::routing::any;
use causeway::access::caller::Caller;
use causeway::access::confirmation::Confirmations;
use causeway::access::ledger::{Ledger, LedgerEntry};
use causeway::access::limit::Limiter;
use causeway::access::meter::Meters;
use causeway::access::upstream_auth::Tokens;
use causeway::answers::Answers;
use causeway::credential::{Credential, Credentials, Secret};
use causeway::jq::Jq;
use causeway::mcp::call::Mcp;
use causeway::mcp::provider::{
    CallContext, CallError, CallOutcome, Consent, Content, Leading, OwnMask, Progress, ToolCall,
    ToolOutcome,
};
use causeway::mcp::server::{Access, Server, ServerParts, ServerSettings};
use causeway::mcp::tool::define;
use causeway::openapi::{self, DocumentLimits};
use causeway::policy::Policies;
use causeway::telemetry::Telemetry;
use causeway::types::{Clock, OrganizationId, ServerId, VersionId};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::egress::{egress, serve_local};

/// Everything a call needs, and what the ledger heard.
pub(crate) struct Bench {
    pub(crate) mcp: Mcp,
    pub(crate) ledger: mpsc::Receiver<LedgerEntry>,
}

impl Bench {
    pub(crate) fn new(allow: &[&str], policies: Policies) -> Self {
        let (ledger, receiver) = Ledger::channel(64);
        let egress = egress(allow);
        Self {
            mcp: Mcp {
                tokens: Tokens::new(egress.clone(), Clock::system()),
                egress,
                ledger,
                meters: Meters::default(),
                telemetry: Telemetry::default(),
                limiter: Limiter::memory(Clock::system()),
                clock: Clock::system(),
                confirmations: Confirmations::memory(Clock::system()),
                policies,
                answers: Answers::memory(Clock::system()),
                jq: Jq::new(env!("CARGO_BIN_EXE_causeway").into()),
                watch: causeway::mcp::watch::Watch::default(),
            },
            ledger: receiver,
        }
    }

    pub(crate) fn local() -> Self {
        Self::new(&["127.0.0.0/8"], Policies::default())
    }

    /// A server made of a document, open to anyone.
    pub(crate) fn server(&self, document: &Value, credentials: Credentials) -> Server {
        self.server_with(
            document,
            credentials,
            ServerSettings {
                access: Access::Open,
                ..ServerSettings::default()
            },
        )
    }

    pub(crate) fn server_with(
        &self,
        document: &Value,
        credentials: Credentials,
        settings: ServerSettings,
    ) -> Server {
        let bytes = document.to_string();
        let api = openapi::read(bytes.as_bytes(), &DocumentLimits::default()).unwrap();
        let tools = define(&api).tools;
        assert!(!tools.is_empty());
        let upstream = self.mcp.egress.upstream_within(settings.reach());
        let (server, _) = Server::compile(ServerParts {
            id: ServerId::generate(),
            organization: OrganizationId::DEFAULT,
            slug: "api".parse().unwrap(),
            version: VersionId::generate(),
            revision: 1,
            title: api.title.clone(),
            description: None,
            settings,
            tools,
            curations: causeway::mcp::curation::Curations::new(),
            schemes: api.security_schemes.clone(),
            credentials,
            upstream,
            document_url: None,
        });
        server
    }

    pub(crate) async fn call(
        &self,
        server: &Server,
        tool: &str,
        arguments: Value,
    ) -> Result<ToolOutcome, CallError> {
        let call = tool_call(tool, arguments);
        let caller = Caller::anonymous();
        match causeway::mcp::call::call(&self.mcp, &caller, server, call, &context()).await? {
            CallOutcome::Complete(outcome) => Ok(outcome),
            CallOutcome::InputRequired(_) => unreachable!("no tool here asks"),
        }
    }
}

pub(crate) fn tool_call(name: &str, arguments: Value) -> ToolCall {
    ToolCall {
        name: name.to_owned(),
        arguments: Some(RawValue::from_string(arguments.to_string()).unwrap()),
        resumption: None,
    }
}

pub(crate) fn context() -> CallContext {
    CallContext {
        peer: None,
        consent: Consent::Token,
        cancel: CancellationToken::new(),
        deadline: Instant::now() + Duration::from_secs(20),
        progress: Progress::default(),
        client: None,
        holder: "anonymous".to_owned(),
        trace_id: "0af7651916cd43dd8448eb211c80319c".to_owned(),
        passed: Arc::default(),
        parent: None,
        leads: Leading::default(),
        answered: None,
        own: OwnMask::default(),
    }
}

/// All text of a result.
pub(crate) fn text(outcome: &ToolOutcome) -> String {
    let texts = outcome.content.iter().map(|content| match content {
        Content::Text(text) => text.clone(),
        other => format!("{other:?}"),
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// A document with one operation, `GET /echo`, under the given security.
pub(crate) fn document(server: &str, schemes: Value, security: Value) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Echo", "version": "1"},
        "servers": [{"url": server}],
        "components": {"securitySchemes": schemes},
        "paths": {"/echo": {"get": {
            "operationId": "echo",
            "security": security,
            "parameters": [{"name": "q", "in": "query", "schema": {"type": "string"}}],
            "responses": {"200": {"description": "what was sent"}},
        }}},
    })
}

pub(crate) fn credential(secret: Secret, origin: &str) -> Credential {
    Credential {
        secret,
        origins: BTreeSet::from([origin.to_owned()]),
    }
}

/// An API that gives back everything it is sent, and remembers it.
pub(crate) struct Echo {
    pub(crate) origin: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        let router = Router::new().fallback(any(async move |request: Request| {
            let said = describe(request).await;
            log.lock().unwrap().push(said.to_string());
            ([("x-echo", said["headers"].to_string())], said.to_string())
        }));
        let origin = format!("http://{}", serve_local(router).await);
        Self { origin, seen }
    }

    /// The requests it got.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn describe(request: Request) -> Value {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let headers: Vec<String> = head
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    json!({
        "method": head.method.as_str(),
        "uri": head.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    })
}
