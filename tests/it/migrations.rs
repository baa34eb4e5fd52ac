//! The two folders of migrations make the same schema: the same files, tables, columns, constraints and
//! indexes, each in the words of its database.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};

fn folder(database: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(database)
}

/// Name and text of each file.
fn files(database: &str) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder(database)).unwrap();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    entries.map(|entry| read(entry.unwrap().path())).collect()
}

/// A column: its type in words of neither database, and whether it may be NULL.
type Columns = Vec<(String, &'static str, bool)>;

#[derive(Debug, Default, PartialEq, Eq)]
struct Schema {
    /// In the order they are written.
    tables: BTreeMap<String, Columns>,
    constraints: BTreeSet<String>,
    indexes: BTreeSet<String>,
    /// Tables whose rows are guarded by a trigger.
    guarded: BTreeSet<String>,
}

fn schema(database: &str) -> Schema {
    let mut schema = Schema::default();
    for text in files(database).values() {
        let lines = text
            .lines()
            .map(|line| line.split("--").next().unwrap_or_default());
        let text = lines.collect::<Vec<_>>().join(" ");
        for statement in text.split(';') {
            read(&mut schema, statement);
        }
    }
    schema
}

fn read(schema: &mut Schema, statement: &str) {
    let words: Vec<&str> = statement.split_whitespace().collect();
    for pair in words.windows(2).filter(|pair| pair[0] == "CONSTRAINT") {
        schema.constraints.insert(pair[1].to_owned());
    }
    match words[..] {
        ["CREATE", "TABLE", table, ..] => {
            let start = statement.find('(').unwrap() + 1;
            let end = statement.rfind(')').unwrap();
            let columns = top_level(&statement[start..end])
                .into_iter()
                .filter_map(column);
            schema.tables.insert(table.to_owned(), columns.collect());
        }
        ["DROP", "TABLE", table] => {
            schema.tables.remove(table).unwrap();
        }
        ["ALTER", "TABLE", table, "RENAME", "TO", name] => {
            let columns = schema.tables.remove(table).unwrap();
            schema.tables.insert(name.to_owned(), columns);
        }
        ["ALTER", "TABLE", _, "ADD" | "DROP", "CONSTRAINT", ..] => {}
        ["ALTER", "TABLE", table, "ADD", "COLUMN", ..] => {
            let (_, written) = statement.split_once("COLUMN").unwrap();
            let columns = schema.tables.get_mut(table).unwrap();
            columns.extend(column(written));
        }
        ["CREATE", "UNIQUE", "INDEX", index, ..] | ["CREATE", "INDEX", index, ..] => {
            schema.indexes.insert(index.to_owned());
        }
        ["CREATE", "TRIGGER", ..] => {
            let on = words.iter().position(|word| *word == "ON").unwrap();
            schema.guarded.insert(words[on + 1].to_owned());
        }
        _ => assert!(
            !words.contains(&"TABLE") || words.contains(&"TRIGGER"),
            "this test does not understand: {statement}"
        ),
    }
}

/// The parts between commas that stand in no parentheses.
fn top_level(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn column(text: &str) -> Option<(String, &'static str, bool)> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [name, kind, ..] = words[..] else {
        unreachable!("no column: {text}");
    };
    if name == "CONSTRAINT" {
        return None;
    }
    let kind = match kind {
        "TEXT" => "text",
        "INTEGER" | "BIGINT" => "number",
        // SQLite keeps ids as bytes.
        "BLOB" | "UUID" | "BYTEA" => "bytes",
        other => unreachable!("{other} is a type this test does not know"),
    };
    let required = text.contains("NOT NULL") || text.contains("PRIMARY KEY");
    Some((name.to_owned(), kind, required))
}

#[test]
fn both_databases_have_the_same_schema() {
    let names = |database: &str| files(database).into_keys().collect::<Vec<_>>();
    assert_eq!(names("sqlite"), names("postgres"));
    let (sqlite, postgres) = (schema("sqlite"), schema("postgres"));
    assert!(sqlite.tables.len() >= 12 && sqlite.guarded.contains("audit"));
    assert!(sqlite.guarded.contains("server_versions"));
    assert_eq!(sqlite, postgres);
    // What was asked for here is what the comparison sees.
    let ledger = &sqlite.tables["ledger"];
    assert_eq!(ledger.len(), 29, "{ledger:?}");
    let added = ("overlays".to_owned(), "text", false);
    assert_eq!(sqlite.tables["server_versions"].last(), Some(&added));
    assert!(sqlite.constraints.contains("servers_slug_unique"));
}

#[tokio::test]
async fn every_file_is_a_migration_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("causeway.db");
    let location = causeway::store::Location::File(file.clone());
    let store = causeway::store::Store::open(&location, 1).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
    let options = SqliteConnectOptions::new().filename(&file);
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let rows = sqlx::query("SELECT version, description FROM _sqlx_migrations ORDER BY version")
        .fetch_all(&mut database)
        .await
        .unwrap();
    let ran = rows.iter().map(|row| {
        let (version, name): (i64, String) = (row.get(0), row.get(1));
        format!("{version:04}_{name}.sql")
    });
    assert_eq!(
        ran.collect::<Vec<_>>(),
        files("sqlite").into_keys().collect::<Vec<_>>()
    );
}
