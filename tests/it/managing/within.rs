//! The management API as a server of the catalog: agents manage by MCP, each with exactly its own rights.

use serde_json::{Value, json};

use crate::managing::{ADMIN, Site};

const ON: [(&str, &str); 1] = [("CAUSEWAY__SERVER__MANAGEMENT_SERVER", "true")];
const PATH: &str = "/mcp/causeway";

/// The result of a tool, called with a key: whether it went wrong, and its text.
async fn call(site: &Site, key: &str, (tool, arguments): (&str, Value)) -> (bool, String) {
    let params = json!({ "name": tool, "arguments": arguments });
    let (status, answer) = site.served.ask(PATH, key, ("tools/call", params)).await;
    assert_eq!(status, 200, "{tool}: {answer}");
    let result = &answer["result"];
    let text = result["content"][0]["text"].as_str().unwrap_or_default();
    assert!(!text.is_empty(), "{tool}: {answer}");
    (result["isError"] == true, text.to_owned())
}

/// The same, which has to go well.
async fn done(site: &Site, key: &str, asked: (&str, Value)) -> Value {
    let (wrong, text) = call(site, key, asked).await;
    assert!(!wrong, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// All tools are listed, whatever that costs.
async fn list_all(site: &Site) {
    let edit = json!({ "tools": "all" });
    site.done("PATCH", "servers/causeway", edit).await;
}

#[tokio::test]
async fn an_admins_agent_manages_and_nobody_else_knows_of_it() {
    let site = Site::start(&ON).await;
    list_all(&site).await;
    let servers = done(&site, ADMIN, ("listServers", json!({}))).await;
    let slugs: Vec<&str> = servers["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| server["slug"].as_str().unwrap())
        .collect();
    assert_eq!(slugs, ["bookshop", "causeway", "petstore"]);
    let document = std::fs::read_to_string(crate::program::example("petstore.yaml")).unwrap();
    let new = json!({ "slug": "by-mcp", "document": document });
    done(&site, ADMIN, ("publishServer", new)).await;
    assert_eq!(site.get("servers/by-mcp").await["slug"], "by-mcp");
    let key = done(&site, ADMIN, ("createKey", json!({ "name": "agent" }))).await;
    let key = key["key"].as_str().unwrap().to_owned();
    // As the audit says, whoever has the admin key did it.
    let audit = site
        .get("audit?order=newest&actor=admin&action=create")
        .await;
    assert!(audit.to_string().contains("by-mcp"), "{audit}");
    // The key works, and opens nothing here.
    let (status, tools) = site
        .served
        .ask("/mcp/by-mcp", &key, ("tools/list", json!({})))
        .await;
    assert_eq!(status, 200, "{tools}");
    for key in [key.as_str(), ""] {
        let (status, answer) = site.served.ask(PATH, key, ("tools/list", json!({}))).await;
        assert_eq!(status, 404, "{answer}");
        let headers = [("x-api-key", key)];
        let headers = if key.is_empty() {
            &[][..]
        } else {
            &headers[..]
        };
        let seen = site.send(("GET", "servers"), headers, String::new()).await;
        assert!(!seen.body.to_string().contains("causeway\""), "{seen:?}");
    }
}

#[tokio::test]
async fn a_tool_may_exactly_what_its_caller_may() {
    let site = Site::start(&ON).await;
    list_all(&site).await;
    // An admin lets a consumer's key see the server: it may still do no more than over REST.
    let grant = json!({ "name": "agent", "grants": [{ "server": "causeway" }] });
    let key = site.done("POST", "keys", grant).await["key"].clone();
    let key = key.as_str().unwrap();
    let (status, listed) = site.served.ask(PATH, key, ("tools/list", json!({}))).await;
    assert_eq!(status, 200, "{listed}");
    let document = site.get("openapi.json").await;
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            if method == "parameters" || ["callTool", "getOpenapi"].contains(&id) {
                continue;
            }
            let filled = path
                .replace("{slug}", "petstore")
                .replace("{tool}", "listPets")
                .replace("{scheme}", "key")
                .replace("{number}", "1")
                .replace("{id}", "01900000-0000-7000-8000-000000000001")
                .replace("{name}", "nobody")
                .replace("{key}", "main");
            let filled = filled.strip_prefix("/api/v1/").unwrap();
            let headers = [("x-api-key", key), ("content-type", "application/json")];
            let method = method.to_uppercase();
            let rest = site
                .send((&method, filled), &headers, "{}".to_owned())
                .await;
            let arguments = json!({
                "slug": "petstore", "tool": "listPets", "scheme": "key", "number": 1, "name": "nobody", "key": "main",
                "id": "01900000-0000-7000-8000-000000000001",
            });
            let wanted = listed["result"]["tools"].as_array().unwrap();
            let tool = wanted.iter().find(|tool| tool["name"] == id);
            let tool = tool.unwrap_or_else(|| unreachable!("{id} is no tool"));
            let known = tool["inputSchema"]["properties"].as_object();
            let mut arguments = arguments.as_object().unwrap().clone();
            arguments.retain(|name, _| known.is_some_and(|known| known.contains_key(name)));
            let (wrong, text) = call(&site, key, (id, arguments.into())).await;
            let open = rest.status < 300;
            if open {
                assert!(!wrong, "{id}: REST lets it, the tool does not: {text}");
            } else {
                assert!([401, 403].contains(&rest.status), "{id}: {rest:?}");
                assert!(wrong, "{id}: the tool did what REST refuses: {text}");
            }
            tried += 1;
        }
    }
    assert!(tried > 60, "{tried}");
    assert_eq!(site.get("keys").await["keys"].as_array().unwrap().len(), 1);
    assert_eq!(
        site.get("users").await["users"].as_array().unwrap().len(),
        0
    );
}

#[tokio::test]
async fn what_takes_something_away_is_confirmed() {
    let site = Site::start(&ON).await;
    list_all(&site).await;
    let (_, text) = call(
        &site,
        ADMIN,
        ("deleteServer", json!({ "slug": "petstore" })),
    )
    .await;
    assert!(text.contains("confirm"), "{text}");
    assert_eq!(site.get("servers/petstore").await["slug"], "petstore");
    // A secret is neither set nor replaced, and where one goes is not widened, without a word of somebody.
    let secret = json!({ "slug": "petstore", "scheme": "key", "value": "hush-0123456789" });
    let user = json!({ "name": "intruder", "role": "admin" });
    let unasked = json!({ "slug": "causeway", "tool": "deleteServer", "confirm": "never" });
    for (tool, arguments) in [
        ("setCredential", secret),
        ("createUser", user),
        ("setCuration", unasked),
    ] {
        let (wrong, text) = call(&site, ADMIN, (tool, arguments)).await;
        assert!(wrong && text.contains("confirm"), "{tool}: {text}");
        assert!(!text.contains("hush-0123456789"), "{text}");
    }
    let users = site.get("users").await;
    assert_eq!(users["users"], json!([]), "{users}");
    let curations = site.get("servers/causeway/curations").await["curations"].clone();
    let curations = curations.as_object().unwrap();
    let asks = |operation: &str| curations[operation]["confirm"] == "client";
    assert!(
        asks("DELETE /api/v1/keys/{}") || asks("DELETE /api/v1/keys/{id}"),
        "{curations:?}"
    );
    assert!(curations.len() >= 35, "{curations:?}");
    assert!(
        curations
            .keys()
            .all(|operation| !operation.starts_with("GET"))
    );
}

#[tokio::test]
async fn the_server_is_there_as_long_as_it_is_wanted() {
    let site = Site::start(&ON).await;
    let first = site.get("servers/causeway").await;
    assert_eq!(first["access"], "private");
    let versions = site.get("servers/causeway/versions").await;
    site.served.terminate();
    site.served.ended().await;
    let again = Site::on(site.folder, &ON).await;
    assert_eq!(again.get("servers/causeway").await["id"], first["id"]);
    assert_eq!(again.get("servers/causeway/versions").await, versions);
    let off = [("CAUSEWAY__SERVER__MANAGEMENT_SERVER", "false")];
    again.served.terminate();
    again.served.ended().await;
    let off = Site::on(again.folder, &off).await;
    assert_eq!(
        off.ask(("GET", "servers/causeway"), &Value::Null)
            .await
            .status,
        404
    );
    // The name is nobody else's meanwhile.
    let document = std::fs::read_to_string(crate::program::example("petstore.yaml")).unwrap();
    let new = json!({ "slug": "causeway", "document": document });
    let refused = off.ask(("POST", "servers"), &new).await;
    assert!(refused.status >= 400, "{refused:?}");
    off.served.terminate();
    off.served.ended().await;
    let back = Site::on(off.folder, &ON).await;
    assert_eq!(back.get("servers/causeway").await["id"], first["id"]);
}
