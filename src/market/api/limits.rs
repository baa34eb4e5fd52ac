//! Plans, who has which, and how much of its quotas a consumer has used.

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::limit::{self, Limit};
use crate::access::person::Person;
use crate::extract::{Body, Path};
use crate::market::api::Market;
use crate::market::api::page::{Asked, Listed};
use crate::market::api::servers::owned;
use crate::problem::{Problem, ProblemKind};
use crate::store::audit::NewAudit;
use crate::store::keys::ConsumerRow;
use crate::store::limits::{PlanRow, QuotaRow};
use crate::types::{ConsumerId, OrganizationId, PlanId};

const NAME_LENGTH_MAX: usize = 64;
const DESCRIPTION_LENGTH_MAX: usize = 1_000;

/// Whether limits can be kept; the problem names the one that cannot.
pub(super) fn checked(limits: &[Limit]) -> Result<(), Problem> {
    limit::check(limits).map_err(|(place, error)| {
        Problem::new(
            ProblemKind::Unprocessable,
            format!("`limits[{place}]`: {error}"),
        )
    })
}

fn act(person: &Person, action: &'static str, (entity, id): (&'static str, &str)) -> NewAudit {
    let who = (person.organization(), person.actor());
    NewAudit::of(who, action, (entity, id.to_owned()))
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    asked: Asked<String>,
) -> Result<Listed, Problem> {
    let store = &market.0.parts.publisher.store;
    let after = asked.after.as_deref().unwrap_or_default();
    let page = (after, asked.read_max());
    let rows = store.plans_after(person.organization(), page).await?;
    let page = asked.page(rows, |row| row.name.clone());
    Ok(page.answer("plans", plan_view))
}

fn plan_view(row: &PlanRow) -> Value {
    json!({
        "name": row.name,
        "description": row.description,
        "limits": json_of(&row.limits),
        "updatedAt": DateTime::from_timestamp_micros(row.updated_at),
    })
}

/// What is taken, in the limit's own unit: of money, millionths of a dollar, begun ones counted.
fn taken(row: &QuotaRow) -> i64 {
    let is_money = row.counter.split('/').nth(1) == Some("money");
    if is_money {
        row.spent.max(0).saturating_add(999) / 1_000
    } else {
        row.spent
    }
}

/// Limits as they are stored.
fn json_of(limits: &str) -> Value {
    serde_json::from_str(limits).unwrap_or_else(|_| json!([]))
}

pub(super) async fn show(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(plan_view(&plan(&market, &person, &name).await?)))
}

async fn plan(market: &Market, person: &Person, name: &str) -> Result<PlanRow, Problem> {
    let store = &market.0.parts.publisher.store;
    let row = store.plan(person.organization(), name).await?;
    row.ok_or_else(Problem::not_found)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPlan {
    #[serde(default)]
    pub(crate) description: String,
    pub(crate) limits: Vec<Limit>,
}

pub(super) async fn put(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Body(new): Body<NewPlan>,
) -> Result<Json<Value>, Problem> {
    put_plan(&market, &person, &name, &new).await?;
    Ok(Json(plan_view(&plan(&market, &person, &name).await?)))
}

/// Makes a plan, or replaces the one of that name for everyone who has it.
pub(crate) async fn put_plan(
    market: &Market,
    person: &Person,
    name: &str,
    new: &NewPlan,
) -> Result<(), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_LENGTH_MAX || !name.chars().all(plain) {
        let detail = format!(
            "a plan's name is 1 to {NAME_LENGTH_MAX} letters, digits, hyphens and underscores"
        );
        return Err(Problem::new(ProblemKind::Unprocessable, detail));
    }
    if new.description.chars().count() > DESCRIPTION_LENGTH_MAX {
        let detail = format!("`description` has at most {DESCRIPTION_LENGTH_MAX} characters");
        return Err(Problem::new(ProblemKind::Unprocessable, detail));
    }
    checked(&new.limits)?;
    let store = &market.0.parts.publisher.store;
    let before = store.plan(person.organization(), name).await?;
    let mut act = act(person, "plan.put", ("plan", name));
    act.before = before.map(|row| row.limits);
    let limits = json!(new.limits).to_string();
    act.after = Some(limits.clone());
    let now = market.0.parts.publisher.clock.now();
    let given = (name, &*new.description, &*limits);
    store.put_plan(given, &act, now).await?;
    market.0.parts.keys.forget();
    Ok(())
}

pub(super) async fn remove(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    remove_plan(&market, &person, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a plan that nobody has.
pub(crate) async fn remove_plan(
    market: &Market,
    person: &Person,
    name: &str,
) -> Result<(), Problem> {
    let row = plan(market, person, name).await?;
    let mut act = act(person, "plan.delete", ("plan", name));
    act.before = Some(row.limits);
    let publisher = &market.0.parts.publisher;
    let deleted = publisher
        .store
        .delete_plan(name, &act, publisher.clock.now());
    let deleted = deleted.await.map_err(|error| match error {
        crate::store::StoreError::Conflict(_) => Problem::new(
            ProblemKind::Conflict,
            "some consumer has this plan; give it another one first",
        ),
        error => error.into(),
    })?;
    if !deleted {
        return Err(Problem::not_found());
    }
    Ok(())
}

async fn found(market: &Market, person: &Person, name: &str) -> Result<ConsumerRow, Problem> {
    let store = &market.0.parts.publisher.store;
    let row = store.consumer(person.organization(), name).await?;
    row.ok_or_else(Problem::not_found)
}

/// A consumer, its limits and plans, and what of its quotas is used now.
pub(super) async fn consumer(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(view(&market, &person, &name).await?))
}

pub(crate) async fn view(market: &Market, person: &Person, name: &str) -> Result<Value, Problem> {
    let row = found(market, person, name).await?;
    let (organization, id) = (person.organization(), ConsumerId(row.id));
    let publisher = &market.0.parts.publisher;
    let store = &publisher.store;
    let limits = store.consumer_limits(organization, id).await?;
    let plans = store.assignments(organization, id).await?;
    let slug = |server| {
        let entry = publisher.catalog.entry(crate::types::ServerId(server));
        entry.map(|entry| entry.slug.clone())
    };
    let plans: Vec<Value> = plans
        .iter()
        .map(|row| json!({ "server": slug(row.server_id), "plan": row.plan }))
        .collect();
    let mut quotas = Vec::new();
    for prefix in [format!("consumer:{id}/"), format!("plan:{id}:")] {
        quotas.extend(store.quotas(&prefix, publisher.clock.now()).await?);
    }
    // What servers and models count for it, and for the person whose it is.
    let owner = row.owner_id.map(|owner| format!("user:{owner}"));
    for holder in [format!("consumer:{id}")].into_iter().chain(owner) {
        let now = publisher.clock.now();
        quotas.extend(store.quotas_of_servers(&holder, now).await?);
        quotas.extend(store.quotas_of_models(&holder, now).await?);
    }
    let shared = store.quotas_of_models("everyone", publisher.clock.now());
    quotas.extend(
        shared
            .await?
            .into_iter()
            .filter(|row| is_of(market, organization, row)),
    );
    let time = DateTime::from_timestamp_micros;
    let quotas = quotas.iter().map(|row| {
        let mut shown = json!({
            "counter": row.counter,
            "from": time(row.window_start),
            "until": time(row.window_end),
            "taken": taken(row),
        });
        if let Some((kind, name)) = counted_for(market, organization, &row.counter) {
            shown[kind] = name.into();
        }
        shown
    });
    let quotas: Vec<Value> = quotas.collect();
    Ok(json!({
        "id": row.id,
        "name": row.name,
        "limits": limits.as_deref().map_or_else(|| json!([]), json_of),
        "plans": plans,
        "quotas": quotas,
    }))
}

/// What a count is about, if that is one `server` or one `model`, and what it is called.
fn counted_for(
    market: &Market,
    organization: OrganizationId,
    counter: &str,
) -> Option<(&'static str, String)> {
    let mut owner = counter.split('/').next()?.split(':');
    let (kind, first, second) = (owner.next()?, owner.next()?, owner.next());
    let id: uuid::Uuid = second.unwrap_or(first).parse().ok()?;
    match kind {
        "model" => market.0.parts.llm.models.seeing(organization, |offer| {
            let model = offer.models.all().find(|model| model.id == id)?;
            Some(("model", model.name.clone()))
        }),
        "server" | "plan" => {
            let catalog = &market.0.parts.publisher.catalog;
            let entry = catalog.entry(crate::types::ServerId(id))?;
            Some(("server", entry.slug.to_string()))
        }
        _ => None,
    }
}

/// Whether what all use together is of a model of an organization.
fn is_of(market: &Market, organization: OrganizationId, row: &QuotaRow) -> bool {
    let owner = row.counter.split('/').next().unwrap_or_default();
    let id = owner.strip_prefix("model:");
    let id: Option<uuid::Uuid> = id.and_then(|id| id.parse().ok());
    market.0.parts.llm.models.seeing(organization, |offer| {
        offer.models.all().any(|model| Some(model.id) == id)
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsumerEdit {
    /// All of them.
    limits: Vec<Limit>,
}

pub(super) async fn edit_consumer(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Body(change): Body<ConsumerEdit>,
) -> Result<Json<Value>, Problem> {
    limit_consumer(&market, &person, &name, &change.limits).await?;
    Ok(Json(view(&market, &person, &name).await?))
}

/// Sets the limits of everything a consumer does: all of them.
pub(crate) async fn limit_consumer(
    market: &Market,
    person: &Person,
    name: &str,
    limits: &[Limit],
) -> Result<(), Problem> {
    checked(limits)?;
    let row = found(market, person, name).await?;
    let (store, id) = (&market.0.parts.publisher.store, ConsumerId(row.id));
    let mut act = act(person, "consumer.limit", ("consumer", &id.to_string()));
    act.before = store.consumer_limits(person.organization(), id).await?;
    let limits = json!(limits).to_string();
    act.after = Some(limits.clone());
    let now = market.0.parts.publisher.clock.now();
    store.set_consumer_limits(id, &limits, &act, now).await?;
    market.0.parts.keys.forget();
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Assignment {
    plan: String,
}

pub(super) async fn assign(
    State(market): State<Market>,
    person: Person,
    Path((name, slug)): Path<(String, String)>,
    Body(given): Body<Assignment>,
) -> Result<Json<Value>, Problem> {
    give_plan(&market, &person, (&name, &slug), &given.plan).await?;
    Ok(Json(view(&market, &person, &name).await?))
}

/// Gives a consumer a plan with a server, in place of the one it had.
pub(crate) async fn give_plan(
    market: &Market,
    person: &Person,
    (name, slug): (&str, &str),
    plan: &str,
) -> Result<(), Problem> {
    let row = found(market, person, name).await?;
    let entry = owned(market, person, slug)?;
    let store = &market.0.parts.publisher.store;
    let found = store.plan(person.organization(), plan).await?;
    let plan = found.ok_or_else(|| {
        let detail = format!("`plan`: there is no plan \"{plan}\"");
        Problem::new(ProblemKind::Unprocessable, detail)
    })?;
    let id = ConsumerId(row.id);
    let mut act = act(person, "consumer.plan", ("consumer", &id.to_string()));
    act.after = Some(json!({ "server": entry.slug, "plan": plan.name }).to_string());
    let now = market.0.parts.publisher.clock.now();
    let target = (id, entry.id);
    store
        .assign_plan(target, PlanId(plan.id), &act, now)
        .await?;
    market.0.parts.keys.forget();
    Ok(())
}

pub(super) async fn unassign(
    State(market): State<Market>,
    person: Person,
    Path((name, slug)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    take_plan(&market, &person, (&name, &slug)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes a consumer's plan with a server away.
pub(crate) async fn take_plan(
    market: &Market,
    person: &Person,
    (name, slug): (&str, &str),
) -> Result<(), Problem> {
    let row = found(market, person, name).await?;
    let entry = owned(market, person, slug)?;
    let id = ConsumerId(row.id);
    let mut act = act(person, "consumer.plan", ("consumer", &id.to_string()));
    act.before = Some(json!({ "server": entry.slug }).to_string());
    let publisher = &market.0.parts.publisher;
    let now = publisher.clock.now();
    if !publisher
        .store
        .unassign_plan((id, entry.id), &act, now)
        .await?
    {
        return Err(Problem::not_found());
    }
    market.0.parts.keys.forget();
    Ok(())
}
