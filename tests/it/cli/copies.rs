//! `backup` and `restore`: another machine, with nothing but the copy and the master key.

use std::path::Path;

use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};

use crate::cli::{ADMIN_KEY, SECRET, Upstream};
use crate::program::{Serving, run};

#[tokio::test]
async fn a_vaulted_credential_works_after_a_restore() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).display().to_string();
    let flags = ["--no-demo", "--admin-key", ADMIN_KEY];
    let served = Serving::on(&path("first"), &flags).await;
    let file = upstream.document(folder.path());
    let credential = format!("Key={SECRET}");
    let import = ["import", &file, "--slug", "things", "--access", "open"];
    let more = [
        "--allow-upstream",
        &upstream.address,
        "--credential",
        &credential,
    ];
    let imported = served
        .command(ADMIN_KEY, &[&import[..], &more].concat())
        .await;
    assert_eq!(imported.code, Some(0), "{imported:?}");

    // While it is served.
    let backup = ["backup", &text("copy.db"), "--data", &text("first")];
    let made = run(&backup).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.contains("master key is not in it"), "{made:?}");
    run(&backup).await.refused(&["copy.db", "exists already"]);
    served.terminate();
    assert_eq!(served.ended().await.0, Some(0));

    let copy = std::fs::read(path("copy.db")).unwrap();
    let contains = |bytes: &[u8]| copy.windows(bytes.len()).any(|part| part == bytes);
    let master = std::fs::read_to_string(path("first/master.key")).unwrap();
    let master = master.trim();
    assert!(master.len() >= 43, "the master key is 32 bytes");
    assert!(!contains(master.as_bytes()));
    let raw = hex::decode(master).or_else(|_| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.decode(master)
    });
    assert!(!contains(&raw.unwrap()));
    assert!(!contains(SECRET.as_bytes()));
    assert!(contains(b"things"), "the copy holds nothing");

    let restore = ["restore", &text("copy.db"), "--data", &text("second")];
    let restored = run(&restore).await;
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(restored.stdout.contains(&text("second/master.key")));
    run(&restore)
        .await
        .refused(&["a database is there already"]);
    // A database never gets another key than its own by itself.
    let data = text("second");
    let serve = ["serve", "--listen", "127.0.0.1:0", "--data", &data];
    run(&serve).await.refused(&["master.key", "put it there"]);
    served_with_another_key(&path("second"), &flags).await;
    assert!(upstream.seen().is_empty());

    std::fs::copy(path("first/master.key"), path("second/master.key")).unwrap();
    std::fs::remove_dir_all(path("first")).unwrap();

    let served = Serving::on(&path("second"), &flags).await;
    let result = served
        .call("/mcp/things", "getThing", json!({ "id": 7 }))
        .await;
    assert_eq!(result["structuredContent"]["path"], "/things/7", "{result}");
    assert_eq!(upstream.seen(), [Some(SECRET.to_owned())]);
}

/// With another master key, which an operator made, the catalog is served, and nothing goes out without
/// its credential.
async fn served_with_another_key(data: &Path, flags: &[&str]) {
    let key = data.join("master.key");
    std::fs::write(&key, "ab".repeat(32)).unwrap();
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let served = Serving::on(data, flags).await;
    let (status, list) = served
        .ask("/mcp/things", "", ("tools/list", json!({})))
        .await;
    assert_eq!(status, 200, "{list}");
    assert_eq!(list["result"]["tools"][0]["name"], "getThing", "{list}");
    let result = served
        .call("/mcp/things", "getThing", json!({ "id": 7 }))
        .await;
    assert_eq!(result["isError"], true, "{result}");
    let said = result["content"][0]["text"].as_str().unwrap();
    assert!(
        said.contains("master key") && said.contains("Nothing was sent"),
        "{said}"
    );
    served.terminate();
    let (code, log) = served.ended().await;
    assert_eq!(code, Some(0));
    assert!(
        log.contains("a credential cannot be opened") && log.contains("Key"),
        "{log}"
    );
}

#[tokio::test]
async fn what_is_no_database_is_neither_copied_nor_restored() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).display().to_string();
    let backup = ["backup", &text("copy.db"), "--data", &text("nothing")];
    run(&backup).await.refused(&["no database", "--data"]);
    assert!(!folder.path().join("nothing").exists());

    let restore = ["restore", &text("missing.db"), "--data", &text("data")];
    run(&restore).await.refused(&["missing.db", "No such file"]);
    std::fs::write(folder.path().join("note.db"), "not a database, but a note").unwrap();
    let restore = ["restore", &text("note.db"), "--data", &text("data")];
    run(&restore).await.refused(&["note.db", "no backup"]);
    let left: Vec<_> = std::fs::read_dir(text("data")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn migrate_makes_a_database_that_is_served_and_may_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let migrate = ["migrate", "--data", &data.display().to_string()];
    for _ in 0..2 {
        let migrated = run(&migrate).await;
        assert_eq!(migrated.code, Some(0), "{migrated:?}");
        assert!(migrated.stdout.contains("up to date"), "{migrated:?}");
    }
    // It is not fresh any more: no demo.
    let served = Serving::on(&data, &[]).await;
    assert_eq!(served.ready["servers"], 0);
}

#[tokio::test]
async fn postgres_is_left_to_its_own_tools() {
    let url = "postgres://causeway:hidden@127.0.0.1:1/causeway";
    let ended = run(&["backup", "copy.dump", "--database-url", url]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("pg_dump") && ended.stdout.contains("copy.dump"));
    assert!(!ended.stdout.contains("hidden"), "{ended:?}");
    let url = "postgres://127.0.0.1:1/causeway?user=u&password=hidden&sslmode=require";
    let ended = run(&["backup", "copy.dump", "--database-url", url]).await;
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("sslmode=require"), "{ended:?}");
    assert!(!ended.stdout.contains("hidden"), "{ended:?}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    assert_eq!(run(&["migrate", "--data", &data]).await.code, Some(0));
    let file = SqliteConnectOptions::new().filename(folder.path().join("causeway.db"));
    let mut database = SqliteConnection::connect_with(&file).await.unwrap();
    database
        .execute(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
             VALUES (999999, 'of the future', TRUE, x'00', 0)",
        )
        .await
        .unwrap();
    database.close().await.unwrap();
    for command in [&["migrate"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let ended = run(&[command, &["--data", &data]].concat()).await;
        ended.refused(&["newer version of Causeway", "restore a backup"]);
    }
}
