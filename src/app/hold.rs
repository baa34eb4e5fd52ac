//! A data directory is served by one process at a time: two on one SQLite file would each answer from
//! what they remember, and neither would hear of the other's changes.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context, bail};

use crate::store::Location;

/// A claim on a data directory; it ends with the process, however that ends. On Postgres, which tells
/// every process of every change, there is nothing to claim.
pub struct Hold {
    _file: Option<File>,
}

impl Hold {
    /// Claims what a location needs.
    ///
    /// # Errors
    /// Another process has it.
    pub fn of(location: &Location) -> anyhow::Result<Self> {
        let Location::File(database) = location else {
            return Ok(Self { _file: None });
        };
        let path = database.with_file_name("serve.lock");
        let shown = path.display();
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot write {shown}"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "another `causeway serve` is running on {}; stop it first, or choose another \
                 directory with --data. Several processes can serve one Postgres database \
                 (--database-url)",
                database.display()
            ),
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, "{shown} cannot be locked here; see to it that no other process serves this directory");
            }
        }
        Ok(Self { _file: Some(file) })
    }
}
