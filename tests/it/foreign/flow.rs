//! Formats that are converted, served by the real binary: what reaches the API, and what comes back.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde_json::{Value, json};

use crate::egress::serve_local;
use crate::program::Serving;

const TOKEN: &str = "t0ken-of-the-upstream";

/// An API that answers what it was sent, and notes it.
struct Echo {
    address: String,
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Echo {
    async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noting = seen.clone();
        let answer = move |request: Request| async move {
            let told = told(request).await;
            noting.lock().unwrap().push(told.clone());
            answer(told)
        };
        let router = Router::new().fallback(any(answer));
        Self {
            address: serve_local(router).await.to_string(),
            seen,
        }
    }

    fn last(&self) -> Value {
        self.seen.lock().unwrap().last().unwrap().clone()
    }

    /// A fixture whose API is this one.
    async fn serving(&self, fixture: &str, host: &str, credentials: &[&str]) -> Serving {
        let path = format!(
            "{}/tests/data/foreign/{fixture}",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace(host, &format!("http://{}", self.address));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(fixture);
        std::fs::write(&file, text).unwrap();
        let mut flags = vec!["--allow-upstream".to_owned(), self.address.clone()];
        for scheme in credentials {
            flags.extend(["--credential".to_owned(), format!("{scheme}={TOKEN}")]);
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        Serving::document(&file.display().to_string(), &flags).await
    }
}

async fn told(request: Request) -> Value {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let header = |name: &str| {
        let value = head.headers.get(name).map(|value| value.to_str().unwrap());
        value.unwrap_or_default().to_owned()
    };
    json!({
        "method": head.method.as_str(),
        "target": head.uri.to_string(),
        "authorization": header("authorization"),
        "type": header("content-type"),
        "version": header("x-api-version"),
        "nonce": header("x-ca-nonce"),
        "desk": header("x-desk-key"),
        "ship": header("x-ship"),
        "body": String::from_utf8_lossy(&body),
    })
}

fn answer(told: Value) -> Response {
    let target = told["target"].as_str().unwrap();
    if target.contains("from=nowhere") {
        let body = axum::Json(json!({ "message": "no such port" }));
        return (StatusCode::NOT_FOUND, body).into_response();
    }
    if target.starts_with("/v3/sailings?") {
        return axum::Json(json!({ "sailings": [
            { "name": "Dawn", "ship": { "name": "Vega" }, "price": 12.50, "full": true, "port": "Kiel" },
            { "name": "Dusk", "ship": { "name": "Lyra" }, "price": 9_007_199_254_740_993_i64, "places": 4, "port": "Oslo" },
        ] }))
        .into_response();
    }
    axum::Json(told).into_response()
}

fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap()
}

#[tokio::test]
async fn a_postman_collection_is_served() {
    let echo = Echo::start().await;
    let served = echo
        .serving(
            "library.postman_collection.json",
            "https://{{host}}",
            &["bearer", "x_staff_key"],
        )
        .await;
    let call = async |tool: &str, arguments| served.call("/mcp", tool, arguments).await;
    call("searchBooks", json!({ "q": "red & blue", "page": 2 })).await;
    let seen = echo.last();
    assert_eq!(seen["target"], "/v1/books?q=red%20%26%20blue&page=2");
    assert_eq!(seen["version"], "2024-03-01");
    assert_eq!(seen["authorization"], format!("Bearer {TOKEN}"));
    call(
        "addABook",
        json!({ "title": "Tides", "year": 2001, "price": 3 }),
    )
    .await;
    let body: Value = serde_json::from_str(echo.last()["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({ "title": "Tides", "year": 2001, "price": 3 }));
    call("listsGet", json!({ "id": "l-\"1" })).await;
    let body: Value = serde_json::from_str(echo.last()["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["variables"], json!({ "id": "l-\"1" }));
    assert!(
        body["query"].as_str().unwrap().starts_with("query List"),
        "{body}"
    );
    // A credential that nobody gave, and an address that nobody knows.
    let refused = call("membersGet", json!({ "memberId": "1" })).await;
    assert_eq!(refused["isError"], true, "{refused}");
    assert_eq!(
        call("Export", json!({ "listId": "7" })).await["isError"],
        true
    );
}

#[tokio::test]
async fn curl_commands_and_a_recording_are_served() {
    let echo = Echo::start().await;
    let host = "https://api.parcels.example.com";
    let served = echo
        .serving("parcels.sh", host, &["api_key", "bearer", "session"])
        .await;
    served
        .call("/mcp", "findParcels", json!({ "status": "open" }))
        .await;
    let target = format!("/v2/parcels?status=open&api_key={TOKEN}");
    assert_eq!(echo.last()["target"], target);
    let host = "https://api.tidepool.example.com";
    let served = echo.serving("tidepool.har", host, &["bearer"]).await;
    let arguments = json!({ "stationId": "../17" });
    served
        .call("/mcp", "get_v1_stations_stationId", arguments)
        .await;
    let seen = echo.last();
    assert_eq!(seen["target"], "/v1/stations/..%2F17");
    assert_eq!(seen["authorization"], format!("Bearer {TOKEN}"));
}

#[tokio::test]
async fn a_higress_server_behaves_as_it_did() {
    let echo = Echo::start().await;
    let host = "https://api.ferry.example.com";
    let credentials = ["deskKey", "bearer", "key", "authorization"];
    let served = echo
        .serving("ferry.mcp-server.yaml", host, &credentials)
        .await;
    let call = async |tool: &str, arguments| served.call("/mcp", tool, arguments).await;

    let listed = call(
        "list-sailings",
        json!({ "from": "kiel", "tags": ["a", "b"] }),
    )
    .await;
    let seen = echo.last();
    let target = "/v3/sailings?from=kiel&limit=20&tags=%5B%22a%22%2C%22b%22%5D";
    assert_eq!(seen["target"], target, "defaults are sent, lists as JSON");
    assert_eq!(seen["desk"], TOKEN);
    let nonce = seen["nonce"].as_str().unwrap().to_owned();
    assert_eq!(nonce.len(), 36);
    let expected = "# Sailings (2)\n## 1. Dawn\n- **ship**: Vega\n- **price**: 12.5\n- full\n## 2. Dusk\n\
        - **ship**: Lyra\n- **price**: 9007199254740993\n- places: 4\nPorts: Kiel, Oslo\n";
    assert_eq!(text(&listed), expected);
    call("list-sailings", json!({ "from": "kiel" })).await;
    assert_ne!(echo.last()["nonce"], nonce);
    let failed = call("list-sailings", json!({ "from": "nowhere" })).await;
    assert_eq!(failed["isError"], true);
    assert_eq!(text(&failed).trim(), "The desk answered 404: no such port");

    let around = call("get-sailing", json!({ "id": "a/b", "part": "crew" })).await;
    assert_eq!(
        echo.last()["target"],
        "/v3/sailings/a%2Fb/crew?units=metric"
    );
    assert!(text(&around).starts_with("The sailing:\n{"), "{around}");
    assert!(text(&around).ends_with("}\n(end)"), "{around}");

    let name = "Eve\",\"role\":\"captain";
    let big: Box<serde_json::value::RawValue> =
        serde_json::value::RawValue::from_string("9007199254740993".to_owned()).unwrap();
    let arguments = json!({ "sailing": big, "name": name, "file": "hi" });
    call("book", arguments).await;
    let body: Value = serde_json::from_str(echo.last()["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["sailing"], 9_007_199_254_740_993_i64);
    assert_eq!(body["passenger"], json!({ "name": name }));
    assert_eq!(
        (&body["notes"], &body["file"]),
        (&Value::Null, &json!("aGk="))
    );
    let query = format!("{{ seat(for: {}) {{ id }} }}", json!(name));
    assert_eq!(body["query"], query);

    call("note", json!({ "booking": "7", "text": "hi" })).await;
    assert_eq!(echo.last()["body"], r#"{"text":"hi"}"#);
    call("report", json!({ "kind": "a&b", "count": 2 })).await;
    assert_eq!(echo.last()["body"], "kind=a%26b&count=2");
    call(
        "search",
        json!({ "q": "x", "perPage": 5, "day": "20260101&admin=1" }),
    )
    .await;
    let target = format!("/v3/search?q=x&per_page=5&day=20260101%26admin%3D1&key={TOKEN}");
    assert_eq!(echo.last()["target"], target);
    call("upload-manifest", json!({ "ship": "VEGA", "crew": 9 })).await;
    let seen = echo.last();
    assert_eq!(
        (&seen["ship"], &seen["body"]),
        (&json!("ship-vega"), &json!("ship=VEGA&crew=9"))
    );
}

#[tokio::test]
async fn a_recording_is_published_without_its_secrets() {
    const ADMIN: &str = "an-admin-key-for-tests";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let served = Serving::on(&data, &["--admin-key", ADMIN]).await;
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/foreign/tidepool.har"
    );
    let recording = std::fs::read_to_string(fixture).unwrap();
    assert!(recording.contains("leaked"));
    let new = json!({ "slug": "pools", "document": recording });
    let (status, answer) = served.api(ADMIN, ("POST", "servers"), &new).await;
    assert!((200..300).contains(&status), "{answer}");
    let again = served.api(ADMIN, ("POST", "servers"), &new).await;
    assert_eq!(again.1["unchanged"], true, "{again:?}");
    let (status, kept) = served
        .api(ADMIN, ("GET", "servers/pools/document"), &Value::Null)
        .await;
    assert_eq!((status, &kept["openapi"]), (200, &json!("3.1.0")), "{kept}");
    for entry in std::fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        let mut windows = bytes.windows(b"leaked".len());
        assert!(windows.all(|six| six != b"leaked"), "{path:?}");
    }
}
