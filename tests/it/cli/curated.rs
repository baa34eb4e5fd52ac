//! The commands with which an owner changes tools and decides which version is served: `tools`,
//! `versions`, `sync`, `import --stage`.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::{any, get};
use serde_json::{Value, json};

use crate::cli::ADMIN_KEY;
use crate::egress::serve_local;
use crate::program::{Ended, Serving};

/// An API whose document is beside it, and changes; every other path says what it was asked.
struct Shop {
    served: Serving,
    folder: tempfile::TempDir,
    document: Arc<Mutex<Value>>,
    origin: String,
}

fn document(origin: &str) -> Value {
    let answer = json!({ "200": { "description": "ok" } });
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Shop", "version": "1" },
        "servers": [{ "url": origin }],
        "paths": {
            "/pets": { "get": {
                "operationId": "listPets", "summary": "List the pets of a shop",
                "parameters": [
                    { "name": "shop", "in": "query", "required": true, "schema": { "type": "string" } },
                    { "name": "limit", "in": "query", "schema": { "type": "integer", "maximum": 10 } },
                ],
                "responses": answer,
            } },
            "/orders": { "post": {
                "operationId": "cancelOrder", "summary": "Cancel an order of a customer",
                "responses": answer,
            } },
        },
    })
}

impl Shop {
    async fn start() -> Self {
        let document = Arc::new(Mutex::new(Value::Null));
        let told = document.clone();
        let router = Router::new()
            .route(
                "/openapi.json",
                get(async move || told.lock().unwrap().to_string()),
            )
            .fallback(any(async |uri: axum::http::Uri| {
                axum::Json(json!({ "asked": uri.to_string() }))
            }));
        let address = serve_local(router).await.to_string();
        let origin = format!("http://{address}");
        *document.lock().unwrap() = self::document(&origin);
        let folder = tempfile::tempdir().unwrap();
        let flags = ["--no-demo", "--admin-key", ADMIN_KEY];
        let served = Serving::on(&folder.path().join("data"), &flags).await;
        let shop = Self {
            served,
            folder,
            document,
            origin: origin.clone(),
        };
        let url = format!("{origin}/openapi.json");
        let import = ["import", &url, "--slug", "shop", "--access", "open"];
        let allowed = ["--allow-upstream", "127.0.0.1"];
        shop.says(&[&import[..], &allowed].concat(), &["served at"])
            .await;
        shop
    }

    async fn run(&self, words: &[&str]) -> Ended {
        self.served.command(ADMIN_KEY, words).await
    }

    /// A command that goes well, and says each of these.
    async fn says(&self, words: &[&str], parts: &[&str]) -> String {
        let ended = self.run(words).await;
        assert_eq!(ended.code, Some(0), "{words:?} {ended:?}");
        for part in parts {
            let text = &ended.stdout;
            assert!(text.contains(part), "{words:?}: {part} is not in\n{text}");
        }
        ended.stdout
    }

    async fn json(&self, words: &[&str]) -> Value {
        let ended = self.run(&[words, &["--json"]].concat()).await;
        assert_eq!(ended.code, Some(0), "{words:?} {ended:?}");
        ended.json()
    }

    /// The names agents are told.
    async fn names(&self) -> Vec<String> {
        let tools = self.served.tools("/mcp/shop").await;
        let names = tools.iter().map(|tool| tool["name"].as_str().unwrap());
        names.map(str::to_owned).collect()
    }

    fn change(&self, change: impl FnOnce(&mut Value)) {
        change(&mut self.document.lock().unwrap());
    }

    /// The document as a file.
    fn file(&self) -> String {
        let path = self.folder.path().join("next.json");
        std::fs::write(&path, self.document.lock().unwrap().to_string()).unwrap();
        path.display().to_string()
    }
}

#[tokio::test]
async fn tools_are_graded_and_mended() {
    let shop = Shop::start().await;
    let listed = shop.json(&["tools", "shop"]).await;
    let cancel = &listed["tools"][1];
    assert_eq!(cancel["name"], "cancelOrder");
    assert_eq!(cancel["grade"], "C", "{listed}");
    assert!(cancel["tokens"].as_u64().unwrap() > 10);
    let all = listed["tools"].as_array().unwrap().iter();
    let sum: u64 = all.map(|tool| tool["tokens"].as_u64().unwrap()).sum();
    assert_eq!(listed["tokens"], sum);
    let text = shop
        .says(
            &["tools", "shop"],
            &["cancelOrder", "destructive-unmarked*"],
        )
        .await;
    // The hint can be copied as it stands.
    assert!(text.contains("causeway tools shop edit cancelOrder --fix all"));

    let edit = ["tools", "shop", "edit"];
    let fix = [
        "cancelOrder",
        "--fix",
        "destructive-unmarked",
        "--hint",
        "idempotent=yes",
    ];
    let fixed = shop.json(&[&edit[..], &fix].concat()).await;
    let hints = json!({ "readOnlyHint": false, "destructiveHint": true, "idempotentHint": true });
    assert_eq!(fixed["curation"]["annotations"], hints);
    let reset = shop
        .json(&[&edit[..], &["cancelOrder", "--reset", "all"]].concat())
        .await;
    assert_eq!(reset["curation"], json!({}));
}

#[tokio::test]
async fn tools_are_changed_hidden_and_taken_back() {
    let shop = Shop::start().await;
    let edit = ["tools", "shop", "edit"];
    let pin = [
        "listPets",
        "--name",
        "pets",
        "--pin",
        "shop=5",
        "--describe",
        "limit=At most.",
    ];
    let shown = shop
        .says(
            &[&edit[..], &pin].concat(),
            &["pets  GET /pets", "always \"5\"", "At most."],
        )
        .await;
    assert!(!shown.contains("Hidden"), "{shown}");
    assert_eq!(shop.names().await, ["pets", "cancelOrder"]);
    let called = shop
        .served
        .call("/mcp/shop", "pets", json!({ "limit": 2 }))
        .await;
    assert_eq!(called["structuredContent"]["asked"], "/pets?shop=5&limit=2");

    // A second change leaves the first as it is.
    shop.says(&[&edit[..], &["pets", "--hide"]].concat(), &["Hidden"])
        .await;
    assert_eq!(shop.names().await, ["cancelOrder"]);
    let listed = shop.json(&["tools", "shop", "list"]).await;
    assert_eq!(
        listed["hidden"],
        json!([{ "operation": "GET /pets", "name": "pets" }])
    );
    shop.says(&["tools", "shop"], &["hidden      -  pets"])
        .await;
    // Hidden or not, it is known by the name it has, the name it had, and its operation.
    for name in ["pets", "listPets", "GET /pets"] {
        let shown = shop.json(&["tools", "shop", "show", name]).await;
        assert_eq!(shown["operation"], "GET /pets", "{name}");
        assert_eq!(shown["name"], "pets", "{name}");
    }
    shop.says(
        &[&edit[..], &["GET /pets", "--show"]].concat(),
        &["always \"5\""],
    )
    .await;
    assert_eq!(shop.names().await, ["pets", "cancelOrder"]);
    let taken = ["pets", "--unpin", "shop", "--reset", "name"];
    let left = shop.json(&[&edit[..], &taken].concat()).await;
    assert_eq!(
        left["curation"],
        json!({ "arguments": { "query:limit": { "description": "At most." } } })
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_with_what_would() {
    let shop = Shop::start().await;
    let refused = async |words: &[&str], parts: &[&str]| {
        let edit = ["tools", "shop", "edit"];
        shop.run(&[&edit[..], words].concat()).await.refused(parts);
    };
    refused(&["nothing", "--hide"], &["404"]).await;
    refused(&["listPets", "--pin", "size=1"], &["size", "shop, limit"]).await;
    refused(&["listPets", "--pin", "limit=many"], &["422", "limit"]).await;
    refused(&["listPets", "--pin", "limit"], &["ARGUMENT=VALUE"]).await;
    refused(
        &["listPets", "--fix", "name-generic"],
        &["--fix name-generic", "nothing"],
    )
    .await;
    refused(&["listPets", "--hint", "safe=yes"], &["read-only"]).await;
    refused(&["listPets", "--name", "cancelOrder"], &["409"]).await;
    // Nothing to change, and both at once, are mistakes of the command line.
    for words in [&["listPets"][..], &["listPets", "--hide", "--show"]] {
        let ended = shop
            .run(&[&["tools", "shop", "edit"][..], words].concat())
            .await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
    shop.run(&["tools", "shops"]).await.refused(&["404"]);
    assert_eq!(shop.names().await, ["listPets", "cancelOrder"]);
}

#[tokio::test]
async fn a_version_waits_is_compared_tried_served_and_taken_back() {
    let shop = Shop::start().await;
    shop.change(|document| {
        document["paths"]["/pets"]["get"]["operationId"] = json!("showPets");
        document["paths"]["/more"] = json!({ "get": { "operationId": "more" } });
    });
    let staged = ["import", &shop.file(), "--slug", "shop", "--stage"];
    let waits = "Version 2 waits for a look: causeway versions shop diff 2";
    shop.says(&staged, &[waits]).await;
    assert_eq!(shop.names().await, ["listPets", "cancelOrder"]);
    shop.says(&["versions", "shop"], &["served", "waits for a look"])
        .await;

    let diff = ["versions", "shop", "diff"];
    let text = shop
        .says(
            &diff,
            &["Version 2 instead of 1: calls that were right may fail"],
        )
        .await;
    assert!(text.contains("breaking    showPets (GET /pets)"), "{text}");
    assert!(
        text.contains("review      more (GET /more) is new"),
        "{text}"
    );
    let back = [&diff[..], &["1", "--against", "2"]].concat();
    let back = shop.json(&back).await;
    assert_eq!((&back["from"], &back["to"]), (&json!(2), &json!(1)));

    let canary = ["versions", "shop", "canary", "2", "--percent", "25"];
    shop.says(
        &canary,
        &["Version 2 of shop is served to 25 of 100 consumers"],
    )
    .await;
    let history = shop.json(&["versions", "shop", "list"]).await;
    assert_eq!(history["canary"]["percent"], 25);
    shop.says(&["versions", "shop", "canary", "--end"], &["Everyone"])
        .await;
    shop.run(&["versions", "shop", "canary", "--end"])
        .await
        .refused(&["404"]);

    shop.says(&["versions", "shop", "promote", "2"], &["Version 2"])
        .await;
    assert_eq!(shop.names().await, ["showPets", "cancelOrder", "more"]);
    shop.run(&diff).await.refused(&["no version waits"]);
    shop.says(&["versions", "shop", "rollback", "1"], &["Version 1"])
        .await;
    assert_eq!(shop.names().await, ["listPets", "cancelOrder"]);
    shop.run(&["versions", "shop", "promote", "9"])
        .await
        .refused(&["there is no version 9"]);
}

#[tokio::test]
async fn a_document_is_read_again() {
    let shop = Shop::start().await;
    shop.run(&["sync", "shop"]).await.refused(&["--every"]);
    let text = shop.says(&["sync", "shop", "--every", "2h"], &[]).await;
    assert!(text.contains("the one that is served"), "{text}");
    let source = &shop.json(&["versions", "shop"]).await["source"];
    assert_eq!(source["everySeconds"], 7_200);
    assert_eq!(source["url"], format!("{}/openapi.json", shop.origin));

    shop.change(|document| {
        document["paths"]["/pets"]["get"]["parameters"][1]["schema"] = json!({ "type": "integer" });
    });
    let compatible = shop.json(&["sync", "shop"]).await;
    assert_eq!(compatible["outcome"], "published");
    shop.change(|document| {
        document["paths"]["/pets"]["get"]["summary"] = json!("List all pets");
    });
    shop.says(
        &["sync", "shop"],
        &["Version 3 waits", "versions shop diff 3"],
    )
    .await;
    shop.says(&["versions", "shop", "discard"], &[]).await;

    shop.change(|document| *document = json!("nothing"));
    let failed = shop.run(&["sync", "shop"]).await;
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stdout.contains("could not be read"), "{failed:?}");
    shop.says(&["versions", "shop"], &["every 7200 seconds", "failed:"])
        .await;
    shop.says(&["sync", "shop", "--stop"], &[]).await;
    assert!(shop.json(&["versions", "shop"]).await["source"].is_null());
}
