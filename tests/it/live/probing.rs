//! APIs that are asked from time to time: by one process of two, and whatever they answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use causeway::access::ledger::Ledger;
use causeway::mcp::call::Mcp;
use causeway::mcp::call::probe::check;
use causeway::mcp::probes::{Prober, round};
use causeway::mcp::server::{ProbeSettings, ServerSettings};
use causeway::openapi::OperationKey;
use causeway::store::lifecycle::NewClosed;
use causeway::store::servers::ServerChange;
use causeway::store::{Change, Store};
use causeway::types::Clock;
use chrono::DateTime;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Place, act, open};
use crate::call::Bench;
use crate::egress::serve_local;

/// The API does not answer.
const NEVER: u16 = 0;

fn probing(operation: &str, arguments: &Value) -> ProbeSettings {
    ProbeSettings {
        operation: OperationKey(operation.to_owned()),
        arguments: arguments.as_object().unwrap().clone(),
        every_minutes: 5,
    }
}

/// One process on a place: its own connection, catalog and clock.
async fn process(place: &Place, seconds: &Arc<AtomicI64>) -> (Prober, impl FnMut() -> bool) {
    let seconds = seconds.clone();
    let clock = Clock::from_fn(move || {
        let seconds = seconds.load(Ordering::SeqCst);
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    });
    let (ledger, mut entries) = Ledger::channel(8);
    let prober = Prober {
        mcp: Mcp::new(place.bench.mcp.egress.clone(), ledger, clock),
        catalog: place.catalog(usize::MAX).await,
        store: open(place.folder.path()).await,
    };
    (prober, move || entries.try_recv().is_err())
}

async fn last(store: &Store, place: &Place) -> (usize, i64, Option<i64>, String) {
    let results = store.probe_results(place.first).await.unwrap();
    let last = results[0].clone();
    let reason = last.reason.unwrap_or_default();
    (results.len(), last.ok, last.status, reason)
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story, told in its order")]
async fn one_process_of_two_asks_an_api_and_keeps_what_it_says() {
    let place = Place::start().await;
    let (says, asked) = (Arc::new(AtomicU16::new(200)), Arc::new(AtomicUsize::new(0)));
    let (now_says, counted) = (says.clone(), asked.clone());
    let router = Router::new().fallback(any(async move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let says = now_says.load(Ordering::SeqCst);
        if says == NEVER {
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        StatusCode::from_u16(says).unwrap_or_default()
    }));
    let origin = format!("http://{}", serve_local(router).await);
    let settings = ServerSettings {
        upstream: Some(origin),
        call_timeout_ms: 1_500,
        probe: Some(probing("GET /echo", &json!({}))),
        ..ServerSettings::default()
    };
    let text = serde_json::to_string(&settings).unwrap();
    let edit = ServerChange {
        settings: Some(&text),
        slug: None,
        expected: None,
    };
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let noted = act();
    let edited = place.store.edit_server(place.first, edit, &noted, now);
    edited.await.unwrap();
    let seconds = Arc::new(AtomicI64::new(0));
    let (one, mut one_is_silent) = process(&place, &seconds).await;
    let (other, mut other_is_silent) = process(&place, &seconds).await;
    let both = async || {
        let (one, other) = tokio::join!(round(&one), round(&other));
        one.unwrap() + other.unwrap()
    };

    assert_eq!((both().await, asked.load(Ordering::SeqCst)), (1, 1));
    assert_eq!(
        last(&place.store, &place).await,
        (1, 1, Some(200), String::new())
    );
    assert_eq!(both().await, 0, "it is not due");

    says.store(500, Ordering::SeqCst);
    seconds.store(330, Ordering::SeqCst);
    assert_eq!(both().await, 1);
    let (count, ok, status, reason) = last(&place.store, &place).await;
    assert_eq!((count, ok, status), (2, 0, Some(500)));
    assert_eq!(reason, "the API answered 500");

    says.store(NEVER, Ordering::SeqCst);
    seconds.store(660, Ordering::SeqCst);
    assert_eq!(both().await, 1);
    let (count, ok, status, reason) = last(&place.store, &place).await;
    assert_eq!((count, ok, status), (3, 0, None));
    assert!(reason.contains("did not answer within"), "{reason}");

    let before = asked.load(Ordering::SeqCst);
    seconds.store(990, Ordering::SeqCst);
    let closed = NewClosed {
        word: "disabled",
        note: None,
    };
    let close = place
        .store
        .close_server(place.first, Some(closed), &noted, now);
    close.await.unwrap();
    // Neither one that heard of it, nor one that did not.
    one.catalog
        .apply(Change::Server(place.first))
        .await
        .unwrap();
    assert_eq!(both().await, 0);
    assert_eq!(asked.load(Ordering::SeqCst), before);
    assert!(
        one_is_silent() && other_is_silent(),
        "a probe is in no ledger"
    );
}

#[test]
fn what_cannot_be_a_probe_is_refused_with_a_reason() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let operation = |parameters: Value, security: Value| json!({ "responses": {"200": {"description": "it"}}, "parameters": parameters, "security": security });
    let id =
        json!([{ "name": "id", "in": "query", "required": true, "schema": {"type": "integer"} }]);
    let document = json!({
        "openapi": "3.1.0", "info": {"title": "Things", "version": "1"},
        "servers": [{"url": "https://api.example"}],
        "paths": {
            "/it": { "get": operation(json!([]), json!([])), "post": operation(json!([]), json!([])) },
            "/one": { "get": operation(id, json!([])) },
            "/mine": { "get": operation(json!([]), json!([{"own": []}])) },
            "/either": { "get": operation(json!([]), json!([{"own": []}, {"shared": []}])) },
        },
        "components": { "securitySchemes": {
            "own": {"type": "http", "scheme": "bearer"}, "shared": {"type": "http", "scheme": "basic"},
        } },
    });
    let settings = ServerSettings {
        user_accounts: ["own".to_owned()].into(),
        ..ServerSettings::default()
    };
    let bench = Bench::local();
    let server = bench.server_with(
        &document,
        causeway::credential::Credentials::default(),
        settings.clone(),
    );
    for (operation, arguments, refused) in [
        ("GET /it", json!({}), None),
        ("GET /one", json!({"id": 7}), None),
        ("GET /either", json!({}), None),
        ("GET /one", json!({}), Some("id")),
        ("GET /one", json!({"id": "x"}), Some("id")),
        ("GET /nothing", json!({}), Some("no operation")),
        ("POST /it", json!({}), Some("may change something")),
        ("GET /mine", json!({}), Some("each user connects")),
    ] {
        let checked = check(&server, &settings, &probing(operation, &arguments));
        let said = checked.err().map(|error| error.to_string());
        match refused {
            None => assert_eq!(said, None, "{operation}"),
            Some(words) => {
                let said = said.unwrap_or_default();
                assert!(said.contains(words), "{operation}: {said}");
            }
        }
    }
}
