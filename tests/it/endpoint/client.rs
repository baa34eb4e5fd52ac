//! The official SDK as a client of the real binary: over HTTP in both eras and over stdio, to an API
//! that writes its JSON over several lines.

use std::sync::atomic::{AtomicU32, Ordering};

use futures::future::{BoxFuture, FutureExt, ready};
use rmcp::model::{CallToolRequestParams, ProtocolVersion, ServerNotification, SubscriptionFilter};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::egress::serve_local;
use crate::endpoint::{PATIENCE, PRETTY, is_pretty};
use crate::program::{Serving, causeway, document};

const ADMIN_KEY: &str = "an-admin-key-for-tests";

/// Notes that the list of tools changed.
struct Client(mpsc::UnboundedSender<()>);

impl ClientHandler for Client {
    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        // The test may be over.
        let _ = self.0.send(());
    }
}

fn eras() -> [(ClientLifecycleMode, ProtocolVersion); 2] {
    let newest = ProtocolVersion::V_2026_07_28;
    let discover = ClientLifecycleMode::Discover {
        preferred_versions: vec![newest.clone()],
    };
    [
        (
            ClientLifecycleMode::Initialize,
            ProtocolVersion::V_2025_11_25,
        ),
        (discover, newest),
    ]
}

/// An API with one operation, `pretty`, and a file with its document.
async fn upstream(folder: &tempfile::TempDir) -> (String, String) {
    let answer = axum::routing::any(async || ([("content-type", "application/json")], PRETTY));
    let address = serve_local(axum::Router::new().fallback(answer)).await;
    let schema = json!({ "type": "object", "properties": { "method": { "type": "string" } } });
    let content = json!({ "application/json": { "schema": schema } });
    let responses = json!({ "200": { "description": "Pretty.", "content": content } });
    let operation = json!({ "operationId": "pretty", "responses": responses });
    let paths = json!({ "paths": { "/pretty": { "get": operation } } });
    let file = document(folder.path(), &format!("http://{address}"), paths);
    (address.to_string(), file.display().to_string())
}

/// What every client finds: the version, the tool, its answer.
async fn is_served(client: &RunningService<RoleClient, Client>, version: &ProtocolVersion) {
    let info = client.peer_info().expect("the server said who it is");
    assert_eq!(info.protocol_version, *version);
    let tools = client.list_all_tools().await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["pretty"]);
    for _ in 0..3 {
        let result = client.call_tool(CallToolRequestParams::new("pretty")).await;
        is_pretty(&serde_json::to_value(result.unwrap()).unwrap());
    }
    let wrong = client.call_tool(CallToolRequestParams::new("nobody")).await;
    assert!(wrong.unwrap_err().to_string().contains("Unknown tool"));
    let overview = client.list_all_resources().await.unwrap();
    assert!(overview[0].uri.ends_with("/overview"), "{overview:?}");
}

/// The real binary with that API behind the server `pretty`.
struct Place {
    served: Serving,
    edits: AtomicU32,
    _folder: tempfile::TempDir,
}

impl Place {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (address, file) = upstream(&folder).await;
        let flags = [
            "--no-demo",
            "--admin-key",
            ADMIN_KEY,
            "--allow-upstream",
            &address,
        ];
        let served = Serving::on(&folder.path().join("data"), &flags).await;
        let import = ["import", &file, "--slug", "pretty"];
        let ended = served.command(ADMIN_KEY, &import).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        Self {
            served,
            edits: AtomicU32::new(50_000),
            _folder: folder,
        }
    }

    async fn patch(&self, body: Value) {
        let url = format!("{}/api/v1/servers/pretty", self.served.origin);
        let sent = reqwest::Client::new().patch(url).bearer_auth(ADMIN_KEY);
        let sent = sent.header("content-type", "application/json");
        let sent = sent.body(body.to_string()).send().await.unwrap();
        assert_eq!(sent.status(), 200);
    }

    /// A change that listeners are told of.
    async fn edit(&self) {
        let other = self.edits.fetch_add(1, Ordering::Relaxed);
        self.patch(json!({ "callTimeoutMs": other })).await;
    }

    async fn client(
        &self,
        era: ClientLifecycleMode,
    ) -> (
        RunningService<RoleClient, Client>,
        mpsc::UnboundedReceiver<()>,
    ) {
        let url = format!("{}/mcp/pretty", self.served.origin);
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(ADMIN_KEY);
        let transport = StreamableHttpClientTransport::from_config(config);
        let (sender, changes) = mpsc::unbounded_channel();
        let client = Client(sender).serve_with_lifecycle(transport, era).await;
        (client.unwrap(), changes)
    }

    /// What a session's stream says reaches the client, which opens it when it likes.
    async fn tells_the_session(&self, changes: &mut mpsc::UnboundedReceiver<()>) {
        let pause = std::time::Duration::from_millis(100);
        loop {
            self.edit().await;
            if tokio::time::timeout(pause, changes.recv()).await.is_ok() {
                return;
            }
        }
    }

    async fn tells_who_listens(&self, client: &RunningService<RoleClient, Client>) {
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        let mut listening = client.listen(filter).await.unwrap();
        self.edit().await;
        let notice = listening.next().await.unwrap();
        let told = matches!(
            notice,
            Some(ServerNotification::ToolListChangedNotification(_))
        );
        assert!(told, "{notice:?}");
    }
}

#[tokio::test]
async fn the_official_client_is_served_over_http() {
    let place = Place::start().await;
    for sessions in [false, true] {
        let settings = if sessions { json!({}) } else { Value::Null };
        place.patch(json!({ "sessions": settings })).await;
        for (era, version) in eras() {
            let (client, mut changes) = place.client(era).await;
            is_served(&client, &version).await;
            let told: BoxFuture<'_, ()> = match (version.has_initialize(), sessions) {
                (false, _) => place.tells_who_listens(&client).boxed(),
                (true, true) => place.tells_the_session(&mut changes).boxed(),
                (true, false) => ready(()).boxed(),
            };
            let told = tokio::time::timeout(PATIENCE, told).await;
            told.expect("a notice in time");
            client.cancel().await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_official_client_is_served_over_stdio() {
    let folder = tempfile::tempdir().unwrap();
    let (address, file) = upstream(&folder).await;
    for (era, version) in eras() {
        let command = causeway(&["stdio", &file, "--allow-upstream", &address]);
        let transport = TokioChildProcess::new(command).unwrap();
        let (sender, _changes) = mpsc::unbounded_channel();
        let client = Client(sender).serve_with_lifecycle(transport, era).await;
        let client = client.unwrap();
        is_served(&client, &version).await;
        client.cancel().await.unwrap();
    }
}
