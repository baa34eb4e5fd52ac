//! What publishing does to a server there is, and where a credential given with a document may go:
//! through the real binary, its API and its command line.

use std::path::Path;

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor, Row};

use crate::call::Echo;
use crate::program::{Serving, run};

const ADMIN: &str = "an-admin-key-for-tests";
const SECRET: &str = "s3cret-of-the-upstream";

/// A process on its data, and what it logs stays with it.
struct Site {
    served: Serving,
    folder: tempfile::TempDir,
}

impl Site {
    async fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixed = ["--admin-key", ADMIN];
        let data = folder.path().join("data");
        let served = Serving::on(&data, &[&fixed[..], flags].concat()).await;
        Self { served, folder }
    }

    async fn api(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.served.api(ADMIN, (method, path), &body).await
    }

    /// The same at the address the process listens on, whatever it is called in public.
    async fn local(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let listening = self.served.ready["listening"].as_str().unwrap();
        let origin = format!("http://{listening}");
        crate::program::manage(&origin, ADMIN, (method, path), &body).await
    }

    /// The same, which has to go well.
    async fn done(&self, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.api(method, path, body).await;
        assert!(
            (200..300).contains(&status),
            "{method} {path}: {status} {answer}"
        );
        answer
    }

    async fn settings(&self, slug: &str) -> Value {
        let path = format!("servers/{slug}");
        self.done("GET", &path, Value::Null).await["settings"].clone()
    }

    /// The row of a scheme among the credentials of a server.
    async fn credential(&self, slug: &str, scheme: &str) -> Value {
        let path = format!("servers/{slug}/credentials");
        let answer = self.done("GET", &path, Value::Null).await;
        let rows = answer["credentials"].as_array().unwrap();
        let row = rows.iter().find(|row| row["scheme"] == scheme);
        row.unwrap_or_else(|| unreachable!("no {scheme} in {answer}"))
            .clone()
    }

    /// The text of a tool's result.
    async fn call(&self, slug: &str, tool: &str) -> String {
        let path = format!("/mcp/{slug}");
        let params = json!({ "name": tool, "arguments": {} });
        let (status, answer) = self.served.ask(&path, ADMIN, ("tools/call", params)).await;
        assert_eq!(status, 200, "{answer}");
        answer["result"]["content"][0]["text"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// The database, while it is served.
    async fn database(&self) -> SqliteConnection {
        let file = self.folder.path().join("data/causeway.db");
        let options = SqliteConnectOptions::new().filename(file);
        SqliteConnection::connect_with(&options).await.unwrap()
    }

    /// Actions of the audit, newest last, each with what was noted after it.
    async fn audit(&self) -> Vec<(String, String)> {
        let rows = sqlx::query("SELECT action, COALESCE(after, '') FROM audit ORDER BY at, id")
            .fetch_all(&mut self.database().await)
            .await
            .unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

/// Three tools: `home` at the document's server, `away` at a server of its own, both behind the
/// scheme `Key`; and `open`, elsewhere and behind nothing.
fn document(home: &str, away: &str, open: &str) -> Value {
    let operation = |name: &str, more: Value| {
        let mut operation = json!({
            "operationId": name,
            "responses": { "200": { "description": "what was sent" } },
        });
        for (key, value) in more.as_object().unwrap() {
            operation[key] = value.clone();
        }
        json!({ "get": operation })
    };
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Two homes", "version": "1" },
        "servers": [{ "url": home }],
        "security": [{ "Key": [] }],
        "components": { "securitySchemes": {
            "Key": { "type": "apiKey", "in": "header", "name": "X-Key" },
            "Unused": { "type": "http", "scheme": "bearer" },
        } },
        "paths": {
            "/home": operation("home", json!({})),
            "/away": operation("away", json!({ "servers": [{ "url": away }] })),
            "/open": operation("open", json!({ "servers": [{ "url": open }], "security": [] })),
        },
    })
}

struct Three {
    home: Echo,
    away: Echo,
    open: Echo,
}

impl Three {
    async fn start() -> Self {
        Self {
            home: Echo::start().await,
            away: Echo::start().await,
            open: Echo::start().await,
        }
    }

    fn document(&self) -> Value {
        document(&self.home.origin, &self.away.origin, &self.open.origin)
    }
}

const LOCAL: &str = "127.0.0.0/8";

#[tokio::test]
async fn an_imported_credential_goes_to_the_documents_server_only() {
    let (site, apis) = (Site::start(&["--no-demo"]).await, Three::start().await);
    let file = site.folder.path().join("openapi.json");
    std::fs::write(&file, apis.document().to_string()).unwrap();
    let file = file.display().to_string();
    let key = format!("Key={SECRET}");
    let unused = format!("Unused={SECRET}");
    let import = ["import", &file, "--slug", "two", "--allow-upstream", LOCAL];
    let credentials = ["--credential", &key, "--credential", &unused];
    let imported = site
        .served
        .command(ADMIN, &[&import[..], &credentials].concat())
        .await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    // What was not approved is said, with the way to approve it.
    for word in [&*apis.away.origin, "Key", "/servers/two/settings"] {
        assert!(imported.stdout.contains(word), "{word}: {imported:?}");
    }
    assert!(!imported.stdout.contains(&apis.open.origin), "{imported:?}");

    let row = site.credential("two", "Key").await;
    assert_eq!(row["origins"], json!([apis.home.origin]), "{row}");
    assert_eq!(row["notApproved"], json!([apis.away.origin]), "{row}");
    let row = site.credential("two", "Unused").await;
    assert_eq!(row["origins"], json!([]), "no tool uses it: {row}");

    assert!(site.call("two", "home").await.contains("[masked]"));
    let withheld = site.call("two", "away").await;
    assert!(
        withheld.contains("approve the new destination"),
        "{withheld}"
    );
    assert!(apis.away.seen().is_empty());
    assert!(site.call("two", "open").await.contains("/open"));
    assert!(!apis.open.seen()[0].contains(SECRET));
}

#[tokio::test]
async fn a_credential_goes_where_the_one_who_set_it_saw() {
    let (site, apis) = (Site::start(&["--no-demo"]).await, Three::start().await);
    let new = json!({ "slug": "two", "document": apis.document(), "allowUpstream": [LOCAL] });
    site.done("POST", "servers", new).await;
    let path = "servers/two/credentials/Key";
    let approve = "servers/two/credentials/Key/approve";
    let (home, away) = (&*apis.home.origin, &*apis.away.origin);
    let mut both = vec![home, away];
    both.sort_unstable();

    // Without a list, nothing is approved.
    let put = site.done("PUT", path, json!({ "value": SECRET })).await;
    assert_eq!(put, json!({ "origins": [], "notApproved": both }));
    let withheld = site.call("two", "home").await;
    assert!(withheld.contains("approve"), "{withheld}");

    // A list that is not what waits is refused, and tells what waits.
    for wrong in [
        json!({ "origins": [home] }),
        json!({ "origins": [home, away, "https://other.example"] }),
        json!({ "origins": [] }),
    ] {
        let (status, answer) = site.api("POST", approve, wrong.clone()).await;
        assert_eq!(status, 409, "{wrong}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(away));
    }
    let (status, answer) = site.api("POST", approve, Value::Null).await;
    assert!((400..=422).contains(&status), "{status} {answer}");
    assert!(apis.home.seen().is_empty() && apis.away.seen().is_empty());

    let approved = site.done("POST", approve, json!({ "origins": both })).await;
    assert_eq!(approved, json!({ "origins": both, "notApproved": [] }));
    assert!(site.call("two", "away").await.contains("[masked]"));

    // Somebody moves the server between the look and the approval.
    site.done(
        "PATCH",
        "servers/two",
        json!({ "upstream": apis.open.origin }),
    )
    .await;
    let waiting = site.credential("two", "Key").await["notApproved"].clone();
    assert_eq!(waiting, json!([apis.open.origin]));
    let elsewhere = Echo::start().await;
    site.done(
        "PATCH",
        "servers/two",
        json!({ "upstream": elsewhere.origin }),
    )
    .await;
    let (status, answer) = site
        .api("POST", approve, json!({ "origins": waiting }))
        .await;
    assert_eq!(status, 409, "{answer}");
    // A new value is bound to what was approved, or to exactly what was seen.
    let (status, answer) = site
        .api(
            "PUT",
            path,
            json!({ "value": "another", "origins": waiting }),
        )
        .await;
    assert_eq!(status, 409, "{answer}");
    let put = site.done("PUT", path, json!({ "value": "another" })).await;
    assert_eq!(put["notApproved"], json!([elsewhere.origin]), "{put}");
    let withheld = site.call("two", "home").await;
    assert!(withheld.contains("approve"), "{withheld}");
    let seen = json!({ "value": "another", "origins": [elsewhere.origin] });
    let put = site.done("PUT", path, seen).await;
    assert_eq!(put["notApproved"], json!([]), "{put}");
    assert!(site.call("two", "home").await.contains("[masked]"));
    assert!(elsewhere.seen()[0].contains("another"));
}

#[tokio::test]
async fn a_document_of_its_own_sends_its_credential_to_its_server_only() {
    let apis = Three::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, apis.document().to_string()).unwrap();
    let file = file.display().to_string();
    let key = format!("Key={SECRET}");
    let flags = ["--credential", &key, "--allow-upstream", LOCAL];
    let served = Serving::document(&file, &flags).await;
    let text = |result: &Value| result["content"][0]["text"].as_str().unwrap().to_owned();
    let home = served.call("/mcp", "home", json!({})).await;
    assert!(text(&home).contains("[masked]"), "{home}");
    let away = served.call("/mcp", "away", json!({})).await;
    assert!(text(&away).contains("--approve"), "{away}");
    assert!(apis.away.seen().is_empty());

    let approved = [&flags[..], &["--approve", &apis.away.origin]].concat();
    let served = Serving::document(&file, &approved).await;
    let away = served.call("/mcp", "away", json!({})).await;
    assert!(text(&away).contains("[masked]"), "{away}");
    assert!(apis.away.seen()[0].contains(SECRET));
    // The owner's upstream is where everything goes.
    let moved = [&flags[..], &["--upstream", &apis.open.origin]].concat();
    let served = Serving::document(&file, &moved).await;
    let away = served.call("/mcp", "away", json!({})).await;
    assert!(text(&away).contains("[masked]"), "{away}");
}

#[tokio::test]
async fn what_is_said_with_a_new_version_is_done() {
    let (site, apis) = (Site::start(&["--no-demo"]).await, Three::start().await);
    let new = json!({ "slug": "two", "document": apis.document(), "allowUpstream": [LOCAL] });
    site.done("POST", "servers", new).await;

    // By the API, with another document.
    let mut second = apis.document();
    second["info"]["title"] = json!("Second");
    let again = json!({
        "slug": "two", "document": second, "access": "open", "upstream": apis.away.origin,
    });
    let answer = site.done("POST", "servers", again).await;
    assert_eq!(answer["created"], false);
    let settings = site.settings("two").await;
    assert_eq!(settings["access"], "open");
    assert_eq!(settings["upstream"], format!("{}/", apis.away.origin));
    // What is not sent stays.
    assert_eq!(settings["allowUpstream"], json!([LOCAL]));

    // By the command line, with the same document.
    let file = site.folder.path().join("openapi.json");
    std::fs::write(&file, second.to_string()).unwrap();
    let file = file.display().to_string();
    let flags = ["--access", "key", "--upstream", &apis.open.origin];
    let import = ["import", &file, "--slug", "two", "--json"];
    let imported = site
        .served
        .command(ADMIN, &[&import[..], &flags].concat())
        .await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    assert_eq!(imported.json()["unchanged"], false);
    let settings = site.settings("two").await;
    assert_eq!(settings["access"], "key");
    assert_eq!(settings["upstream"], format!("{}/", apis.open.origin));
    assert_eq!(settings["allowUpstream"], json!([LOCAL]));
    let again = site.served.command(ADMIN, &import).await;
    assert_eq!(again.json()["unchanged"], true);
    assert_eq!(site.settings("two").await, settings);
}

#[tokio::test]
async fn a_users_api_is_never_answered_by_the_demo() {
    let (site, apis) = (Site::start(&["--demo"]).await, Three::start().await);
    assert_eq!(site.settings("petstore").await["internal"], "demo");
    let taken =
        json!({ "slug": "petstore", "document": apis.document(), "allowUpstream": [LOCAL] });
    site.done("POST", "servers", taken).await;
    assert_eq!(site.settings("petstore").await["internal"], Value::Null);
    assert!(site.call("petstore", "open").await.contains("/open"));
    assert_eq!(apis.open.seen().len(), 1);

    // An address of its own ends it too.
    let own = json!({ "upstream": apis.home.origin, "allowUpstream": [LOCAL] });
    site.done("PATCH", "servers/bookshop", own).await;
    assert_eq!(site.settings("bookshop").await["internal"], Value::Null);
    let (_, path) = ("", "servers/bookshop/document");
    let mut replaced = apis.document();
    replaced["info"]["title"] = json!("By PUT");
    site.done("PUT", path, replaced).await;
    assert!(site.call("bookshop", "open").await.contains("/open"));
    assert!(!apis.home.seen().is_empty());
}

#[tokio::test]
async fn a_password_in_an_address_is_refused_and_never_shown() {
    let (site, apis) = (Site::start(&["--no-demo"]).await, Three::start().await);
    let secret = "hunter2-in-a-url";
    let url = format!("https://ada:{secret}@api.example.com/v1");
    let new = |more: Value| {
        let mut new = json!({ "slug": "two", "document": apis.document() });
        for (key, value) in more.as_object().unwrap() {
            new[key] = value.clone();
        }
        new
    };
    let refused = |(status, answer): (u16, Value)| {
        assert_eq!(status, 400, "{answer}");
        let text = answer.to_string();
        assert!(
            text.contains("credential") && !text.contains(secret),
            "{text}"
        );
    };
    refused(
        site.api("POST", "servers", new(json!({ "upstream": url })))
            .await,
    );
    let by_url = json!({ "slug": "three", "url": url });
    refused(site.api("POST", "servers", by_url).await);
    site.done("POST", "servers", new(json!({}))).await;
    refused(
        site.api("PATCH", "servers/two", json!({ "upstream": url }))
            .await,
    );

    // A document's own server may hold one: nobody is shown it.
    let mut document = apis.document();
    document["servers"] = json!([{ "url": url }]);
    let open = json!({ "slug": "leaky", "document": document, "access": "open" });
    let published = site.done("POST", "servers", open).await;
    assert!(
        !published["report"].to_string().contains(secret),
        "{published}"
    );
    let said = site.call("leaky", "home").await;
    assert!(
        !said.contains(secret) && said.contains("api.example.com"),
        "{said}"
    );
    let dry = json!({ "arguments": {}, "dryRun": true });
    let path = "servers/leaky/tools/home/call";
    let trace = site.done("POST", path, dry).await;
    assert!(!trace.to_string().contains(secret), "{trace}");
    for (action, after) in site.audit().await {
        assert!(!after.contains(secret), "{action}: {after}");
    }
}

#[tokio::test]
async fn an_earlier_converters_work_is_done_again() {
    let (site, apis) = (Site::start(&["--no-demo"]).await, Three::start().await);
    let new = json!({ "slug": "two", "document": apis.document() });
    site.done("POST", "servers", new.clone()).await;
    let again = site.done("POST", "servers", new.clone()).await;
    assert_eq!(again["unchanged"], true);
    // A version is never changed, not even by hand; so the test is a converter of its own.
    let mut database = site.database().await;
    let changed = "UPDATE server_versions SET converter = 'of an earlier release'";
    let _ = database
        .execute("DROP TRIGGER IF EXISTS server_versions_are_never_updated")
        .await;
    database.execute(changed).await.unwrap();
    let again = site.done("POST", "servers", new.clone()).await;
    assert_eq!(again["unchanged"], false);
    let again = site.done("POST", "servers", new).await;
    assert_eq!(again["unchanged"], true);
}

#[tokio::test]
async fn where_a_document_came_from_is_kept() {
    let (site, apis) = (Site::start(&["--no-demo"]).await, Three::start().await);
    let mut document = apis.document();
    // Relative to where the document is.
    document["servers"] = json!([{ "url": "/v1" }]);
    let text = document.to_string();
    let answer = axum::routing::get(async move || ([("content-type", "application/json")], text));
    let router = axum::Router::new()
        .route("/openapi.json", answer)
        .fallback(axum::routing::any(
            async |request: axum::extract::Request| request.uri().to_string(),
        ));
    let origin = format!("http://{}", crate::egress::serve_local(router).await);
    let url = format!("{origin}/openapi.json");
    let new = json!({ "slug": "two", "url": url, "allowUpstream": [LOCAL], "credentials": { "Key": SECRET } });
    site.done("POST", "servers", new).await;
    assert_eq!(site.call("two", "home").await, "/v1/home");

    let mut second = document.clone();
    second["info"]["title"] = json!("Second");
    site.done("PUT", "servers/two/document", second).await;
    assert_eq!(site.call("two", "home").await, "/v1/home");
    let third = json!({ "slug": "two", "document": document });
    site.done("POST", "servers", third).await;
    assert_eq!(site.call("two", "home").await, "/v1/home");
}

#[tokio::test]
async fn whoever_replaces_a_credential_is_remembered() {
    let (site, apis) = (Site::start(&["--no-demo"]).await, Three::start().await);
    let new =
        json!({ "slug": "two", "document": apis.document(), "credentials": { "Key": SECRET } });
    site.done("POST", "servers", new.clone()).await;
    let before = site.audit().await.len();
    let again = site.done("POST", "servers", new).await;
    assert_eq!(again["unchanged"], true);
    let audit = site.audit().await;
    assert_eq!(audit.len(), before + 1, "{audit:?}");
    assert!(audit[before].1.contains("Key"), "{audit:?}");
    assert!(audit.iter().all(|(_, after)| !after.contains(SECRET)));
}

#[tokio::test]
async fn a_credential_that_cannot_be_sent_is_not_imported() {
    let (site, apis) = (Site::start(&["--no-demo"]).await, Three::start().await);
    let new = json!({
        "slug": "two", "document": apis.document(), "credentials": { "Key": "line\nbreak" },
    });
    let (status, answer) = site.api("POST", "servers", new).await;
    assert_eq!(status, 422, "{answer}");
    assert!(answer.to_string().contains("character"), "{answer}");
    assert!(!answer.to_string().contains("line"), "{answer}");
    let file = site.folder.path().join("openapi.json");
    std::fs::write(&file, apis.document().to_string()).unwrap();
    let file = file.display().to_string();
    let run = run(&["run", &file, "--credential", "Key=line\nbreak"]).await;
    run.refused(&["Key", "character"]);
}

#[tokio::test]
async fn a_proxy_of_the_environment_changes_nothing() {
    let apis = Three::start().await;
    let proxy = Echo::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    std::fs::write(&file, apis.document().to_string()).unwrap();
    let file = file.display().to_string();
    let arguments = [
        "run",
        &file,
        "--json",
        "--listen",
        "127.0.0.1:0",
        "--allow-upstream",
        LOCAL,
    ];
    let mut command = crate::program::causeway(&arguments);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env(name, &proxy.origin);
    }
    let served = Serving::start(command).await;
    let open = served.call("/mcp", "open", json!({})).await;
    assert!(open.to_string().contains("/open"), "{open}");
    assert_eq!(apis.open.seen().len(), 1);
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());
    let _ = Path::new(&file);
}

#[tokio::test]
async fn the_public_url_is_no_api_of_ours() {
    let apis = Three::start().await;
    let port = apis.home.origin.rsplit(':').next().unwrap().to_owned();
    let public = format!("http://localhost:{port}");
    let site = Site::start(&["--no-demo", "--public-url", &public]).await;
    let new = json!({ "slug": "two", "document": apis.document(), "allowUpstream": [LOCAL, "localhost"] });
    let publish = async |upstream: &str| {
        let mut new = new.clone();
        new["upstream"] = json!(upstream);
        site.local("POST", "servers", new).await
    };
    assert_eq!(publish(&public).await.0, 201);
    let call = async || {
        let path = "servers/two/tools/open/call";
        site.local("POST", path, json!({})).await.1["result"].to_string()
    };
    let said = call().await;
    assert!(said.contains("which no setting allows"), "{said}");
    assert!(apis.home.seen().is_empty());
    // Another name, as another API behind the same proxy has, is reached.
    assert_eq!(publish(&apis.home.origin).await.0, 200);
    let said = call().await;
    assert!(said.contains("/open"), "{said}");
}
