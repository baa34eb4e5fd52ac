//! What needs a Postgres server, and a Redis server:
//! `tests/with-postgres tests/with-redis cargo test --test postgres`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use causeway::store::audit::NewAudit;
use causeway::store::changes::Feed;
use causeway::store::{Change, Location, Store};
use causeway::types::{Clock, OrganizationId};
use sqlx::{Connection, Executor};
use tokio::sync::{RwLock, RwLockReadGuard};
use tokio_util::sync::CancellationToken;
use url::Url;

#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
mod balancing;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
mod budget;
#[path = "../store/contract.rs"]
mod contract;
mod crash;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
#[path = "../process/listening.rs"]
mod listening;
mod redis;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
#[path = "../process/serving.rs"]
mod serving;
#[expect(
    clippy::disallowed_methods,
    reason = "a test is a client of the process, and no client goes through egress"
)]
mod two_processes;

/// Written by what keeps the machine busy, and by what has to be answered within a tenth of a second; read by all else.
static ALONE: RwLock<()> = RwLock::const_new(());

struct Place {
    store: Store,
    url: Url,
    _beside: Option<RwLockReadGuard<'static, ()>>,
}

impl Place {
    async fn database(&self) -> contract::Database {
        contract::Database::at(&Location::Postgres(self.url.clone())).await
    }
}

/// The server the tests run on.
#[expect(
    clippy::disallowed_methods,
    reason = "a test is told where its server is"
)]
fn server() -> Url {
    let text = std::env::var("CAUSEWAY_TEST_POSTGRES_URL").expect(
        "CAUSEWAY_TEST_POSTGRES_URL is not set: run `tests/with-postgres tests/with-redis cargo test --test postgres`",
    );
    text.parse().unwrap()
}

/// A database of its own for each test, in which nothing is.
async fn bare() -> Url {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "test_{}_{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let mut admin = sqlx::PgConnection::connect(server().as_str())
        .await
        .unwrap();
    admin
        .execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
        .await
        .unwrap();
    let mut url = server();
    url.set_path(&name);
    url
}

/// As [`bare`], with the schema, for what holds [`ALONE`] already.
async fn fresh() -> Place {
    let url = bare().await;
    let store = Store::open(&Location::Postgres(url.clone()), 8)
        .await
        .unwrap();
    store.migrate().await.unwrap();
    Place {
        store,
        url,
        _beside: None,
    }
}

/// The same beside others, and beside nothing that is alone.
async fn empty() -> Place {
    let beside = ALONE.read().await;
    Place {
        _beside: Some(beside),
        ..fresh().await
    }
}

#[tokio::test]
async fn two_processes_on_one_database_add_up() {
    let place = empty().await;
    let other = Location::Postgres(place.url.clone());
    let other = Store::open(&other, 4).await.unwrap();
    contract::two_writers_add_up(&place.store, &other, &place.database().await).await;
}

crate::run_contract!(empty);

#[tokio::test]
async fn everything_of_an_earlier_release_goes_on() {
    let _beside = ALONE.read().await;
    let (place, data) = (
        Location::Postgres(bare().await),
        tempfile::tempdir().unwrap(),
    );
    contract::upgrade::everything_of_an_earlier_release_goes_on(&place, data.path()).await;
}

#[tokio::test]
async fn what_cannot_be_migrated_is_as_it_was() {
    let _beside = ALONE.read().await;
    let (place, data) = (
        Location::Postgres(bare().await),
        tempfile::tempdir().unwrap(),
    );
    contract::upgrade::what_cannot_be_migrated_is_as_it_was(&place, data.path()).await;
}

async fn heard(changes: &mut tokio::sync::broadcast::Receiver<Change>, wanted: Change) {
    let wait = async { while changes.recv().await.unwrap() != wanted {} };
    tokio::time::timeout(Duration::from_secs(5), wait)
        .await
        .expect("the change was not heard");
}

#[tokio::test]
async fn a_change_in_one_process_is_heard_in_another_also_after_a_cut() {
    let place = empty().await;
    let other = Store::open(&Location::Postgres(place.url.clone()), 4)
        .await
        .unwrap();
    let stop = CancellationToken::new();
    let (feed, listening) = Feed::start(&other, Clock::system(), stop.clone());
    let task = tokio::spawn(listening);
    let mut changes = other.changes();
    heard(&mut changes, Change::Unknown).await;
    assert!(feed.seen_at() > 0);

    let id = causeway::types::KeyId::generate();
    let key = |id, digit| causeway::store::keys::NewKey {
        models: None,
        id,
        organization: OrganizationId::DEFAULT,
        owner: None,
        owned_max: None,
        own_only: false,
        consumer: "agent".into(),
        name: "key".into(),
        prefix: "cw_".into(),
        hash: [digit; 32],
        grants: None,
        expires_at: None,
    };
    let now = Clock::system().now();
    let act = NewAudit {
        organization: OrganizationId::DEFAULT,
        actor: "admin".into(),
        action: "create",
        entity: "key",
        entity_id: "x".into(),
        before: None,
        after: None,
    };
    let first = place.store.create_key(key(id, 1), &act, now);
    first.await.unwrap();
    heard(&mut changes, Change::Key(id)).await;

    let mut admin = sqlx::PgConnection::connect(place.url.as_str())
        .await
        .unwrap();
    admin
        .execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND query LIKE 'LISTEN%'",
        )
        .await
        .unwrap();
    place
        .store
        .create_key(key(causeway::types::KeyId::generate(), 2), &act, now)
        .await
        .unwrap();
    // Whatever was said while nobody listened is found by comparing.
    heard(&mut changes, Change::Unknown).await;
    assert_eq!(other.key_changes().await.unwrap(), 2);
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn audit_rows_cannot_be_changed() {
    let place = empty().await;
    contract::the_audit_is_kept(&place.store).await;
    let mut admin = sqlx::PgConnection::connect(place.url.as_str())
        .await
        .unwrap();
    for statement in [
        "UPDATE audit SET actor = 'x'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ] {
        assert!(
            admin.execute(statement).await.is_err(),
            "{statement} was let through"
        );
    }
}
