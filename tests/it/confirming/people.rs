//! A person is asked: the call waits in the inbox, and its owner's URL is told.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use causeway::access::approval::{DecisionError, Verdict};
use causeway::access::ledger::LedgerStatus;
use causeway::access::webhook::signature;
use causeway::mcp::server::ServerSettings;
use causeway::store::audit::NewAudit;
use causeway::types::{ApprovalId, Clock, OrganizationId};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc};

use crate::confirming::{ANNA, BEN, Shop, said};
use crate::egress::serve_local;

fn approval(result: &Value) -> ApprovalId {
    let id = result["_meta"]["causeway/approval"]["id"].as_str();
    id.unwrap_or_else(|| unreachable!("{result}"))
        .parse()
        .unwrap()
}

async fn decide(
    shop: &Shop,
    id: ApprovalId,
    verdict: Verdict,
    reason: Option<&str>,
) -> Result<(), DecisionError> {
    let who = (OrganizationId::DEFAULT, "admin".to_owned());
    shop.inbox
        .decide(id, (verdict, reason), who)
        .await
        .map(drop)
}

#[tokio::test]
async fn what_is_approved_once_goes_through_once() {
    let mut shop = Shop::open().await;
    let order = json!({ "order": 7, "pin": "4711" });
    let waits = shop.call(0, ANNA, ("refund", order.clone())).await;
    let told = said(&waits, true);
    assert!(
        told.contains("has to approve") && told.contains("same arguments"),
        "{told}"
    );
    let id = approval(&waits);
    assert!(told.contains(&id.to_string()), "{told}");
    // The same call stands once, on whatever replica, and in whatever way it is written.
    let again = shop
        .call(1, ANNA, ("refund", json!({ "pin": "4711", "order": 7 })))
        .await;
    assert_eq!(approval(&again), id);
    let form = shop
        .modern(0, ANNA, ("refund", order.clone(), json!({})))
        .await;
    assert_eq!(
        approval(&form),
        id,
        "whoever has forms waits like everybody"
    );
    assert_eq!(shop.status().await, LedgerStatus::Refused);
    let rows =
        shop.inbox
            .store
            .approvals(OrganizationId::DEFAULT, None, 10, shop.inbox.clock.now());
    let rows = rows.await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        rows[0].arguments,
        "{\n  \"order\": 7,\n  \"pin\": \"[masked]\"\n}"
    );
    decide(&shop, id, Verdict::Once, None).await.unwrap();
    // Neither others, nor with other arguments, nor by saying so.
    for (key, arguments) in [
        (BEN, order.clone()),
        (ANNA, json!({ "order": 7, "pin": "4712" })),
        (
            ANNA,
            json!({ "order": 8, "pin": "4711", "_confirm": "yes" }),
        ),
    ] {
        let other = shop.call(0, key, ("refund", arguments)).await;
        assert_ne!(approval(&other), id);
    }
    assert_eq!(shop.sent(), 0);
    let calls = (0..8).map(|place| shop.call(place % 2, ANNA, ("refund", order.clone())));
    let results = futures::future::join_all(calls).await;
    let went = results.iter().filter(|result| result["isError"] == false);
    assert_eq!((went.count(), shop.sent()), (1, 1));
    let over = decide(&shop, id, Verdict::Deny, None).await.unwrap_err();
    assert!(over.to_string().contains("used"), "{over}");
    let audit = shop
        .inbox
        .store
        .audit(OrganizationId::DEFAULT, None, 100)
        .await
        .unwrap()
        .unwrap();
    let noted: Vec<_> = audit
        .iter()
        .filter(|row| row.entity == "approval")
        .collect();
    assert_eq!(noted.len(), 1);
    assert_eq!(
        (noted[0].action.as_str(), &*noted[0].entity_id),
        ("approve", &*id.to_string())
    );
    assert!(!noted[0].after.as_ref().unwrap().contains("4711"));
}

#[tokio::test]
async fn an_hour_ends_and_a_denial_says_why() {
    let shop = Shop::open().await;
    let order = json!({ "order": 7 });
    let call = async || shop.call(0, ANNA, ("refund", order.clone())).await;
    let id = approval(&call().await);
    decide(&shop, id, Verdict::Hour, None).await.unwrap();
    for minutes in [0, 30, 29] {
        shop.later(minutes * 60);
        assert_eq!(said(&call().await, false), "done");
    }
    shop.later(60);
    let next = approval(&call().await);
    assert_ne!(next, id);
    assert_eq!(shop.sent(), 3);
    decide(&shop, next, Verdict::Deny, Some(" it was sent "))
        .await
        .unwrap();
    let denied = call().await;
    assert!(
        said(&denied, true).contains("denied this call: it was sent."),
        "{denied}"
    );
    assert_eq!(denied["_meta"]["causeway/approval"]["state"], "denied");
    // What nobody decides within an hour is over, and so is a denial.
    shop.later(3_600);
    let last = approval(&call().await);
    assert_ne!(last, next);
    shop.later(3_600);
    let over = decide(&shop, last, Verdict::Once, None).await.unwrap_err();
    assert!(over.to_string().contains("expired"), "{over}");
    assert_eq!(shop.sent(), 3);
}

/// A URL that fails the first time, once it is let, and what it was told.
async fn listener(let_fail: Arc<Notify>) -> (String, mpsc::UnboundedReceiver<(HeaderMap, Bytes)>) {
    let (sender, told) = mpsc::unbounded_channel();
    let failed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hook = axum::routing::post(async move |headers: HeaderMap, body: Bytes| {
        sender.send((headers, body)).unwrap();
        if failed.swap(true, std::sync::atomic::Ordering::SeqCst) {
            StatusCode::NO_CONTENT
        } else {
            let_fail.notified().await;
            StatusCode::BAD_GATEWAY
        }
    });
    let address = serve_local(Router::new().route("/hook", hook)).await;
    (format!("http://{address}/hook"), told)
}

#[tokio::test]
async fn the_owners_url_is_told_of_what_waits_signed_and_masked() {
    let renewed_once = Arc::new(Notify::new());
    let (url, mut told) = listener(renewed_once.clone()).await;
    let shop = Shop::with(ServerSettings {
        approval_webhook: Some(url),
        ..ServerSettings::default()
    })
    .await;
    let order = json!({ "order": 7, "pin": "4711" });
    let id = approval(&shop.call(0, ANNA, ("refund", order.clone())).await);
    shop.call(1, ANNA, ("refund", order)).await;
    let mut bodies = Vec::new();
    // The first try fails once the secret is replaced, before the second.
    for number in 0..2 {
        let (headers, body) = told.recv().await.unwrap();
        let signed = headers["causeway-signature"].to_str().unwrap();
        let secret = |number| shop.inbox.webhooks.secret(shop.id, number);
        assert_eq!(signed, signature(&secret(number), &body));
        assert_ne!(signed, signature(&secret(number), b"{}"));
        assert_ne!(secret(number), secret(number + 1));
        bodies.push(body);
        let who = (OrganizationId::DEFAULT, "test".to_owned());
        let act = NewAudit::of(who, "webhook.secret", ("server", "shop".to_owned()));
        let now = Clock::system().now();
        let renewed = shop
            .inbox
            .store
            .renew_webhook_secret((shop.id, None), &act, now);
        assert_eq!(renewed.await.unwrap(), number + 1);
        renewed_once.notify_one();
    }
    assert_eq!(bodies[0], bodies[1]);
    let body: Value = serde_json::from_slice(&bodies[0]).unwrap();
    assert_eq!((&body["id"], &body["tool"]), (&json!(id), &json!("refund")));
    assert_eq!(body["server"], "shop");
    assert_eq!(body["url"], "http://here/approvals");
    assert!(
        body["arguments"].as_str().unwrap().contains("[masked]"),
        "{body}"
    );
    assert!(!body.to_string().contains("4711"), "{body}");
    assert!(
        told.try_recv().is_err(),
        "told once of a call that was made twice"
    );
}
