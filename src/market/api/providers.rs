//! Providers of models and their keys, which are written and never read.

pub(crate) mod key;
mod kinds;
mod state;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::access::vault::RowIdentity;
use crate::extract::{Body, Path};
use crate::llm::fault::FaultClass;
use crate::llm::live::LiveProvider;
use crate::llm::probe::{Cause, probe};
use crate::llm::provider::Provider;
use crate::llm::settings::{ProviderSettings, origin};
use crate::llm::standing::{HealthRule, LoadRule};
use crate::market::api::Market;
use crate::market::api::models::leading_to;
use crate::market::api::page::{Asked, Listed};
use crate::problem::{Problem, ProblemKind};
use crate::store::audit::NewAudit;
use crate::store::models::{
    InsteadOf, NewProvider, NewProviderKey, PROVIDER_KEYS_MAX, PROVIDERS_MAX, ProviderKeyRow,
    ProviderRow, Put,
};
use crate::types::{ProviderId, Slug};

use key::{check_name, ending, usable};
pub(super) use kinds::kinds;

pub(super) fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Unprocessable, detail)
}

pub(super) fn act(
    person: &Person,
    action: &'static str,
    (entity, id): (&'static str, &str),
) -> NewAudit {
    let who = (person.organization(), person.actor());
    NewAudit::of(who, action, (entity, id.to_owned()))
}

/// Requests see what was written from now on, in this process; others are told by the database.
pub(super) async fn apply(market: &Market) -> Result<(), Problem> {
    Ok(market.0.parts.llm.models.reload().await?)
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    asked: Asked<String>,
) -> Result<Listed, Problem> {
    let store = &market.0.parts.publisher.store;
    let after = asked.after.as_deref().unwrap_or_default();
    let page = (after, asked.read_max());
    let rows = store.providers_after(person.organization(), page).await?;
    let keys = store.all_provider_keys().await?;
    let page = asked.page(rows, |row| row.name.clone());
    Ok(page.answer("providers", |row| {
        let own = keys.iter().filter(|key| key.provider_id == row.id);
        let live = state::live_of(&market, &person, &row.name);
        view(row, own, live.as_deref())
    }))
}

/// Every provider of an organization, by name.
pub(crate) async fn all(market: &Market, person: &Person) -> Result<Vec<Value>, Problem> {
    let store = &market.0.parts.publisher.store;
    let page = ("", PROVIDERS_MAX);
    let rows = store.providers_after(person.organization(), page).await?;
    let keys = store.all_provider_keys().await?;
    let shown = rows.iter().map(|row| {
        let own = keys.iter().filter(|key| key.provider_id == row.id);
        let live = state::live_of(market, person, &row.name);
        view(row, own, live.as_deref())
    });
    Ok(shown.collect())
}

fn view<'a>(
    row: &ProviderRow,
    keys: impl Iterator<Item = &'a ProviderKeyRow>,
    live: Option<&LiveProvider>,
) -> Value {
    let settings: ProviderSettings = serde_json::from_str(&row.settings).unwrap_or_default();
    let provider = settings.provider(&row.kind);
    let origin = provider.as_ref();
    let origin = origin.and_then(|it| origin_of(it, &settings));
    let mut keys: Vec<&ProviderKeyRow> = keys.collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    let keys: Vec<Value> = keys
        .into_iter()
        .map(|key| key_view(key, origin.as_deref()))
        .collect();
    let mut shown = json!({
        "name": row.name,
        "kind": row.kind,
        "dialect": provider.as_ref().map(|it| it.dialect),
        "verified": provider.as_ref().is_some_and(|it| it.verified),
        "parameters": settings.parameters,
        "allowUpstream": settings.allow_upstream,
        "passThrough": settings.pass_through,
        "files": settings.files,
        "origin": origin,
        "keys": keys,
        "updatedAt": DateTime::from_timestamp_micros(row.updated_at),
    });
    if let Some(ms) = settings.connect_timeout_ms {
        shown["connectTimeoutMs"] = ms.into();
    }
    if let Some(rule) = &settings.health {
        shown["health"] = json!(rule);
    }
    if let Some(rule) = &settings.load {
        shown["load"] = json!(rule);
    }
    if let Some(live) = live {
        shown["state"] = state::view(live);
    }
    if let Some(definition) = &settings.definition {
        shown["definition"] = json!(definition);
    }
    shown
}

fn origin_of(provider: &Provider, settings: &ProviderSettings) -> Option<String> {
    origin(provider, &settings.parameters).ok()
}

/// A key, without any of it that could be used. One that was entered for another address is not sent.
fn key_view(key: &ProviderKeyRow, origin: Option<&str>) -> Value {
    let mut shown = json!({
        "name": key.name,
        "ending": key.ending,
        "origin": key.origin,
        "createdAt": DateTime::from_timestamp_micros(key.created_at),
    });
    if let Some(origin) = origin.filter(|origin| *origin != key.origin) {
        let warning = format!(
            "it was entered for {}, and the provider is at {origin} now: it is not sent there; enter it again if it \
             belongs there",
            key.origin
        );
        shown["warning"] = warning.into();
    }
    shown
}

pub(super) async fn show(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(shown(&market, &person, &name).await?))
}

pub(crate) async fn shown(market: &Market, person: &Person, name: &str) -> Result<Value, Problem> {
    let row = found(market, person, name).await?;
    let store = &market.0.parts.publisher.store;
    let keys = store.provider_keys(ProviderId(row.id)).await?;
    let live = state::live_of(market, person, name);
    Ok(view(&row, keys.iter(), live.as_deref()))
}

async fn found(market: &Market, person: &Person, name: &str) -> Result<ProviderRow, Problem> {
    let store = &market.0.parts.publisher.store;
    let row = store.provider(person.organization(), name).await?;
    row.ok_or_else(Problem::not_found)
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct GivenProvider {
    kind: String,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    #[serde(default)]
    allow_upstream: Vec<String>,
    #[serde(default)]
    connect_timeout_ms: Option<u64>,
    #[serde(default)]
    pass_through: bool,
    #[serde(default)]
    files: bool,
    #[serde(default)]
    health: Option<HealthRule>,
    #[serde(default)]
    load: Option<LoadRule>,
    #[serde(default)]
    definition: Option<Box<Provider>>,
}

impl GivenProvider {
    /// The settings; a parameter that is left empty is none.
    pub(crate) fn settings(self) -> (String, ProviderSettings) {
        let mut parameters = self.parameters;
        parameters.retain(|_, value| !value.is_empty());
        let settings = ProviderSettings {
            parameters,
            allow_upstream: self.allow_upstream,
            connect_timeout_ms: self.connect_timeout_ms,
            pass_through: self.pass_through,
            files: self.files,
            health: self.health,
            load: self.load,
            definition: self.definition,
        };
        (self.kind, settings)
    }
}

pub(super) async fn put(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Body(given): Body<GivenProvider>,
) -> Result<Json<Value>, Problem> {
    keep(&market, &person, (&name, InsteadOf::Anything), given).await?;
    show(State(market), person, Path(name)).await
}

/// Stores a provider; requests go where it says at once.
pub(crate) async fn keep(
    market: &Market,
    person: &Person,
    (name, instead_of): (&str, InsteadOf),
    given: GivenProvider,
) -> Result<(), Problem> {
    let name: Slug = name
        .parse()
        .map_err(|error| wrong(format!("`name`: {error}")))?;
    let (kind, settings) = given.settings();
    settings
        .check(&kind)
        .map_err(|error| wrong(error.to_string()))?;
    let text = serde_json::to_string(&settings).map_err(|error| Problem::internal(&error))?;
    let publisher = &market.0.parts.publisher;
    let before = publisher
        .store
        .provider(person.organization(), name.as_str());
    let before = before.await?;
    let mut act = act(person, "provider.put", ("provider", name.as_str()));
    act.before = before.map(|row| noted(&row.kind, &row.settings));
    act.after = Some(noted(&kind, &text));
    let new = NewProvider {
        name: name.as_str(),
        kind: &kind,
        settings: &text,
        instead_of,
    };
    let put = publisher
        .store
        .put_provider(new, &act, publisher.clock.now());
    if put.await? == Put::Full {
        return Err(wrong(format!("at most {PROVIDERS_MAX} providers")));
    }
    apply(market).await
}

/// A provider as the audit has it.
fn noted(kind: &str, settings: &str) -> String {
    let settings: Value = serde_json::from_str(settings).unwrap_or_default();
    json!({ "kind": kind, "settings": settings }).to_string()
}

pub(super) async fn remove(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    end(&market, &person, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a provider that no model leads to, and its keys.
pub(crate) async fn end(market: &Market, person: &Person, name: &str) -> Result<(), Problem> {
    let row = found(market, person, name).await?;
    let models = leading_to(market, person, name).await?;
    if !models.is_empty() {
        let detail = format!(
            "models lead to this provider: {}; change or remove them first",
            models.join(", ")
        );
        let mut problem = Problem::new(ProblemKind::Conflict, detail);
        problem.extensions = Some(json!({ "models": models }));
        return Err(problem);
    }
    let publisher = &market.0.parts.publisher;
    let mut act = act(person, "provider.delete", ("provider", name));
    act.before = Some(noted(&row.kind, &row.settings));
    let deleted = publisher
        .store
        .delete_provider(name, &act, publisher.clock.now());
    if !deleted.await? {
        return Err(Problem::not_found());
    }
    apply(market).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenKey {
    value: String,
}

pub(super) async fn put_key(
    State(market): State<Market>,
    person: Person,
    Path((name, key)): Path<(String, String)>,
    Body(given): Body<GivenKey>,
) -> Result<Json<Value>, Problem> {
    keep_key(&market, &person, (&name, &key), &given.value).await?;
    let provider = shown(&market, &person, &name).await?;
    let keys = provider["keys"].as_array().into_iter().flatten();
    let mut named = keys.filter(|shown| shown["name"] == *key);
    let shown = named.next().ok_or_else(Problem::not_found)?;
    Ok(Json(shown.clone()))
}

/// Seals a key for where its provider is now, in place of the one of that name.
pub(crate) async fn keep_key(
    market: &Market,
    person: &Person,
    (provider, name): (&str, &str),
    value: &str,
) -> Result<(), Problem> {
    let row = found(market, person, provider).await?;
    check_name(name)?;
    let settings: ProviderSettings =
        serde_json::from_str(&row.settings).map_err(|error| Problem::internal(&error))?;
    let (data, origin) = settings
        .check(&row.kind)
        .map_err(|error| wrong(format!("the provider is not usable: {error}")))?;
    let publisher = &market.0.parts.publisher;
    let value = usable(&data, &settings, value, publisher.clock.now())?;
    let id = ProviderId::generate();
    let identity = RowIdentity {
        organization: person.organization(),
        row: id.0,
        subject: None,
    };
    let sealed = publisher
        .vault
        .seal(value.as_bytes(), &identity)
        .map_err(|error| Problem::internal(&error))?;
    let mut act = act(person, "provider_key.put", ("provider", provider));
    act.after = Some(json!({ "key": name, "origin": origin }).to_string());
    let new = NewProviderKey {
        id,
        provider: ProviderId(row.id),
        name,
        ending: &ending(value),
        origin: &origin,
        key_id: &sealed.key_id,
        sealed: &sealed.bytes,
    };
    let put = publisher
        .store
        .put_provider_key(new, &act, publisher.clock.now());
    match put.await? {
        Put::Done => apply(market).await,
        Put::Full => Err(wrong(format!("at most {PROVIDER_KEYS_MAX} keys"))),
        Put::Missing => Err(Problem::not_found()),
    }
}

pub(super) async fn remove_key(
    State(market): State<Market>,
    person: Person,
    Path((name, key)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    end_key(&market, &person, (&name, &key)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a key.
pub(crate) async fn end_key(
    market: &Market,
    person: &Person,
    (provider, name): (&str, &str),
) -> Result<(), Problem> {
    let row = found(market, person, provider).await?;
    let publisher = &market.0.parts.publisher;
    let mut act = act(person, "provider_key.delete", ("provider", provider));
    act.before = Some(json!({ "key": name }).to_string());
    let target = (ProviderId(row.id), name);
    let deleted = publisher
        .store
        .delete_provider_key(target, &act, publisher.clock.now());
    if !deleted.await? {
        return Err(Problem::not_found());
    }
    apply(market).await
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    #[serde(default)]
    model: Option<String>,
    #[serde(default)]
    key: Option<String>,
}

pub(super) async fn test(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Body(given): Body<Test>,
) -> Result<Json<Value>, Problem> {
    let model = given.model.as_deref().filter(|model| !model.is_empty());
    let asked = (model, given.key.as_deref());
    Ok(Json(tested(&market, &person, &name, asked).await?))
}

/// What a provider says to a key of that name, or its first, asked just now: for a model, or its list.
pub(crate) async fn tested(
    market: &Market,
    person: &Person,
    name: &str,
    asked: (Option<&str>, Option<&str>),
) -> Result<Value, Problem> {
    let parts = &market.0.parts;
    found(market, person, name).await?;
    let provider = parts.llm.models.provider_of(person.organization(), name);
    let provider: std::sync::Arc<LiveProvider> = provider.ok_or_else(|| {
        let detail = "the provider is not usable as it is; store it again";
        Problem::new(ProblemKind::Conflict, detail)
    })?;
    let outside = (&parts.egress, &parts.publisher.clock);
    let probed = probe(outside, &provider, asked).await;
    let probed = probed.map_err(|fault| match fault.class {
        FaultClass::Internal => Problem::internal(&fault),
        _ => wrong(fault.message),
    })?;
    let mut said = json!({
        "ok": probed.ok,
        "status": probed.status,
        "milliseconds": probed.took.as_millis(),
        "message": probed.message,
    });
    if let Some(models) = probed.models {
        said["models"] = json!(models);
    }
    if let Some(cause) = probed.cause {
        said["cause"] = cause.word().into();
        if let Cause::Refused(Some(rule)) = cause {
            said["allowUpstream"] = rule.into();
        }
    }
    Ok(said)
}
