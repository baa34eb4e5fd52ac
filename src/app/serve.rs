//! `causeway serve`, put together: configuration in, a running process out.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::access::account::Accounts;
use crate::access::approval::Inbox;
use crate::access::authenticate::Authenticator;
use crate::access::confirmation::Confirmations;
use crate::access::issuer::Issuers;
use crate::access::key::Keys;
use crate::access::ledger::{self, Kept, Ledger};
use crate::access::limit::{Limiter, Shared};
use crate::access::meter::Meters;
use crate::access::oidc::Provider;
use crate::access::oidc::settings::OidcSettings;
use crate::access::session::Sessions;
use crate::access::upstream_auth::Tokens;
use crate::access::vault::Vault;
use crate::access::vault::master::MasterKey;
use crate::access::vault::ring::KeySource;
use crate::access::webhook::Webhooks;
use crate::answers::Answers;
use crate::app::edge::Edge;
use crate::app::ground::Ground;
use crate::app::hold::Hold;
use crate::app::listen::{self, Limits, Listener, Site};
use crate::app::management;
use crate::app::measures::Sources;
use crate::app::memory;
use crate::app::models;
use crate::app::operate::Operations;
use crate::app::secrets;
use crate::app::seed::{check_demo, seed, wants_demo};
use crate::app::tls::Tls;
use crate::app::watched;
use crate::config::Config;
use crate::egress::Egress;
use crate::jq::Jq;
use crate::llm::live::Models;
use crate::market::address::Address;
use crate::market::api::{Market, MarketParts, idempotency};
use crate::market::doctor::{Doctor, Places};
use crate::mcp::call::Mcp;
use crate::mcp::endpoint::{Endpoint, EndpointParts, HostPolicy, Origins};
use crate::mcp::probes::{self, Prober};
use crate::mcp::publish::Publisher;
use crate::mcp::sync;
use crate::mcp::watch::Watch;
use crate::openapi::DocumentLimits;
use crate::policy::Policies;
use crate::router;
use crate::store::changes::Feed;
use crate::store::{Location, Store};
use crate::types::Clock;

/// Entries of the ledger that wait to be written.
const LEDGER_ENTRIES_MAX: usize = 16_384;
/// Documents converted at once.
const CONVERTING_MAX: usize = 2;
/// What the demo's servers are called inside the process.
pub const DEMO: &str = "demo";

/// How long what is left to write may take, once nobody is answered any more.
const LAST_TIME: Duration = Duration::from_secs(8);

/// A process that is ready to serve.
pub struct App {
    pub site: Site,
    pub market: Market,
    /// The token of the link that makes the first admin, where nobody is there yet and no other process
    /// has one.
    pub setup: Option<String>,
    /// What clients call this process.
    pub public_url: String,
    pub seeded: bool,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Nobody is answered any more.
    served: CancellationToken,
    store: Store,
    limits: Limits,
    hold: Hold,
}

impl App {
    /// Opens everything a configuration names, for a listener that is bound already.
    pub async fn build(config: &Config, address: SocketAddr) -> anyhow::Result<Self> {
        check_demo(config)?;
        let tls = tls(config)?;
        let location = location(config)?;
        let fresh = matches!(&location, Location::File(path) if !path.exists());
        let ground = Ground::open(config, address, &location).await?;
        let (feed, listening) =
            Feed::start(&ground.store, ground.clock.clone(), ground.stop.clone());
        ground.tasks.spawn(listening);
        ground.keep_in_step();
        let doctor = doctor(config, &feed, &ground.source)?;
        let operations = Operations::new(
            ground.store.clone(),
            feed,
            ground.catalog.clone(),
            ground.clock.clone(),
        );
        let ours = Address::new(config.server.public_url.as_ref(), (address, tls.is_some()));
        let models = models::open(&ground).await?;
        let market = market(config, (address, ours), &ground, (doctor, models))?;
        ground.follow(sync::follow(
            market.0.parts.publisher.clone(),
            ground.stop.clone(),
        ));
        let parts = &market.0.parts;
        let prober = Prober::of(&parts.mcp, &parts.publisher);
        ground.follow(probes::follow(prober, ground.stop.clone()));
        ground.follow(idempotency::sweep(
            ground.store.clone(),
            ground.clock.clone(),
            ground.stop.clone(),
        ));
        ground.follow(memory::give_back(ground.stop.clone()));
        if let Some(tls) = &tls {
            ground.follow(tls.clone().follow(ground.stop.clone()));
        }
        let endpoint = endpoint(config, &market, &ground.stop);
        let llm = models::endpoint(config, &market);
        watched::measures(config, &ground, &llm.llm)?;
        let operations = operations.watching(Sources {
            mcp: market.0.parts.mcp.clone(),
            endpoint: endpoint.clone(),
            llm: llm.llm.clone(),
        });
        ground.within.open(&market);
        management::settle(config, &market).await?;
        let seeded = wants_demo(config, address, fresh) && seed(&market).await?;
        let setup = first_admin(config, &market.0.parts.accounts).await?;
        Ok(Self {
            site: Site {
                router: router::router((endpoint, llm), market.clone(), operations),
                edge: Edge {
                    prefix: market.0.parts.address.prefix().to_owned(),
                    trusted_proxies: config.server.trusted_proxies.clone(),
                },
                tls: tls.map(|tls| tls.acceptor()).transpose()?,
            },
            setup,
            public_url: market.0.parts.address.at_start().to_owned(),
            market,
            seeded,
            tasks: ground.tasks,
            stop: ground.stop,
            served: ground.served,
            store: ground.store,
            hold: ground.hold,
            limits: limits(config),
        })
    }

    /// Serves until a signal; then ends streams, waits for calls, writes the ledger, closes the
    /// database.
    pub async fn run(self, listener: Listener) -> anyhow::Result<()> {
        let Self {
            site,
            market,
            tasks,
            stop,
            served,
            store,
            limits,
            hold,
            ..
        } = self;
        listen::serve(listener, site, stop.clone(), limits).await?;
        stop.cancel();
        served.cancel();
        let limiter = market.0.parts.mcp.limiter.clone();
        market.0.parts.mcp.jq.close().await;
        // The ledger's writer ends when nobody can hand in entries any more.
        drop(market);
        tasks.close();
        if tokio::time::timeout(LAST_TIME, tasks.wait()).await.is_err() {
            tracing::warn!("some background work did not end in time");
        }
        limiter.give_back().await;
        store.close().await;
        drop(hold);
        Ok(())
    }
}

/// The management side, and what calls tools.
fn market(
    config: &Config,
    (address, ours): (SocketAddr, Address),
    ground: &Ground,
    (doctor, models): (Doctor, Models),
) -> anyhow::Result<Market> {
    let (store, clock, egress) = (&ground.store, &ground.clock, &ground.egress);
    let background = (&ground.tasks, &ground.stop);
    let vault = ground.vault.clone();
    let limiter = limiter(config, store, clock)?;
    ground.follow(limiter.clone().sweep(ground.stop.clone()));
    let answers = Answers::stored(store.clone(), vault.clone(), clock.clone());
    ground.follow(answers.clone().sweep(ground.stop.clone()));
    let master = ground.ring.current();
    let sessions = Sessions::new(master, &ground.hash_key, &ground.admin);
    let oidc = oidc(config, ground, &sessions)?;
    let accounts = Accounts::new((store.clone(), vault.clone()), sessions, clock.clone())?;
    let mcp = Mcp {
        watch: Watch::default(),
        tokens: tokens(egress, clock, (store, &vault)),
        confirmations: confirmations(background, (store, clock, egress), (master, &ours)),
        egress: egress.clone(),
        ledger: keep_ledger(config, background, (store, clock)),
        meters: Meters::default(),
        telemetry: watched::spans(config, background, clock)?,
        limiter,
        clock: clock.clone(),
        policies: Policies::default(),
        answers,
        jq: Jq::of_this_program(),
    };
    Ok(Market::new(MarketParts {
        publisher: Publisher {
            store: store.clone(),
            vault,
            catalog: ground.catalog.clone(),
            clock: clock.clone(),
            limits: document_limits(config),
            converting: Arc::new(tokio::sync::Semaphore::new(CONVERTING_MAX)),
            egress: egress.clone(),
            remote_refs: config.egress.allow_remote_refs,
        },
        authenticator: authenticator(&ground.keys, (store, egress), clock),
        keys: ground.keys.clone(),
        accounts,
        oidc,
        llm: models::llm(config, ground, models, &mcp)?,
        mcp: Arc::new(mcp),
        egress: egress.clone(),
        hosts: hosts(config, address),
        address: ours,
        document_bytes_max: config.limits.document_bytes_max,
        doctor,
    }))
}

/// The identity provider people sign in through, where one is named.
fn oidc(config: &Config, ground: &Ground, sessions: &Sessions) -> anyhow::Result<Option<Provider>> {
    let secret = secrets::client_secret(config)?;
    let Some(settings) = OidcSettings::of(&config.oidc, secret)? else {
        return Ok(None);
    };
    let reached = (ground.egress.clone(), ground.clock.clone());
    let kept = (ground.store.clone(), sessions.clone());
    Ok(Some(Provider::new(settings, reached, kept)))
}

fn authenticator(keys: &Keys, (store, egress): (&Store, &Egress), clock: &Clock) -> Authenticator {
    let reached = (store.clone(), egress.clone());
    let issuers = Issuers::new(keys.clone(), reached, clock.clone());
    Authenticator::keys_and_tokens(keys.clone(), issuers)
}

/// Makes the first admin with a password that was given, or gives the token of the link that does, to one
/// process of many.
async fn first_admin(config: &Config, accounts: &Accounts) -> anyhow::Result<Option<String>> {
    if let Some(password) = secrets::admin_password(config)? {
        let made = accounts.first_admin(secrets::ADMIN_NAME, &password).await;
        if made.context("--admin-password-file")? {
            tracing::info!("the first admin is made: {}", secrets::ADMIN_NAME);
        }
        return Ok(None);
    }
    Ok(accounts.claim_setup().await?)
}

fn tokens(egress: &Egress, clock: &Clock, (store, vault): (&Store, &Arc<Vault>)) -> Tokens {
    let kept = (store.clone(), vault.clone());
    Tokens::stored(egress.clone(), clock.clone(), kept)
}

/// What calls are confirmed with, the inbox where they wait for people, and who is told of those.
fn confirmations(
    (tasks, stop): (&TaskTracker, &CancellationToken),
    (store, clock, egress): (&Store, &Clock, &Egress),
    (master, address): (&MasterKey, &Address),
) -> Confirmations {
    let page = format!("{}/approvals", address.at_start());
    let (webhooks, queue) = Webhooks::channel(master, page);
    tasks.spawn(queue.deliver(egress.clone(), store.clone(), stop.clone()));
    let inbox = Inbox {
        store: store.clone(),
        clock: clock.clone(),
        webhooks,
    };
    let confirmations = Confirmations::stored(store.clone(), master, clock.clone(), inbox);
    tasks.spawn(confirmations.clone().sweep(stop.clone()));
    confirmations
}

/// The ledger, which is written and rid of old calls while the process runs.
fn keep_ledger(
    config: &Config,
    (tasks, stop): (&TaskTracker, &CancellationToken),
    (store, clock): (&Store, &Clock),
) -> Ledger {
    let (ledger, entries) = Ledger::channel(LEDGER_ENTRIES_MAX);
    tasks.spawn(ledger::write(store.clone(), entries));
    let kept = Kept {
        calls_days: config.limits.ledger_days,
        usage_days: config.limits.usage_days,
    };
    let sweeping = ledger::sweep(store.clone(), clock.clone(), kept, stop.clone());
    tasks.spawn(sweeping);
    ledger
}

/// What counts calls: rates in Redis where there is one.
fn limiter(config: &Config, store: &Store, clock: &Clock) -> anyhow::Result<Limiter> {
    let shared = config.store.redis_url.as_ref();
    let shared = shared.map(|url| Shared::open(url.as_str())).transpose();
    let shared = shared.context("--redis-url")?;
    let limiter = Limiter::new(store.clone(), shared, clock.clone());
    let limits = &config.limits;
    let pace = (
        limits.management_requests_per_second,
        limits.management_burst,
    );
    Ok(limiter
        .with_ceiling(limits.address_requests_per_minute)
        .with_pace(pace))
}

fn endpoint(config: &Config, market: &Market, stop: &CancellationToken) -> Endpoint {
    let parts = &market.0.parts;
    Endpoint::new(EndpointParts {
        catalog: parts.publisher.catalog.clone(),
        authenticator: parts.authenticator.clone(),
        mcp: parts.mcp.clone(),
        hosts: parts.hosts.clone(),
        origins: Origins::of(&config.server.cors_origins),
        legacy_sse: config.server.legacy_sse,
        prefix: parts.address.prefix().to_owned(),
        reached_at: {
            let address = parts.address.clone();
            Arc::new(move |headers| address.asked_by(headers))
        },
        shutdown: stop.clone(),
    })
}

fn limits(config: &Config) -> Limits {
    Limits {
        connections_max: config.server.connections_max,
        grace: Duration::from_millis(config.server.shutdown_grace_ms),
    }
}

/// What looks whether the process is well, and where its files are.
fn doctor(config: &Config, feed: &Feed, source: &KeySource) -> anyhow::Result<Doctor> {
    let (data, secrets) = (&config.store.data, &config.secrets);
    let lite = config.store.database_url.is_none();
    let master = match source {
        KeySource::Text => None,
        KeySource::Given(path) | KeySource::Ours(path) => Some(path.clone()),
    };
    let ours = || lite.then(|| data.join("admin.key"));
    let admin = match secrets.admin_key {
        Some(_) => None,
        None => secrets.admin_key_file.clone().or_else(ours),
    };
    let client = config.oidc.client_secret_file.clone();
    let keys = [("master", master), ("admin", admin), ("client", client)];
    let places = Places {
        data: lite.then(|| data.clone()),
        keys: keys
            .into_iter()
            .filter_map(|(what, path)| Some((what, path?)))
            .collect(),
        is_public: config.server.public_url.is_some(),
    };
    Doctor::new(feed.clone(), places).map_err(|_| anyhow::anyhow!("the system has no randomness"))
}

/// Which database a configuration means. The directory of a SQLite file is made.
pub fn location(config: &Config) -> anyhow::Result<Location> {
    let Some(url) = &config.store.database_url else {
        private_directory(&config.store.data)?;
        return Ok(Location::File(config.store.data.join("causeway.db")));
    };
    let mut url = url.clone();
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        bail!("--database-url begins with postgres://; leave it out for SQLite");
    }
    if let Some(file) = &config.store.database_password_file {
        let password = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let set = url.set_password(Some(password.trim_end()));
        set.map_err(|()| anyhow::anyhow!("--database-url can carry no password"))?;
    }
    Ok(Location::Postgres(url))
}

pub(crate) fn private_directory(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if path.is_dir() {
        return writable(path);
    }
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).with_context(|| {
        format!("the data directory {} cannot be made; choose one this user may write to, with --data", path.display())
    })
}

/// Tried, because only the file system knows: a permission is one of many reasons.
fn writable(directory: &Path) -> anyhow::Result<()> {
    let probe = directory.join(format!(".writable-{}", std::process::id()));
    let tried = std::fs::File::create(&probe).and_then(|_| std::fs::remove_file(&probe));
    tried.with_context(|| {
        format!("the data directory {} cannot be written to; let this user write there, or choose another one with --data", directory.display())
    })
}

fn document_limits(config: &Config) -> DocumentLimits {
    DocumentLimits {
        document_bytes_max: config.limits.document_bytes_max,
        operations_max: config.limits.operations_max,
        ..DocumentLimits::default()
    }
}

/// The certificate to show, where one was given.
fn tls(config: &Config) -> anyhow::Result<Option<Tls>> {
    match (&config.server.tls_cert, &config.server.tls_key) {
        (Some(certificate), Some(key)) => Tls::open(certificate, key).map(Some),
        (None, None) => Ok(None),
        _ => bail!("--tls-cert and --tls-key belong together: give both, or neither"),
    }
}

/// Which hosts and origins are ours.
fn hosts(config: &Config, address: SocketAddr) -> HostPolicy {
    match (&config.server.public_url, address.ip().is_loopback()) {
        (public, true) => HostPolicy::Loopback {
            public: public.clone(),
        },
        (Some(public), false) => HostPolicy::Public {
            public: public.clone(),
        },
        (None, false) => {
            tracing::warn!(
                "listening on {address} without --public-url: any Host header is accepted, only same-origin web pages \
                 may call, and links say what each client calls this server"
            );
            HostPolicy::SameOrigin
        }
    }
}
