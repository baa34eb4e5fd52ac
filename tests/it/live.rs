//! The live catalog over a real database: an index of everything, and what is used compiled once.

mod probing;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use causeway::access::authenticate::Authenticator;
use causeway::access::key::{KeyRequest, Keys};
use causeway::access::vault::Vault;
use causeway::access::vault::kept::HashKey;
use causeway::access::vault::master::MasterKey;
use causeway::live::loader::Loader;
use causeway::live::{self, Catalog};
use causeway::mcp::provider::{CallOutcome, ToolOutcome};
use causeway::mcp::publish::{GivenSettings, Publication, Publisher, SpecSource, publish};
use causeway::mcp::server::Access;
use causeway::openapi::DocumentLimits;
use causeway::store::audit::NewAudit;
use causeway::store::servers::ServerChange;
use causeway::store::{Change, Location, Store};
use causeway::types::{Clock, OrganizationId, ServerId};
use futures::FutureExt;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::call::{Bench, Echo, context, document, text, tool_call};

/// A database file with one server, and what it takes to serve it.
struct Place {
    folder: tempfile::TempDir,
    store: Store,
    vault: Arc<Vault>,
    bench: Bench,
    echo: Echo,
    first: ServerId,
}

impl Place {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        store.migrate().await.unwrap();
        let mut place = Self {
            folder,
            store,
            vault: Arc::new(Vault::new(&MasterKey::from_bytes([7; 32]))),
            bench: Bench::local(),
            echo: Echo::start().await,
            first: ServerId::generate(),
        };
        place.first = place.publish("first").await;
        place
    }

    /// A process's catalog on the database.
    async fn catalog(&self, bytes_max: usize) -> Catalog {
        let egress = self.bench.mcp.egress.clone();
        let loader = Loader::new(
            self.store.clone(),
            self.vault.clone(),
            egress,
            HashMap::new(),
        );
        Catalog::open(loader, bytes_max).await.unwrap()
    }

    async fn publish(&self, slug: &str) -> ServerId {
        let publisher = Publisher {
            store: self.store.clone(),
            vault: self.vault.clone(),
            catalog: self.catalog(usize::MAX).await,
            clock: Clock::system(),
            limits: DocumentLimits::default(),
            converting: Arc::new(Semaphore::new(1)),
            egress: self.bench.mcp.egress.clone(),
            remote_refs: false,
        };
        let text = document(&self.echo.origin, json!({}), json!([])).to_string();
        let source = SpecSource::single(text, None);
        let publication = Publication {
            organization: OrganizationId::DEFAULT,
            actor: "test".to_owned(),
            slug: Some(slug.parse().unwrap()),
            item: None,
            on_behalf: causeway::mcp::publish::OnBehalf::default(),
            settings: GivenSettings::default(),
            credentials: Vec::new(),
            release: causeway::mcp::publish::Release::Now,
            draft: false,
        };
        publish(&publisher, source, publication).await.unwrap().id
    }

    /// Copies the first server until there are this many, in one transaction.
    async fn fill(&self, count: usize) {
        let mut database = raw(self).await;
        let text = format!(
            "BEGIN;
             CREATE TEMP TABLE more AS
                 WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                 SELECT i, randomblob(16) AS server, randomblob(16) AS version FROM n;
             INSERT INTO servers (id, organization_id, slug, title, settings, revision, version_id,
                 created_at, updated_at, owner_id) SELECT server, organization_id, 'copy-' || i, title, settings,
                 revision, version, created_at, updated_at, owner_id FROM servers, more;
             INSERT INTO server_versions SELECT version, organization_id, server, number,
                 document_hash, document_url, converter, title, description, tools, schemes,
                 findings, created_at, overlays FROM server_versions, more;
             COMMIT"
        );
        database.execute(sqlx::AssertSqlSafe(text)).await.unwrap();
        database.close().await.unwrap();
    }

    /// Gives the first server this many tools.
    async fn grow(&self, tools: usize) {
        let mut database = raw(self).await;
        let text = format!(
            "UPDATE server_versions SET tools = (
                 WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {tools})
                 SELECT json_group_array(json_set(json_extract(tools, '$[0]'), '$.name', 'tool' || i))
                 FROM n)"
        );
        database.execute(sqlx::AssertSqlSafe(text)).await.unwrap();
        database.close().await.unwrap();
    }

    /// A process's keys.
    fn keys(&self) -> Keys {
        let master = HashKey(vec![7; 32].into());
        let admin = SecretString::from("an-admin-key-for-tests".to_owned());
        Keys::new(self.store.clone(), &master, &admin, Clock::system())
    }

    async fn call(&self, catalog: &Catalog, key: &str, keys: &Keys, q: &str) -> ToolOutcome {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", key.parse().unwrap());
        let authenticator = Authenticator::keys(keys.clone());
        let caller = authenticator.authenticate(&headers).await.unwrap();
        let entry = catalog.find("first").unwrap();
        assert!(caller.may(entry.target(), None));
        let server = catalog.server(entry.id).await.unwrap();
        let call = tool_call("echo", json!({ "q": q }));
        let mcp = &self.bench.mcp;
        let called = causeway::mcp::call::call(mcp, &caller, &server, call, &context()).await;
        match called.unwrap() {
            CallOutcome::Complete(outcome) => outcome,
            CallOutcome::InputRequired(_) => unreachable!("no tool here asks"),
        }
    }
}

fn agent() -> KeyRequest {
    KeyRequest {
        organization: OrganizationId::DEFAULT,
        actor: "test".to_owned(),
        owner: (None, false),
        name: "agent".to_owned(),
        grants: None,
        models: None,
        expires_at: None,
    }
}

fn act() -> NewAudit {
    NewAudit {
        organization: OrganizationId::DEFAULT,
        actor: "test".to_owned(),
        action: "edit",
        entity: "server",
        entity_id: "first".to_owned(),
        before: None,
        after: None,
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("causeway.db")
}

async fn open(folder: &Path) -> Store {
    Store::open(&Location::File(file(folder)), 4).await.unwrap()
}

#[tokio::test]
async fn ten_thousand_servers_are_an_index_until_they_are_used() {
    let place = Place::start().await;
    place.fill(10_000).await;
    let catalog = place.catalog(usize::MAX).await;
    assert_eq!(catalog.entries().len(), 10_000);
    assert_eq!(catalog.held(), (0, 0), "compiled before it was used");
    let entry = catalog.find("copy-9999").unwrap();
    let server = catalog.server(entry.id).await.unwrap();
    assert_eq!(server.slug.as_str(), "copy-9999");
    assert_eq!(server.tools.len(), 1);
    assert_eq!(catalog.held(), (1, server.bytes));
    // A comparison finds what changed among all of them, and compiles nothing else.
    let now = Clock::system().now();
    let settings = ServerChange {
        settings: Some(r#"{"access":"open"}"#),
        ..ServerChange::default()
    };
    let first = place.first;
    let act = act();
    let set = place.store.edit_server(first, settings, &act, now);
    set.await.unwrap();
    catalog.apply(Change::Unknown).await.unwrap();
    assert_eq!(catalog.find("first").unwrap().target().access, Access::Open);
    assert_eq!(catalog.held().0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_loaded_once_however_many_ask() {
    let place = Place::start().await;
    let catalog = place.catalog(usize::MAX).await;
    let uses: Vec<_> = (0..64)
        .map(|_| {
            let (catalog, id) = (catalog.clone(), place.first);
            tokio::spawn(async move { catalog.server(id).await.unwrap() })
        })
        .collect();
    let mut servers = Vec::new();
    for one in uses {
        servers.push(one.await.unwrap());
    }
    assert!(
        servers.iter().all(|it| Arc::ptr_eq(it, &servers[0])),
        "two of them were compiled"
    );
    assert_eq!(catalog.held(), (1, servers[0].bytes));
}

#[tokio::test]
async fn the_server_used_longest_ago_makes_room() {
    let place = Place::start().await;
    place.fill(4).await;
    let bytes = {
        let catalog = place.catalog(usize::MAX).await;
        catalog.server(place.first).await.unwrap().bytes
    };
    let max = bytes * 3 + bytes / 2;
    let catalog = place.catalog(max).await;
    let id = |slug: &str| catalog.find(slug).unwrap().id;
    let mut held = Vec::new();
    for slug in ["first", "copy-2", "copy-3"] {
        held.push(catalog.server(id(slug)).await.unwrap());
    }
    let again = catalog.server(id("first")).await.unwrap();
    assert!(Arc::ptr_eq(&again, &held[0]));
    catalog.server(id("copy-4")).await.unwrap();
    let (count, weight) = catalog.held();
    assert!(
        count == 3 && weight <= max,
        "{count} servers, {weight} bytes"
    );
    let first = catalog.server(id("first")).await.unwrap();
    assert!(Arc::ptr_eq(&first, &held[0]), "it was used a moment ago");
    let third = catalog.server(id("copy-3")).await.unwrap();
    assert!(Arc::ptr_eq(&third, &held[2]));
    let second = catalog.server(id("copy-2")).await.unwrap();
    assert!(!Arc::ptr_eq(&second, &held[1]), "it was used longest ago");
    // What is removed gives back what it weighed.
    let gone = ["first", "copy-2", "copy-3", "copy-4"].map(id);
    for id in gone {
        let now = Clock::system().now();
        let act = act();
        let removed = place.store.delete_server(id, &act, now);
        assert!(removed.await.unwrap());
        catalog.apply(Change::Server(id)).await.unwrap();
    }
    assert_eq!(catalog.held(), (0, 0));
}

#[tokio::test]
async fn an_empty_admin_key_equals_nothing() {
    let place = Place::start().await;
    let (master, none) = (
        HashKey(vec![7; 32].into()),
        SecretString::from(String::new()),
    );
    let keys = Keys::new(place.store.clone(), &master, &none, Clock::system());
    assert!(!keys.is_admin("") && !keys.is_admin(" "));
    assert!(keys.recognise("").await.is_err());
}

#[tokio::test]
async fn calls_to_a_warm_server_touch_no_database() {
    let mut place = Place::start().await;
    let catalog = place.catalog(usize::MAX).await;
    let keys = place.keys();
    let made = keys.create(agent()).await.unwrap();
    let key = made.secret.expose_secret();
    place.call(&catalog, key, &keys, "warm").await;
    place.store.close().await;
    assert!(place.store.ping().await.is_err(), "the database is away");
    for n in 0..20 {
        let outcome = place.call(&catalog, key, &keys, &format!("call{n}")).await;
        let said = text(&outcome);
        assert!(said.contains(&format!("/echo?q=call{n}")), "{said}");
    }
    // What cannot be read now is compared later; who is served goes on being served.
    assert!(catalog.apply(Change::Unknown).await.is_err());
    keys.apply(Change::Unknown).await;
    place.call(&catalog, key, &keys, "still").await;
    let ledger = std::iter::from_fn(|| place.bench.ledger.try_recv().ok());
    let callers: BTreeSet<_> = ledger
        .map(|entry| format!("{:?}", entry.caller.key))
        .collect();
    assert_eq!(callers.len(), 1, "one key made all calls: {callers:?}");
}

#[tokio::test]
async fn a_change_that_could_not_be_loaded_is_told_when_it_is() {
    let place = Place::start().await;
    let catalog = place.catalog(usize::MAX).await;
    let mut revisions = catalog.revisions(place.first);
    let before = catalog.server(place.first).await.unwrap();
    let mut database = raw(&place).await;
    let broken = "UPDATE servers SET revision = revision + 1;
                  UPDATE server_versions SET tools = substr(tools, 2)";
    database.execute(broken).await.unwrap();
    assert!(catalog.apply(Change::Server(place.first)).await.is_err());
    assert!(
        !revisions.has_changed().unwrap(),
        "there is nothing to see yet"
    );
    let served = catalog.server(place.first).await.unwrap();
    assert_eq!(served.revision, before.revision, "the old form is served");
    let mended = "UPDATE server_versions SET tools = '[' || tools";
    database.execute(mended).await.unwrap();
    catalog.apply(Change::Unknown).await.unwrap();
    let told = tokio::time::timeout(Duration::from_secs(20), revisions.changed());
    told.await.expect("in time").unwrap();
    let served = catalog.server(place.first).await.unwrap();
    assert_eq!(served.revision, before.revision + 1);
}

/// The database without the guard that keeps versions as they are: these tests break them.
async fn raw(place: &Place) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file(place.folder.path()));
    let mut database = SqliteConnection::connect_with(&options).await.unwrap();
    let unguarded = "DROP TRIGGER IF EXISTS server_versions_are_never_updated";
    database.execute(unguarded).await.unwrap();
    database
}

/// Waits until something is so.
async fn until(so: impl AsyncFn() -> bool) {
    let wait = async {
        while !so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait)
        .await
        .expect("in time");
}

#[tokio::test]
async fn a_server_that_cannot_be_loaded_is_left_alone_for_a_while() {
    let place = Place::start().await;
    let catalog = place.catalog(usize::MAX).await;
    let mut database = raw(&place).await;
    let broken = "UPDATE server_versions SET tools = substr(tools, 2)";
    let mended = "UPDATE server_versions SET tools = '[' || tools";
    database.execute(broken).await.unwrap();
    let begun = Instant::now();
    let asked = (0..200).map(|_| catalog.server(place.first));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(Result::is_err));
    database.execute(mended).await.unwrap();
    let again = catalog.server(place.first).await;
    if begun.elapsed() < Duration::from_secs(1) {
        assert!(again.is_err(), "it was tried again at once");
    }
    until(async || catalog.server(place.first).await.is_ok()).await;

    // A change is a reason to try at once.
    let catalog = place.catalog(usize::MAX).await;
    database.execute(broken).await.unwrap();
    assert!(catalog.server(place.first).await.is_err());
    database.execute(mended).await.unwrap();
    catalog.apply(Change::Server(place.first)).await.unwrap();
    assert!(catalog.server(place.first).await.is_ok());
}

#[tokio::test]
async fn a_load_that_nobody_waits_for_any_more_goes_on_for_the_next_who_asks() {
    let place = Place::start().await;
    let catalog = place.catalog(usize::MAX).await;
    assert!(catalog.server(place.first).now_or_never().is_none());
    until(async || catalog.held().0 == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_does_not_wait_for_servers_that_are_compiled() {
    const SERVERS: usize = 8;
    let place = Place::start().await;
    place.grow(300).await;
    place.fill(SERVERS).await;
    let catalog = place.catalog(usize::MAX).await;
    let mut heard = Vec::new();
    for entry in catalog.entries() {
        catalog.server(entry.id).await.unwrap();
        heard.push((entry.id, catalog.revisions(entry.id)));
    }
    let (ours, theirs) = (place.keys(), place.keys());
    let made = ours.create(agent()).await.unwrap();
    let key = made.secret.expose_secret();
    assert!(theirs.recognise(key).await.is_ok());
    let (changes, followed) = tokio::sync::broadcast::channel(64);
    let stop = CancellationToken::new();
    let keys = theirs.clone().follow(changes.subscribe(), stop.clone());
    let servers = live::follow(catalog.clone(), followed, stop.clone());
    let following = tokio::spawn(futures::future::join(keys, servers));

    let edit = "UPDATE servers SET revision = revision + 1";
    raw(&place).await.execute(edit).await.unwrap();
    let revoking = ours.revoke(OrganizationId::DEFAULT, made.id, "test".to_owned());
    assert!(revoking.await.unwrap());
    for (id, _) in &heard {
        changes.send(Change::Server(*id)).unwrap();
    }
    changes.send(Change::Key(made.id)).unwrap();
    until(async || theirs.recognise(key).await.is_err()).await;
    let told = heard
        .iter()
        .filter(|(_, revisions)| revisions.has_changed().unwrap());
    assert!(told.count() < SERVERS, "the key had to wait");
    until(async || {
        heard
            .iter()
            .all(|(_, revisions)| revisions.has_changed().unwrap())
    })
    .await;
    stop.cancel();
    following.await.unwrap();
}
