//! The only SQL. One text per statement serves SQLite and Postgres; both pass the same tests.
//!
//! Invariants: a catalog write bumps its server's revision and appends to `change_log` in one
//! transaction; lookups give `Option`; time and ids are parameters. `$1` placeholders work in both
//! drivers. Ids are UUIDs, times microseconds, JSON text, on both.

pub mod answers;
pub mod approvals;
pub mod audit;
pub mod backup;
pub mod changes;
pub mod connected;
pub mod connections;
pub mod credentials;
pub mod curations;
mod db;
pub mod idempotency;
pub mod identities;
pub mod imports;
pub mod issuers;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod lifecycle;
pub mod limits;
pub mod listed;
pub mod migrate;
pub mod model_usage;
pub mod models;
pub mod personal;
pub mod probes;
pub mod provider_objects;
pub mod sealed;
pub mod servers;
pub mod sessions;
pub mod sources;
pub mod usage;
pub mod users;
pub mod versions;
pub mod webhooks;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tokio::sync::broadcast;
use url::Url;

pub use crate::store::changes::Change;
use crate::store::db::Db;

/// How long a statement may wait for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
const STATEMENT_TIMEOUT_MS: &str = "30000";
/// Changes that wait for a slow listener; one that misses some compares everything.
const CHANGES_MAX: usize = 4_096;

/// The database of a process. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    db: Db,
    changes: broadcast::Sender<Change>,
}

/// How much of a pool of connections is used.
#[derive(Clone, Copy, Debug)]
pub struct PoolUse {
    pub used: usize,
    pub idle: usize,
    pub max: usize,
}

impl PoolUse {
    fn of<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Self {
        let (open, idle) = (pool.size() as usize, pool.num_idle());
        Self {
            used: open.saturating_sub(idle),
            idle,
            max: pool.options().get_max_connections() as usize,
        }
    }
}

/// Which database.
#[derive(Clone, Debug)]
pub enum Location {
    /// A SQLite file.
    File(PathBuf),
    Postgres(Url),
}

impl Location {
    /// Host and port a database of its own is reached at, as its driver reads the URL and the
    /// environment; behind a socket there is a server of this machine.
    pub fn address(&self) -> Result<Option<(String, u16)>, StoreError> {
        let Self::Postgres(url) = self else {
            return Ok(None);
        };
        let options = PgConnectOptions::from_str(url.as_str())?;
        let host = match options.get_socket() {
            Some(_) => "localhost",
            None => options.get_host(),
        };
        // The driver keeps a directory of sockets that it found by itself as a host.
        let host = if host.starts_with('/') {
            "localhost"
        } else {
            host
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Some((host.to_owned(), options.get_port())))
    }
}

/// Why the database did not do it. Texts carry no secret.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the database cannot be reached: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// A named constraint said no; the name says which.
    #[error("it conflicts with what is stored ({0})")]
    Conflict(String),
    #[error("it changed in the meantime; read it again")]
    Stale,
    #[error(
        "the database was written by a newer version of Causeway; run that version, or restore a backup"
    )]
    NewerSchema,
    #[error("{path}: {reason}")]
    File { path: PathBuf, reason: String },
    #[error("the database holds something that cannot be read: {0}")]
    Corrupt(String),
    #[error(
        "the schema cannot be brought up to date, and the database is as it was before: {0}; go on with the version \
         that wrote it (docs/install.md)"
    )]
    Migration(#[source] sqlx::migrate::MigrateError),
}

impl StoreError {
    /// Whether it is what was to be written that the database does not take, so that it is of no use to try again.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Conflict(_) | Self::Corrupt(_) => true,
            Self::Unavailable(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| is_of_data(&code))
            }
            _ => false,
        }
    }
}

/// Of Postgres, errors of class 22, which have five letters; of SQLite, a value that is too long, breaks a rule or is of
/// the wrong type, by the last byte of the number.
fn is_of_data(code: &str) -> bool {
    if code.len() == 5 {
        return code.starts_with("22");
    }
    let number = code.parse::<u32>().map(|number| number & 0xff);
    matches!(number, Ok(18..=20))
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(inner)
                if inner.is_unique_violation()
                    || inner.is_foreign_key_violation()
                    || inner.is_check_violation() =>
            {
                // SQLite names the columns, Postgres the constraint.
                let name = inner
                    .constraint()
                    .map_or_else(|| inner.message().to_owned(), str::to_owned);
                Self::Conflict(name)
            }
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Unavailable(error),
        }
    }
}

impl Store {
    /// Connects, without touching the schema ([`Store::migrate`] does). A SQLite file is made where
    /// there is none, readable by its owner only.
    pub async fn open(location: &Location, connections_max: u32) -> Result<Self, StoreError> {
        let db = match location {
            Location::File(path) => open_file(path, connections_max).await?,
            Location::Postgres(url) => {
                let options = PgConnectOptions::from_str(url.as_str())?
                    .options([("statement_timeout", STATEMENT_TIMEOUT_MS)])
                    .application_name("causeway");
                let pool = PgPoolOptions::new()
                    .max_connections(connections_max)
                    .acquire_timeout(ACQUIRE_TIMEOUT)
                    .connect_with(options)
                    .await?;
                Db::Postgres(pool)
            }
        };
        Ok(Self {
            db,
            changes: broadcast::Sender::new(CHANGES_MAX),
        })
    }

    pub fn is_postgres(&self) -> bool {
        matches!(self.db, Db::Postgres(_))
    }

    /// Every change this process makes, and on Postgres those of others while a
    /// [`changes::Feed`] runs.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let one = db::fetch_optional!(&self.db, db::Number, "SELECT CAST(1 AS BIGINT) AS value")?;
        debug_assert!(one.is_some_and(|row| row.value == 1));
        Ok(())
    }

    /// Writes something that leaves no trace, as durably as everything else is written.
    pub async fn try_write(&self, name: &str) -> Result<(), StoreError> {
        const WRITE: &str =
            "INSERT INTO quotas (counter, window_start, window_end, spent) VALUES ($1, 0, 0, 0)";
        const ERASE: &str = "DELETE FROM quotas WHERE counter = $1";
        let mut tx = self.db.begin().await?;
        db::execute!(&mut tx, WRITE, name)?;
        db::execute!(&mut tx, ERASE, name)?;
        tx.commit().await
    }

    /// What time it is for the database, in microseconds since 1970, where that is a server of its own.
    pub async fn time(&self) -> Result<Option<i64>, StoreError> {
        const TIME: &str =
            "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT) AS value";
        if !self.is_postgres() {
            return Ok(None);
        }
        let row = db::fetch_optional!(&self.db, db::Number, TIME)?;
        Ok(row.map(|row| row.value))
    }

    /// The pools of connections, each with a name.
    pub fn pools(&self) -> Vec<(&'static str, PoolUse)> {
        match &self.db {
            Db::Postgres(pool) => vec![("postgres", PoolUse::of(pool))],
            Db::Lite { read, write } => {
                vec![("read", PoolUse::of(read)), ("write", PoolUse::of(write))]
            }
        }
    }

    /// Ends all connections, after what runs on them.
    pub async fn close(&self) {
        self.db.close().await;
    }
}

async fn open_file(path: &Path, connections_max: u32) -> Result<Db, StoreError> {
    private_file(path)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged write survives a power cut.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT);
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(BUSY_TIMEOUT)
        .connect_with(options.clone())
        .await
        .map_err(|error| StoreError::File {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    let read = SqlitePoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options.read_only(true).create_if_missing(false));
    Ok(Db::Lite { read, write })
}

/// Makes the file, or checks it, so that nobody else reads it.
fn private_file(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt;
    let opened = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    opened.map(|_| ()).map_err(|error| StoreError::File {
        path: path.to_owned(),
        reason: format!(
            "it cannot be written: {error}; choose a directory this user may write to, with --data"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_found_where_its_driver_finds_it() {
        for (url, host, port) in [
            ("postgres://db.internal/x", "db.internal", 5432),
            ("postgres://u:p@db.internal:6432/x", "db.internal", 6432),
            ("postgres:///x?host=10.0.0.9&port=6432", "10.0.0.9", 6432),
            (
                "postgres://ignored:1/x?host=db.internal&port=6432",
                "db.internal",
                6432,
            ),
            (
                "postgres://db.internal/x?hostaddr=10.0.0.9",
                "10.0.0.9",
                5432,
            ),
            ("postgres://[::1]:6432/x", "::1", 6432),
            ("postgres://%2Frun%2Fpostgresql/x", "localhost", 5432),
            (
                "postgres:///x?host=/run/postgresql&port=6432",
                "localhost",
                6432,
            ),
        ] {
            let location = Location::Postgres(url.parse().unwrap());
            let found = location.address().unwrap();
            assert_eq!(found, Some((host.to_owned(), port)), "{url}");
        }
        assert_eq!(Location::File("x.db".into()).address().unwrap(), None);
    }
}
