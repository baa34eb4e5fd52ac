//! The commands that speak to a running server: `import`, `call`, `keys`, `healthcheck`.

use serde_json::json;

use crate::cli::{ADMIN_KEY, SECRET, Upstream};
use crate::program::Serving;

async fn start(folder: &tempfile::TempDir, flags: &[&str]) -> Serving {
    let fixed = ["--no-demo", "--admin-key", ADMIN_KEY];
    Serving::on(&folder.path().join("data"), &[&fixed, flags].concat()).await
}

#[tokio::test]
async fn a_document_is_published_and_its_tool_called() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let file = upstream.document(folder.path());
    let credential = format!("Key={SECRET}");
    let import = [
        "import",
        &file,
        "--slug",
        "things",
        "--json",
        "--allow-upstream",
        &upstream.address,
        "--credential",
        &credential,
    ];
    let imported = served.command(ADMIN_KEY, &import).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let imported = imported.json();
    let url = format!("{}/mcp/things", served.origin);
    assert_eq!(imported["server"]["mcpUrl"], url.as_str());
    assert_eq!(imported["report"]["tools"], 1);
    assert!(!imported.to_string().contains(SECRET));

    let call = ["call", "things", "getThing", "--args", r#"{"id": 7}"#];
    let dry = served
        .command(ADMIN_KEY, &[&call[..], &["--dry-run"]].concat())
        .await;
    assert_eq!(dry.code, Some(0), "{dry:?}");
    let request = format!("GET http://{}/things/7", upstream.address);
    assert!(dry.stdout.contains(&request), "{dry:?}");
    assert!(!dry.stdout.contains(SECRET), "{dry:?}");
    assert_eq!(upstream.seen(), [], "a dry run was sent");

    let called = served.command(ADMIN_KEY, &call).await;
    assert_eq!(called.code, Some(0), "{called:?}");
    assert!(
        called.stdout.contains(&request) && called.stdout.contains("200 after"),
        "{called:?}"
    );
    assert!(called.stdout.contains(r#"{"path":"/things/7"}"#));
    assert!(!called.stdout.contains(SECRET), "{called:?}");
    assert_eq!(upstream.seen(), [Some(SECRET.to_owned())]);

    let called = served
        .command(ADMIN_KEY, &[&call[..], &["--json"]].concat())
        .await;
    let trace = called.json();
    assert_eq!(trace["status"], 200);
    assert_eq!(trace["result"]["structuredContent"]["path"], "/things/7");
}

#[tokio::test]
async fn arguments_arrive_exactly_or_are_refused() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let file = upstream.document(folder.path());
    let credential = format!("Key={SECRET}");
    let import = ["import", &file, "--slug", "things"];
    let flags = ["--credential", &credential];
    let allowed = ["--allow-upstream", &upstream.address];
    let imported = served
        .command(ADMIN_KEY, &[&import[..], &flags, &allowed].concat())
        .await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let call = async |arguments: &str| {
        let call = ["call", "things", "getThing", "--args", arguments];
        served.command(ADMIN_KEY, &call).await
    };
    // More digits than a double has, and more than 64 bits have.
    for number in ["9007199254740993", "123456789012345678901234567890"] {
        let called = call(&format!(r#"{{"id": {number}}}"#)).await;
        let answer = format!(r#"{{"path":"/things/{number}"}}"#);
        assert!(called.stdout.contains(&answer), "{called:?}");
    }
    let before = upstream.seen().len();
    let refused = call(r#"{"id": "seven"}"#).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("`id`"), "{refused:?}");
    call("{id: 7}")
        .await
        .refused(&["--args", "JSON", "single quotes"]);
    assert_eq!(upstream.seen().len(), before);
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let file = upstream.document(folder.path());
    for slug in ["one", "two"] {
        let import = ["import", &file, "--slug", slug];
        let imported = served.command(ADMIN_KEY, &import).await;
        assert_eq!(imported.code, Some(0), "{imported:?}");
    }
    let list = || ("tools/list", json!({}));
    assert_eq!(served.ask("/mcp/one", "", list()).await.0, 401);

    let create = ["keys", "create", "my-agent", "--server", "one", "--json"];
    let made = served.command(ADMIN_KEY, &create).await.json();
    let key = made["key"].as_str().unwrap();
    let id = made["id"].as_str().unwrap();
    assert!(key.starts_with("cw_"), "{made}");
    assert_eq!(served.ask("/mcp/one", key, list()).await.0, 200);
    assert_ne!(served.ask("/mcp/two", key, list()).await.0, 200);

    let listed = served.command(ADMIN_KEY, &["keys", "list"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.stdout.contains(id) && listed.stdout.contains("my-agent"));
    assert!(!listed.stdout.contains(key), "{listed:?}");
    // A consumer's key manages nothing.
    served
        .command(key, &["keys", "list"])
        .await
        .refused(&["40"]);

    let create = [
        "keys",
        "create",
        "for-a-week",
        "--expires-in",
        "7",
        "--json",
    ];
    let made = served.command(ADMIN_KEY, &create).await.json();
    let ends: chrono::DateTime<chrono::Utc> = made["expiresAt"].as_str().unwrap().parse().unwrap();
    let hours = (ends - causeway::types::Clock::system().now()).num_hours();
    assert!((166..=168).contains(&hours), "{made}");
    let never = ["keys", "create", "never", "--expires-in", "0"];
    let never = served.command(ADMIN_KEY, &never).await;
    assert_eq!(never.code, Some(2), "{never:?}");

    let revoked = served.command(ADMIN_KEY, &["keys", "revoke", id]).await;
    assert_eq!(revoked.code, Some(0), "{revoked:?}");
    assert_eq!(served.ask("/mcp/one", key, list()).await.0, 401);
    let listed = served.command(ADMIN_KEY, &["keys", "list"]).await;
    assert!(listed.stdout.contains("revoked"), "{listed:?}");
}

#[tokio::test]
async fn health_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let arguments = ["healthcheck", "--server", &served.origin];
    let ended = crate::program::run(&arguments).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout, "ok\n");
}

/// What the API answered is shown digit by digit, also where no number of the program could hold it.
#[tokio::test]
async fn a_result_keeps_every_digit() {
    const ANSWER: &str = r#"{"id":123456789012345678901234567890,"price":1.10}"#;
    let answer = ([("content-type", "application/json")], ANSWER);
    let router = axum::Router::new().fallback(async move || answer);
    let address = crate::egress::serve_local(router).await.to_string();
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &["--allow-upstream", &address]).await;
    let paths = json!({ "paths": { "/numbers": { "get": { "operationId": "numbers" } } } });
    let file = crate::program::document(folder.path(), &format!("http://{address}"), paths);
    let import = ["import", &file.display().to_string(), "--slug", "numbers"];
    let imported = served.command(ADMIN_KEY, &import).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let call = ["call", "numbers", "numbers", "--json"];
    let called = served.command(ADMIN_KEY, &call).await;
    let structured = format!(r#""structuredContent":{ANSWER}"#);
    assert!(called.stdout.contains(&structured), "{called:?}");
}

#[tokio::test]
async fn the_owner_chooses_the_server_and_its_variables_and_the_credential_stays() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let served = start(&folder, &[]).await;
    let file = with_servers(folder.path());
    let import = ["import", &file, "--slug", "things"];
    let refused = [&import[..], &["--document-server", "2"]].concat();
    let refused = served.command(ADMIN_KEY, &refused).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.stderr.contains("https://api.example"),
        "{refused:?}"
    );

    let host = format!("host={}", upstream.address);
    let credential = format!("Key={SECRET}");
    let flags = ["--document-server", "1", "--server-variable", &host];
    let more = [
        "--allow-upstream",
        &upstream.address,
        "--credential",
        &credential,
    ];
    let imported = [&import[..], &flags, &more].concat();
    let imported = served.command(ADMIN_KEY, &imported).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let call = ["call", "things", "getThing", "--args", r#"{"id": 7}"#];
    let sent = |base: &str| format!("GET http://{}/{base}/things/7", upstream.address);
    let called = served.command(ADMIN_KEY, &call).await;
    assert!(called.stdout.contains(&sent("v1")), "{called:?}");

    let patch = async |change: serde_json::Value| {
        let asked = ("PATCH", "servers/things");
        let (status, answer) = served.api(ADMIN_KEY, asked, &change).await;
        (status, answer.to_string())
    };
    for (change, part) in [
        (json!({ "server": "3" }), "https://api.example"),
        (json!({ "serverVariables": { "base": "v3" } }), "v1, v2"),
        (json!({ "serverVariables": { "port": "1" } }), "base, host"),
    ] {
        let (status, text) = patch(change).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains(part), "{text}");
    }
    let variables = json!({ "host": upstream.address, "base": "v2" });
    let (status, text) = patch(json!({ "serverVariables": variables })).await;
    assert_eq!(status, 200, "{text}");
    let called = served.command(ADMIN_KEY, &call).await;
    assert!(called.stdout.contains(&sent("v2")), "{called:?}");

    // Another origin: nothing is sent before the owner approves it.
    let (status, text) = patch(json!({ "server": null })).await;
    assert_eq!(status, 200, "{text}");
    let seen = upstream.seen().len();
    let called = served.command(ADMIN_KEY, &call).await;
    assert!(
        !called.stdout.contains(SECRET) && !called.stdout.contains("200 after"),
        "{called:?}"
    );
    assert_eq!(upstream.seen().len(), seen);
}

/// A document with two servers, the second with variables.
fn with_servers(folder: &std::path::Path) -> String {
    let mut more = crate::cli::things();
    more["servers"] = json!([
        { "url": "https://api.example" },
        { "url": "http://{host}/{base}", "variables": {
            "host": { "default": "else.example" },
            "base": { "default": "v1", "enum": ["v1", "v2"] },
        } },
    ]);
    let file = crate::program::document(folder, "https://api.example", more);
    file.display().to_string()
}
