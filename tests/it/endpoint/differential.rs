//! The official SDK as a second opinion: the same tools behind its server and behind ours, the same
//! requests to both, the same answers. What differs on purpose is in `normalise`, with the reason.

use std::sync::Arc;

use causeway::access::caller::Caller;
use causeway::mcp::call::{self, Mcp};
use causeway::mcp::provider::{CallError, CallOutcome, Content, ToolCall};
use causeway::mcp::server::Server;
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock,
    Implementation, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::call::context;
use crate::egress::serve_local;
use crate::endpoint::{HANDSHAKES, MODERN, Site, request};

/// Our tools and our calls, behind the SDK's protocol.
#[derive(Clone)]
struct Peer {
    mcp: Arc<Mcp>,
    server: Arc<Server>,
}

impl ServerHandler for Peer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("api", "1"))
            .with_instructions(self.server.instructions.clone())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tools = self.server.tools.values().map(|tool| {
            let def = &tool.def;
            let mut entry = json!({
                "name": def.name,
                "description": def.description,
                "inputSchema": def.input_schema,
                "annotations": def.annotations,
            });
            for (key, value) in [
                ("title", json!(def.title)),
                ("outputSchema", json!(def.output_schema)),
            ] {
                if !value.is_null() {
                    entry[key] = value;
                }
            }
            serde_json::from_value(entry).unwrap()
        });
        Ok(ListToolsResult::with_all_items(tools.collect())
            .with_ttl_ms(60_000)
            .with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request
            .arguments
            .map(|arguments| RawValue::from_string(Value::Object(arguments).to_string()).unwrap());
        let call = ToolCall {
            name: request.name.to_string(),
            arguments,
            resumption: None,
        };
        let (caller, context) = (Caller::anonymous(), context());
        let outcome = call::call(&self.mcp, &caller, &self.server, call, &context);
        let outcome = match outcome.await {
            Ok(CallOutcome::Complete(outcome)) => outcome,
            Ok(CallOutcome::InputRequired(_)) => unreachable!("no tool here asks"),
            Err(CallError::UnknownTool(name)) => {
                return Err(ErrorData::invalid_params(
                    format!("Unknown tool: {name}"),
                    None,
                ));
            }
            Err(error) => return Err(ErrorData::internal_error(error.to_string(), None)),
        };
        let content = outcome.content.iter().map(|content| match content {
            Content::Text(text) => ContentBlock::text(text),
            other => unreachable!("only text here: {other:?}"),
        });
        let mut result = CallToolResult::success(content.collect());
        result.is_error = Some(outcome.is_error);
        let structured = outcome.structured;
        result.structured_content = structured.map(|raw| serde_json::from_str(raw.get()).unwrap());
        Ok(result.into())
    }
}

/// The URL of the SDK's server.
async fn peer(site: &Site) -> String {
    let server = site.catalog.server(site.catalog.find("api").unwrap().id);
    let handler = Peer {
        mcp: site.mcp(),
        server: server.await.unwrap(),
    };
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true);
    let service = StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let router = axum::Router::new().route_service("/mcp", service);
    format!("http://{}/mcp", serve_local(router).await)
}

/// Requests of one version, with the headers they are sent with.
fn requests(version: &str) -> Vec<(Vec<(&'static str, String)>, String)> {
    let client = json!({ "name": "test", "version": "1" });
    let hello = json!({ "protocolVersion": version, "capabilities": {}, "clientInfo": client });
    let call = |name: &str, arguments: Value| json!({ "name": name, "arguments": arguments });
    let mut all: Vec<_> = [
        // What one era has and the other has not is refused by each in its own way.
        if version == MODERN {
            ("server/discover", json!({}))
        } else {
            ("initialize", hello)
        },
        ("ping", json!({})),
        ("tools/list", json!({})),
        ("tools/call", call("alpha", json!({}))),
        ("tools/call", call("beta", json!({ "q": "x" }))),
        ("tools/call", call("beta", json!({ "q": "too long" }))),
        ("tools/call", call("beta", json!({ "unknown": 1 }))),
        ("tools/call", call("nobody", json!({}))),
        ("no/such", json!({})),
    ]
    .into_iter()
    .map(|(method, params)| {
        let (headers, body) = request(version, method, params);
        (headers, body.to_string())
    })
    .collect();
    let note = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}"#;
    let mut headers = vec![("mcp-protocol-version", version.to_owned())];
    if version == MODERN {
        headers.push(("mcp-method", "notifications/cancelled".to_owned()));
    }
    all.push((headers, note.to_owned()));
    if version == MODERN {
        let (headers, body) = request(version, "tools/list", json!({}));
        for wrong in ["mcp-protocol-version", "mcp-method"] {
            let mut headers = headers.clone();
            headers.retain(|(name, _)| *name != wrong);
            all.push((headers.clone(), body.to_string()));
            headers.push((wrong, "2025-11-25".to_owned()));
            all.push((headers, body.to_string()));
        }
        let bare = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {} });
        all.push((headers, bare.to_string()));
    }
    all
}

/// What both have to agree on.
fn normalise(version: &str, status: u16, text: &str) -> Value {
    let mut body: Value = serde_json::from_str(text).unwrap_or(Value::Null);
    if let Some(error) = body["error"].as_object_mut() {
        // The words are each one's own.
        error.remove("message");
        error.remove("data");
    }
    if let Some(result) = body.get_mut("result").and_then(Value::as_object_mut) {
        // We have resources, prompts and completion; the peer has tools. The order of versions and
        // what a server calls itself are free.
        for name in ["capabilities", "serverInfo", "_meta", "instructions"] {
            result.remove(name);
        }
        if let Some(versions) = result
            .get_mut("supportedVersions")
            .and_then(Value::as_array_mut)
        {
            versions.sort_by_key(ToString::to_string);
        }
        // The SDK leaves the hints in answers to versions that do not know them, and gives its own
        // to a discovery.
        for name in ["ttlMs", "cacheScope"] {
            if version != MODERN || result.contains_key("supportedVersions") {
                result.remove(name);
            }
        }
        // A title is told once: beside the annotations since 2025-06-18, in them before.
        let tools = result.get_mut("tools").and_then(Value::as_array_mut);
        for tool in tools.into_iter().flatten() {
            tool["annotations"].as_object_mut().unwrap().remove("title");
        }
        // Versions before 2025-06-18 know no output schemas, titles or structured content; the SDK
        // sends them, we do not.
        if version < "2025-06-18" {
            result.remove("structuredContent");
            for tool in result
                .get_mut("tools")
                .and_then(Value::as_array_mut)
                .into_iter()
                .flatten()
            {
                let tool = tool.as_object_mut().unwrap();
                tool.remove("outputSchema");
                tool.remove("title");
            }
        }
    }
    json!({ "status": status, "body": body })
}

#[tokio::test]
async fn answers_are_those_of_the_official_server() {
    let site = Site::start().await;
    let peer = peer(&site).await;
    let client = reqwest::Client::new();
    let send = async |url: &str, headers: &[(&str, String)], body: &str| {
        let mut request = client.post(url).body(body.to_owned());
        request = request.header("content-type", "application/json");
        request = request.header("accept", "application/json, text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let mut differences = Vec::new();
    let mut compared = 0;
    for version in HANDSHAKES.into_iter().chain([MODERN]) {
        for (headers, body) in requests(version) {
            let (status, text) = send(&site.url, &headers, &body).await;
            let ours = normalise(version, status, &text);
            let (status, text) = send(&peer, &headers, &body).await;
            let theirs = normalise(version, status, &text);
            compared += 1;
            if ours != theirs {
                differences.push(format!(
                    "{version} {headers:?} {body}\n  ours   {ours}\n  theirs {theirs}"
                ));
            }
        }
    }
    assert!(compared >= 50, "{compared}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
