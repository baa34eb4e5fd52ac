//! Accounts of one's own: the page behind a link, the list, and how one ends.

use std::collections::BTreeSet;

use axum::extract::{Query, State};
use axum::response::Response;
use chrono::DateTime;
use http::StatusCode;

use crate::access::account::Visit;
use crate::extract::{Path, Visitor};
use crate::market::api::Market;
use crate::market::api::accounts::{self, Offer};
use crate::market::language::Html;
use crate::market::pages::own::{ConnectAccount, ConnectionView, Connections, OpenView, Wanted};
use crate::market::pages::page;
use crate::market::pages::routes::{Fields, frame, notice, refused, to};
use crate::market::pages::settings::credential::ConnectingPage;
use crate::market::pages::settings::sentence;
use crate::market::pages::submitted::Submitted;
use crate::problem::{Problem, ProblemKind};
use crate::store::connected::ShownRow;

pub(super) async fn show(
    State(market): State<Market>,
    visitor: Visitor,
    Path(token): Path<String>,
) -> Response {
    let visit = match signed_in(&visitor, &format!("/connect/{token}")) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    match Offer::of_link(&market, &visit.person, &token).await {
        Ok(offer) => connect_page((&market, &visitor, visit), (&token, &offer), None),
        Err(problem) => refused(&market, &visitor, &problem),
    }
}

/// The gate lets nobody else come here; should it ever, they are led to the login.
fn signed_in<'v>(visitor: &'v Visitor, here: &str) -> Result<&'v Visit, Box<Response>> {
    let visit = visitor.visit.as_ref();
    visit.ok_or_else(|| Box::new(to(&format!("/login?next={here}"))))
}

fn connect_page(
    (market, visitor, visit): (&Market, &Visitor, &Visit),
    (token, offer): (&str, &Offer),
    problem: Option<&Problem>,
) -> Response {
    let (tools, more) = offer.tools(&visit.person);
    let (kind, basic) = offer.words();
    let origins: Vec<String> = offer.origins().into_iter().collect();
    let wanted = match offer.source() {
        Some(source) => Wanted::SignIn {
            host: offer.authorization_server().unwrap_or_default(),
            scopes: source.scopes.clone(),
        },
        None if basic => Wanted::Password,
        None => Wanted::Value,
    };
    let status = problem.map_or(StatusCode::OK, |problem| problem.kind.status());
    let template = ConnectAccount {
        frame: frame(market, visitor, ""),
        error: problem.map(|problem| Html::with_code(&sentence(&problem.detail))),
        token: token.to_owned(),
        slug: offer.entry.slug.to_string(),
        title: offer.server.title.clone(),
        scheme: offer.scheme.clone(),
        kind,
        wanted,
        tools,
        more,
        seen: origins.join(" "),
        origins,
    };
    page(status, &template)
}

pub(super) async fn connect(
    State(market): State<Market>,
    Path(token): Path<String>,
    Submitted { visitor, form, .. }: Submitted<Fields>,
) -> Response {
    let visit = match signed_in(&visitor, &format!("/connect/{token}")) {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let offer = match Offer::of_link(&market, &visit.person, &token).await {
        Ok(offer) => offer,
        Err(problem) => return refused(&market, &visitor, &problem),
    };
    let at = (&market, &visitor, visit);
    match carry_out(at, (&token, &offer), &form).await {
        Ok(response) => response,
        // What is not there any more has no page of its own.
        Err(problem) if problem.kind == ProblemKind::NotFound => {
            refused(&market, &visitor, &problem)
        }
        Err(problem) => connect_page(at, (&token, &offer), Some(&problem)),
    }
}

async fn carry_out(
    (market, visitor, visit): (&Market, &Visitor, &Visit),
    (token, offer): (&str, &Offer),
    form: &Fields,
) -> Result<Response, Problem> {
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    let seen: BTreeSet<String> = text("seen").split_whitespace().map(str::to_owned).collect();
    if offer.source().is_some() {
        let begun = offer
            .begin(market, (visit, visitor), (token, &seen))
            .await?;
        let template = ConnectingPage {
            frame: frame(market, visitor, ""),
            back: "/account/connections".to_owned(),
            own: true,
            title: offer.server.title.clone(),
            scheme: offer.scheme.clone(),
            host: begun.url.origin().ascii_serialization(),
            url: begun.url.to_string(),
        };
        return Ok(page(StatusCode::OK, &template));
    }
    let value = match form.get("user") {
        Some(user) => format!("{user}:{}", text("password")),
        None => text("value").to_owned(),
    };
    offer
        .enter(market, &visit.person, (token, &value, &seen))
        .await?;
    Ok(to("/account/connections?done=own-connected"))
}

pub(super) async fn list(
    State(market): State<Market>,
    visitor: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let visit = match signed_in(&visitor, "/account/connections") {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    list_page((&market, &visitor, visit), notice(&query), None).await
}

async fn list_page(
    (market, visitor, visit): (&Market, &Visitor, &Visit),
    notice: Option<&'static str>,
    problem: Option<&Problem>,
) -> Response {
    let rows = match accounts::own(market, &visit.person).await {
        Ok(rows) => rows,
        Err(problem) => return refused(market, visitor, &problem),
    };
    let mut frame = frame(market, visitor, "account");
    frame.notice = notice;
    let open = accounts::open_to(market, &visit.person, &rows);
    let template = Connections {
        frame,
        error: problem.map(|problem| Html::with_code(&sentence(&problem.detail))),
        open: open
            .into_iter()
            .map(|(entry, scheme)| OpenView {
                slug: entry.slug.to_string(),
                title: entry.title.clone(),
                scheme,
            })
            .collect(),
        rows: rows.into_iter().map(shown).collect(),
    };
    let status = problem.map_or(StatusCode::OK, |problem| problem.kind.status());
    page(status, &template)
}

fn shown(row: ShownRow) -> ConnectionView {
    let time = |micros: i64| {
        let at = DateTime::from_timestamp_micros(micros);
        at.map(|at| at.format("%Y-%m-%d %H:%M UTC").to_string())
            .unwrap_or_default()
    };
    ConnectionView {
        id: row.id.to_string(),
        slug: row.slug,
        title: row.title,
        scheme: row.scheme,
        ended: row.state != "connected",
        origins: serde_json::from_str(&row.origins).unwrap_or_default(),
        since: time(row.created_at),
        used: row.last_used_at.map(time).unwrap_or_default(),
    }
}

/// Ends an account, or begins to connect one.
pub(super) async fn change(
    State(market): State<Market>,
    Submitted { visitor, form, .. }: Submitted<Fields>,
) -> Response {
    let visit = match signed_in(&visitor, "/account/connections") {
        Ok(visit) => visit,
        Err(response) => return *response,
    };
    let at = (&market, &visitor, visit);
    match change_one(at, &form).await {
        Ok(path) => to(&path),
        Err(problem) => list_page(at, None, Some(&problem)).await,
    }
}

async fn change_one(
    (market, _, visit): (&Market, &Visitor, &Visit),
    form: &Fields,
) -> Result<String, Problem> {
    let text = |name: &str| form.get(name).map_or("", String::as_str);
    if text("do") == "disconnect" {
        let id = text("id").parse().map_err(|_| Problem::not_found())?;
        accounts::end(market, &visit.person, id).await?;
        return Ok("/account/connections?done=own-disconnected".to_owned());
    }
    let entry = market.0.parts.publisher.catalog.find(text("server"));
    let entry = entry.filter(|entry| entry.is_shown_to(&visit.person.caller));
    let entry = entry.ok_or_else(Problem::not_found)?;
    let wanted = (entry.id, text("scheme"));
    let offer = Offer::of_server(market, &visit.person, wanted).await?;
    Ok(format!("/connect/{}", offer.link(market).await?))
}
