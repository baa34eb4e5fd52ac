//! A request with an Idempotency-Key is done once, whatever happens to the process and to its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};

use crate::managing::{ADMIN, Answer, Site};

async fn post(site: &Site, path: &str, key: &str, body: &Value) -> Answer {
    let headers = [
        ("x-api-key", ADMIN),
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    site.send(("POST", path), &headers, body.to_string()).await
}

async fn database(site: &Site) -> SqliteConnection {
    let file = site.folder.path().join("data/causeway.db");
    let options = SqliteConnectOptions::new().filename(file);
    SqliteConnection::connect_with(&options).await.unwrap()
}

async fn keys_named(site: &Site, name: &str) -> usize {
    let keys = site.get("keys?limit=1000").await["keys"].clone();
    let keys = keys.as_array().unwrap();
    keys.iter().filter(|key| key["name"] == name).count()
}

#[tokio::test]
async fn a_request_is_done_once_and_answered_the_same() {
    let site = Site::start(&[]).await;
    let new = json!({ "name": "agent" });
    let first = post(&site, "keys", "\"one\"", &new).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.header("idempotency-replayed"), "");
    let again = post(&site, "keys", "one", &new).await;
    assert_eq!((again.status, &again.body), (201, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!(keys_named(&site, "agent").await, 1);
    // Another body, and another path.
    let other = post(&site, "keys", "one", &json!({ "name": "other" })).await;
    assert_eq!(other.status, 422, "{other:?}");
    let other = post(&site, "users", "one", &new).await;
    assert_eq!(other.status, 422, "{other:?}");
    for wrong in ["", "\"\"", &"x".repeat(256)] {
        assert_eq!(
            post(&site, "keys", wrong, &new).await.status,
            400,
            "{wrong}"
        );
    }
    // What was refused may be corrected and sent again.
    let refused = post(
        &site,
        "users",
        "two",
        &json!({ "name": "Ä", "role": "member" }),
    )
    .await;
    assert_eq!(refused.status, 422, "{refused:?}");
    let anna = json!({ "name": "anna", "role": "member" });
    let made = post(&site, "users", "two", &anna).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(post(&site, "users", "two", &anna).await.body, made.body);
    // With the address of what was made.
    let document = std::fs::read_to_string(crate::program::example("petstore.yaml")).unwrap();
    let server = json!({ "slug": "mine", "document": document });
    let published = post(&site, "servers", "three", &server).await;
    assert_eq!(published.status, 201, "{published:?}");
    let again = post(&site, "servers", "three", &server).await;
    assert_eq!((again.status, &again.body), (201, &published.body));
    assert_eq!(again.header("location"), "/api/v1/servers/mine");
    // Nobody else is answered with it.
    let nobody = site.send(
        ("POST", "keys"),
        &[("idempotency-key", "one")],
        new.to_string(),
    );
    assert_eq!(nobody.await.status, 401);
}

#[tokio::test]
async fn of_many_at_once_one_is_done_and_no_secret_is_stored_in_clear() {
    let site = Site::start(&[]).await;
    let new = json!({ "name": "agent" });
    let all = join_all((0..10).map(|_| post(&site, "keys", "same", &new))).await;
    let made: Vec<&Answer> = all.iter().filter(|answer| answer.status == 201).collect();
    assert!(!made.is_empty());
    assert!(all.iter().all(|answer| [201, 409].contains(&answer.status)));
    assert!(made.iter().all(|answer| answer.body == made[0].body));
    assert_eq!(keys_named(&site, "agent").await, 1);
    let secret = made[0].body["key"].as_str().unwrap().to_owned();
    let mut database = database(&site).await;
    let row = sqlx::query("SELECT sealed, principal FROM idempotency_keys");
    let row = row.fetch_one(&mut database).await.unwrap();
    let sealed: Vec<u8> = row.get("sealed");
    assert!(sealed.len() > secret.len());
    assert!(!String::from_utf8_lossy(&sealed).contains(&secret));
    // Cut off before its answer was stored: it is not done again.
    let cut = "UPDATE idempotency_keys SET status = 0, sealed = x'', key_id = '', lease_until = ";
    for (until, said) in [
        ("9223372036854775807", "still being done"),
        ("0", "may have been done or not"),
    ] {
        let cut = sqlx::query(sqlx::AssertSqlSafe(format!("{cut}{until}")));
        cut.execute(&mut database).await.unwrap();
        let again = post(&site, "keys", "same", &new).await;
        assert_eq!(again.status, 409, "{again:?}");
        assert!(
            again.body["detail"].as_str().unwrap().contains(said),
            "{again:?}"
        );
    }
    // Forgotten after a day.
    let over = sqlx::query("UPDATE idempotency_keys SET expires_at = 0");
    over.execute(&mut database).await.unwrap();
    assert_eq!(post(&site, "keys", "same", &new).await.status, 201);
    assert_eq!(keys_named(&site, "agent").await, 2);
}

#[tokio::test]
async fn a_process_that_is_killed_does_nothing_twice() {
    let mut folder = tempfile::tempdir().unwrap();
    let (mut unknown, mut replayed) = (0, 0);
    for round in 0..3 {
        let site = Site::on(folder, &[]).await;
        let names: Vec<String> = (0..40).map(|number| format!("r{round}-{number}")).collect();
        let answered = Arc::new(AtomicU64::new(0));
        let asked = names.iter().map(|name| {
            let url = format!("{}/api/v1/keys", site.served.origin);
            let request = site.client.post(url).header("x-api-key", ADMIN);
            let request = request.header("content-type", "application/json");
            let request = request.header("idempotency-key", name);
            let request = request.body(json!({ "name": name }).to_string());
            let answered = answered.clone();
            tokio::spawn(async move {
                let answer = request.send().await;
                answered.fetch_add(1, Ordering::Relaxed);
                answer.map(|answer| answer.status().as_u16())
            })
        });
        let asked: Vec<_> = asked.collect();
        // In the middle of it.
        while answered.load(Ordering::Relaxed) < 3 + 4 * round {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let Site {
            served,
            folder: kept,
            ..
        } = site;
        served.killed().await;
        let before: Vec<Option<u16>> = join_all(asked)
            .await
            .into_iter()
            .map(|answer| answer.unwrap().ok())
            .collect();
        let site = Site::on(kept, &[]).await;
        for (name, before) in names.iter().zip(before) {
            let again = post(&site, "keys", name, &json!({ "name": name })).await;
            let made = keys_named(&site, name).await;
            match again.status {
                201 => assert_eq!(made, 1, "{name}"),
                409 => {
                    assert!(made <= 1, "{name}");
                    assert_eq!(
                        before, None,
                        "{name}: it was answered, and its answer is lost"
                    );
                    unknown += 1;
                }
                _ => unreachable!("{name}: {again:?}"),
            }
            replayed += usize::from(again.header("idempotency-replayed") == "true");
        }
        site.served.killed().await;
        folder = site.folder;
    }
    println!("cut off: {unknown}, answered again: {replayed}");
    assert!(replayed > 0, "the kill came before anything was done");
}
