//! The page of one model: where it leads, drawn and to be changed, how much of it may be used, and what happens
//! where a target fails.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use crate::access::limit::Limit;
use crate::access::person::Person;
use crate::extract::{Path, Visitor};
use crate::llm::live::StoredModel;
use crate::market::api::{Market, models as api};
use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::market::pages::arguments::Entered;
use crate::market::pages::consumers::segment;
use crate::market::pages::failure::Refusal;
use crate::market::pages::limits::{LimitRow, limits_of};
use crate::market::pages::models::edit::{self, FaultForm, Refused, TargetRow};
use crate::market::pages::models::picture::{Picture, share};
use crate::market::pages::models::{provider_names, stored};
use crate::market::pages::providers::snippets::{Snippet, snippets};
use crate::market::pages::providers::text;
use crate::market::pages::routes::{Fields, answered, frame, notice, reader, to};
use crate::market::pages::submitted::Submitted;
use crate::market::pages::told::Told;
use crate::problem::{Problem, ProblemKind};

/// The scope of all who ask for a model, as the API writes it.
const EVERYBODY: &str = "server";

/// `GET /admin/models/{name}`, and again with what a form came to.
#[derive(Debug, Template)]
#[template(path = "model.html")]
pub struct ModelPage {
    pub frame: Frame,
    pub told: Option<Told>,
    pub name: String,
    pub segment: String,
    /// What the forms were made from.
    pub revision: String,
    pub picture: Picture,
    /// The targets as a table: tier, provider, model, and the part of its tier.
    pub table: Vec<TargetLine>,
    pub targets: Vec<TargetRow>,
    /// Whom a target can lead to.
    pub providers: Vec<String>,
    pub limits: Vec<LimitRow>,
    /// The model that takes over, and others that could.
    pub exhaust: String,
    pub others: Vec<String>,
    pub faults: FaultForm,
    /// How it is asked; a pattern is asked by other names.
    pub snippets: Vec<Snippet>,
}

/// A target as a row of the table.
#[derive(Clone, Debug)]
pub struct TargetLine {
    pub tier: u32,
    pub provider: String,
    pub model: Option<String>,
    /// `None`: it is asked only where the others fail.
    pub share: Option<String>,
}

impl ModelPage {
    /// What is said in a part of the page.
    pub fn told_in(&self, part: &str) -> Option<&Told> {
        self.told.as_ref().filter(|told| told.part == part)
    }
}

pub(in crate::market::pages) async fn show(
    State(market): State<Market>,
    headers: Visitor,
    Path(name): Path<String>,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/admin/models") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let made = template(&market, (&headers, &person), &name).await;
    let made = made.map(|mut page| {
        page.told = Told::done(&query, page.frame.language);
        if page.told.is_none() {
            page.frame.notice = notice(&query);
        }
        (StatusCode::OK, page)
    });
    answered((&market, &headers), made)
}

async fn template(
    market: &Market,
    (headers, person): (&Visitor, &Person),
    name: &str,
) -> Result<ModelPage, Problem> {
    let (settings, revision) = found(market, person, name).await?;
    let model: StoredModel =
        serde_json::from_value(settings).map_err(|error| Problem::internal(&error))?;
    let frame = frame(market, headers, "models");
    let others = stored(market, person).await?.into_iter();
    let others = others.map(|(other, _)| other);
    let mut providers = provider_names(market, person).await?;
    for target in &model.settings.targets {
        if !providers.contains(&target.provider) {
            providers.push(target.provider.clone());
        }
    }
    let url = market.0.parts.address.asked_by(headers);
    Ok(ModelPage {
        told: None,
        segment: segment(name),
        revision,
        picture: Picture::of(name, &model, frame.language),
        table: table(&model),
        targets: TargetRow::all(&model),
        providers,
        limits: rows_of(&model.limits),
        faults: FaultForm::of(&model),
        exhaust: model.on_exhaust.map(|it| it.downgrade).unwrap_or_default(),
        others: others
            .filter(|other| other != name && !other.ends_with('*'))
            .collect(),
        snippets: if name.ends_with('*') {
            Vec::new()
        } else {
            snippets(&url, name)
        },
        name: name.to_owned(),
        frame,
    })
}

/// What is stored of a model, and what it is told apart by from what others make of it.
async fn found(market: &Market, person: &Person, name: &str) -> Result<(Value, String), Problem> {
    let store = &market.0.parts.publisher.store;
    let row = store.model(person.organization(), name).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    let settings =
        serde_json::from_str(&row.settings).map_err(|error| Problem::internal(&error))?;
    Ok((settings, row.updated_at.to_string()))
}

/// Limits as rows of the form; new ones are for everybody, as those of models mostly are.
fn rows_of(limits: &[Limit]) -> Vec<LimitRow> {
    let mut rows = LimitRow::all(limits);
    for row in rows.iter_mut().skip(limits.len()) {
        EVERYBODY.clone_into(&mut row.scope);
    }
    rows
}

fn table(model: &StoredModel) -> Vec<TargetLine> {
    let targets = &model.settings.targets;
    let of_tier = |tier: u32| -> u64 {
        let same = targets.iter().filter(|target| target.tier == tier);
        same.map(|target| u64::from(target.weight)).sum()
    };
    let lines = targets.iter().map(|target| TargetLine {
        tier: target.tier,
        provider: target.provider.clone(),
        model: target.model.clone(),
        share: (target.weight > 0).then(|| share(target.weight.into(), of_tier(target.tier))),
    });
    let mut lines: Vec<TargetLine> = lines.collect();
    lines.sort_by_key(|line| line.tier);
    lines
}

/// Why a form did nothing.
enum Fault {
    /// For a field of a target.
    Target(StatusCode, Refused),
    Other(Refusal),
}

impl<R: Into<Refusal>> From<R> for Fault {
    fn from(refusal: R) -> Self {
        Self::Other(refusal.into())
    }
}

pub(in crate::market::pages) async fn change(
    State(market): State<Market>,
    Path(name): Path<String>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Entered>,
) -> Response {
    let language = Language::of(&headers);
    let done = text(&form, "do").to_owned();
    let fault = match carry_out(&market, &person, (&name, &form), language).await {
        Ok("model-removed") => return to("/admin/models?done=model-removed"),
        Ok(said) => {
            let segment = segment(&name);
            return to(&format!(
                "/admin/models/{segment}?done={said}&in={done}#told"
            ));
        }
        Err(fault) => fault,
    };
    let made = template(&market, (&headers, &person), &name).await;
    let again = made.map(|mut page| {
        let status = page.refuse(fault, (&done, &form));
        (status, page)
    });
    answered((&market, &headers), again)
}

impl ModelPage {
    /// Says why a form did nothing, and keeps what was entered.
    fn refuse(&mut self, fault: Fault, (done, form): (&str, &Entered)) -> StatusCode {
        match done {
            "targets" => self.targets = TargetRow::entered(form),
            "limits" => {
                self.limits = LimitRow::entered(form);
                text(form, "exhaust").clone_into(&mut self.exhaust);
            }
            "faults" => self.faults = FaultForm::entered(form),
            _ => {}
        }
        // What was entered goes on from what it was entered into, so that it is not lost, and not kept by accident.
        text(form, "revision").clone_into(&mut self.revision);
        let (status, why) = match fault {
            Fault::Target(status, (row, field, why)) => {
                if let Some(row) = self.targets.get_mut(row) {
                    row.wrong = field;
                }
                (status, why)
            }
            Fault::Other(refusal) => (refusal.status(), self.said(&refusal)),
        };
        self.told = Some(Told::refused(done, why));
        status
    }

    fn said(&self, refusal: &Refusal) -> Html {
        let language = self.frame.language;
        match refusal {
            Refusal::Problem(problem) => edit::said(problem, language),
            Refusal::Page(..) => refusal.said(language),
        }
    }
}

async fn carry_out(
    market: &Market,
    person: &Person,
    (name, form): (&str, &Entered),
    language: Language,
) -> Result<&'static str, Fault> {
    let (mut model, revision) = found(market, person, name).await?;
    let done = text(form, "do");
    if done == "delete" {
        if text(form, "confirm") != name {
            let said = language.say("models-delete-confirm");
            return Err(Refusal::entry(said.with("name", name.to_owned())).into());
        }
        api::end(market, person, name).await?;
        return Ok("model-removed");
    }
    if text(form, "revision") != revision {
        let said = language.say("models-stale");
        return Err(Refusal::Page(StatusCode::PRECONDITION_FAILED, said.into()).into());
    }
    let rows = TargetRow::entered(form);
    let unreadable = StatusCode::UNPROCESSABLE_ENTITY;
    match done {
        "targets" => edit::targets(&mut model, &rows, language)
            .map_err(|refused| Fault::Target(unreadable, refused))?,
        "limits" => {
            let limits = limits_of(&LimitRow::entered(form), language).map_err(Refusal::entry)?;
            edit::limits(&mut model, &limits, text(form, "exhaust"));
        }
        "faults" => {
            edit::faults(&mut model, &FaultForm::entered(form), language)
                .map_err(Refusal::entry)?;
        }
        _ => return Err(Problem::not_found().into()),
    }
    let model: StoredModel = serde_json::from_value(model)
        .map_err(|error| Problem::new(ProblemKind::Unprocessable, error.to_string()))?;
    let kept = api::keep(market, person, name, &model).await;
    kept.map_err(|problem| {
        let refused = edit::refused(&problem, &rows, language);
        let status = problem.kind.status();
        refused.map_or_else(|| problem.into(), |refused| Fault::Target(status, refused))
    })?;
    Ok("saved")
}
