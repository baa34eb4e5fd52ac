//! The providers and models of every organization, as requests find them: in memory, published by one pointer swap.
//! A request goes on with what it started with.

mod balancing;
mod demo;
mod finding;
mod idle;
mod reading;
mod urls;
mod written;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access::caller::Caller;
use crate::access::limit::{self, Limit, LimitError, Scope};
use crate::access::vault::{RowIdentity, Sealed, Vault};
use crate::egress::resilience::Breaker;
use crate::egress::{Egress, InternalService, Reach, Upstream};
use crate::llm::access_token::Tokens;
use crate::llm::arm::{Arm, target_of};
use crate::llm::canary::{Asker, SHADOW, STABLE};
use crate::llm::fault::{Fault, FaultClass};
use crate::llm::load::Busy;
use crate::llm::names::Names;
use crate::llm::prefix::Prefixes;
use crate::llm::provider::Provider;
use crate::llm::route::{ModelSettings, RouteError, Target, Times};
use crate::llm::settings::ProviderSettings;
use crate::llm::standing::{HealthRule, LoadRule, Standing, Standings};
use crate::store::changes::next_change;
use crate::store::models::{ModelRow, ProviderKeyRow, ProviderRow};
use crate::store::{Change, Store, StoreError};
use crate::types::OrganizationId;

pub use finding::refuse_without_models;
pub use idle::IdlePrices;
pub use urls::Urls;

/// The model that is there without any provider, and the provider behind it.
pub const DEMO: &str = "demo";

/// A provider an organization uses.
pub struct LiveProvider {
    pub name: String,
    pub provider: Provider,
    pub parameters: BTreeMap<String, String>,
    pub upstream: Upstream,
    pub keys: Vec<Arc<LiveKey>>,
    /// Any path of it is open at `/p/{name}/…`.
    pub pass_through: bool,
    /// Callers keep files and batches at it.
    pub files: bool,
    /// Of the provider as a whole, where it has no keys.
    pub breaker: Arc<Breaker<FaultClass>>,
    /// Whose turn it is among the keys.
    pub turn: AtomicUsize,
    /// How it is doing, and how that is found out beside what requests see.
    pub standing: Arc<Standing>,
    pub health: Option<HealthRule>,
    pub load: Option<LoadRule>,
    pub urls: Urls,
}

/// A key of a provider, opened.
pub struct LiveKey {
    pub id: Uuid,
    pub name: String,
    pub secret: SecretString,
    /// Where it may be sent.
    pub origin: String,
    pub breaker: Arc<Breaker<FaultClass>>,
    /// Those it is exchanged for, where it is a service account.
    pub(crate) tokens: Arc<Tokens>,
}

/// What is stored of a model beside its name: where it leads, and how much of it may be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", from = "written::Written")]
pub struct StoredModel {
    #[serde(flatten)]
    pub settings: ModelSettings,
    /// For all who ask for it, whatever their own are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Where requests go once its tokens or its money are used up; absent: they are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_exhaust: Option<OnExhaust>,
    /// The bodies of its requests and answers are written to the log.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub log_bodies: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OnExhaust {
    /// The name of another model.
    pub downgrade: String,
}

/// Why what is to be stored of a model means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("{0}")]
    Route(#[from] RouteError),
    #[error("`limits[{0}]`: {1}")]
    Limit(usize, LimitError),
    #[error("`limits[{0}].scope`: a model has no tools; `server` is all who ask for it")]
    Scope(usize),
    #[error("`onExhaust.downgrade` is the name of another model")]
    Downgrade,
}

/// A name, and what it leads to.
#[derive(Debug)]
pub struct LiveModel {
    pub id: Uuid,
    pub name: String,
    pub settings: ModelSettings,
    pub limits: Vec<Limit>,
    pub on_exhaust: Option<OnExhaust>,
    pub log_bodies: bool,
    /// Where its requests go.
    pub arm: Arm,
    /// Where those of its canary do, and the consumers that always go there: those that have the names it says now.
    pub canary: Option<(Arm, ArcSwap<Vec<Uuid>>)>,
    /// Where some of them go as well, and how many of those there are.
    pub shadow: Option<(Arm, Arc<Busy>)>,
    /// What a limit of a consumer's with the scope `tool` tells it apart by: names nobody stored are the
    /// caller's own, so that it is the provider's.
    pub counted_as: String,
    /// When it was changed last, in microseconds.
    pub updated_at: i64,
}

impl StoredModel {
    /// Whether it means something, for that name.
    ///
    /// # Errors
    /// The first thing that does not.
    pub fn check(&self, name: &str) -> Result<(), ModelError> {
        self.settings.check(name)?;
        limit::check(&self.limits).map_err(|(place, error)| ModelError::Limit(place, error))?;
        let mut limits = self.limits.iter();
        if let Some(place) = limits.position(|limit| limit.scope == Scope::Tool) {
            return Err(ModelError::Scope(place));
        }
        match &self.on_exhaust {
            Some(OnExhaust { downgrade }) if downgrade == name || downgrade.is_empty() => {
                Err(ModelError::Downgrade)
            }
            _ => Ok(()),
        }
    }
}

impl LiveModel {
    /// What stands for all that is passed through to a provider.
    pub(crate) fn any_of(provider: &str) -> Self {
        Self::to(&format!("{provider}/*"), target_of(provider, None))
    }

    /// A model nobody stored.
    fn to(name: &str, target: Target) -> Self {
        Self {
            id: Uuid::nil(),
            name: name.to_owned(),
            counted_as: target.provider.clone(),
            updated_at: 0,
            arm: Arm::alone(target.clone()),
            canary: None,
            shadow: None,
            settings: ModelSettings::to(target),
            limits: Vec::new(),
            on_exhaust: None,
            log_bodies: false,
        }
    }

    /// Where a request goes.
    pub fn arm_for(&self, asker: &Asker<'_>) -> &Arm {
        match (&self.canary, &self.settings.canary) {
            (Some((arm, listed)), Some(canary)) if canary.takes(self.id, &listed.load(), asker) => {
                arm
            }
            _ => &self.arm,
        }
    }
}

/// What one organization has.
#[derive(Default)]
pub struct Offer {
    pub providers: HashMap<String, Arc<LiveProvider>>,
    pub models: Names<Arc<LiveModel>>,
}

type Offers = HashMap<OrganizationId, Offer>;

/// The providers and models of a process. Cheap to clone.
#[derive(Clone)]
pub struct Models(Arc<Inner>);

/// What a key is while it is sealed so, and its tokens.
type Sealing = (Vec<u8>, Arc<Tokens>);

struct Inner {
    parts: Option<(Store, Arc<Vault>)>,
    egress: Egress,
    demo: Option<InternalService>,
    offers: ArcSwap<Offers>,
    /// How keys and providers are doing, over reloads.
    breakers: Mutex<HashMap<Uuid, Arc<Breaker<FaultClass>>>>,
    /// The tokens of keys that are there, each with what it is: another value gets other tokens.
    tokens: Mutex<HashMap<Uuid, Sealing>>,
    standings: Standings,
    /// A model's requests go by how busy its targets are.
    balances: AtomicBool,
    /// Where that decides, who was asked what lately.
    prefixes: LazyLock<Prefixes>,
    /// What times are told from.
    began: Instant,
    reloading: tokio::sync::Mutex<()>,
}

impl Models {
    /// What the database has now; `demo` is a service in the process that speaks OpenAI's chat.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn open(
        (store, vault): (Store, Arc<Vault>),
        egress: Egress,
        demo: Option<InternalService>,
    ) -> Result<Self, StoreError> {
        let models = Self(Arc::new(Inner {
            parts: Some((store, vault)),
            egress,
            demo,
            offers: ArcSwap::default(),
            breakers: Mutex::default(),
            tokens: Mutex::default(),
            standings: Standings::default(),
            balances: AtomicBool::new(false),
            prefixes: LazyLock::new(Prefixes::default),
            began: Instant::now(),
            reloading: tokio::sync::Mutex::default(),
        }));
        models.reload().await?;
        Ok(models)
    }

    /// Reads everything again.
    ///
    /// # Errors
    /// Where the database cannot be read; what was known stays.
    pub async fn reload(&self) -> Result<(), StoreError> {
        let Some((store, vault)) = &self.0.parts else {
            return Ok(());
        };
        let _turn = self.0.reloading.lock().await;
        let (providers, keys) = (
            store.all_providers().await?,
            store.all_provider_keys().await?,
        );
        let models = store.all_models().await?;
        let is_there = |id: &Uuid| keys.iter().any(|key| key.id == *id);
        self.0.tokens.lock().retain(|id, _| is_there(id));
        let mut offers = Offers::new();
        offers.insert(OrganizationId::DEFAULT, Offer::default());
        let ids: HashMap<(Uuid, String), Uuid> = providers
            .iter()
            .map(|row| ((row.organization_id, row.name.clone()), row.id))
            .collect();
        for row in providers {
            let keys = keys.iter().filter(|key| key.provider_id == row.id);
            let keys = keys.filter_map(|key| self.key(vault, key)).collect();
            let offer = offers
                .entry(OrganizationId(row.organization_id))
                .or_default();
            if let Some(provider) = self.provider(&row, keys) {
                offer.providers.insert(row.name, Arc::new(provider));
            }
        }
        for row in models {
            let organization = OrganizationId(row.organization_id);
            let Some((pattern, stored)) = reading::read(&row) else {
                continue;
            };
            let listed = reading::listed(store, organization, &stored.settings).await?;
            let id_of = |name: &str| {
                let known = ids.get(&(row.organization_id, name.to_owned()));
                known.copied().unwrap_or_default()
            };
            let (rank, model) = (
                stored.settings.rank,
                self.model(&row, stored, listed, &id_of),
            );
            let offer = offers.entry(organization).or_default();
            offer.models.insert(pattern, rank, Arc::new(model));
        }
        let known: HashSet<Uuid> = ids.into_values().chain([Uuid::nil()]).collect();
        self.0.standings.keep(&known);
        for offer in offers.values_mut() {
            self.add_demo(offer);
        }
        self.note_balancing(&offers);
        self.0.offers.store(Arc::new(offers));
        Ok(())
    }

    /// Follows changes until it is told to stop.
    pub async fn follow(self, mut changes: broadcast::Receiver<Change>, stop: CancellationToken) {
        while let Some(change) = next_change(&mut changes, &stop).await {
            let read = match change {
                Change::Model(_) | Change::Unknown => self.reload().await,
                Change::Key(_) | Change::User(_) | Change::Consumer(_) => self.list_again().await,
                Change::Server(_) => continue,
            };
            if let Err(error) = read {
                tracing::warn!(error = %error, "providers and models cannot be read now");
            }
        }
    }

    /// Finds the consumers again that canaries name: one is made with its first key, and has another name once it is
    /// erased.
    async fn list_again(&self) -> Result<(), StoreError> {
        let Some((store, _)) = &self.0.parts else {
            return Ok(());
        };
        let _turn = self.0.reloading.lock().await;
        for (organization, model) in self.all_models() {
            let settings = &model.settings;
            let names = settings.canary.as_ref().map(|canary| &canary.consumers);
            if let Some((_, listed)) = &model.canary
                && names.is_some_and(|names| !names.is_empty())
            {
                let found = reading::listed(store, organization, settings).await?;
                listed.store(Arc::new(found));
            }
        }
        Ok(())
    }

    /// What a caller's organization has. The closure sees it as it is now.
    pub fn seeing<T>(&self, organization: OrganizationId, see: impl FnOnce(&Offer) -> T) -> T {
        let offers = self.0.offers.load();
        match offers.get(&organization) {
            Some(offer) => see(offer),
            None => see(&Offer::default()),
        }
    }

    /// The names somebody can ask for, without patterns, by name.
    pub fn names(&self, organization: OrganizationId) -> Vec<String> {
        self.seeing(organization, |offer| {
            let exact = offer.models.exact();
            let mut names: Vec<String> = exact.map(|(name, _)| name.to_owned()).collect();
            names.sort_unstable();
            names
        })
    }

    /// What all organizations have. The closure sees it as it is now.
    pub fn seeing_all(&self, see: impl FnMut(&Offer)) {
        self.0.offers.load().values().for_each(see);
    }

    /// What a name leads to for a caller: a model, or `provider/model` of a provider.
    ///
    /// # Errors
    /// [`FaultClass::NotFound`] with the nearest names.
    pub fn find(&self, caller: &Caller, name: &str) -> Result<Arc<LiveModel>, Fault> {
        refuse_without_models(caller)?;
        self.seeing(caller.organization, |offer| {
            if caller.may_ask(name) {
                offer.find(name, caller)
            } else {
                Err(offer.missing(name, caller))
            }
        })
    }

    /// The model that takes over from one a caller asked for: whoever may ask for the one gets the other, which its
    /// owner chose.
    ///
    /// # Errors
    /// [`FaultClass::NotFound`] where there is none.
    pub fn instead(&self, caller: &Caller, name: &str) -> Result<Arc<LiveModel>, Fault> {
        self.seeing(caller.organization, |offer| offer.find(name, caller))
    }

    /// A provider of an organization.
    pub fn provider_of(
        &self,
        organization: OrganizationId,
        name: &str,
    ) -> Option<Arc<LiveProvider>> {
        self.seeing(organization, |offer| offer.providers.get(name).cloned())
    }

    /// Microseconds since the process began.
    pub fn micros(&self) -> u64 {
        u64::try_from(self.0.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Every model there is now that somebody stored under its own name, and whose it is.
    pub(crate) fn all_models(&self) -> Vec<(OrganizationId, Arc<LiveModel>)> {
        let offers = self.0.offers.load();
        let models = offers.iter().flat_map(|(organization, offer)| {
            let exact = offer.models.exact();
            exact.map(|(_, model)| (*organization, model.clone()))
        });
        models.collect()
    }

    /// Every provider there is now, of all organizations.
    pub(crate) fn all_providers(&self) -> Vec<Arc<LiveProvider>> {
        let offers = self.0.offers.load();
        let providers = offers.values().flat_map(|offer| offer.providers.values());
        providers.cloned().collect()
    }

    fn model(
        &self,
        row: &ModelRow,
        stored: StoredModel,
        listed: Vec<Uuid>,
        id_of: &dyn Fn(&str) -> Uuid,
    ) -> LiveModel {
        let doing = |target: &Target| {
            let model = target.model.as_deref().unwrap_or_default();
            self.0.standings.target(id_of(&target.provider), model)
        };
        let (settings, name) = (stored.settings, |name: &str| Some(name.to_owned()));
        let canary = settings.canary.as_ref();
        let own = canary.and_then(|_| name(STABLE));
        LiveModel {
            id: row.id,
            name: row.name.clone(),
            arm: Arm::new(own, &settings.targets, &doing),
            canary: canary.map(|canary| {
                (
                    Arm::new(name(&canary.name), &canary.targets, &doing),
                    ArcSwap::from_pointee(listed),
                )
            }),
            shadow: settings.shadow.as_ref().map(|shadow| {
                let targets = std::slice::from_ref(&shadow.target);
                let busy = self.0.standings.shadow(row.id);
                (Arm::new(name(SHADOW), targets, &doing), busy)
            }),
            settings,
            limits: stored.limits,
            on_exhaust: stored.on_exhaust,
            log_bodies: stored.log_bodies,
            counted_as: row.name.clone(),
            updated_at: row.updated_at,
        }
    }

    fn provider(&self, row: &ProviderRow, keys: Vec<Arc<LiveKey>>) -> Option<LiveProvider> {
        let settings: ProviderSettings = match serde_json::from_str(&row.settings) {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!(provider = row.name, error = %error, "a provider cannot be read");
                return None;
            }
        };
        let provider = settings.provider(&row.kind);
        if provider.is_none() {
            tracing::error!(
                provider = row.name,
                kind = row.kind,
                "there is no such kind"
            );
        }
        let upstream = self.0.egress.upstream_within(Reach {
            allow: settings.rules(),
            // Whoever asks says how long an answer may take to begin: a model's owner, as a rule.
            first_byte_timeout: Some(Times::LONGEST),
            connect_timeout: settings.connect_timeout_ms.map(Duration::from_millis),
            ..Reach::default()
        });
        Some(LiveProvider {
            name: row.name.clone(),
            pass_through: settings.pass_through,
            files: settings.files,
            provider: provider?,
            parameters: settings.parameters,
            upstream,
            keys,
            breaker: self.breaker(row.id),
            turn: AtomicUsize::new(0),
            standing: self.standing(row.id, settings.health),
            health: settings.health,
            load: settings.load,
            urls: Urls::default(),
        })
    }

    fn key(&self, vault: &Vault, row: &ProviderKeyRow) -> Option<Arc<LiveKey>> {
        let sealed = Sealed {
            key_id: row.key_id.clone(),
            bytes: row.sealed.clone(),
        };
        let identity = RowIdentity {
            organization: OrganizationId(row.organization_id),
            row: row.id,
            subject: None,
        };
        let opened = match vault.open(&sealed, &identity) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(key = row.name, error = %error, "a provider's key cannot be opened");
                return None;
            }
        };
        let secret = String::from_utf8(opened.to_vec()).ok()?;
        Some(Arc::new(LiveKey {
            id: row.id,
            name: row.name.clone(),
            secret: secret.into(),
            origin: row.origin.clone(),
            breaker: self.breaker(row.id),
            tokens: self.tokens(row),
        }))
    }

    /// Of a key as it is sealed now.
    fn tokens(&self, row: &ProviderKeyRow) -> Arc<Tokens> {
        let mut kept = self.0.tokens.lock();
        let (sealed, tokens) = kept.entry(row.id).or_default();
        if *sealed != row.sealed {
            sealed.clone_from(&row.sealed);
            *tokens = Arc::default();
        }
        tokens.clone()
    }

    fn standing(&self, id: Uuid, rule: Option<HealthRule>) -> Arc<Standing> {
        let standing = self.0.standings.provider(id);
        standing.set_rule(rule);
        standing
    }

    fn breaker(&self, id: Uuid) -> Arc<Breaker<FaultClass>> {
        self.0.breakers.lock().entry(id).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_stored_of_a_model_is_read_whole_and_written_as_it_was() {
        let stored = json!({
            "targets": [{ "provider": "openai", "weight": 3 }],
            "retries": 2,
            "limits": [{ "unit": "requests", "amount": 5, "window": "minute", "scope": "server" }],
            "onExhaust": { "downgrade": "other" },
        });
        let read: StoredModel = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), stored);
        assert_eq!(read.check("name"), Ok(()));
        assert_eq!(read.check("other"), Err(ModelError::Downgrade));
        for (place, value) in [
            ("/limit", json!([])),
            ("/onExhaust/downgrad", json!("other")),
            ("/times", json!({ "firstByte": 1 })),
        ] {
            let mut wrong = stored.clone();
            let (parent, member) = place.rsplit_once('/').unwrap();
            let parent = wrong.pointer_mut(parent).unwrap();
            parent[member] = value;
            let error = serde_json::from_value::<StoredModel>(wrong).unwrap_err();
            assert!(
                error.to_string().contains("unknown field"),
                "{place}: {error}"
            );
        }
    }

    #[test]
    fn limits_that_mean_nothing_are_named() {
        let with = |limit: Value| {
            let stored = json!({ "targets": [{ "provider": "openai" }], "limits": [limit] });
            let read: StoredModel = serde_json::from_value(stored).unwrap();
            read.check("name").map_err(|error| error.to_string())
        };
        let no_window = json!({ "unit": "requests", "amount": 5, "scope": "key" });
        assert!(
            with(no_window)
                .unwrap_err()
                .starts_with("`limits[0]`: `window`")
        );
        let of_tools = json!({ "unit": "requests", "amount": 5, "window": "day", "scope": "tool" });
        assert!(with(of_tools).unwrap_err().starts_with("`limits[0].scope`"));
    }
}
