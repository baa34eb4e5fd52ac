//! The schema, and how it is brought up to date.

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::store::db::{Number, Tx, fetch_optional};
use crate::store::{Store, StoreError};

/// Number, name, SQLite, Postgres.
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "foundation",
        include_str!("../../migrations/sqlite/0001_foundation.sql"),
        include_str!("../../migrations/postgres/0001_foundation.sql"),
    ),
    (
        2,
        "immutable_versions",
        include_str!("../../migrations/sqlite/0002_immutable_versions.sql"),
        include_str!("../../migrations/postgres/0002_immutable_versions.sql"),
    ),
    (
        3,
        "documents",
        include_str!("../../migrations/sqlite/0003_documents.sql"),
        include_str!("../../migrations/postgres/0003_documents.sql"),
    ),
    (
        4,
        "rollouts",
        include_str!("../../migrations/sqlite/0004_rollouts.sql"),
        include_str!("../../migrations/postgres/0004_rollouts.sql"),
    ),
    (
        5,
        "answers",
        include_str!("../../migrations/sqlite/0005_answers.sql"),
        include_str!("../../migrations/postgres/0005_answers.sql"),
    ),
    (
        6,
        "oauth",
        include_str!("../../migrations/sqlite/0006_oauth.sql"),
        include_str!("../../migrations/postgres/0006_oauth.sql"),
    ),
    (
        7,
        "discarded_versions",
        include_str!("../../migrations/sqlite/0007_discarded_versions.sql"),
        include_str!("../../migrations/postgres/0007_discarded_versions.sql"),
    ),
    (
        8,
        "failed_items",
        include_str!("../../migrations/sqlite/0008_failed_items.sql"),
        include_str!("../../migrations/postgres/0008_failed_items.sql"),
    ),
    (
        9,
        "limits",
        include_str!("../../migrations/sqlite/0009_limits.sql"),
        include_str!("../../migrations/postgres/0009_limits.sql"),
    ),
    (
        10,
        "audit_chain",
        include_str!("../../migrations/sqlite/0010_audit_chain.sql"),
        include_str!("../../migrations/postgres/0010_audit_chain.sql"),
    ),
    (
        11,
        "accounts",
        include_str!("../../migrations/sqlite/0011_accounts.sql"),
        include_str!("../../migrations/postgres/0011_accounts.sql"),
    ),
    (
        12,
        "callers",
        include_str!("../../migrations/sqlite/0012_callers.sql"),
        include_str!("../../migrations/postgres/0012_callers.sql"),
    ),
    (
        13,
        "usage",
        include_str!("../../migrations/sqlite/0013_usage.sql"),
        include_str!("../../migrations/postgres/0013_usage.sql"),
    ),
    (
        14,
        "approvals",
        include_str!("../../migrations/sqlite/0014_approvals.sql"),
        include_str!("../../migrations/postgres/0014_approvals.sql"),
    ),
    (
        15,
        "catalog_entries",
        include_str!("../../migrations/sqlite/0015_catalog_entries.sql"),
        include_str!("../../migrations/postgres/0015_catalog_entries.sql"),
    ),
    (
        16,
        "idempotency",
        include_str!("../../migrations/sqlite/0016_idempotency.sql"),
        include_str!("../../migrations/postgres/0016_idempotency.sql"),
    ),
    (
        17,
        "lifecycle",
        include_str!("../../migrations/sqlite/0017_lifecycle.sql"),
        include_str!("../../migrations/postgres/0017_lifecycle.sql"),
    ),
    (
        18,
        "identities",
        include_str!("../../migrations/sqlite/0018_identities.sql"),
        include_str!("../../migrations/postgres/0018_identities.sql"),
    ),
    (
        20,
        "connected_accounts",
        include_str!("../../migrations/sqlite/0020_connected_accounts.sql"),
        include_str!("../../migrations/postgres/0020_connected_accounts.sql"),
    ),
    (
        21,
        "probes",
        include_str!("../../migrations/sqlite/0021_probes.sql"),
        include_str!("../../migrations/postgres/0021_probes.sql"),
    ),
    (
        22,
        "ended_sessions",
        include_str!("../../migrations/sqlite/0022_ended_sessions.sql"),
        include_str!("../../migrations/postgres/0022_ended_sessions.sql"),
    ),
    (
        23,
        "holds",
        include_str!("../../migrations/sqlite/0023_holds.sql"),
        include_str!("../../migrations/postgres/0023_holds.sql"),
    ),
    (
        24,
        "answers_and_webhooks",
        include_str!("../../migrations/sqlite/0024_answers_and_webhooks.sql"),
        include_str!("../../migrations/postgres/0024_answers_and_webhooks.sql"),
    ),
    (
        25,
        "models",
        include_str!("../../migrations/sqlite/0025_models.sql"),
        include_str!("../../migrations/postgres/0025_models.sql"),
    ),
    (
        27,
        "model_usage",
        include_str!("../../migrations/sqlite/0027_model_usage.sql"),
        include_str!("../../migrations/postgres/0027_model_usage.sql"),
    ),
    (
        28,
        "model_arms",
        include_str!("../../migrations/sqlite/0028_model_arms.sql"),
        include_str!("../../migrations/postgres/0028_model_arms.sql"),
    ),
    (
        29,
        "provider_objects",
        include_str!("../../migrations/sqlite/0029_provider_objects.sql"),
        include_str!("../../migrations/postgres/0029_provider_objects.sql"),
    ),
    (
        30,
        "key_models",
        include_str!("../../migrations/sqlite/0030_key_models.sql"),
        include_str!("../../migrations/postgres/0030_key_models.sql"),
    ),
];

/// The newest migration that was done.
const DONE: &str =
    "SELECT CAST(COALESCE(MAX(version), 0) AS BIGINT) AS value FROM _sqlx_migrations WHERE success";

/// Held until the transaction ends, by the process that migrates a Postgres database.
const LOCK: &str = "SELECT pg_advisory_xact_lock($1)";
const LOCK_KEY: i64 = 0x0063_6175_7365_7761;

impl Store {
    /// The number of the newest migration that was done, and of the newest this version knows.
    pub async fn schema(&self) -> Result<(i64, i64), StoreError> {
        let done = fetch_optional!(&self.db, Number, DONE)?;
        let known = MIGRATIONS.iter().map(|migration| migration.0).max();
        Ok((done.map_or(0, |row| row.value), known.unwrap_or_default()))
    }

    /// Brings the schema up to date, whole or not at all: a database whose migration failed is the one
    /// it was before. Several processes may do so at once: one does, the others wait. A schema of a
    /// newer version is refused.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        let mut tx = self.db.begin().await?;
        let done = match &mut tx {
            Tx::Postgres(tx) => {
                sqlx::query(LOCK).bind(LOCK_KEY).execute(&mut **tx).await?;
                migrator(|m| m.3).run_direct(None, &mut **tx, false).await
            }
            // Its transaction is the lock.
            Tx::Lite(tx) => migrator(|m| m.2).run_direct(None, &mut **tx, false).await,
        };
        done.map_err(|error| match error {
            MigrateError::VersionMissing(_) | MigrateError::VersionTooNew(..) => {
                StoreError::NewerSchema
            }
            MigrateError::Execute(error) => StoreError::from(error),
            other => StoreError::Migration(other),
        })?;
        tx.commit().await
    }
}

fn migrator(
    text: impl Fn(&(i64, &'static str, &'static str, &'static str)) -> &'static str,
) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|migration| {
        let sql = text(migration).into_sql_str();
        Migration::new(
            migration.0,
            migration.1.into(),
            MigrationType::Simple,
            sql,
            false,
        )
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    // Its own lock would end before the transaction.
    migrator.set_locking(false);
    migrator
}
