//! Keys: made and shown once, listed, replaced, revoked.

use std::collections::HashMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use http::StatusCode;
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::caller::Grant;
use crate::access::key::KeyRequest;
use crate::access::person::Person;
use crate::access::role::Action;
use crate::extract::{Body, Path};
use crate::market::api::Market;
use crate::market::api::grants::{self, GrantRequest};
use crate::market::api::page::{Asked, Listed};
use crate::problem::{Problem, ProblemKind};
use crate::store::StoreError;
use crate::store::keys::{KeyRow, OWNED_MAX, Replaced};
use crate::types::{KeyId, UserId};

const NAME_LENGTH_MAX: usize = 100;
/// Models that a key may name, and the length of a name.
const MODELS_MAX: usize = 100;
const MODEL_LENGTH_MAX: usize = 200;
const OVERLAP_DAYS_MAX: i64 = 30;
/// How long a key that was replaced goes on, where nothing is said.
pub(crate) const OVERLAP_USUAL: &str = "24h";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewKey {
    pub(crate) name: String,
    /// Slugs. Neither `servers` nor `grants`: every server that is open to all keys.
    #[serde(default)]
    pub(crate) servers: Vec<String>,
    /// Servers, or some tools of them.
    #[serde(default)]
    pub(crate) grants: Option<Vec<GrantRequest>>,
    /// The only models it is for, by name, or pattern with a `*` at its end. Left out: all of them, unless it is for
    /// some servers only.
    #[serde(default)]
    pub(crate) models: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) expires_at: Option<DateTime<Utc>>,
}

pub(super) async fn create(
    State(market): State<Market>,
    person: Person,
    Body(new): Body<NewKey>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    Ok((
        StatusCode::CREATED,
        Json(make(&market, &person, new).await?),
    ))
}

/// Makes a key; the answer is the only place that ever shows it.
pub(crate) async fn make(market: &Market, person: &Person, new: NewKey) -> Result<Value, Problem> {
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > NAME_LENGTH_MAX {
        return Err(Problem::new(
            ProblemKind::Invalid,
            format!("`name` is 1 to {NAME_LENGTH_MAX} characters"),
        ));
    }
    if new.grants.as_ref().is_some_and(Vec::is_empty) {
        let detail = "`grants` names no server; leave it out for every server";
        return Err(Problem::new(ProblemKind::Unprocessable, detail));
    }
    check_models(new.models.as_deref())?;
    let whole = new.servers.iter().map(|slug| GrantRequest::whole(slug));
    let requests: Vec<_> = whole.chain(new.grants.unwrap_or_default()).collect();
    let field = if requests.len() == new.servers.len() {
        "servers"
    } else {
        "grants"
    };
    let resolved = grants::resolve(market, person, &requests).await;
    let grants = resolved.map_err(|problem| named(field, problem))?;
    let request = KeyRequest {
        organization: person.organization(),
        actor: person.actor(),
        owner: (owner(person), !sees_all(person)),
        name: name.clone(),
        grants: (!grants.is_empty()).then(|| grants.clone()),
        models: new.models.clone(),
        expires_at: new.expires_at,
    };
    let made = market.0.parts.keys.create(request).await;
    let made = made.map_err(|error| match error {
        StoreError::Conflict(constraint) if constraint.contains("consumers_name") => {
            let detail = "`name`: somebody else has keys of that name; choose another one";
            Problem::new(ProblemKind::Conflict, detail)
        }
        other => no_room(other),
    })?;
    Ok(json!({
        "id": made.id,
        "name": name,
        "prefix": made.prefix,
        "key": made.secret.expose_secret(),
        "consumer": made.consumer,
        "servers": new.servers,
        "grants": (!grants.is_empty()).then(|| grants::view(market, &grants)),
        "models": new.models,
        "expiresAt": new.expires_at,
    }))
}

/// Names as models have them; whether there are such models is another matter.
fn check_models(models: Option<&[String]>) -> Result<(), Problem> {
    let Some(models) = models else { return Ok(()) };
    if models.is_empty() || models.len() > MODELS_MAX {
        let detail = format!("`models` has 1 to {MODELS_MAX} names; leave it out for all models");
        return Err(Problem::new(ProblemKind::Unprocessable, detail));
    }
    let is_name = |name: &String| {
        let star = name.find('*').is_none_or(|at| at + 1 == name.len());
        let blank = name.chars().any(|c| c.is_whitespace() || c.is_control());
        star && !blank && (1..=MODEL_LENGTH_MAX).contains(&name.chars().count())
    };
    match models.iter().position(|name| !is_name(name)) {
        None => Ok(()),
        Some(place) => {
            let detail = format!(
                "`models[{place}]` is 1 to {MODEL_LENGTH_MAX} characters without spaces; a `*` stands for the rest, at \
                 the end only"
            );
            Err(Problem::new(ProblemKind::Unprocessable, detail))
        }
    }
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    asked: Asked<(i64, Uuid)>,
) -> Result<Listed, Problem> {
    let store = &market.0.parts.publisher.store;
    let (organization, owner) = (person.organization(), owner(&person));
    let page = (asked.after, asked.read_max());
    let rows = store.keys_after(organization, owner, page).await?;
    let page = asked.page(rows, |row| (row.created_at, row.id));
    let made = |row: Option<&KeyRow>| row.map_or(0, |row| row.created_at);
    let between = (made(page.rows.first()), made(page.rows.last()));
    let replacing = store.replacing(organization, between).await?;
    let replaced: HashMap<Uuid, Uuid> =
        replacing.iter().map(|row| (row.replaces, row.id)).collect();
    Ok(page.answer("keys", |row| {
        let mut shown = view(&market, row);
        shown["replacedBy"] = json!(replaced.get(&row.id));
        shown
    }))
}

pub(crate) async fn rows(market: &Market, person: &Person) -> Result<Vec<KeyRow>, Problem> {
    Ok(market
        .0
        .parts
        .publisher
        .store
        .keys(person.organization(), owner(person))
        .await?)
}

/// A problem that says which field it is about.
fn named(field: &str, mut problem: Problem) -> Problem {
    if problem.kind == ProblemKind::Unprocessable {
        problem.detail = format!("`{field}`: {}", problem.detail);
    }
    problem
}

/// The key that took the place of each.
pub(crate) fn replacements(rows: &[KeyRow]) -> HashMap<Uuid, Uuid> {
    let pairs = rows.iter().filter_map(|row| Some((row.replaces?, row.id)));
    pairs.collect()
}

/// What a key is good for; `None`: every server.
pub(crate) fn granted(row: &KeyRow) -> Option<Vec<Grant>> {
    let grants = row.grants.as_deref()?;
    Some(serde_json::from_str(grants).unwrap_or_default())
}

/// The only models a key is for; `None`: what its grants say.
pub(crate) fn models(row: &KeyRow) -> Option<Vec<String>> {
    let models = row.models.as_deref()?;
    Some(serde_json::from_str(models).unwrap_or_default())
}

/// Whose the keys are that somebody makes: an admin makes them for the organization.
fn owner(person: &Person) -> Option<UserId> {
    person.user().filter(|_| !sees_all(person))
}

/// Whether the keys of everybody are somebody's to see.
fn sees_all(person: &Person) -> bool {
    person.may_at_all(Action::Administer)
}

fn view(market: &Market, row: &KeyRow) -> Value {
    let time = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
    json!({
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "consumer": row.consumer_id,
        "grants": granted(row).map(|grants| grants::view(market, &grants)),
        "models": models(row),
        "replaces": row.replaces,
        "createdAt": time(Some(row.created_at)),
        "expiresAt": time(row.expires_at),
        "revokedAt": time(row.revoked_at),
        "lastUsedAt": time(row.last_used_at),
    })
}

pub(super) async fn revoke(
    State(market): State<Market>,
    person: Person,
    Path(id): Path<uuid::Uuid>,
) -> Result<StatusCode, Problem> {
    end(&market, &person, KeyId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a key at once.
pub(crate) async fn end(market: &Market, person: &Person, id: KeyId) -> Result<(), Problem> {
    let (organization, actor) = (person.organization(), person.actor());
    let keys = &market.0.parts.keys;
    is_theirs(market, person, id).await?;
    if keys.revoke(organization, id, actor).await? {
        Ok(())
    } else {
        Err(Problem::not_found())
    }
}

/// Whether a key is somebody's to end or to replace. Whose it is, and that there is one, is nobody else's
/// business.
///
/// Gives its owner.
async fn is_theirs(market: &Market, person: &Person, id: KeyId) -> Result<Option<UserId>, Problem> {
    let store = &market.0.parts.publisher.store;
    let row = store.key(person.organization(), id).await?;
    row.map(|row| row.owner_id.map(UserId))
        .filter(|owner| person.may(Action::EndKey, *owner))
        .ok_or_else(Problem::not_found)
}

/// A key acts for its owner, with accounts of theirs: nobody else gets its next secret.
fn gets_secret(person: &Person, owner: Option<UserId>) -> Result<(), Problem> {
    if owner.is_none() || owner == person.user() {
        return Ok(());
    }
    let detail = "only its owner gets the next secret of a key; you can revoke it";
    Err(Problem::new(ProblemKind::Forbidden, detail))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Rotation {
    /// How long the old key goes on, like `24h`.
    #[serde(default)]
    overlap: Option<String>,
}

pub(super) async fn rotate(
    State(market): State<Market>,
    person: Person,
    Path(id): Path<Uuid>,
    Body(rotation): Body<Rotation>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let overlap = rotation.overlap.as_deref().unwrap_or(OVERLAP_USUAL);
    let made = replace(&market, &person, KeyId(id), overlap).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// Makes a key that takes the place of another; the answer is the only place that ever shows it.
pub(crate) async fn replace(
    market: &Market,
    person: &Person,
    id: KeyId,
    overlap: &str,
) -> Result<Value, Problem> {
    let overlap = overlap_of(overlap).ok_or_else(|| {
        let detail = format!(
            "`overlap` is 0 to {OVERLAP_DAYS_MAX} days, as a number and one of s, m, h and d, like \"24h\""
        );
        Problem::new(ProblemKind::Invalid, detail)
    })?;
    gets_secret(person, is_theirs(market, person, id).await?)?;
    let who = (person.organization(), person.actor());
    let rotated = market.0.parts.keys.rotate(who, id, overlap).await;
    let rotated = rotated.map_err(no_room)?;
    let conflict = |detail| Err(Problem::new(ProblemKind::Conflict, detail));
    let row = match rotated.replaced {
        Replaced::Done(row) => row,
        Replaced::Missing => return Err(Problem::not_found()),
        Replaced::Ended => return conflict("the key has ended; make a new one"),
        Replaced::Already => return conflict("the key was replaced already; rotate the newer one"),
    };
    let mut shown = view(market, &row);
    shown["key"] = json!(rotated.secret.expose_secret());
    shown["oldKeyEndsBy"] = json!(DateTime::from_timestamp_micros(
        row.created_at
            .saturating_add(overlap.num_microseconds().unwrap_or_default())
    ));
    Ok(shown)
}

/// That somebody has as many keys as anybody may have.
fn no_room(error: StoreError) -> Problem {
    match error {
        StoreError::Conflict(constraint) if constraint == OWNED_MAX => {
            let detail = "you have as many keys as one person may have (`limits.keys_per_person`); revoke one first, or \
                          rotate one without overlap";
            Problem::new(ProblemKind::Conflict, detail)
        }
        other => other.into(),
    }
}

/// A whole number and a unit, within what an overlap may be.
fn overlap_of(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let number: u32 = digits.parse().ok()?;
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "" if number == 0 => 0,
        _ => return None,
    };
    let overlap = Duration::seconds(i64::from(number) * unit);
    (overlap <= Duration::days(OVERLAP_DAYS_MAX)).then_some(overlap)
}

pub(super) async fn consumers(
    State(market): State<Market>,
    person: Person,
    asked: Asked<String>,
) -> Result<Listed, Problem> {
    let store = &market.0.parts.publisher.store;
    let after = asked.after.as_deref().unwrap_or_default();
    let page = (after, asked.read_max());
    let rows = store.consumers_after(person.organization(), page).await?;
    let page = asked.page(rows, |row| row.name.clone());
    Ok(page.answer("consumers", |row| json!({ "id": row.id, "name": row.name })))
}
