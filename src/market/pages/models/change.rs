//! What the forms of a model's page do: each changes its own part of what is stored, and the rest stays.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use crate::access::person::Person;
use crate::extract::Path;
use crate::llm::live::StoredModel;
use crate::market::api::Market;
use crate::market::api::canary::{accept, stop};
use crate::market::api::models::{Unkept, end, keep};
use crate::market::language::Language;
use crate::market::pages::arguments::Entered;
use crate::market::pages::consumers::segment;
use crate::market::pages::failure::Refusal;
use crate::market::pages::limits::{LimitRow, limits_of};
use crate::market::pages::models::canary::{CanaryForm, canary};
use crate::market::pages::models::edit::{self, FaultForm, set};
use crate::market::pages::models::one::{ModelPage, found, template};
use crate::market::pages::models::refusal::refused;
use crate::market::pages::models::shadow::{ShadowForm, shadow};
use crate::market::pages::models::spread::{OtherForm, SpreadForm, others, spread};
use crate::market::pages::models::targets::{TargetRow, Whose, targets};
use crate::market::pages::providers::text;
use crate::market::pages::routes::{answered, to};
use crate::market::pages::submitted::Submitted;
use crate::market::pages::told::Told;
use crate::problem::{Problem, ProblemKind};
use crate::store::StoreError;
use crate::store::models::InsteadOf;

/// The part of the page that a form is in, by what it does.
fn part(done: &str) -> &str {
    match done {
        "canary-accept" | "canary-stop" | "canary-resume" | "canary-remove" => "canary",
        done => done,
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
    let refusal = match carry_out(&market, &person, (&name, &form), language).await {
        Ok("model-removed") => return to("/admin/models?done=model-removed"),
        Ok(said) => {
            let (segment, part) = (segment(&name), part(&done));
            return to(&format!(
                "/admin/models/{segment}?done={said}&in={part}#told"
            ));
        }
        Err(refusal) => refusal.or_stale("models-stale", language),
    };
    let made = template(&market, (&headers, &person), &name).await;
    let again = made.map(|mut page| {
        page.refuse(&refusal, (&done, &form));
        (refusal.status(), page)
    });
    answered((&market, &headers), again)
}

impl ModelPage {
    /// Says why a form did nothing, and keeps what was entered.
    fn refuse(&mut self, refusal: &Refusal, (done, form): (&str, &Entered)) {
        match done {
            "targets" => self.targets = TargetRow::entered(Whose::Model, form),
            "spread" => self.spread = SpreadForm::entered(form),
            "canary" => self.canary = CanaryForm::entered(form),
            "shadow" => self.shadow = ShadowForm::entered(form),
            "limits" => {
                self.limits = LimitRow::entered(form);
                text(form, "exhaust").clone_into(&mut self.exhaust);
            }
            "faults" => self.faults = FaultForm::entered(form),
            "other" => self.other.enter(form),
            _ => {}
        }
        // What was entered goes on from what it was entered into; once somebody was told that this is not what is
        // stored any more, from that.
        let is_stale = refusal.status() == StatusCode::PRECONDITION_FAILED;
        if done != "delete" && !is_stale {
            text(form, "revision").clone_into(&mut self.revision);
        }
        self.wrong = refusal.wrong();
        let why = refusal.said(self.frame.language);
        self.told = Some(Told::refused(part(done), why));
    }
}

async fn carry_out(
    market: &Market,
    person: &Person,
    (name, form): (&str, &Entered),
    language: Language,
) -> Result<&'static str, Refusal> {
    let (mut model, revision) = found(market, person, name).await?;
    let done = text(form, "do");
    if done == "delete" {
        if text(form, "confirm") != name {
            let said = language.say("models-delete-confirm");
            return Err(Refusal::entry(said.with("name", name.to_owned())));
        }
        end(market, person, name).await?;
        return Ok("model-removed");
    }
    if text(form, "revision") != revision.to_string() {
        return Err(Problem::from(StoreError::Stale).into());
    }
    let seen = (name, Some(revision));
    let said = match done {
        "canary-accept" => {
            accept(market, person, seen).await?;
            return Ok("canary-accepted");
        }
        "canary-stop" => {
            stop(market, person, seen).await?;
            return Ok("canary-stopped");
        }
        "canary-resume" => {
            set(&mut model["canary"], "paused", None);
            "canary-resumed"
        }
        "canary-remove" => {
            set(&mut model, "canary", None);
            "canary-removed"
        }
        _ => {
            enter(&mut model, (name, done, form), language)?;
            "saved"
        }
    };
    let in_place = (name, InsteadOf::StoredAt(revision));
    let kept = keep(market, person, in_place, &read(model)?).await;
    kept.map_err(|unkept| of_unkept(unkept, (done, form), language))?;
    Ok(said)
}

/// What the management API refused, in the words of the form that was sent.
fn of_unkept(unkept: Unkept, (done, form): (&str, &Entered), language: Language) -> Refusal {
    let rows = match done {
        "canary" => TargetRow::entered(Whose::Canary, form),
        "shadow" => TargetRow::entered(Whose::Shadow, form),
        _ => TargetRow::entered(Whose::Model, form),
    };
    match refused(&unkept, &rows, language) {
        Some(refused) => refused.into(),
        None => Problem::from(unkept).into(),
    }
}

/// Puts what a form says in its place.
fn enter(
    model: &mut Value,
    (name, done, form): (&str, &str, &Entered),
    language: Language,
) -> Result<(), Refusal> {
    match done {
        "targets" => {
            let rows = TargetRow::entered(Whose::Model, form);
            targets(model, (Whose::Model, &rows), language)?;
        }
        "spread" => spread(model, &SpreadForm::entered(form), language)?,
        "canary" => canary(model, &CanaryForm::entered(form), language)?,
        "shadow" => shadow(model, &ShadowForm::entered(form), language)?,
        "limits" => {
            let limits = limits_of(&LimitRow::entered(form), language).map_err(Refusal::entry)?;
            edit::limits(model, &limits, text(form, "exhaust"));
        }
        "faults" => edit::faults(model, &FaultForm::entered(form), language)?,
        "other" => {
            let mut other = OtherForm::of(name, &read(model.clone())?);
            other.enter(form);
            others(model, &other, language)?;
        }
        _ => return Err(Problem::not_found().into()),
    }
    Ok(())
}

fn read(model: Value) -> Result<StoredModel, Problem> {
    serde_json::from_value(model)
        .map_err(|error| Problem::new(ProblemKind::Unprocessable, error.to_string()))
}
