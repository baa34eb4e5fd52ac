//! Models: the names callers use, and where they lead; listed, and added.

pub mod canary;
pub mod change;
pub mod edit;
pub mod one;
pub mod picture;
pub mod refusal;
pub mod shadow;
pub mod spread;
pub mod targets;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;

use crate::access::person::Person;
use crate::extract::Visitor;
use crate::llm::live::{DEMO, StoredModel};
use crate::llm::strategy::Strategy;
use crate::market::api::{Market, models as api};
use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::market::pages::arguments::Entered;
use crate::market::pages::consumers::segment;
use crate::market::pages::key_routes::moment;
use crate::market::pages::limits::LimitRow;
use crate::market::pages::models::one::stands_for_many;
use crate::market::pages::models::picture::Picture;
use crate::market::pages::models::refusal::of_new;
use crate::market::pages::models::spread::in_words;
use crate::market::pages::providers::text;
use crate::market::pages::routes::{Fields, answered, frame, next_page, notice, reader, to};
use crate::market::pages::submitted::Submitted;
use crate::problem::Problem;
use crate::store::models::{MODELS_MAX, ModelRow, PROVIDERS_MAX};

/// Models on one page.
const ROWS_MAX: usize = 50;

/// `GET /admin/models?after=`.
#[derive(Debug, Template)]
#[template(path = "models.html")]
pub struct ModelsPage {
    pub frame: Frame,
    pub error: Option<Html>,
    pub models: Vec<ModelLine>,
    pub more: Option<String>,
    /// There is the model that needs no provider.
    pub has_demo: bool,
    /// Whom a model can lead to.
    pub providers: Vec<String>,
    /// What was entered.
    pub name: String,
    pub provider: String,
    pub model: String,
}

/// A model in the list.
#[derive(Clone, Debug)]
pub struct ModelLine {
    pub name: String,
    /// Its page below `/admin/models/`.
    pub segment: String,
    pub is_pattern: bool,
    pub picture: Picture,
    /// The message of how requests are spread, where that is not by weight.
    pub spread: Option<&'static str>,
    pub limits: Vec<LimitRow>,
    /// The model that takes over.
    pub exhaust: Option<String>,
    pub changed: String,
}

impl ModelLine {
    /// `None`: what is stored cannot be read.
    fn of(row: &ModelRow, language: Language) -> Option<Self> {
        let model: StoredModel = serde_json::from_str(&row.settings).ok()?;
        Some(Self {
            segment: segment(&row.name),
            is_pattern: stands_for_many(&row.name),
            picture: Picture::of(&row.name, &model, language),
            spread: Some(model.settings.strategy)
                .filter(|strategy| *strategy != Strategy::default())
                .map(in_words),
            limits: model.limits.iter().map(LimitRow::of).collect(),
            exhaust: model.on_exhaust.map(|it| it.downgrade),
            changed: moment(row.updated_at),
            name: row.name.clone(),
        })
    }
}

/// The models of an organization that can be read, by name.
pub(super) async fn stored(
    market: &Market,
    person: &Person,
) -> Result<Vec<(String, StoredModel)>, Problem> {
    let store = &market.0.parts.publisher.store;
    let all = ("", MODELS_MAX);
    let rows = store.models_after(person.organization(), all).await?;
    let read = rows.into_iter().filter_map(|row| {
        let model = serde_json::from_str(&row.settings).ok()?;
        Some((row.name, model))
    });
    Ok(read.collect())
}

/// The names of the providers there are, and of the one that needs no key.
async fn provider_names(market: &Market, person: &Person) -> Result<Vec<String>, Problem> {
    let organization = person.organization();
    let store = &market.0.parts.publisher.store;
    let rows = store
        .providers_after(organization, ("", PROVIDERS_MAX))
        .await?;
    let mut names: Vec<String> = rows.into_iter().map(|row| row.name).collect();
    let has_demo = market
        .0
        .parts
        .llm
        .models
        .provider_of(organization, DEMO)
        .is_some();
    if has_demo && !names.iter().any(|name| name == DEMO) {
        names.push(DEMO.to_owned());
    }
    Ok(names)
}

pub(super) async fn list(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/admin/models") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let after = query.get("after").map_or("", String::as_str);
    let made = template(&market, (&headers, &person), after).await;
    let made = made.map(|mut page| {
        page.frame.notice = notice(&query);
        (StatusCode::OK, page)
    });
    answered((&market, &headers), made)
}

async fn template(
    market: &Market,
    (headers, person): (&Visitor, &Person),
    after: &str,
) -> Result<ModelsPage, Problem> {
    let organization = person.organization();
    let store = &market.0.parts.publisher.store;
    let limit = i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX);
    let mut rows = store.models_after(organization, (after, limit)).await?;
    let more = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    let frame = frame(market, headers, "models");
    let language = frame.language;
    let last = rows.last().filter(|_| more);
    let demo = store.model(organization, DEMO).await?;
    let providers = provider_names(market, person).await?;
    Ok(ModelsPage {
        more: last.map(|row| next_page(&frame.at("/admin/models"), "", &row.name)),
        models: rows
            .iter()
            .filter_map(|row| ModelLine::of(row, language))
            .collect(),
        has_demo: demo.is_none() && after.is_empty() && providers.iter().any(|name| name == DEMO),
        error: None,
        name: String::new(),
        provider: providers.first().cloned().unwrap_or_default(),
        model: String::new(),
        providers,
        frame,
    })
}

/// Adds a model, and leads to its page.
pub(super) async fn make(
    State(market): State<Market>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Entered>,
) -> Response {
    let field = |name: &str| text(&form, name).to_owned();
    let (name, provider, model) = (field("name"), field("provider"), field("model"));
    let target = (
        provider.as_str(),
        Some(model.as_str()).filter(|it| !it.is_empty()),
    );
    let refusal = match api::make(&market, &person, &name, target).await {
        Ok(()) => {
            let path = format!("/admin/models/{}?done=model-made", segment(&name));
            return to(&path);
        }
        Err(unkept) => unkept,
    };
    let made = template(&market, (&headers, &person), "").await;
    let again = made.map(|page| {
        let (kind, said) = of_new(refusal, page.frame.language);
        let error = Some(said);
        let page = ModelsPage {
            error,
            name,
            provider,
            model,
            ..page
        };
        (kind.status(), page)
    });
    answered((&market, &headers), again)
}
