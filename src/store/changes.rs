//! How a change reaches everyone: in this process at once, in others by NOTIFY, and by comparison
//! where a notice may have been missed.
//!
//! A notice carries ids only. Nothing relies on the order of `change_log.seq`: a transaction with a
//! lower number may become visible after one with a higher, so a reader that remembers "up to 17"
//! can lose 16. Listeners reload what a notice names, and compare all revisions after a reconnect and
//! every few seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::postgres::PgListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::audit::{self, NewAudit};
use crate::store::db::{Db, Number, Tx, execute, fetch_optional};
use crate::store::{Store, StoreError};
use crate::types::{Clock, ConsumerId, KeyId, ModelId, ServerId, UserId};

const CHANNEL: &str = "causeway_changes";
const NOTIFY: &str = "SELECT pg_notify('causeway_changes', $1)";
const APPEND: &str = "INSERT INTO change_log (organization_id, entity, entity_id, revision, at) VALUES ($1, $2, $3, $4, $5)";
const KEY_CHANGES: &str =
    "SELECT COUNT(*) AS value FROM change_log WHERE entity IN ('key', 'user')";
const PRUNE: &str = "DELETE FROM change_log WHERE at < $1 AND entity NOT IN ('key', 'user')";
/// How often everything is compared although no notice came.
pub const COMPARE_EVERY: Duration = Duration::from_secs(5);
/// How long the log of server changes is kept, and how often what is older is removed. Nothing reads
/// it back; it is there for people who ask what happened.
const KEPT_FOR: Duration = Duration::from_hours(7 * 24);
const PRUNE_EVERY: Duration = Duration::from_hours(1);
/// How soon to listen again on a connection that was cut, and where none could be made.
const RECONNECT_AFTER: Duration = Duration::from_millis(50);
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// Something in the catalog is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// Made, edited or removed.
    Server(ServerId),
    /// Made or revoked; or what the keys of a consumer may do is another thing, and the id is that of
    /// the consumer or its plan. Whoever knows keys looks all of them up again, whichever it is.
    Key(KeyId),
    /// A person was made, disabled, or given another role. What their keys open goes with it.
    User(UserId),
    /// A provider of models, one of its keys, or a model was made, edited or removed. All of them are read
    /// again, whichever it is.
    Model(ModelId),
    /// Made by a token that came: nothing that is known of others changes.
    Consumer(ConsumerId),
    /// Notices may have been missed: compare everything.
    Unknown,
}

impl Change {
    fn parts(self) -> Option<(&'static str, Uuid)> {
        match self {
            Self::Server(id) => Some(("server", id.0)),
            Self::Key(id) => Some(("key", id.0)),
            Self::User(id) => Some(("user", id.0)),
            Self::Model(id) => Some(("model", id.0)),
            Self::Consumer(id) => Some(("consumer", id.0)),
            Self::Unknown => None,
        }
    }

    fn parse(text: &str) -> Self {
        let parsed = text.split_once(' ').and_then(|(entity, id)| {
            let id = Uuid::parse_str(id).ok()?;
            match entity {
                "server" => Some(Self::Server(ServerId(id))),
                "key" => Some(Self::Key(KeyId(id))),
                "user" => Some(Self::User(UserId(id))),
                "model" => Some(Self::Model(ModelId(id))),
                "consumer" => Some(Self::Consumer(ConsumerId(id))),
                _ => None,
            }
        });
        parsed.unwrap_or(Self::Unknown)
    }
}

impl Store {
    /// Logs a change and who made it, commits all of it, and tells everyone.
    pub(super) async fn commit_change(
        &self,
        mut tx: Tx,
        act: &NewAudit,
        (change, revision): (Change, i64),
        at: i64,
    ) -> Result<(), StoreError> {
        audit::append(&mut tx, act, at).await?;
        if let Some((entity, id)) = change.parts() {
            let organization = act.organization.0;
            execute!(&mut tx, APPEND, organization, entity, id, revision, at)?;
        }
        self.commit_notice(tx, change).await
    }

    /// Commits what needs no line in the log, and tells everyone.
    pub(super) async fn commit_notice(&self, mut tx: Tx, change: Change) -> Result<(), StoreError> {
        if let Some((entity, id)) = change.parts()
            && matches!(tx, Tx::Postgres(_))
        {
            execute!(&mut tx, NOTIFY, format!("{entity} {id}"))?;
        }
        tx.commit().await?;
        // Nobody listens in a process without a catalog.
        let _ = self.changes.send(change);
        Ok(())
    }

    /// How many changes of keys and of people there ever were: a number that differs after any of them.
    pub async fn key_changes(&self) -> Result<i64, StoreError> {
        Ok(fetch_optional!(&self.db, Number, KEY_CHANGES)?.map_or(0, |row| row.value))
    }

    /// Forgets server changes from before `at`, in microseconds.
    pub async fn prune_changes(&self, at: i64) -> Result<u64, StoreError> {
        let mut tx = self.db.begin().await?;
        let gone = execute!(&mut tx, PRUNE, at)?;
        tx.commit().await?;
        Ok(gone)
    }
}

/// The next change somebody has to take notice of, which is all of them where some were missed; none
/// after `stop`, or when nobody makes changes any more.
pub async fn next_change(
    changes: &mut broadcast::Receiver<Change>,
    stop: &CancellationToken,
) -> Option<Change> {
    tokio::select! {
        () = stop.cancelled() => None,
        change = changes.recv() => match change {
            Ok(change) => Some(change),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Change::Unknown),
            Err(broadcast::error::RecvError::Closed) => None,
        },
    }
}

/// Removes what the log need not keep, from time to time, until it is told to stop.
pub async fn prune(store: Store, clock: Clock, stop: CancellationToken) {
    let kept = i64::try_from(KEPT_FOR.as_micros()).unwrap_or(i64::MAX);
    loop {
        let before = clock.now().timestamp_micros().saturating_sub(kept);
        match store.prune_changes(before).await {
            Ok(gone) if gone > 0 => tracing::debug!(gone, "old lines of the change log are gone"),
            Ok(_) => {}
            Err(error) => tracing::warn!(error = %error, "the change log cannot be pruned now"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(PRUNE_EVERY) => {}
        }
    }
}

/// What keeps a process in step with the others.
#[derive(Clone)]
pub struct Feed {
    seen_at: Arc<AtomicI64>,
}

impl Feed {
    /// Starts listening. On SQLite, which one process owns, there is nothing to listen to, and the
    /// feed is always fresh.
    pub fn start(
        store: &Store,
        clock: Clock,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let feed = Self {
            seen_at: Arc::new(AtomicI64::new(clock.now().timestamp_micros())),
        };
        let task = listen(store.clone(), feed.seen_at.clone(), clock, stop);
        (feed, task)
    }

    /// When the database last answered the feed, in microseconds since 1970.
    pub fn seen_at(&self) -> i64 {
        self.seen_at.load(Ordering::Relaxed)
    }
}

async fn listen(store: Store, seen_at: Arc<AtomicI64>, clock: Clock, stop: CancellationToken) {
    let seen = || seen_at.store(clock.now().timestamp_micros(), Ordering::Relaxed);
    let Db::Postgres(pool) = store.db.clone() else {
        while tokio::time::timeout(COMPARE_EVERY, stop.cancelled())
            .await
            .is_err()
        {
            if store.ping().await.is_ok() {
                seen();
            }
        }
        return;
    };
    while !stop.is_cancelled() {
        let connected = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            // A cut connection is ours to notice: what was said meanwhile has to be compared.
            listener.eager_reconnect(false);
            listener.listen(CHANNEL).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let pause = match connected.await {
            Ok(mut listener) => {
                let _ = store.changes.send(Change::Unknown);
                seen();
                follow(&store, &mut listener, &stop, seen).await;
                RECONNECT_AFTER
            }
            Err(error) => {
                tracing::warn!(error = %error, "cannot listen for changes; trying again");
                RETRY_AFTER
            }
        };
        let _ = store.changes.send(Change::Unknown);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Passes notices on until the connection is cut.
async fn follow(
    store: &Store,
    listener: &mut PgListener,
    stop: &CancellationToken,
    seen: impl Fn(),
) {
    let mut compare = tokio::time::interval(COMPARE_EVERY);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = compare.tick() => {
                if store.ping().await.is_ok() {
                    seen();
                    let _ = store.changes.send(Change::Unknown);
                }
            }
            notice = listener.try_recv() => match notice {
                Ok(Some(notice)) => {
                    seen();
                    let _ = store.changes.send(Change::parse(notice.payload()));
                }
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(error = %error, "the connection that listens for changes was cut");
                    return;
                }
            },
        }
    }
}
