//! The MCP endpoint over real sockets: every protocol version, every kind of stream.

#![expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the endpoint, and no client goes through egress"
)]

mod access;
mod answers;
mod client;
mod differential;
mod finding;
mod invisible;
mod lists;
mod quirks;
mod session;
mod standing;
mod stdio;
mod streams;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use causeway::access::authenticate::Authenticator;
use causeway::access::caller::{Caller, Grant, Grants};
use causeway::access::ledger::LedgerEntry;
use causeway::credential::Credentials;
use causeway::live::Catalog;
use causeway::mcp::call::Mcp;
use causeway::mcp::endpoint::{Endpoint, EndpointParts, HostPolicy, Origins};
use causeway::mcp::provider::{
    CallContext, CallError, CallOutcome, Content, Native, ToolCall, ToolOutcome,
};
use causeway::mcp::server::{Access, Provider, Server, ServerParts, ServerSettings};
use causeway::mcp::tool::define;
use causeway::openapi::{self, DocumentLimits};
use causeway::policy::Policies;
use causeway::types::{KeyId, OrganizationId, ServerId, VersionId};
use futures::future::{BoxFuture, FutureExt};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::call::{Bench, Echo};
use crate::egress::serve_local;

pub(crate) const MODERN: &str = "2026-07-28";
pub(crate) const HANDSHAKES: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
/// Longer than anything here takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// An endpoint with one server, `/mcp/api`, that a test can change while it runs.
pub(crate) struct Site {
    pub(crate) origin: String,
    pub(crate) url: String,
    pub(crate) catalog: Catalog,
    pub(crate) shutdown: CancellationToken,
    id: ServerId,
    echo: Echo,
    mcp: Arc<Mcp>,
    /// What the ledger hears of calls.
    pub(crate) ledger: mpsc::Receiver<LedgerEntry>,
    http: reqwest::Client,
}

/// What a site is like where a test cares.
pub(crate) struct Plan {
    pub(crate) tools: Vec<&'static str>,
    /// Served instead of one that has just these tools.
    pub(crate) document: Option<Value>,
    pub(crate) settings: ServerSettings,
    pub(crate) policies: Policies,
    pub(crate) hosts: HostPolicy,
    pub(crate) native: Option<Arc<dyn Native>>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            tools: vec!["alpha", "beta", "gamma"],
            document: None,
            settings: open(),
            policies: Policies::default(),
            hosts: HostPolicy::Loopback { public: None },
            native: None,
        }
    }
}

pub(crate) fn open() -> ServerSettings {
    ServerSettings {
        access: Access::Open,
        ..ServerSettings::default()
    }
}

/// The keys of [`Site`]: one for everything, one for `beta` only, one for no server here.
pub(crate) const KEY_ALL: &str = "key-all";
pub(crate) const KEY_BETA: &str = "key-beta";
pub(crate) const KEY_ELSEWHERE: &str = "key-elsewhere";

fn callers(server: ServerId) -> Vec<(String, Caller)> {
    let caller = |grants| Caller {
        key: Some(KeyId::generate()),
        grants,
        ..Caller::anonymous()
    };
    let operation = |tool: &&str| causeway::openapi::OperationKey(format!("GET /{tool}"));
    let grant = |server, tools: Option<&[&str]>| Grant {
        server,
        tools: tools.map(|tools| tools.iter().map(operation).collect()),
    };
    let beta = Grants::Scoped(vec![grant(server, Some(&["beta"]))]);
    let elsewhere = Grants::Scoped(vec![grant(ServerId::generate(), None)]);
    vec![
        (KEY_ALL.to_owned(), caller(Grants::Organization)),
        (KEY_BETA.to_owned(), caller(beta)),
        (KEY_ELSEWHERE.to_owned(), caller(elsewhere)),
    ]
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(Plan::default()).await
    }

    pub(crate) async fn with(plan: Plan) -> Self {
        let bench = Bench::new(&["127.0.0.0/8"], plan.policies);
        let mut site = Self {
            origin: String::new(),
            url: String::new(),
            catalog: Catalog::fixed(Arc::new(
                bench.server(&document(&["alpha"]), Credentials::default()),
            )),
            shutdown: CancellationToken::new(),
            id: ServerId::generate(),
            echo: Echo::start().await,
            mcp: Arc::new(bench.mcp),
            ledger: bench.ledger,
            http: reqwest::Client::new(),
        };
        let document = plan.document.unwrap_or_else(|| document(&plan.tools));
        let server = site.serve(&document, plan.settings, plan.native, 1);
        site.catalog = Catalog::fixed(Arc::new(server));
        let endpoint = Endpoint::new(site.parts(plan.hosts));
        site.origin = format!("http://{}", serve_local(endpoint.router()).await);
        site.url = format!("{}/mcp/api", site.origin);
        site
    }

    fn parts(&self, hosts: HostPolicy) -> EndpointParts {
        EndpointParts {
            catalog: self.catalog.clone(),
            authenticator: Authenticator::known(callers(self.id)),
            mcp: self.mcp.clone(),
            hosts,
            origins: Origins::of(&["https://page.example".to_owned()]),
            legacy_sse: true,
            prefix: String::new(),
            reached_at: Arc::new(|_| String::new()),
            shutdown: self.shutdown.clone(),
        }
    }

    /// The origin of another endpoint, with the server at `/mcp` itself.
    pub(crate) async fn single(&self) -> String {
        let endpoint = Endpoint::single(self.parts(HostPolicy::Loopback { public: None }), "api");
        format!("http://{}", serve_local(endpoint.router()).await)
    }

    /// The server of this site with these tools, each a GET that echoes.
    pub(crate) fn server(
        &self,
        tools: &[&str],
        settings: ServerSettings,
        native: Option<Arc<dyn Native>>,
        revision: i64,
    ) -> Server {
        self.serve(&document(tools), settings, native, revision)
    }

    /// The server of this site, made of a document.
    pub(crate) fn serve(
        &self,
        document: &Value,
        settings: ServerSettings,
        native: Option<Arc<dyn Native>>,
        revision: i64,
    ) -> Server {
        let bytes = document.to_string();
        let api = openapi::read(bytes.as_bytes(), &DocumentLimits::default()).unwrap();
        let (mut server, _) = Server::compile(ServerParts {
            id: self.id,
            organization: OrganizationId::DEFAULT,
            slug: "api".parse().unwrap(),
            version: VersionId::generate(),
            revision,
            title: api.title.clone(),
            description: api.description.clone(),
            settings: ServerSettings {
                upstream: settings.upstream.or(Some(self.echo.origin.clone())),
                ..settings
            },
            tools: define(&api).tools,
            curations: causeway::mcp::curation::Curations::new(),
            schemes: api.security_schemes.clone(),
            credentials: Credentials::default(),
            upstream: self.mcp.egress.upstream(&[]),
            document_url: None,
        });
        if let Some(native) = native {
            server.provider = Provider::Native(native);
        }
        server
    }

    /// Serves other tools from now on.
    pub(crate) fn edit(&self, tools: &[&str]) {
        let before = self.catalog.find("api").unwrap();
        let settings = before.settings.clone();
        let server = self.server(tools, settings, None, before.revision + 1);
        self.catalog.replace(Arc::new(server));
    }

    pub(crate) fn mcp(&self) -> Arc<Mcp> {
        self.mcp.clone()
    }

    /// A POST as a handshake-era client sends it, with more headers.
    pub(crate) fn post(&self, headers: &[(&str, &str)], body: impl Into<String>) -> Sending {
        let mut request = self.http.post(&self.url).body(body.into());
        let usual = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        for (name, value) in usual {
            if !headers.iter().any(|(given, _)| *given == name) {
                request = request.header(name, value);
            }
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Sending(request)
    }

    /// A request of any version.
    pub(crate) fn ask(&self, version: &str, method: &str, params: Value) -> Sending {
        self.ask_with(&[], version, method, params)
    }

    pub(crate) fn ask_with(
        &self,
        headers: &[(&str, &str)],
        version: &str,
        method: &str,
        params: Value,
    ) -> Sending {
        let (more, body) = request(version, method, params);
        let mut all: Vec<_> = more.iter().map(|(a, b)| (*a, b.as_str())).collect();
        all.extend(headers);
        self.post(&all, body.to_string())
    }

    /// Any other HTTP request below the origin.
    pub(crate) fn http(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.origin);
        self.http.request(method.parse().unwrap(), url)
    }
}

/// A request message of a version, and the headers it needs.
pub(crate) fn request(
    version: &str,
    method: &str,
    mut params: Value,
) -> (Vec<(&'static str, String)>, Value) {
    let mut headers = vec![("mcp-protocol-version", version.to_owned())];
    if version == MODERN {
        headers.push(("mcp-method", method.to_owned()));
        let name = params.get("name").or_else(|| params.get("uri"));
        if let Some(name) = name.and_then(Value::as_str) {
            headers.push(("mcp-name", name.to_owned()));
        }
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(version);
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    }
    let message = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    (headers, message)
}

pub(crate) struct Sending(reqwest::RequestBuilder);

impl Sending {
    /// Sends and reads the whole answer.
    pub(crate) async fn reply(self) -> Reply {
        let response = self.0.send().await.unwrap();
        Reply {
            status: response.status(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    /// Sends and reads an event at a time.
    pub(crate) async fn events(self) -> Events {
        Events::of(self.0.send().await.unwrap())
    }

    pub(crate) async fn result(self) -> Value {
        let reply = self.reply().await;
        let json = reply.json();
        assert_eq!(reply.status, 200, "{json}");
        assert!(json.get("error").is_none(), "{json}");
        json["result"].clone()
    }
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| unreachable!("{error}: {}", self.text))
    }

    /// Status and JSON-RPC code: what an error is recognised by.
    pub(crate) fn fault(&self) -> (u16, i64) {
        let code = self.json()["error"]["code"].as_i64();
        (self.status.as_u16(), code.unwrap_or_default())
    }
}

/// A stream of server-sent events.
pub(crate) struct Events {
    pub(crate) response: reqwest::Response,
    read: String,
}

impl Events {
    pub(crate) fn of(response: reqwest::Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            read: String::new(),
        }
    }

    /// The next event as (kind, data), comments left out; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<(String, String)> {
        loop {
            if let Some(end) = self.read.find("\n\n") {
                let event: String = self.read.drain(..end + 2).collect();
                for line in event.split(['\n', '\r']).filter(|line| !line.is_empty()) {
                    let known = ["event:", "data:", ":"];
                    let known = known.iter().any(|field| line.starts_with(field));
                    assert!(known, "a line is no field of an event: {line}");
                }
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.map(|value| value.trim().to_owned())
                };
                if let Some(data) = field("data:") {
                    return Some((field("event:").unwrap_or_default(), data));
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk());
            let chunk = chunk.await.expect("an event in time").unwrap()?;
            self.read.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    pub(crate) async fn message(&mut self) -> Value {
        let (kind, data) = self.next().await.expect("one more message");
        assert_eq!(kind, "message");
        serde_json::from_str(&data).unwrap()
    }
}

fn document(tools: &[&str]) -> Value {
    let operation = |name: &str| {
        json!({ "get": {
            "operationId": name,
            "summary": format!("Echoes {name}"),
            "parameters": [
                { "name": "q", "in": "query", "schema": { "type": "string", "maxLength": 5 } },
            ],
            "responses": { "200": { "description": "an echo", "content": {
                "application/json": { "schema": { "type": "object", "properties": {
                    "method": { "type": "string" },
                } } },
            } } },
        } })
    };
    let paths: serde_json::Map<String, Value> = tools
        .iter()
        .map(|name| (format!("/{name}"), operation(name)))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Echo",
            "version": "1",
            "description": "Write {\"a\":[1,]} or {,} and get it back.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
    })
}

/// What an API may answer: JSON over several lines, with every kind of line break JSON allows.
pub(crate) const PRETTY: &str =
    "{\r\n  \"method\":\n\t\"a\\nb\",\r  \"more\": [\r\n    1,\n    2 ]\n}\n";

/// A plan for an API that answers so.
pub(crate) async fn pretty() -> Plan {
    let answer = axum::routing::any(async || ([("content-type", "application/json")], PRETTY));
    let address = serve_local(axum::Router::new().fallback(answer)).await;
    Plan {
        settings: ServerSettings {
            upstream: Some(format!("http://{address}")),
            ..open()
        },
        ..Plan::default()
    }
}

/// A result made of [`PRETTY`].
pub(crate) fn is_pretty(result: &Value) {
    let structured = json!({ "method": "a\nb", "more": [1, 2] });
    assert_eq!(result["structuredContent"], structured, "{result}");
    assert_eq!(result["content"][0]["text"], PRETTY);
}

/// Tools that talk while they run. Each tells the test what became of it.
pub(crate) struct Talker(pub(crate) mpsc::UnboundedSender<String>);

impl Talker {
    pub(crate) fn plan() -> (Plan, mpsc::UnboundedReceiver<String>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let plan = Plan {
            tools: vec!["progress", "wait", "ask"],
            native: Some(Arc::new(Self(sender))),
            ..Plan::default()
        };
        (plan, receiver)
    }
}

impl Native for Talker {
    fn call<'a>(
        &'a self,
        call: ToolCall,
        cx: &'a CallContext,
    ) -> BoxFuture<'a, Result<CallOutcome, CallError>> {
        async move {
            let text = match call.name.as_str() {
                "progress" => {
                    cx.progress.report(1.0, Some(2.0), Some("half".to_owned()));
                    cx.progress.report(2.0, Some(2.0), None);
                    "reported".to_owned()
                }
                "wait" => {
                    cx.progress.report(0.0, None, None);
                    let seen = Seen(self.0.clone());
                    self.0.send("waiting".to_owned()).unwrap();
                    cx.cancel.cancelled().await;
                    drop(seen);
                    return Err(CallError::Cancelled);
                }
                _ => {
                    let client = cx.client.as_ref();
                    let client = client.ok_or(CallError::InvalidParams("nobody".to_owned()))?;
                    let answer = client.request("elicitation/create", json!({ "message": "?" }));
                    answer
                        .await
                        .map_or_else(|error| error, |answer| answer.to_string())
                }
            };
            Ok(CallOutcome::Complete(ToolOutcome {
                content: vec![Content::Text(text)],
                ..ToolOutcome::default()
            }))
        }
        .boxed()
    }
}

/// Says that a call is over, also when its future is dropped.
struct Seen(mpsc::UnboundedSender<String>);

impl Drop for Seen {
    fn drop(&mut self) {
        // The test may be over.
        let _ = self.0.send("over".to_owned());
    }
}

pub(crate) async fn heard(receiver: &mut mpsc::UnboundedReceiver<String>) -> String {
    let next = tokio::time::timeout(PATIENCE, receiver.recv());
    next.await.expect("a sign in time").unwrap()
}
