//! A database as an earlier release left it (`tests/data/upgrade`): brought up to date, nothing of it is lost
//! and all of it works; where that fails, it is as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use causeway::store::{Location, Store};
use serde_json::{Value, json};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::Database;
use crate::serving::{Client, Process, command};

/// The newest migration of that release, and what was in its database.
const RELEASE: (i64, &str) = (15, include_str!("../data/upgrade/0015.sql"));
/// The credential it had for the API.
const SECRET: &str = "s3cret-of-the-upstream";

/// The rows of each table, in the columns that the release had.
type Rows = BTreeMap<&'static str, BTreeSet<Vec<Option<String>>>>;

/// The tables the release wrote to, with their columns.
fn written() -> BTreeMap<&'static str, Vec<String>> {
    let inserts = RELEASE.1.lines();
    let table = |line: &'static str| {
        let (table, rest) = line.strip_prefix("INSERT INTO ")?.split_once(" (")?;
        let columns = rest.split_once(')')?.0.split(", ");
        Some((table, columns.map(str::to_owned).collect()))
    };
    inserts.filter_map(table).collect()
}

/// A key the release gave away, by what it is good for.
fn key(good_for: &str) -> &'static str {
    let line = format!("-- {good_for}: ");
    let found = RELEASE.1.lines().find_map(|each| each.strip_prefix(&line));
    found.expect("a key in the head of the file")
}

/// The statements in the words of Postgres: ids are UUIDs, and other bytes are written otherwise.
fn for_postgres(statements: &str) -> String {
    let mut parts = statements.split("X'");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let bytes = part.find('\'').unwrap();
        text.push_str(if bytes == 32 { "'" } else { "'\\x" });
        text.push_str(part);
    }
    // The numbers of `change_log` are made by the database otherwise.
    let text = text.replace(") VALUES (", ") OVERRIDING SYSTEM VALUE VALUES (");
    format!(
        "{text}\nSELECT setval(pg_get_serial_sequence('change_log', 'seq'), (SELECT max(seq) FROM change_log));"
    )
}

/// The migrations up to that of the release, as they are in their folder.
fn migrations(folder: &str) -> Vec<Migration> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(folder);
    let files = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let migration = |file: std::path::PathBuf| {
        let name = file.file_stem().unwrap().to_str().unwrap();
        let (number, name) = name.split_once('_').unwrap();
        let sql = AssertSqlSafe(std::fs::read_to_string(&file).unwrap()).into_sql_str();
        let (number, name) = (number.parse().unwrap(), name.to_owned().into());
        Migration::new(number, name, MigrationType::Simple, sql, false)
    };
    let mut all: Vec<Migration> = files.map(migration).collect();
    all.retain(|migration| migration.version <= RELEASE.0);
    all.sort_by_key(|migration| migration.version);
    all
}

/// Makes a new database the one the release left.
async fn released(location: &Location) -> Database {
    Store::open(location, 1).await.unwrap().close().await;
    let database = Database::at(location).await;
    let migrator = |folder| Migrator::with_migrations(migrations(folder));
    match &database {
        Database::Lite(pool) => migrator("sqlite").run(pool).await.unwrap(),
        Database::Postgres(pool) => migrator("postgres").run(pool).await.unwrap(),
    }
    let (written, mut tables) = (written(), database.tables().await);
    assert!(tables.remove("organizations"), "{tables:?}");
    let with_rows: BTreeSet<String> = written.keys().map(|table| (*table).to_owned()).collect();
    assert_eq!(with_rows, tables, "a table without rows proves nothing");
    let statements = match database {
        Database::Lite(_) => RELEASE.1.to_owned(),
        Database::Postgres(_) => for_postgres(RELEASE.1),
    };
    database.run(&statements).await.unwrap();
    database
}

async fn rows(database: &Database) -> Rows {
    let mut rows = Rows::new();
    for (table, columns) in written() {
        rows.insert(table, database.rows(table, &columns).await);
    }
    rows
}

fn url(location: &Location) -> Option<&str> {
    match location {
        Location::File(_) => None,
        Location::Postgres(url) => Some(url.as_str()),
    }
}

/// An API that notes the credentials it is asked with.
async fn upstream() -> (String, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noting = seen.clone();
    let answer = move |request: Request| async move {
        let key = request.headers().get("x-key").expect("a credential");
        noting
            .lock()
            .unwrap()
            .push(key.to_str().unwrap().to_owned());
        axum::Json(json!({ "path": request.uri().path() }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().fallback(any(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, seen)
}

/// Asks the management API, and insists on an answer.
async fn manage(client: &Client, (method, path): (&str, &str), body: Value) -> Value {
    let (status, answer) = client.api(method, path, &body).await.unwrap();
    assert!(status < 300, "{method} {path}: {status} {answer}");
    answer
}

/// The names in a list of the management API.
async fn names(client: &Client, (list, field): (&str, &str)) -> BTreeSet<String> {
    let answer = manage(client, ("GET", list), Value::Null).await;
    let rows = answer[list].as_array().expect("a list").iter();
    rows.map(|row| row[field].as_str().unwrap().to_owned())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// `location` is a new database, and `data` an empty directory, in which it is if it is a file.
pub(crate) async fn everything_of_an_earlier_release_goes_on(location: &Location, data: &Path) {
    let database = released(location).await;
    let before = rows(&database).await;
    let (went_well, said) = command(&["migrate"], data, url(location)).await;
    assert!(went_well && said.contains("up to date"), "{said}");
    for (table, rows) in rows(&database).await {
        assert_eq!(rows, before[table], "{table}");
    }
    let process = Process::start(data, url(location)).await;
    catalog_and_people(&process.client).await;
    calls(&process.client).await;
    let (whole, said) = command(&["audit", "verify"], data, url(location)).await;
    assert!(whole, "{said}");
}

async fn catalog_and_people(client: &Client) {
    let servers = names(client, ("servers", "slug")).await;
    assert_eq!(servers, set(&["open", "things"]));
    assert_eq!(
        names(client, ("keys", "name")).await,
        set(&["agent", "narrow"])
    );
    assert_eq!(
        names(client, ("users", "name")).await,
        set(&["ada", "admin"])
    );
    assert_eq!(names(client, ("plans", "name")).await, set(&["daily"]));
    assert_eq!(names(client, ("issuers", "name")).await, set(&["staff"]));
    assert_eq!(
        names(client, ("consumers", "name")).await,
        set(&["agent", "narrow"])
    );
    let versions = manage(client, ("GET", "servers/things/versions"), Value::Null).await;
    assert_eq!(
        versions["versions"].as_array().unwrap().len(),
        2,
        "{versions}"
    );
    let source = manage(client, ("GET", "servers/things/source"), Value::Null).await;
    assert_eq!(source["everySeconds"], 2_678_400, "{source}");
}

/// The old keys are good for what they were good for, and calls go out with the old credential.
async fn calls(client: &Client) {
    let (address, seen) = upstream().await;
    let home = format!("http://{address}");
    // The API of the release has ended; it is another address now, which an admin approves.
    let moved = json!({ "upstream": home, "allowUpstream": [address] });
    manage(client, ("PATCH", "servers/things"), moved).await;
    let approval = ("POST", "servers/things/credentials/Key/approve");
    manage(client, approval, json!({ "origins": [home] })).await;

    let everywhere = key("every server");
    let both = set(&["all_things", "getThing"]);
    // By its first name too, with the tool that was renamed.
    for slug in ["things", "goods"] {
        assert_eq!(client.tools(slug, everywhere).await.as_ref(), Ok(&both));
    }
    let narrow = key("things/getThing");
    assert_eq!(client.tools("things", narrow).await, Ok(set(&["getThing"])));
    assert_eq!(client.tools("things", "cw_unknown").await, Err(401));
    assert!(client.tools("open", "").await.is_ok());
    for key in [everywhere, narrow] {
        let call = json!({ "name": "getThing", "arguments": { "id": 7 } });
        let result = client
            .ask(("things", key), "tools/call", call)
            .await
            .unwrap();
        assert_eq!(result["structuredContent"]["path"], "/things/7", "{result}");
    }
    assert_eq!(*seen.lock().unwrap(), [SECRET, SECRET]);
}

/// As above, with something in the way of the last migrations.
pub(crate) async fn what_cannot_be_migrated_is_as_it_was(location: &Location, data: &Path) {
    let database = released(location).await;
    database
        .run("CREATE TABLE erasures (id TEXT)")
        .await
        .unwrap();
    let (before, tables) = (rows(&database).await, database.tables().await);
    let (went_well, said) = command(&["migrate"], data, url(location)).await;
    assert!(!went_well, "{said}");
    for word in ["17", "erasures", "as it was before", "docs/install.md"] {
        assert!(said.contains(word), "{word} is not in {said}");
    }
    assert_eq!(rows(&database).await, before);
    // Neither the one that failed, nor those before it.
    assert_eq!(database.tables().await, tables);
    let store = Store::open(location, 1).await.unwrap();
    assert_eq!(store.schema().await.unwrap().0, RELEASE.0);
    store.close().await;

    database.run("DROP TABLE erasures").await.unwrap();
    let (went_well, said) = command(&["migrate"], data, url(location)).await;
    assert!(went_well, "{said}");
    assert_eq!(rows(&database).await, before);
}
