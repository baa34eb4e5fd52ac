//! The page of people: made, given another role, kept out, and helped in again.

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::DateTime;
use http::StatusCode;
use uuid::Uuid;

use crate::access::account::AccountError;
use crate::access::account::manage::Edit;
use crate::access::person::Person;
use crate::access::role::Role;
use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::api::users::address_of;
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, failure, frame, notice, reader, to};
use crate::market::pages::sign_in_routes::said;
use crate::market::pages::submitted::Submitted;
use crate::market::pages::users::{UserRow, Users};
use crate::store::users::LinkKind;
use crate::types::UserId;

/// A link made just now: for whom, and which.
type Made = (String, (LinkKind, String));

pub(super) async fn show(
    State(market): State<Market>,
    visitor: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&visitor, "/admin/users") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let nothing = (Ok(None), Fields::new());
    users_page((&market, &visitor), &person, nothing, notice(&query)).await
}

async fn users_page(
    (market, visitor): (&Market, &Visitor),
    person: &Person,
    (done, form): (Result<Option<Made>, AccountError>, Fields),
    notice: Option<&'static str>,
) -> Response {
    let mut frame = frame(market, visitor, "users");
    frame.notice = notice;
    let rows = market.0.parts.accounts.users(person.organization()).await;
    let linked = market.0.parts.accounts.identities(person.organization());
    let read = match rows {
        Ok(rows) => linked.await.map(|linked| (rows, linked)),
        Err(error) => Err(error),
    };
    let (rows, linked) = match read {
        Ok(read) => read,
        Err(error) => {
            let (status, message) = said(&frame, &error.into());
            return failure(market, visitor, status, message);
        }
    };
    let identities = |user: Uuid| -> Vec<(String, String)> {
        let of = linked.iter().filter(|row| row.user_id == user);
        of.map(|row| (row.id.to_string(), row.shown.clone()))
            .collect()
    };
    let (mut status, mut error) = (StatusCode::OK, None);
    if let Err(wrong) = &done {
        let (its, message) = said(&frame, wrong);
        (status, error) = (its, Some(message));
    }
    let refused = error.is_some();
    let day = |micros: i64| {
        let at = DateTime::from_timestamp_micros(micros);
        at.map(|at| at.format("%Y-%m-%d").to_string())
            .unwrap_or_default()
    };
    let users = rows.into_iter().map(|row| UserRow {
        role: row.role,
        disabled: row.disabled_at.is_some(),
        identities: identities(row.id),
        invited: row.password_hash.is_none() && identities(row.id).is_empty(),
        codes: row.totp_step.is_some(),
        last_sign_in: row.last_sign_in_at.map(day),
        oneself: person.user() == Some(UserId(row.id)),
        name: row.name,
    });
    let link = done.ok().flatten();
    let template = Users {
        users: users.collect(),
        link: link.map(|(name, link)| (name, address_of(market, visitor, &link))),
        name: form
            .get("name")
            .filter(|_| refused)
            .cloned()
            .unwrap_or_default(),
        frame,
        error,
    };
    page(status, &template)
}

/// Does what one of the page's forms asks for.
pub(super) async fn change(
    State(market): State<Market>,
    Submitted {
        visitor,
        person,
        form,
    }: Submitted<Fields>,
) -> Response {
    match carry_out(&market, &person, &form).await {
        Ok(None) => to("/admin/users?done=changed"),
        done => users_page((&market, &visitor), &person, (done, form), None).await,
    }
}

async fn carry_out(
    market: &Market,
    person: &Person,
    form: &Fields,
) -> Result<Option<Made>, AccountError> {
    let accounts = &market.0.parts.accounts;
    let text = |name: &str| form.get(name).map_or("", |text| text.trim());
    let name = text("name");
    let role = || {
        text("role")
            .parse::<Role>()
            .map_err(|_| AccountError::Nobody)
    };
    let edit = match text("do") {
        "invite" => {
            let (name, token) = accounts.add(person, (name, role()?), None).await?;
            return Ok(token.map(|token| (name, (LinkKind::Invite, token))));
        }
        "reset" => {
            let link = accounts.reset(person, name).await?;
            return Ok(Some((name.to_owned(), link)));
        }
        "erase" => {
            if text("confirm") != name {
                return Err(AccountError::Unconfirmed);
            }
            accounts.erase(person, name).await?;
            return Ok(None);
        }
        "codes" => {
            accounts.forget_device(person, name).await?;
            return Ok(None);
        }
        "unlink" => {
            let identity = text("identity").parse().map_err(|_| AccountError::Nobody)?;
            accounts.unlink(person, name, identity).await?;
            return Ok(None);
        }
        "role" => Edit {
            role: Some(role()?),
            disabled: None,
        },
        "disable" | "enable" => Edit {
            role: None,
            disabled: Some(text("do") == "disable"),
        },
        _ => return Err(AccountError::Nobody),
    };
    accounts.edit(person, name, edit).await?;
    Ok(None)
}
