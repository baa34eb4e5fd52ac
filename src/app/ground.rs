//! What a process stands on: its keys, its database, its way out, and the tasks that keep these in step.

use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::key::Keys;
use crate::access::vault::Vault;
use crate::access::vault::kept::{self, HashKey};
use crate::access::vault::ring::{KeySource, Keyring};
use crate::app::hold::Hold;
use crate::app::secrets;
use crate::app::serve::DEMO;
use crate::config::Config;
use crate::demo;
use crate::egress::{Egress, EgressSettings, Protected};
use crate::live::loader::Loader;
use crate::live::popularity;
use crate::live::{self, Catalog};
use crate::market::api::within::Within;
use crate::mcp::server::MANAGEMENT;
use crate::store::{Location, Store, changes};
use crate::types::Clock;

/// Opened before anything is served.
pub(super) struct Ground {
    pub(super) clock: Clock,
    pub(super) ring: Keyring,
    pub(super) source: KeySource,
    pub(super) admin: SecretString,
    pub(super) hash_key: HashKey,
    pub(super) hold: Hold,
    pub(super) store: Store,
    pub(super) egress: Egress,
    pub(super) vault: Arc<Vault>,
    pub(super) catalog: Catalog,
    /// The management API for requests from inside, once there is one.
    pub(super) within: Within,
    pub(super) keys: Keys,
    pub(super) tasks: TaskTracker,
    /// Nothing new is begun.
    pub(super) stop: CancellationToken,
    /// Nobody is answered any more.
    pub(super) served: CancellationToken,
}

impl Ground {
    pub(super) async fn open(
        config: &Config,
        address: SocketAddr,
        location: &Location,
    ) -> anyhow::Result<Self> {
        let clock = Clock::system();
        let (ring, source) = secrets::master_keys(config)?;
        let admin = secrets::admin_key(config)?;
        let hold = Hold::of(location)?;
        let store = Store::open(location, config.store.connections_max).await?;
        store.migrate().await?;
        let egress = egress(config, address, location)?;
        let within = Within::default();
        let vault = Arc::new(Vault::of(&ring, source.clone()));
        let catalog = catalog(config, &store, (&vault, &within), &egress).await?;
        let hash_key = kept::hash_key(&store, &vault, &ring).await?;
        let keys = Keys::new(store.clone(), &hash_key, &admin, clock.clone())
            .with_owned_max(config.limits.keys_per_person);
        Ok(Self {
            clock,
            ring,
            source,
            admin,
            hash_key,
            hold,
            store,
            egress,
            vault,
            catalog,
            within,
            keys,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            served: CancellationToken::new(),
        })
    }

    /// Runs a task until it is told to stop.
    pub(super) fn follow(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    /// Takes notice of changes, until it is told to stop.
    pub(super) fn keep_in_step(&self) {
        let (store, stop) = (&self.store, &self.stop);
        self.follow(self.keys.clone().follow(store.changes(), stop.clone()));
        let followed = self.catalog.clone();
        self.follow(live::follow(followed, store.changes(), stop.clone()));
        self.follow(changes::prune(
            store.clone(),
            self.clock.clone(),
            stop.clone(),
        ));
        self.follow(popularity::follow(
            self.catalog.clone(),
            store.clone(),
            self.clock.clone(),
            stop.clone(),
        ));
    }
}

async fn catalog(
    config: &Config,
    store: &Store,
    (vault, within): (&Arc<Vault>, &Within),
    egress: &Egress,
) -> anyhow::Result<Catalog> {
    let internal = HashMap::from([
        (DEMO.to_owned(), demo::service()),
        (MANAGEMENT.to_owned(), within.service()),
    ]);
    let loader = Loader::new(store.clone(), vault.clone(), egress.clone(), internal);
    let bytes_max = usize::try_from(config.limits.live_bytes_max).unwrap_or(usize::MAX);
    Ok(Catalog::open(loader, bytes_max).await?)
}

fn egress(config: &Config, address: SocketAddr, location: &Location) -> anyhow::Result<Egress> {
    let egress = Egress::new(EgressSettings {
        allow: config.egress.allow_upstream.clone(),
        connect_timeout: Duration::from_millis(config.egress.connect_timeout_ms),
        first_byte_timeout: Duration::from_millis(config.egress.first_byte_timeout_ms),
        body_bytes_max: config.egress.body_bytes_max,
        ..EgressSettings::default()
    });
    egress.protect(Protected::Listener(address));
    if let Some((host, port)) = location.address()? {
        egress.protect(Protected::Host { host, port });
    }
    if let Some(url) = &config.server.public_url
        && let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default())
    {
        let host = host.to_owned();
        egress.protect(Protected::Site { host, port });
    }
    Ok(egress)
}
