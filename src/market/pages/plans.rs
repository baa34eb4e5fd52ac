//! Plans: listed, made, changed and removed by admins.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;

use crate::access::limit::Limit;
use crate::access::person::Person;
use crate::extract::Visitor;
use crate::market::api::Market;
use crate::market::api::limits::{self as api, NewPlan};
use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::failure::Refusal;
use crate::market::pages::limits::{LimitRow, limits_of};
use crate::market::pages::routes::{Fields, answered, frame, notice, reader, to};
use crate::market::pages::submitted::Submitted;
use crate::problem::{Problem, ProblemKind};
use crate::store::limits::PlanRow;

/// Plans on the page; more are for the management API.
const PLANS_MAX: usize = 1_000;

/// `GET /admin/plans?edit=`.
#[derive(Debug, Template)]
#[template(path = "plans.html")]
pub struct PlansPage {
    pub frame: Frame,
    pub error: Option<Html>,
    pub plans: Vec<PlanView>,
    /// The plan in the form: an old one, a new one, or what was refused.
    pub name: String,
    pub description: String,
    pub limits: Vec<LimitRow>,
    /// It is there already, and keeps its name.
    pub is_known: bool,
}

/// A plan in the list.
#[derive(Clone, Debug)]
pub struct PlanView {
    pub name: String,
    pub description: String,
    pub limits: Vec<LimitRow>,
}

/// Limits as they are stored.
pub(super) fn stored(text: &str) -> Vec<Limit> {
    serde_json::from_str(text).unwrap_or_default()
}

impl From<&PlanRow> for PlanView {
    fn from(row: &PlanRow) -> Self {
        Self {
            name: row.name.clone(),
            description: row.description.clone(),
            limits: stored(&row.limits).iter().map(LimitRow::of).collect(),
        }
    }
}

pub(super) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/admin/plans") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let made = template(&market, (&headers, &person), query.get("edit")).await;
    let told = made.map(|mut template| {
        template.frame.notice = notice(&query);
        (StatusCode::OK, template)
    });
    answered((&market, &headers), told)
}

async fn template(
    market: &Market,
    (headers, person): (&Visitor, &Person),
    edit: Option<&String>,
) -> Result<PlansPage, Problem> {
    let store = &market.0.parts.publisher.store;
    let rows = store.plans(person.organization()).await?;
    let known = edit.and_then(|name| rows.iter().find(|row| row.name == *name));
    let limits = known.map(|row| stored(&row.limits)).unwrap_or_default();
    Ok(PlansPage {
        frame: frame(market, headers, "plans"),
        error: None,
        plans: rows.iter().take(PLANS_MAX).map(PlanView::from).collect(),
        name: known.map(|row| row.name.clone()).unwrap_or_default(),
        description: known.map(|row| row.description.clone()).unwrap_or_default(),
        limits: LimitRow::all(&limits),
        is_known: known.is_some(),
    })
}

/// Makes, changes or removes a plan.
pub(super) async fn change(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Entered>,
) -> Response {
    let refusal = match carry_out(&market, &person, &form, Language::of(&headers)).await {
        Ok(done) => return to(&format!("/admin/plans?done={done}")),
        Err(refusal) => refusal,
    };
    let made = template(&market, (&headers, &person), None).await;
    let again = made.map(|mut template| {
        template.error = Some(refusal.said(template.frame.language));
        if entered(&form, "do") != Some("remove") {
            let text = |name: &str| entered(&form, name).unwrap_or_default().to_owned();
            template.name = text("name");
            template.description = text("description");
            template.limits = LimitRow::entered(&form);
        }
        (refusal.status(), template)
    });
    answered((&market, &headers), again)
}

async fn carry_out(
    market: &Market,
    person: &Person,
    form: &Entered,
    language: Language,
) -> Result<&'static str, Refusal> {
    let text = |name: &str| entered(form, name).unwrap_or_default().trim();
    let name = text("name");
    if text("do") == "remove" {
        api::remove_plan(market, person, name).await?;
        return Ok("plan-removed");
    }
    // A new plan does not take the place of one that somebody has.
    let store = &market.0.parts.publisher.store;
    let there = store.plan(person.organization(), name).await;
    let there = there.map_err(Problem::from)?.is_some();
    if there && entered(form, "known").is_none() {
        let detail = format!("`name`: there is a plan {name} already");
        return Err(Problem::new(ProblemKind::Conflict, detail).into());
    }
    let limits = limits_of(&LimitRow::entered(form), language).map_err(Refusal::entry)?;
    let plan = NewPlan {
        description: text("description").to_owned(),
        limits,
    };
    api::put_plan(market, person, name, &plan).await?;
    Ok("plan-kept")
}
