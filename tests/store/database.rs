//! What is seen, and broken, beside the store: the rows themselves.

use std::collections::BTreeSet;

use causeway::store::credentials::NewCredential;
use causeway::store::ledger::LedgerRow;
use causeway::store::servers::{Import, ServerChange};
use causeway::store::{Location, Store, StoreError};
use causeway::types::{CredentialId, OrganizationId, ServerId};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, PgPool, Row, SqlitePool};

use super::{
    ORGANIZATION, act, act_of, approved, at, key, replaced, server, settings, slug, version,
};

/// The database under a store, without the store.
pub(crate) enum Database {
    Lite(SqlitePool),
    Postgres(PgPool),
}

impl Database {
    pub(crate) async fn at(location: &Location) -> Self {
        match location {
            Location::File(path) => {
                let options = SqliteConnectOptions::new().filename(path);
                let options = options.foreign_keys(true);
                // One connection: a second would not see at once what the first made or dropped.
                let pool = SqlitePoolOptions::new().max_connections(1);
                Self::Lite(pool.connect_with(options).await.unwrap())
            }
            Location::Postgres(url) => Self::Postgres(PgPool::connect(url.as_str()).await.unwrap()),
        }
    }

    pub(super) async fn run(&self, sql: &str) -> Result<(), String> {
        let sql = AssertSqlSafe(sql.to_owned());
        let done = match self {
            Self::Lite(pool) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
            Self::Postgres(pool) => sqlx::raw_sql(sql).execute(pool).await.map(drop),
        };
        done.map_err(|error| error.to_string())
    }

    /// The rows of a query whose columns are all text.
    pub(super) async fn texts(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Lite(pool) => {
                let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
                let row = |row: &sqlx::sqlite::SqliteRow| {
                    (0..row.len()).map(|column| row.get(column)).collect()
                };
                rows.iter().map(row).collect()
            }
            Self::Postgres(pool) => {
                let rows = sqlx::query(sql).fetch_all(pool).await.unwrap();
                let row = |row: &sqlx::postgres::PgRow| {
                    (0..row.len()).map(|column| row.get(column)).collect()
                };
                rows.iter().map(row).collect()
            }
        }
    }

    pub(super) async fn count(&self, table: &str) -> usize {
        let query = format!("SELECT 'x' AS value FROM {table}");
        self.texts(&query).await.len()
    }

    /// The tables of the schema, without those of the database itself.
    pub(super) async fn tables(&self) -> BTreeSet<String> {
        let sql = match self {
            Self::Lite(_) => {
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            }
            Self::Postgres(_) => {
                "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = 'public'"
            }
        };
        let rows = self.texts(sql).await.into_iter();
        rows.filter_map(|mut row| row.remove(0))
            .filter(|name| name != "_sqlx_migrations")
            .collect()
    }

    /// Every row of these columns, in a form in which equal rows are equal text.
    pub(super) async fn rows(
        &self,
        table: &str,
        columns: &[String],
    ) -> BTreeSet<Vec<Option<String>>> {
        let column = |name: &String| match self {
            Self::Lite(_) => format!("quote({name})"),
            Self::Postgres(_) => format!("CAST({name} AS TEXT)"),
        };
        let columns: Vec<String> = columns.iter().map(column).collect();
        let sql = format!("SELECT {} FROM {table}", columns.join(", "));
        self.texts(&sql).await.into_iter().collect()
    }

    /// A column of ids as text: 32 hexadecimal digits.
    fn id(&self, column: &str) -> String {
        match self {
            Self::Lite(_) => format!("lower(hex({column}))"),
            Self::Postgres(_) => format!("replace(CAST({column} AS TEXT), '-', '')"),
        }
    }

    /// Makes every insert into a table fail until [`Self::mend`].
    async fn break_inserts(&self, table: &str) {
        let sql = match self {
            Self::Lite(_) => format!(
                "CREATE TRIGGER broken BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'broken'); END"
            ),
            Self::Postgres(_) => format!(
                "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS \
                 $$ BEGIN RAISE EXCEPTION 'broken'; END $$; \
                 CREATE TRIGGER broken BEFORE INSERT ON {table} EXECUTE FUNCTION broken()"
            ),
        };
        self.run(&sql).await.unwrap();
    }

    async fn mend(&self, table: &str) {
        let sql = match self {
            Self::Lite(_) => "DROP TRIGGER broken".to_owned(),
            Self::Postgres(_) => format!("DROP TRIGGER broken ON {table}; DROP FUNCTION broken()"),
        };
        self.run(&sql).await.unwrap();
    }

    /// Everything the catalog says, as text.
    async fn catalog(&self) -> Vec<Vec<Vec<Option<String>>>> {
        let mut all = Vec::new();
        for query in [
            "SELECT slug, title, settings, CAST(revision AS TEXT) FROM servers ORDER BY slug",
            "SELECT slug FROM server_aliases ORDER BY slug",
            "SELECT title, CAST(number AS TEXT) FROM server_versions ORDER BY title, number",
            "SELECT scheme, subject, key_id, origins FROM credentials ORDER BY scheme, subject",
            "SELECT name, CAST(revoked_at AS TEXT) FROM api_keys ORDER BY name",
            "SELECT name FROM consumers ORDER BY name",
            "SELECT actor, action FROM audit ORDER BY id",
            "SELECT entity, CAST(revision AS TEXT) FROM change_log ORDER BY seq",
        ] {
            all.push(self.texts(query).await);
        }
        all
    }
}

fn credential(server: ServerId, subject: Option<&str>, text: &str) -> NewCredential {
    NewCredential {
        id: CredentialId::generate(),
        organization: ORGANIZATION,
        server,
        scheme: "key".into(),
        subject: subject.map(str::to_owned),
        key_id: text.into(),
        sealed: text.as_bytes().to_vec(),
        origins: "[]".into(),
        token_origins: None,
    }
}

/// Each kind of write to the catalog, in an order in which all of them go well.
async fn write(store: &Store, step: usize, id: ServerId) -> Result<(), StoreError> {
    let (act, now) = (act(), at(i64::try_from(step).unwrap()));
    let (new, other) = (server("pets"), version("other"));
    match step {
        0 => {
            let new = causeway::store::servers::NewServer { id, ..new };
            store.create_server(&new, &act, now).await
        }
        1 => store
            .import(id, replaced(&other), &act, now)
            .await
            .map(drop),
        2 => {
            let both = ServerChange {
                slug: Some(&slug("animals")),
                ..settings("{\"a\":1}", None)
            };
            store.edit_server(id, both, &act, now).await
        }
        3 => {
            let credential = credential(id, None, "one");
            store.put_credential(credential, &act, now).await
        }
        4 => {
            let approving =
                store.approve_origins((id, "key"), approved("[\"https://a\"]"), &act, now);
            approving.await.map(drop)
        }
        5 => store
            .delete_credential((id, "key"), &act, now)
            .await
            .map(drop),
        6 => store.create_key(key(3), &act, now).await.map(drop),
        7 => {
            let id = store.key_by_hash(&[3; 32]).await?.unwrap().id;
            let revoking = store.revoke_key(causeway::types::KeyId(id), &act, now);
            revoking.await.map(drop)
        }
        _ => store.delete_server(id, &act, now).await.map(drop),
    }
}

const WRITES: usize = 9;

pub(crate) async fn a_change_its_line_and_its_audit_are_one(store: &Store, database: &Database) {
    let id = ServerId::generate();
    for step in 0..WRITES {
        write(store, step, id).await.unwrap();
        assert_eq!(database.count("change_log").await, step + 1, "step {step}");
        assert_eq!(database.count("audit").await, step + 1, "step {step}");
    }
    let lines = format!(
        "SELECT entity, {}, CAST(revision AS TEXT), CAST(at AS TEXT) FROM change_log ORDER BY seq",
        database.id("entity_id")
    );
    let lines = database.texts(&lines).await;
    let of_servers: Vec<_> = lines
        .iter()
        .filter(|line| line[0].as_deref() == Some("server"))
        .collect();
    assert_eq!(of_servers.len(), 7);
    for (number, line) in of_servers.iter().enumerate() {
        assert_eq!(line[1].as_deref(), Some(&*id.0.simple().to_string()));
        let revision = number + 1;
        assert_eq!(
            line[2].as_deref(),
            Some(&*revision.to_string()),
            "{lines:?}"
        );
    }
    for (step, line) in lines.iter().enumerate() {
        let at = at(i64::try_from(step).unwrap()).timestamp_micros();
        assert_eq!(line[3].as_deref(), Some(&*at.to_string()));
    }
}

/// A change that cannot be logged, or of which nobody could say who made it, is not made.
pub(crate) async fn what_cannot_be_noted_is_not_done(store: &Store, database: &Database) {
    let id = ServerId::generate();
    for step in 0..WRITES {
        let before = database.catalog().await;
        for table in ["change_log", "audit"] {
            database.break_inserts(table).await;
            let written = write(store, step, id).await;
            assert!(written.is_err(), "step {step} without {table}");
            database.mend(table).await;
            assert_eq!(
                database.catalog().await,
                before,
                "step {step} without {table}"
            );
        }
        write(store, step, id).await.unwrap();
        assert_ne!(database.catalog().await, before, "step {step}");
    }
}

pub(crate) async fn an_import_is_whole(store: &Store, database: &Database) {
    let new = server("pets");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let (second, credentials) = (version("second"), [credential(id, None, "one")]);
    let import = Import {
        version: Some(&second),
        settings: Some("{\"a\":1}"),
        credentials: &credentials,
        expected: Some(1),
    };
    let before = database.catalog().await;
    let stale = Import {
        expected: Some(7),
        ..import
    };
    let refused = store.import(id, stale, &act(), at(1)).await;
    assert!(matches!(refused, Err(StoreError::Stale)), "{refused:?}");
    database.break_inserts("credentials").await;
    assert!(store.import(id, import, &act(), at(1)).await.is_err());
    database.mend("credentials").await;
    assert_eq!(database.catalog().await, before, "half an import was kept");

    store.import(id, import, &act(), at(1)).await.unwrap();
    let row = store.server(id).await.unwrap().unwrap();
    assert_eq!((row.revision, row.number), (2, 2));
    assert_eq!((&*row.title, &*row.settings), ("second", "{\"a\":1}"));
    assert_eq!(row.converter, "test");
    assert_eq!(store.shared_credentials(id).await.unwrap().len(), 1);
    // Without a version, the one there is stays.
    let only = Import {
        settings: Some("{}"),
        ..Import::default()
    };
    store.import(id, only, &act(), at(2)).await.unwrap();
    let row = store.server(id).await.unwrap().unwrap();
    assert_eq!((row.revision, row.number), (3, 2));
    assert_eq!((&*row.title, &*row.settings), ("second", "{}"));
}

pub(crate) async fn versions_and_documents_are_never_changed(store: &Store, database: &Database) {
    let new = server("pets");
    let (id, hash) = (new.id, new.version.document_hash);
    store.create_server(&new, &act(), at(0)).await.unwrap();
    for statement in [
        "UPDATE server_versions SET tools = '[1]'",
        "UPDATE server_versions SET converter = 'x'",
        "UPDATE documents SET created_at = 0",
    ] {
        let refused = database.run(statement).await;
        assert!(
            refused.is_err_and(|text| text.contains("never changed")),
            "{statement}"
        );
    }
    // They still go with their server.
    assert!(store.delete_server(id, &act(), at(1)).await.unwrap());
    let late = at(1) + causeway::store::lifecycle::RESTORABLE;
    assert_eq!(store.purge_servers(late, 1).await.unwrap(), 1);
    assert_eq!(database.count("server_versions").await, 0);
    assert!(store.document(ORGANIZATION, &hash).await.unwrap().is_some());
}

/// A row with another value in every column.
fn full_row(ids: [uuid::Uuid; 6]) -> LedgerRow {
    LedgerRow {
        id: ids[0],
        organization: ORGANIZATION,
        consumer: Some(ids[1]),
        key: Some(ids[2]),
        kind: "llm",
        server: Some(ids[3]),
        version: Some(ids[4]),
        tool: Some("tool".into()),
        model: Some("model".into()),
        target: Some("target".into()),
        parent: Some(ids[5]),
        trace_id: "trace".into(),
        status: "ok",
        upstream_status: Some(201),
        request_bytes: 11,
        response_bytes: 12,
        at: 13,
        upstream_us: 14,
        total_us: 15,
        tokens_input: Some(16),
        tokens_cached: Some(17),
        tokens_output: Some(18),
        tokens_reasoning: Some(19),
        cost_nanos: Some(i64::MAX),
        attempts: 21,
        tokens_cache_write: Some(5),
        first_token_us: Some(5),
        estimated: Some(1),
        arm: Some("arm".to_owned()),
    }
}

pub(crate) async fn every_column_of_the_ledger_is_kept(store: &Store, database: &Database) {
    let ids = [1_u128, 2, 3, 4, 5, 6].map(uuid::Uuid::from_u128);
    let row = full_row(ids);
    store.append_ledger(&[row]).await.unwrap();
    let id_columns = [
        "id",
        "consumer_id",
        "key_id",
        "server_id",
        "version_id",
        "parent_id",
    ];
    let texts = [
        "kind", "tool", "model", "target", "arm", "trace_id", "status",
    ];
    let numbers = [
        "upstream_status",
        "request_bytes",
        "response_bytes",
        "at",
        "upstream_us",
        "total_us",
        "tokens_input",
        "tokens_cached",
        "tokens_output",
        "tokens_reasoning",
        "cost_nanos",
        "attempts",
    ];
    let columns: Vec<String> = id_columns
        .iter()
        .map(|column| database.id(column))
        .chain(texts.iter().map(|column| (*column).to_owned()))
        .chain(
            numbers
                .iter()
                .map(|column| format!("CAST({column} AS TEXT)")),
        )
        .collect();
    let found = database
        .texts(&format!("SELECT {} FROM ledger", columns.join(", ")))
        .await;
    let expected: Vec<String> = ids
        .iter()
        .map(|id| id.simple().to_string())
        .chain(["llm", "tool", "model", "target", "arm", "trace", "ok"].map(str::to_owned))
        .chain([201, 11, 12, 13, 14, 15, 16, 17, 18, 19, i64::MAX, 21].map(|n| n.to_string()))
        .collect();
    assert_eq!(found, [expected.into_iter().map(Some).collect::<Vec<_>>()]);
}

/// A credential of one caller is nobody else's, and not the shared one.
pub(crate) async fn a_credential_is_its_subjects(store: &Store, database: &Database) {
    let new = server("pets");
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    for (subject, text) in [
        (None, "shared"),
        (Some("ada"), "ada's"),
        (Some("bob"), "bob's"),
        (Some("ada"), "ada's new"),
    ] {
        let credential = credential(id, subject, text);
        store
            .put_credential(credential, &act(), at(1))
            .await
            .unwrap();
    }
    let shared = store.shared_credentials(id).await.unwrap();
    assert_eq!((shared.len(), &*shared[0].key_id), (1, "shared"));
    let (target, act) = ((id, "key"), act());
    let approving = store.approve_origins(target, approved("[\"https://a\"]"), &act, at(2));
    assert!(approving.await.unwrap());
    let rows = "SELECT subject, key_id, origins FROM credentials ORDER BY key_id";
    let rows = database.texts(rows).await;
    let row = |subject: Option<&str>, text: &str, origins: &str| {
        vec![
            subject.map(str::to_owned),
            Some(text.to_owned()),
            Some(origins.to_owned()),
        ]
    };
    assert_eq!(
        rows,
        [
            row(Some("ada"), "ada's new", "[]"),
            row(Some("bob"), "bob's", "[]"),
            row(None, "shared", "[\"https://a\"]"),
        ]
    );
    let removing = store.delete_credential(target, &act, at(3));
    assert!(removing.await.unwrap());
    assert!(store.shared_credentials(id).await.unwrap().is_empty());
    assert_eq!(database.count("credentials").await, 2);
}

/// What one organization does reaches nothing of another, even by its ids.
pub(crate) async fn organizations_do_not_meet(store: &Store, database: &Database) {
    let stranger = OrganizationId(uuid::Uuid::from_u128(
        0x01900000_0000_7000_8000_000000000002,
    ));
    let id = match database {
        Database::Lite(_) => format!("x'{}'", stranger.0.simple()),
        Database::Postgres(_) => format!("'{}'", stranger.0),
    };
    let insert = format!("INSERT INTO organizations (id, name, created_at) VALUES ({id}, 'b', 0)");
    database.run(&insert).await.unwrap();
    let (new, theirs) = (server("mine"), act_of(stranger));
    let id = new.id;
    store.create_server(&new, &act(), at(0)).await.unwrap();
    let mine = credential(id, None, "mine");
    store.put_credential(mine, &act(), at(0)).await.unwrap();
    store.create_key(key(1), &act(), at(0)).await.unwrap();
    let before = database.catalog().await;

    let mut put = credential(id, None, "theirs");
    put.organization = stranger;
    assert!(store.put_credential(put, &theirs, at(1)).await.is_err());
    let approving = store.approve_origins((id, "key"), approved("[\"https://b\"]"), &theirs, at(1));
    assert!(!approving.await.unwrap());
    let removing = store.delete_credential((id, "key"), &theirs, at(1));
    assert!(!removing.await.unwrap());
    let key_id = store.key_by_hash(&[1; 32]).await.unwrap().unwrap().id;
    let revoking = store.revoke_key(causeway::types::KeyId(key_id), &theirs, at(1));
    assert!(!revoking.await.unwrap());
    assert_eq!(database.catalog().await, before);

    assert!(store.keys(stranger, None).await.unwrap().is_empty());
    assert!(store.consumers(stranger).await.unwrap().is_empty());
    let rows = store.audit(stranger, None, 10).await.unwrap().unwrap();
    assert!(rows.is_empty());
    let ours = store.audit(ORGANIZATION, None, 1).await.unwrap().unwrap();
    let after = store.audit(stranger, Some(ours[0].id), 10).await.unwrap();
    assert!(after.is_none());
    let hash = new.version.document_hash;
    assert!(store.document(stranger, &hash).await.unwrap().is_none());
    // The same names are free in another organization, and are other things there.
    let mut own = key(2);
    own.organization = stranger;
    store.create_key(own, &theirs, at(2)).await.unwrap();
    let (a, b) = (
        store.consumers(ORGANIZATION).await,
        store.consumers(stranger).await,
    );
    assert_ne!(a.unwrap()[0].id, b.unwrap()[0].id);
    assert_eq!(store.keys(ORGANIZATION, None).await.unwrap().len(), 1);
}

/// Old lines of servers go; those of keys are counted, and stay.
pub(crate) async fn the_log_of_changes_is_pruned(store: &Store, database: &Database) {
    let id = ServerId::generate();
    for step in 0..WRITES {
        write(store, step, id).await.unwrap();
    }
    let keys = store.key_changes().await.unwrap();
    let gone = store.prune_changes(at(3).timestamp_micros()).await.unwrap();
    assert_eq!(gone, 3);
    assert_eq!(database.count("change_log").await, WRITES - 3);
    let gone = store
        .prune_changes(at(100).timestamp_micros())
        .await
        .unwrap();
    assert_eq!(gone, 4);
    assert_eq!(store.key_changes().await.unwrap(), keys);
    assert_eq!(
        database.count("audit").await,
        WRITES,
        "the audit is never pruned"
    );
}
