//! The page of one model: where it leads, drawn and to be changed, how much of it may be used, and what happens
//! where a target fails.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use crate::access::limit::{Limit, Unit};
use crate::access::person::Person;
use crate::extract::{Path, Visitor};
use crate::llm::live::StoredModel;
use crate::llm::names::REGEX;
use crate::llm::price::ServiceTier;
use crate::llm::route::{REST, Target};
use crate::market::api::Market;
use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::market::pages::consumers::segment;
use crate::market::pages::limits::LimitRow;
use crate::market::pages::model_usage::ModelUsageTable;
use crate::market::pages::models::canary::{self, CanaryForm};
use crate::market::pages::models::edit::FaultForm;
use crate::market::pages::models::picture::{Picture, share_of, tiers, whole};
use crate::market::pages::models::shadow::{self, ShadowForm};
use crate::market::pages::models::spread::{OtherForm, SpreadForm, in_words};
use crate::market::pages::models::targets::{TargetRow, only_after};
use crate::market::pages::models::{provider_names, stored};
use crate::market::pages::providers::snippets::{Snippet, snippets};
use crate::market::pages::routes::{Fields, answered, frame, notice, reader};
use crate::market::pages::told::Told;
use crate::market::pages::wrong::Wrong;
use crate::problem::Problem;

/// The scope of all who ask for a model, as the API writes it.
const EVERYBODY: &str = "server";

/// `GET /admin/models/{name}`, and again with what a form came to.
#[derive(Debug, Template)]
#[template(path = "model.html")]
pub struct ModelPage {
    pub frame: Frame,
    pub told: Option<Told>,
    /// The field that was refused.
    pub wrong: Wrong,
    pub name: String,
    pub segment: String,
    /// What the forms were made from.
    pub revision: String,
    pub picture: Picture,
    /// The targets as a table.
    pub table: Vec<TargetLine>,
    pub targets: Vec<TargetRow>,
    /// Whom a target can lead to.
    pub providers: Vec<String>,
    pub spread: SpreadForm,
    /// The message of how requests are spread now.
    pub spread_now: &'static str,
    pub canary: CanaryForm,
    pub canary_now: CanaryNow,
    pub shadow: ShadowForm,
    /// What the shadow gets now.
    pub shadow_now: Html,
    pub limits: Vec<LimitRow>,
    /// Targets that cost nothing of a limit in dollars, because nobody knows what they cost.
    pub unpriced: Vec<String>,
    /// The model that takes over, and others that could.
    pub exhaust: String,
    pub others: Vec<String>,
    pub faults: FaultForm,
    pub other: OtherForm,
    pub other_now: Html,
    /// How it is asked; a pattern is asked by other names.
    pub snippets: Vec<Snippet>,
}

/// The canary there is.
#[derive(Clone, Debug)]
pub struct CanaryNow {
    pub words: Html,
    /// A name that stands for many has none.
    pub can_be: bool,
    pub is_there: bool,
    pub is_paused: bool,
    /// How it does beside the usual targets.
    pub arms: Option<ModelUsageTable>,
    /// The page with all figures.
    pub figures: String,
}

/// A target as a row of the table.
#[derive(Clone, Debug)]
pub struct TargetLine {
    /// When it is asked.
    pub when: Html,
    pub provider: String,
    pub model: Option<String>,
    /// Its part of its tier; `None`: none.
    pub share: Option<String>,
}

impl ModelPage {
    /// What is said in a part of the page.
    pub fn told_in(&self, part: &str) -> Option<&Told> {
        self.told.as_ref().filter(|told| told.part == part)
    }

    /// Whether what was entered in a part of the page was refused.
    pub fn is_refused(&self, part: &str) -> bool {
        self.told_in(part).is_some_and(|told| !told.is_done)
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

pub(super) async fn template(
    market: &Market,
    (headers, person): (&Visitor, &Person),
    name: &str,
) -> Result<ModelPage, Problem> {
    let (settings, revision) = found(market, person, name).await?;
    let model: StoredModel =
        serde_json::from_value(settings).map_err(|error| Problem::internal(&error))?;
    let frame = frame(market, headers, "models");
    let language = frame.language;
    let others = stored(market, person).await?.into_iter();
    let others = others.map(|(other, _)| other);
    let mut providers = provider_names(market, person).await?;
    for (_, target) in model.settings.named_targets() {
        if !providers.contains(&target.provider) {
            providers.push(target.provider.clone());
        }
    }
    let url = market.0.parts.address.asked_by(headers);
    let other = OtherForm::of(name, &model);
    Ok(ModelPage {
        told: None,
        wrong: Wrong::default(),
        segment: segment(name),
        revision: revision.to_string(),
        picture: Picture::of(name, &model, language),
        table: table(&model, language),
        targets: TargetRow::all(&model.settings.targets),
        providers,
        spread: SpreadForm::of(&model),
        spread_now: in_words(model.settings.strategy),
        canary: CanaryForm::of(&model),
        canary_now: canary_now(market, (person, &frame), (name, &model)).await?,
        shadow: ShadowForm::of(&model),
        shadow_now: shadow::in_words(model.settings.shadow.as_ref(), language),
        limits: rows_of(&model.limits),
        unpriced: unpriced(market, person, (name, &model)),
        faults: FaultForm::of(&model),
        other_now: other.words(language),
        other,
        exhaust: model.on_exhaust.map(|it| it.downgrade).unwrap_or_default(),
        others: others
            .filter(|other| other != name && !stands_for_many(other))
            .collect(),
        snippets: if stands_for_many(name) {
            Vec::new()
        } else {
            snippets(&url, name)
        },
        name: name.to_owned(),
        frame,
    })
}

/// Whether callers ask for it by other names.
pub fn stands_for_many(name: &str) -> bool {
    name.ends_with('*') || name.starts_with(REGEX)
}

async fn canary_now(
    market: &Market,
    (person, frame): (&Person, &Frame),
    (name, model): (&str, &StoredModel),
) -> Result<CanaryNow, Problem> {
    let canary = model.settings.canary.as_ref();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("model", name)
        .finish();
    Ok(CanaryNow {
        words: canary::in_words(canary, frame.language),
        can_be: !stands_for_many(name),
        is_there: canary.is_some(),
        is_paused: canary.is_some_and(|canary| canary.paused),
        arms: match canary {
            Some(_) => Some(canary::arms(market, person, name).await?),
            None => None,
        },
        figures: format!("{}?{query}", frame.at("/usage/models")),
    })
}

/// Targets whose price nobody knows, where a limit counts what requests cost; of a name that stands for many, those
/// that are named.
fn unpriced(market: &Market, person: &Person, (name, model): (&str, &StoredModel)) -> Vec<String> {
    let llm = &market.0.parts.llm;
    if !model.limits.iter().any(|limit| limit.unit == Unit::Money) {
        return Vec::new();
    }
    let same = Some(name).filter(|name| !stands_for_many(name));
    let lacking = model.settings.all_targets().filter_map(|target| {
        let named = target.model.as_deref().filter(|model| *model != REST);
        let called = same.map(|name| target.called(name)).or(named)?;
        let provider = llm
            .models
            .provider_of(person.organization(), &target.provider)?;
        let list = provider.provider.price_list();
        let price = llm.prices.price(list, called, ServiceTier::Standard);
        price
            .is_none()
            .then(|| format!("{}/{called}", target.provider))
    });
    let mut lacking: Vec<String> = lacking.collect();
    lacking.dedup();
    lacking
}

/// What is stored of a model, and what it is told apart by from what others make of it.
pub(super) async fn found(
    market: &Market,
    person: &Person,
    name: &str,
) -> Result<(Value, i64), Problem> {
    let store = &market.0.parts.publisher.store;
    let row = store.model(person.organization(), name).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    let settings =
        serde_json::from_str(&row.settings).map_err(|error| Problem::internal(&error))?;
    Ok((settings, row.updated_at))
}

/// Limits as rows of the form; new ones are for everybody, as those of models mostly are.
fn rows_of(limits: &[Limit]) -> Vec<LimitRow> {
    let mut rows = LimitRow::all(limits);
    for row in rows.iter_mut().skip(limits.len()) {
        EVERYBODY.clone_into(&mut row.scope);
    }
    rows
}

/// When each target is asked, in that order; those of a canary and a shadow after the others.
fn table(model: &StoredModel, language: Language) -> Vec<TargetLine> {
    let mut lines = Vec::new();
    for (place, targets) in tiers(&model.settings.targets).values().enumerate() {
        let key = if place == 0 {
            "models-when-first"
        } else {
            "models-when-then"
        };
        lines.extend(lines_of(targets, &language.say(key).into(), language));
    }
    if let Some(canary) = &model.settings.canary {
        let targets: Vec<&Target> = canary.targets.iter().collect();
        let when = language.say("models-when-canary").into();
        lines.extend(lines_of(&targets, &when, language));
    }
    if let Some(shadow) = &model.settings.shadow {
        let when = language.say("models-when-shadow").into();
        lines.extend(lines_of(&[&shadow.target], &when, language));
    }
    lines
}

fn lines_of(targets: &[&Target], when: &Html, language: Language) -> Vec<TargetLine> {
    let all = whole(targets);
    let lines = targets.iter().map(|target| TargetLine {
        when: only_after(target, language).unwrap_or_else(|| when.clone()),
        provider: target.provider.clone(),
        model: target.model.clone(),
        share: share_of(target, all),
    });
    lines.collect()
}
