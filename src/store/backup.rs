//! Copies of a SQLite database: consistent while it is served, and never with the master key, which
//! is no part of the database.

use std::path::{Path, PathBuf};

use url::Url;

use crate::store::db::{Db, row};
use crate::store::{Location, Store, StoreError};

row! {
    #[derive(Debug)]
    pub struct CheckRow {
        pub integrity_check: String,
    }
}

impl Store {
    /// Writes a copy to `target`, which must not exist yet. Postgres has its own tools:
    /// [`pg_dump_command`].
    pub async fn backup(&self, target: &Path) -> Result<(), StoreError> {
        let fault = |reason: String| StoreError::File {
            path: target.to_owned(),
            reason,
        };
        let Db::Lite { write, .. } = &self.db else {
            return Err(fault(
                "a Postgres database is backed up with pg_dump".to_owned(),
            ));
        };
        if target.exists() {
            return Err(fault("it exists already; choose another name".to_owned()));
        }
        let name = target
            .to_str()
            .ok_or_else(|| fault("the name is not UTF-8".to_owned()))?;
        let part = PathBuf::from(format!("{name}.part"));
        // The file is made by us first, so that it is private from its first byte.
        let private = std::fs::OpenOptions::new();
        make_private(private, &part).map_err(|error| fault(error.to_string()))?;
        let result = sqlx::query::<sqlx::Sqlite>("VACUUM INTO $1")
            .bind(part.to_string_lossy().into_owned())
            .execute(write)
            .await;
        if let Err(error) = result {
            let _ = std::fs::remove_file(&part);
            return Err(StoreError::from(error));
        }
        put_in_place(&part, target).map_err(|error| fault(error.to_string()))
    }

    /// Whether the database is whole.
    async fn check(&self) -> Result<bool, StoreError> {
        let Db::Lite { write, .. } = &self.db else {
            return Ok(true);
        };
        let row = sqlx::query_as::<sqlx::Sqlite, CheckRow>("PRAGMA integrity_check")
            .fetch_one(write)
            .await?;
        Ok(row.integrity_check == "ok")
    }
}

fn make_private(mut options: std::fs::OpenOptions, path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let made = options.create_new(true).write(true).mode(0o600).open(path);
    made.map(|_| ()).map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => std::io::Error::other(format!(
            "{} is there already: another copy is being made, or one was cut off; remove it if \
             nothing writes it",
            path.display()
        )),
        _ => error,
    })
}

/// Gives a whole file its name, so that either lasts even when the machine stops the next moment.
fn put_in_place(part: &Path, target: &Path) -> std::io::Result<()> {
    std::fs::File::open(part)?.sync_all()?;
    std::fs::rename(part, target)?;
    let folder = target.parent().filter(|path| !path.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Puts a backup in the place of a database that does not exist yet. The copy is checked, and its
/// schema brought up to date, before it gets its name.
pub async fn restore(source: &Path, target: &Path) -> Result<(), StoreError> {
    let fault = |path: &Path, reason: &str| StoreError::File {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    if target.exists() {
        return Err(fault(
            target,
            "a database is there already; move it away first, or choose another --data",
        ));
    }
    // SQLite would play the log of another database into this one.
    for suffix in ["-wal", "-shm", "-journal"] {
        let mut name = target.as_os_str().to_owned();
        name.push(suffix);
        let left = PathBuf::from(name);
        if left.exists() {
            return Err(fault(
                &left,
                "it is left over from the database that was there; move it away first, or choose another --data",
            ));
        }
    }
    let part = target.with_extension("restoring");
    make_private(std::fs::OpenOptions::new(), &part)
        .map_err(|error| fault(&part, &error.to_string()))?;
    let remove = || {
        let _ = std::fs::remove_file(&part);
    };
    if let Err(error) = std::fs::copy(source, &part) {
        remove();
        return Err(fault(source, &error.to_string()));
    }
    let outcome = verify(&part).await;
    if let Err(error) = outcome {
        remove();
        return Err(match error {
            StoreError::NewerSchema => StoreError::NewerSchema,
            other => fault(
                source,
                &format!("this is no backup that can be restored: {other}"),
            ),
        });
    }
    put_in_place(&part, target).map_err(|error| fault(target, &error.to_string()))
}

async fn verify(part: &Path) -> Result<(), StoreError> {
    let store = Store::open(&Location::File(part.to_owned()), 1).await?;
    let whole = store.check().await;
    let migrated = store.migrate().await;
    store.close().await;
    if whole? {
        migrated
    } else {
        Err(StoreError::Corrupt("the integrity check failed".to_owned()))
    }
}

/// What to run for a Postgres database, without its password.
pub fn pg_dump_command(url: &Url, target: &Path) -> String {
    let mut shown = url.clone();
    // A URL that can have no password has none to hide.
    let _ = shown.set_password(None);
    let plain = url.query_pairs().filter(|(name, _)| name != "password");
    let plain: Vec<_> = plain.collect();
    if plain.is_empty() {
        shown.set_query(None);
    } else {
        shown.query_pairs_mut().clear().extend_pairs(plain);
    }
    format!(
        "pg_dump --format=custom --file={} '{shown}'",
        target.display()
    )
}
