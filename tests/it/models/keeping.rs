//! Files and batches that callers keep at a provider: whose they stay, and how they end.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::models::through::{Scene, answered};

impl Scene {
    fn batch(&self, file: &str) -> reqwest::RequestBuilder {
        let body = json!({ "input_file_id": file, "endpoint": "/v1/chat/completions" });
        let request = self.ask("POST", "/v1/batches", &self.set.caller);
        let request = request.header("content-type", "application/json");
        request.body(body.to_string())
    }

    /// What is listed at an address, once something is.
    async fn listed(&self, path: &str) -> Vec<String> {
        let began = Instant::now();
        loop {
            let (_, page) = self.own("GET", path).await;
            let ids = ids(&page);
            if !ids.is_empty() {
                return ids;
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{page}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How many of a kind the caller is known to have.
    pub(super) async fn known(&self, kind: &str) -> i64 {
        let mut database = self.set.database().await;
        let sql = "SELECT COUNT(*) FROM provider_objects WHERE kind = $1";
        let count = sqlx::query_scalar(sql).bind(kind);
        count.fetch_one(&mut database).await.unwrap()
    }

    /// Has the caller have made as many batches as there may be, none of which the provider knows.
    async fn fill(&self) {
        let mut database = self.set.database().await;
        let one = |sql: &'static str| sqlx::query_scalar::<_, Uuid>(sql);
        let key = one(
            "SELECT k.id FROM provider_keys k JOIN providers p ON p.id = k.provider_id \
             WHERE p.name = 'p'",
        )
        .fetch_one(&mut database);
        let key = key.await.unwrap();
        let app = one("SELECT id FROM consumers WHERE name = 'app'").fetch_one(&mut database);
        let owner = format!("consumer:{}", app.await.unwrap());
        let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) \
            INSERT INTO provider_objects (organization_id, provider, object, kind, owner, provider_key_id, created_at) \
            SELECT (SELECT id FROM organizations), 'p', 'batch-old-' || i, 'batch', $1, $2, i FROM n";
        let filled = sqlx::query(sql).bind(owner).bind(key);
        filled.execute(&mut database).await.unwrap();
    }
}

fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap().iter();
    let ids = data.map(|one| one["id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[tokio::test]
async fn what_is_made_is_its_makers_also_where_they_leave_before_they_are_told() {
    let scene = Scene::start(json!({ "files": true })).await;
    scene.shelf.0.lock().unwrap().thinks = Duration::from_secs(3);
    let there = |kind: &str| {
        let kept = scene.shelf.0.lock().unwrap();
        match kind {
            "files" => kept.files.len(),
            _ => kept.batches.len(),
        }
    };
    for kind in ["files", "batches"] {
        let request = match kind {
            "files" => {
                let request = scene.ask("POST", "/v1/files", &scene.set.caller);
                request.body("some text")
            }
            _ => scene.batch("file-0"),
        };
        let asked = tokio::spawn(request.send());
        let began = Instant::now();
        while there(kind) == 0 {
            assert!(began.elapsed() < Duration::from_secs(10), "{kind}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // The provider has made it, and nobody waits for its word any more.
        asked.abort();
        assert!(asked.await.unwrap_err().is_cancelled());
        let listed = scene.listed(&format!("/v1/{kind}")).await;
        assert_eq!(listed.len(), 1, "{kind}: {listed:?}");
    }
    assert_eq!(scene.others("GET", "/v1/files/file-0").await.0, 404);
}

#[tokio::test]
async fn an_upload_that_breaks_off_makes_nothing() {
    use tokio::io::AsyncWriteExt;
    let scene = Scene::start(json!({ "files": true })).await;
    let origin = scene.set.site.served.origin.clone();
    let address = origin.trim_start_matches("http://");
    for length in ["content-length: 999", "transfer-encoding: chunked"] {
        let head = format!(
            "POST /v1/files HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\n\
             content-type: text/plain\r\n{length}\r\n\r\n",
            scene.set.caller
        );
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.write_all(b"5\r\nhello\r\n").await.unwrap();
        // It is under way to the provider by now.
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(socket);
    }
    let rows = scene.set.rows(2).await;
    assert!(rows.iter().all(|row| row.status != "ok"), "{rows:?}");
    assert!(scene.shelf.0.lock().unwrap().files.is_empty());
    assert_eq!(scene.known("file").await, 0);
}

#[tokio::test]
async fn batches_take_no_room_of_files_and_can_be_ended() {
    let scene = Scene::start(json!({ "files": true })).await;
    scene.fill().await;
    let file = scene.upload("a file beside ten thousand batches").await;
    let (status, said) = answered(scene.batch(&file)).await;
    assert_eq!(
        (status, &said["error"]["code"]),
        (400, &json!("too_many")),
        "{said}"
    );
    // What the provider does not know is in no list, and stays the caller's until they delete it.
    let (_, page) = scene.own("GET", "/v1/batches?limit=100").await;
    assert_eq!(
        (ids(&page).len(), &page["has_more"]),
        (0, &json!(true)),
        "{page}"
    );
    assert_eq!(scene.own("GET", "/v1/batches/batch-old-1").await.0, 404);
    let cancel = "/v1/batches/batch-old-2/cancel";
    assert_eq!(scene.own("POST", cancel).await.0, 404);
    assert_eq!(scene.known("batch").await, 10_000);
    let (status, ended) = scene.own("DELETE", "/v1/batches/batch-old-3").await;
    assert_eq!((status, &ended["deleted"]), (200, &json!(true)), "{ended}");
    assert_eq!(scene.known("batch").await, 9_999);

    let (status, made) = answered(scene.batch(&file)).await;
    assert_eq!(status, 200, "{made}");
    let path = format!("/v1/batches/{}", made["id"].as_str().unwrap());
    assert_eq!(scene.others("DELETE", &path).await.0, 404);
    scene.shelf.0.lock().unwrap().under_way = true;
    let (status, said) = scene.own("DELETE", &path).await;
    assert_eq!(status, 400, "it would write files of nobody: {said}");
    assert_eq!(scene.own("GET", &path).await.0, 200);
    scene.shelf.0.lock().unwrap().under_way = false;
    assert_eq!(scene.own("DELETE", &path).await.0, 200);
    assert_eq!(scene.own("GET", &path).await.0, 404);
    // What it wrote is the caller's, though nobody looked at the batch before.
    let output = format!("/v1/files/file-of-{}/content", made["id"].as_str().unwrap());
    assert_eq!(scene.own("GET", &output).await.1, "results");

    // A file that somebody deleted at the provider.
    scene.shelf.0.lock().unwrap().files.remove(&file);
    let known = scene.known("file").await;
    let (status, gone) = scene.own("DELETE", &format!("/v1/files/{file}")).await;
    assert_eq!((status, &gone["deleted"]), (200, &json!(true)), "{gone}");
    assert_eq!(scene.known("file").await, known - 1);
}

#[tokio::test]
async fn what_a_provider_does_not_find_stays_its_makers() {
    let scene = Scene::start(json!({ "files": true })).await;
    let file = scene
        .upload("kept while its provider is led elsewhere")
        .await;
    let (_, made) = answered(scene.batch(&file)).await;
    let batch = format!("/v1/batches/{}", made["id"].as_str().unwrap());
    assert_eq!(scene.own("GET", &batch).await.0, 200);
    let known = (scene.known("file").await, scene.known("batch").await);
    // Another path of the same origin, with the same key, has nothing of it.
    let base = format!("http://{}/elsewhere/v1", scene.address);
    let moved = json!({ "files": true, "parameters": { "base_url": base } });
    scene.open(moved).await;
    for (method, path) in [
        ("GET", format!("/v1/files/{file}")),
        ("GET", format!("/v1/files/{file}/content")),
        ("GET", batch.clone()),
        ("POST", format!("{batch}/cancel")),
    ] {
        assert_eq!(scene.own(method, &path).await.0, 404, "{method} {path}");
    }
    for kind in ["files", "batches"] {
        let (_, page) = scene.own("GET", &format!("/v1/{kind}")).await;
        assert_eq!(page["data"], json!([]), "{kind}");
    }
    let after = (scene.known("file").await, scene.known("batch").await);
    assert_eq!(after, known);

    scene.open(json!({ "files": true })).await;
    assert_eq!(scene.own("GET", &batch).await.0, 200);
    assert_eq!(scene.listed("/v1/batches").await.len(), 1);
    assert_eq!(scene.listed("/v1/files").await.len(), 2);
}

#[tokio::test]
async fn a_list_goes_on_past_what_its_provider_does_not_find() {
    let scene = Scene::start(json!({ "files": true })).await;
    let first = scene.upload("the oldest").await;
    for n in 0..5 {
        scene.upload(&format!("later {n}")).await;
    }
    let shelf = &scene.shelf.0;
    shelf.lock().unwrap().files.retain(|id, _| *id == first);
    let (_, page) = scene.own("GET", "/v1/files?limit=2").await;
    assert_eq!(ids(&page), [&*first], "{page}");
    assert_eq!(page["has_more"], json!(false), "{page}");
    let rest = page["not_found"].as_array().unwrap();
    assert_eq!(rest.len(), 5, "{page}");
    // Whoever wants none of them any more ends them by these ids.
    for id in rest {
        let path = format!("/v1/files/{}", id.as_str().unwrap());
        assert_eq!(scene.own("DELETE", &path).await.0, 200);
    }
    let (_, page) = scene.own("GET", "/v1/files").await;
    assert_eq!(page["not_found"], Value::Null, "{page}");
    assert_eq!(scene.known("file").await, 1);
}
