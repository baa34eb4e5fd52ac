//! Two databases behind one set of statements.

use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use crate::store::StoreError;

/// Where statements run.
#[derive(Clone)]
pub(super) enum Db {
    Postgres(PgPool),
    /// SQLite has one writer: a second connection would only wait for the first.
    Lite {
        read: SqlitePool,
        write: SqlitePool,
    },
}

/// A transaction on either.
pub(super) enum Tx {
    Postgres(Transaction<'static, Postgres>),
    Lite(Transaction<'static, Sqlite>),
}

impl Db {
    /// Begins a writing transaction.
    pub(super) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Postgres(pool) => Tx::Postgres(pool.begin().await?),
            Self::Lite { write, .. } => Tx::Lite(write.begin_with("BEGIN IMMEDIATE").await?),
        })
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            Self::Lite { read, write } => {
                read.close().await;
                write.close().await;
            }
        }
    }
}

impl Tx {
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        match self {
            Self::Postgres(tx) => tx.commit().await?,
            Self::Lite(tx) => tx.commit().await?,
        }
        Ok(())
    }
}

/// A row type, read from both databases by the names of its fields.
macro_rules! row {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        pub struct $name { $($(#[$field_meta])* pub $field: $kind,)* }
        crate::store::db::from_row!($name, sqlx::postgres::PgRow, $($field),*);
        crate::store::db::from_row!($name, sqlx::sqlite::SqliteRow, $($field),*);
    };
}

macro_rules! from_row {
    ($name:ident, $row:ty, $($field:ident),*) => {
        impl<'r> sqlx::FromRow<'r, $row> for $name {
            fn from_row(row: &'r $row) -> Result<Self, sqlx::Error> {
                use sqlx::Row as _;
                Ok(Self { $($field: row.try_get(stringify!($field))?,)* })
            }
        }
    };
}

/// All rows of a query.
macro_rules! fetch_all {
    ($db:expr, $row:ty, $sql:expr $(, $bind:expr)*) => {
        match $db {
            crate::store::db::Db::Postgres(pool) => {
                sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($bind))*.fetch_all(pool).await
            }
            crate::store::db::Db::Lite { read, .. } => {
                sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($bind))*.fetch_all(read).await
            }
        }
        .map_err(crate::store::StoreError::from)
    };
}

/// The first row of a query, if there is one.
macro_rules! fetch_optional {
    ($db:expr, $row:ty, $sql:expr $(, $bind:expr)*) => {
        match $db {
            crate::store::db::Db::Postgres(pool) => {
                sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($bind))*.fetch_optional(pool).await
            }
            crate::store::db::Db::Lite { read, .. } => {
                sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($bind))*.fetch_optional(read).await
            }
        }
        .map_err(crate::store::StoreError::from)
    };
}

/// The first row of a query inside a transaction, if there is one.
macro_rules! fetch_in {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)*) => {
        match $tx {
            crate::store::db::Tx::Postgres(tx) => {
                sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($bind))*.fetch_optional(&mut **tx).await
            }
            crate::store::db::Tx::Lite(tx) => {
                sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($bind))*.fetch_optional(&mut **tx).await
            }
        }
        .map_err(crate::store::StoreError::from)
    };
}

/// All rows of a query inside a transaction.
macro_rules! fetch_all_in {
    ($tx:expr, $row:ty, $sql:expr $(, $bind:expr)*) => {
        match $tx {
            crate::store::db::Tx::Postgres(tx) => {
                sqlx::query_as::<sqlx::Postgres, $row>($sql)$(.bind($bind))*.fetch_all(&mut **tx).await
            }
            crate::store::db::Tx::Lite(tx) => {
                sqlx::query_as::<sqlx::Sqlite, $row>($sql)$(.bind($bind))*.fetch_all(&mut **tx).await
            }
        }
        .map_err(crate::store::StoreError::from)
    };
}

/// Runs a statement inside a transaction: how many rows it changed.
macro_rules! execute {
    ($tx:expr, $sql:expr $(, $bind:expr)*) => {
        match $tx {
            crate::store::db::Tx::Postgres(tx) => {
                sqlx::query::<sqlx::Postgres>($sql)$(.bind($bind))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
            crate::store::db::Tx::Lite(tx) => {
                sqlx::query::<sqlx::Sqlite>($sql)$(.bind($bind))*.execute(&mut **tx).await.map(|done| done.rows_affected())
            }
        }
        .map_err(crate::store::StoreError::from)
    };
}

pub(super) use {execute, fetch_all, fetch_all_in, fetch_in, fetch_optional, from_row, row};

/// One number.
#[derive(Debug)]
pub(super) struct Number {
    pub(super) value: i64,
}

from_row!(Number, sqlx::postgres::PgRow, value);
from_row!(Number, sqlx::sqlite::SqliteRow, value);
