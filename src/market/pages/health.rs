//! The page of checks of the process.

use askama::Template;
use axum::extract::State as FromState;
use axum::response::Response;
use http::StatusCode;

use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::doctor::{Check, State, examine, worst};
use crate::market::language::Language;
use crate::market::pages::routes::{frame, reader};
use crate::market::pages::{Frame, page};

/// `GET /admin/health`.
#[derive(Debug, Template)]
#[template(path = "health.html")]
pub struct HealthPage {
    pub frame: Frame,
    /// The message that sums it up, and how it looks.
    pub summary: &'static str,
    pub look: &'static str,
    pub checks: Vec<CheckRow>,
}

/// One check.
#[derive(Clone, Debug)]
pub struct CheckRow {
    pub id: &'static str,
    /// A message.
    pub state: &'static str,
    pub look: &'static str,
    pub found: String,
    pub advice: Option<String>,
}

impl CheckRow {
    fn of(check: &Check, language: Language) -> Self {
        let (state, look) = match check.state {
            State::Ok => ("health-ok", "good"),
            State::Warn => ("health-warn", "fair"),
            State::Fail => ("health-fail", "bad"),
        };
        Self {
            id: check.id,
            state,
            look,
            found: check.found(language),
            advice: check.advice(language),
        }
    }
}

pub(super) async fn show(FromState(market): FromState<Market>, headers: Visitor) -> Response {
    if let Err(response) = reader(&headers, "/admin/health") {
        return *response;
    }
    let checks = examine(&market).await;
    let (summary, look) = match worst(&checks) {
        State::Ok => ("health-all-ok", "good"),
        State::Warn => ("health-some-warn", "fair"),
        State::Fail => ("health-some-fail", "bad"),
    };
    let frame = frame(&market, &headers, "health");
    let language = frame.language;
    let template = HealthPage {
        frame,
        summary,
        look,
        checks: checks.iter().map(|it| CheckRow::of(it, language)).collect(),
    };
    page(StatusCode::OK, &template)
}
