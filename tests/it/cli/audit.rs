//! `audit verify`, and the audit as the API tells it.

use serde_json::{Value, json};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};

use crate::cli::ADMIN_KEY;
use crate::program::{Serving, run};

/// The hash of a row, from what the API tells of it alone.
fn hash(previous: &str, row: &Value) -> String {
    let fields = [
        "organization",
        "seq",
        "id",
        "atMicros",
        "actor",
        "action",
        "entity",
        "entityId",
        "before",
        "after",
    ];
    let mut hashed = vec![json!("causeway-audit-1"), json!(previous)];
    hashed.extend(fields.map(|field| row[field].clone()));
    let text = Value::Array(hashed).to_string();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    hex::encode(digest)
}

/// The head of the chain is told, and whoever noted one finds it again.
async fn the_head_is_noted(verify: &[&str], (rows, last): (usize, &str)) {
    let verified = run(&[verify, &["--json"]].concat()).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let head = verified.json()["chains"][0]["head"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(head, format!("{rows}:{last}"));
    let shown = run(&[verify, &["--noted", &head]].concat()).await;
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.trim_end().ends_with(&head), "{shown:?}");
    let never = format!("1:{}", "ab".repeat(32));
    let lost = run(&[verify, &["--noted", &never]].concat()).await;
    assert_eq!(lost.code, Some(1), "{lost:?}");
    assert!(lost.stdout.contains(&never), "{lost:?}");
}

#[tokio::test]
async fn the_audit_is_read_verified_and_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let text = data.display().to_string();
    let served = Serving::on(&data, &["--admin-key", ADMIN_KEY]).await;
    for name in ["one", "two"] {
        let key = json!({ "name": name });
        let made = served.api(ADMIN_KEY, ("POST", "keys"), &key);
        assert_eq!(made.await.0, 201);
    }

    let (mut rows, mut path) = (Vec::new(), "audit?limit=1".to_owned());
    let next = loop {
        let (status, page) = served.api(ADMIN_KEY, ("GET", &path), &Value::Null).await;
        assert_eq!(status, 200, "{page}");
        let next = page["next"].as_str().unwrap().to_owned();
        path = format!("audit?limit=1&after={next}");
        match page["rows"].as_array().unwrap().as_slice() {
            [] => break next,
            [row] => rows.push(row.clone()),
            more => unreachable!("{more:?}"),
        }
    };
    assert!(rows.len() >= 4, "the demo and two keys: {rows:?}");
    assert_eq!(rows.last().unwrap()["id"], *next);
    let mut previous = "0".repeat(64);
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row["seq"], index + 1);
        assert_eq!(row["hash"], hash(&previous, row), "{row}");
        row["hash"].as_str().unwrap().clone_into(&mut previous);
    }
    let unknown = format!("after={}", uuid::Uuid::nil());
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=x",
        "more=1",
        &unknown,
    ] {
        let path = format!("audit?{query}");
        let (status, problem) = served.api(ADMIN_KEY, ("GET", &path), &Value::Null).await;
        assert_eq!(
            (status, &problem["status"]),
            (400, &json!(400)),
            "{query}: {problem}"
        );
    }

    // While it is served.
    let verify = ["audit", "verify", "--data", &text];
    the_head_is_noted(&verify, (rows.len(), &previous)).await;
    served.terminate();
    assert_eq!(served.ended().await.0, Some(0));

    let file = SqliteConnectOptions::new().filename(data.join("causeway.db"));
    let mut database = SqliteConnection::connect_with(&file).await.unwrap();
    for statement in [
        "DROP TRIGGER audit_is_never_updated",
        "UPDATE audit SET actor = 'somebody else' WHERE seq = 2",
    ] {
        database.execute(statement).await.unwrap();
    }
    database.close().await.unwrap();
    let found = run(&verify).await;
    assert_eq!(found.code, Some(1), "{found:?}");
    assert!(found.stdout.contains("row 2"), "{found:?}");
    assert!(found.stdout.contains("\n1 rows fit"), "{found:?}");
    let found = run(&[&verify[..], &["--json"]].concat()).await.json();
    assert_eq!(found["whole"], false);
    let fault = &found["chains"][0]["fault"];
    assert_eq!(
        (&fault["kind"], &fault["seq"]),
        (&json!("altered"), &json!(2))
    );
}

#[tokio::test]
async fn what_is_no_database_is_not_verified() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("nothing").display().to_string();
    let verify = ["audit", "verify", "--data", &text];
    run(&verify).await.refused(&["no database", "--data"]);
    assert!(!folder.path().join("nothing").exists());
}
