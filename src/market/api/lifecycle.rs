//! The life of a server: served, disabled, unpublished, given to somebody else, deleted and restored.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use chrono::DateTime;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::access::role::{Action, Owner, Role, may};
use crate::extract::{Body, Path};
use crate::live::Entry;
use crate::live::closed;
use crate::market::api::page::{Asked, Listed, Spot};
use crate::market::api::servers::{act, owned, server_view};
use crate::market::api::{Market, clients};
use crate::problem::{Problem, ProblemKind};
use crate::store::audit::NewAudit;
use crate::store::lifecycle::{DeletedRow, NewClosed, RESTORABLE};
use crate::store::{Change, StoreError};
use crate::types::{ServerId, Slug, UserId};

/// What an owner may tell callers of a server that is not served.
const NOTE_CHARS_MAX: usize = 300;

/// What a server is to be, and what callers are told besides.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewState {
    pub(crate) state: closed::State,
    #[serde(default)]
    pub(crate) note: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Transfer {
    to: String,
}

/// What a deletion may repeat, so that it cannot mean another server.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Confirmed {
    confirm: Option<String>,
}

pub(super) async fn put_state(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    headers: HeaderMap,
    Body(wanted): Body<NewState>,
) -> Result<Json<Value>, Problem> {
    let entry = set_state(&market, &person, &slug, wanted).await?;
    Ok(Json(server_view(&market, &entry, &headers)))
}

/// Closes a server or serves it again, and gives it as it is then. Calls that run are not cut off.
pub(crate) async fn set_state(
    market: &Market,
    person: &Person,
    slug: &str,
    wanted: NewState,
) -> Result<Arc<Entry>, Problem> {
    let entry = owned(market, person, slug)?;
    let closes = wanted.state != closed::State::Served;
    hold(market, person, (entry.id, entry.owner), closes).await?;
    let note = wanted.note.as_deref().map(str::trim).unwrap_or_default();
    if note.chars().count() > NOTE_CHARS_MAX || note.contains(char::is_control) {
        let detail = format!("`note`: at most {NOTE_CHARS_MAX} characters, in one line");
        return Err(Problem::new(ProblemKind::Invalid, detail));
    }
    let closed = (wanted.state != closed::State::Served).then(|| NewClosed {
        word: wanted.state.word(),
        note: Some(note).filter(|note| !note.is_empty()),
    });
    let action = match wanted.state {
        closed::State::Served => "serve",
        closed::State::Disabled => "disable",
        closed::State::Unpublished => "unpublish",
    };
    let mut act = act(person, action, &entry);
    act.before = Some(json!({ "state": entry.state() }).to_string());
    act.after =
        Some(json!({ "state": wanted.state, "note": closed.and_then(|it| it.note) }).to_string());
    let publisher = &market.0.parts.publisher;
    let now = publisher.clock.now();
    let done = publisher
        .store
        .close_server(entry.id, closed, &act, now)
        .await;
    done.map_err(gone)?;
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    owned(market, person, entry.slug.as_str())
}

/// What an admin takes away from somebody, only an admin brings back. `closes`: it is taken away now.
async fn hold(
    market: &Market,
    person: &Person,
    (id, owner): (ServerId, Option<UserId>),
    closes: bool,
) -> Result<(), Problem> {
    let publisher = &market.0.parts.publisher;
    let now = publisher.clock.now();
    if person.may_at_all(Action::Administer) {
        let of_another = owner.is_some() && owner != person.user();
        let held = closes && of_another;
        return Ok(publisher.store.hold_server(id, held, now).await?);
    }
    if publisher.store.is_held(id).await? {
        let detail = "an admin closed this server; ask an admin to serve it again";
        return Err(Problem::new(ProblemKind::Forbidden, detail));
    }
    Ok(())
}

/// Without a revision that was expected, what is stale is not there.
pub(super) fn gone(error: StoreError) -> Problem {
    match error {
        StoreError::Stale => Problem::not_found(),
        error => error.into(),
    }
}

pub(super) async fn hand_over(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    headers: HeaderMap,
    Body(wanted): Body<Transfer>,
) -> Result<Json<Value>, Problem> {
    let entry = transfer(&market, &person, (&slug, &wanted.to)).await?;
    Ok(Json(server_view(&market, &entry, &headers)))
}

/// Gives a server to somebody who may publish.
pub(crate) async fn transfer(
    market: &Market,
    person: &Person,
    (slug, to): (&str, &str),
) -> Result<Arc<Entry>, Problem> {
    let entry = owned(market, person, slug)?;
    let publisher = &market.0.parts.publisher;
    let name = to.trim().to_ascii_lowercase();
    let found = publisher
        .store
        .user_named(person.organization(), &name)
        .await?;
    let publishes = |role: &str| {
        let role = role.parse::<Role>();
        role.is_ok_and(|role| may(role, Action::Publish, Owner::Nothing))
    };
    let found = found.filter(|user| user.disabled_at.is_none() && publishes(&user.role));
    let user = found.ok_or_else(nobody)?;
    let mut act = act(person, "transfer", &entry);
    // By id: names are for people to change and to have erased.
    act.before = Some(json!({ "owner": entry.owner }).to_string());
    act.after = Some(json!({ "owner": user.id }).to_string());
    let (to, now) = (UserId(user.id), publisher.clock.now());
    if !publisher
        .store
        .transfer_server(entry.id, to, &act, now)
        .await?
    {
        return Err(nobody());
    }
    publisher.catalog.apply(Change::Server(entry.id)).await?;
    let entry = publisher.catalog.entry(entry.id);
    entry.ok_or_else(Problem::not_found)
}

/// The same of a name that nobody has and of somebody who may not publish.
fn nobody() -> Problem {
    Problem::new(
        ProblemKind::Unprocessable,
        "`to`: there is nobody of that name who may publish servers",
    )
}

pub(super) async fn remove(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    Query(confirmed): Query<Confirmed>,
) -> Result<StatusCode, Problem> {
    if confirmed.confirm.is_some_and(|confirm| confirm != slug) {
        return Err(Problem::new(
            ProblemKind::Unprocessable,
            "`confirm` is not the slug of the server; nothing was deleted",
        ));
    }
    delete(&market, &person, &slug).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a server, which can be restored for a while. Its credentials are destroyed.
pub(crate) async fn delete(market: &Market, person: &Person, slug: &str) -> Result<(), Problem> {
    let entry = owned(market, person, slug)?;
    let publisher = &market.0.parts.publisher;
    let act = act(person, "delete", &entry);
    let now = publisher.clock.now();
    hold(market, person, (entry.id, entry.owner), true).await?;
    if let Ok(server) = publisher.catalog.server(entry.id).await {
        clients::let_all_go(market, &server).await;
    }
    publisher.store.delete_server(entry.id, &act, now).await?;
    Ok(publisher.catalog.apply(Change::Server(entry.id)).await?)
}

pub(super) async fn list_deleted(
    State(market): State<Market>,
    person: Person,
    asked: Asked<Spot>,
) -> Result<Listed, Problem> {
    let rows = deleted(&market, &person).await?;
    let page = asked.of_listed(rows, |row| &row.slug);
    Ok(page.answer("servers", view))
}

fn view(row: &DeletedRow) -> Value {
    let at = DateTime::from_timestamp_micros(row.deleted_at).unwrap_or_default();
    json!({
        "id": row.id,
        "slug": row.slug,
        "title": row.title,
        "deletedAt": at,
        "restorableUntil": at + RESTORABLE,
    })
}

/// The servers somebody may restore: their own, and for admins all.
pub(crate) async fn deleted(market: &Market, person: &Person) -> Result<Vec<DeletedRow>, Problem> {
    let publisher = &market.0.parts.publisher;
    let now = publisher.clock.now();
    let mut rows = publisher
        .store
        .deleted_servers(person.organization(), now)
        .await?;
    rows.retain(|row| person.may(Action::ManageServer, row.owner_id.map(UserId)));
    Ok(rows)
}

pub(super) async fn bring_back(
    State(market): State<Market>,
    person: Person,
    Path(slug): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let entry = restore(&market, &person, &slug).await?;
    Ok(Json(server_view(&market, &entry, &headers)))
}

/// Restores a server as it was, without its credentials.
pub(crate) async fn restore(
    market: &Market,
    person: &Person,
    slug: &str,
) -> Result<Arc<Entry>, Problem> {
    let rows = deleted(market, person).await?;
    let row = rows.into_iter().find(|row| row.slug == slug);
    let row = row.ok_or_else(Problem::not_found)?;
    let place = (ServerId(row.id), row.owner_id.map(UserId));
    hold(market, person, place, false).await?;
    let slug: Slug = row.slug.parse().map_err(|_| Problem::not_found())?;
    let who = (person.organization(), person.actor());
    let act = NewAudit::of_server(who, "restore", &slug);
    let publisher = &market.0.parts.publisher;
    let (id, now) = (ServerId(row.id), publisher.clock.now());
    if !publisher.store.restore_server(id, &act, now).await? {
        return Err(Problem::not_found());
    }
    publisher.catalog.apply(Change::Server(id)).await?;
    let entry = publisher.catalog.entry(id);
    entry.ok_or_else(Problem::not_found)
}
