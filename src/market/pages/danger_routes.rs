//! What cannot be taken back at a click: closing a server, giving it away, deleting it, and the page where
//! deleted ones are restored.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::DateTime;
use http::StatusCode;

use crate::extract::Visitor;
use crate::live::closed;
use crate::market::api::Market;
use crate::market::api::lifecycle::{self, NewState};
use crate::market::pages::arguments::entered;
use crate::market::pages::failure::Refusal;
use crate::market::pages::routes::{Fields, frame, notice, reader, refused, to};
use crate::market::pages::settings::section::Section;
use crate::market::pages::settings_routes::{Sent, back};
use crate::market::pages::submitted::Submitted;
use crate::market::pages::{Frame, page};
use crate::store::lifecycle::{DeletedRow, RESTORABLE};

/// `GET /deleted`: servers that can be restored.
#[derive(Debug, Template)]
#[template(path = "deleted.html")]
pub struct DeletedPage {
    pub frame: Frame,
    pub servers: Vec<DeletedView>,
}

/// A server that was deleted.
#[derive(Clone, Debug)]
pub struct DeletedView {
    pub slug: String,
    pub title: String,
    pub deleted: String,
    /// Until when it can be restored.
    pub until: String,
}

impl From<DeletedRow> for DeletedView {
    fn from(row: DeletedRow) -> Self {
        let at = DateTime::from_timestamp_micros(row.deleted_at).unwrap_or_default();
        let shown = |at: DateTime<_>| at.format("%Y-%m-%d %H:%M UTC").to_string();
        Self {
            slug: row.slug,
            title: row.title,
            deleted: shown(at),
            until: shown(at + RESTORABLE),
        }
    }
}

/// Serves a server, or no more.
pub(super) async fn state(State(market): State<Market>, sent: Sent) -> Response {
    let form = &sent.form;
    let note = entered(form, "note").unwrap_or_default().to_owned();
    let wanted = entered(form, "state").and_then(closed::State::of_word);
    let Some(state) = wanted else {
        let said = sent.language().say("state-choose");
        return sent
            .again(Section::State, Refusal::entry(said), |_| ())
            .await;
    };
    let wanted = NewState {
        state,
        note: Some(note.clone()),
    };
    match lifecycle::set_state(&market, &sent.person, sent.slug(), wanted).await {
        Ok(entry) => back(entry.slug.as_str(), state.word(), Section::State),
        Err(problem) => {
            let fill = |page: &mut crate::market::pages::settings::SettingsPage| {
                page.note = note;
                page.state = state.word();
            };
            sent.again(Section::State, problem, fill).await
        }
    }
}

/// Gives a server to somebody else. Who gave it away may see it no more.
pub(super) async fn transfer(State(market): State<Market>, sent: Sent) -> Response {
    let form = &sent.form;
    let name = entered(form, "to").unwrap_or_default().to_owned();
    let given = if is_confirmed(&sent, entered(form, "confirm")) {
        let given = lifecycle::transfer(&market, &sent.person, (sent.slug(), &name)).await;
        given.map_err(Refusal::from)
    } else {
        let said = sent.language().say("transfer-confirm");
        Err(Refusal::entry(said.with("slug", sent.slug())))
    };
    match given {
        Ok(_) => to("/?done=transferred"),
        Err(refusal) => {
            sent.again(Section::Transfer, refusal, |page| page.to = name)
                .await
        }
    }
}

/// Whether the server's name was typed.
fn is_confirmed(sent: &Sent, confirm: Option<&str>) -> bool {
    confirm.is_some_and(|text| text.trim() == sent.slug())
}

pub(super) async fn delete(State(market): State<Market>, sent: Sent) -> Response {
    let form = &sent.form;
    let deleted = if is_confirmed(&sent, entered(form, "confirm")) {
        let deleted = lifecycle::delete(&market, &sent.person, sent.slug()).await;
        deleted.map_err(Refusal::from)
    } else {
        let said = sent.language().say("delete-confirm");
        Err(Refusal::entry(said.with("slug", sent.slug())))
    };
    match deleted {
        Ok(()) => to("/deleted?done=deleted"),
        Err(refusal) => sent.again(Section::Delete, refusal, |_| ()).await,
    }
}

/// What was deleted and can be restored.
pub(super) async fn list(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/deleted") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    match lifecycle::deleted(&market, &person).await {
        Ok(rows) => {
            let mut frame = frame(&market, &headers, "servers");
            frame.notice = notice(&query);
            let servers = rows.into_iter().map(DeletedView::from).collect();
            page(StatusCode::OK, &DeletedPage { frame, servers })
        }
        Err(problem) => refused(&market, &headers, &problem),
    }
}

pub(super) async fn restore(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Fields>,
) -> Response {
    let slug = form.get("slug").map_or("", String::as_str);
    match lifecycle::restore(&market, &person, slug).await {
        Ok(entry) => back(entry.slug.as_str(), "restored", Section::Credentials),
        Err(problem) => refused(&market, &headers, &problem),
    }
}
