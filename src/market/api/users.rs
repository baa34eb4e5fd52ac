//! People: listed, made, given another role, kept out, and helped in again.

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::account::manage::Edit;
use crate::access::person::Person;
use crate::access::role::Role;
use crate::extract::{Body, Path};
use crate::market::api::Market;
use crate::market::api::page::{Asked, Listed};
use crate::problem::Problem;
use crate::store::users::{LinkKind, UserRow};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewUser {
    name: String,
    role: Role,
    /// Without one, an invitation is made.
    #[serde(default)]
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct UserEdit {
    #[serde(default)]
    role: Option<Role>,
    #[serde(default)]
    disabled: Option<bool>,
}

/// The address of a link, for whoever asks.
pub(crate) fn address_of(
    market: &Market,
    headers: &HeaderMap,
    (kind, token): &(LinkKind, String),
) -> String {
    let path = match kind {
        LinkKind::Invite => "invite",
        LinkKind::Reset => "reset",
    };
    let public = market.0.parts.address.asked_by(headers);
    format!("{public}/{path}?token={token}")
}

pub(super) async fn list(
    State(market): State<Market>,
    person: Person,
    asked: Asked<String>,
) -> Result<Listed, Problem> {
    let store = &market.0.parts.publisher.store;
    let after = asked.after.as_deref().unwrap_or_default();
    let page = (after, asked.read_max());
    let rows = store.users_after(person.organization(), page).await?;
    let page = asked.page(rows, |row| row.name.clone());
    Ok(page.answer("users", view))
}

pub(super) async fn create(
    State(market): State<Market>,
    person: Person,
    headers: HeaderMap,
    Body(new): Body<NewUser>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let accounts = &market.0.parts.accounts;
    let wanted = (new.name.as_str(), new.role);
    let password = new.password.map(SecretString::from);
    let (name, token) = accounts.add(&person, wanted, password.as_ref()).await?;
    let user = accounts.user(&person, &name).await?;
    let link = token.map(|token| address_of(&market, &headers, &(LinkKind::Invite, token)));
    let made = json!({ "user": view(&user), "link": link });
    Ok((StatusCode::CREATED, Json(made)))
}

pub(super) async fn edit(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    Body(change): Body<UserEdit>,
) -> Result<Json<Value>, Problem> {
    let accounts = &market.0.parts.accounts;
    let edit = Edit {
        role: change.role,
        disabled: change.disabled,
    };
    accounts.edit(&person, &name, edit).await?;
    let user = accounts.user(&person, &name).await?;
    Ok(Json(view(&user)))
}

pub(super) async fn reset(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let link = market.0.parts.accounts.reset(&person, &name).await?;
    let link = address_of(&market, &headers, &link);
    Ok(Json(json!({ "link": link })))
}

pub(super) async fn forget_device(
    State(market): State<Market>,
    person: Person,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    market
        .0
        .parts
        .accounts
        .forget_device(&person, &name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn view(row: &UserRow) -> Value {
    let time = |micros: Option<i64>| micros.and_then(DateTime::from_timestamp_micros);
    json!({
        "id": row.id,
        "name": row.name,
        "role": row.role,
        "hasPassword": row.password_hash.is_some(),
        "asksForCodes": row.totp_step.is_some(),
        "createdAt": time(Some(row.created_at)),
        "lastSignInAt": time(row.last_sign_in_at),
        "disabledAt": time(row.disabled_at),
    })
}
