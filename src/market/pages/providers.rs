//! Providers of models: those there are, the kinds one can be of, and the form that adds one.

pub mod care;
pub mod change;
mod form;
pub mod one;
pub mod snippets;
mod words;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::extract::{Path, Visitor};
use crate::llm::dialect::Dialect;
use crate::llm::provider::{self, Auth, Capability, Probe, Provider};
use crate::llm::settings::ProviderSettings;
use crate::llm::standing::{HealthRule, LoadRule};
use crate::market::api::{Market, providers as api};
use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::market::pages::arguments::Entered;
use crate::market::pages::key_routes::moment;
use crate::market::pages::providers::care::ShownState;
pub(in crate::market::pages) use crate::market::pages::providers::form::text;
use crate::market::pages::providers::form::{ProviderForm, checked};
use crate::market::pages::providers::words::Described;
use crate::market::pages::routes::{Fields, answered, frame, notice, reader, refused, to};
use crate::market::pages::settings::labelled;
use crate::market::pages::submitted::Submitted;
use crate::market::pages::wrong::{Refused, Wrong};
use crate::problem::Problem;
use crate::store::models::InsteadOf;

/// The kind for whatever is not among the others.
const ANY: &str = "openai-compatible";

/// `GET /admin/providers`.
#[derive(Debug, Template)]
#[template(path = "providers.html")]
pub struct ProvidersPage {
    pub frame: Frame,
    pub providers: Vec<ProviderLine>,
}

/// A provider in the list.
#[derive(Clone, Debug)]
pub struct ProviderLine {
    pub name: String,
    pub kind: KindView,
    pub keys: Vec<KeyView>,
    pub changed: String,
}

/// `GET /admin/provider-kinds`.
#[derive(Debug, Template)]
#[template(path = "provider_kinds.html")]
pub struct KindsPage {
    pub frame: Frame,
    pub kinds: Vec<KindView>,
}

/// `GET /admin/provider-kinds/{name}`: the form that adds a provider of that kind.
#[derive(Debug, Template)]
#[template(path = "provider_new.html")]
pub struct NewProviderPage {
    pub frame: Frame,
    pub kind: KindView,
    pub error: Option<Html>,
    /// The field that was refused.
    pub wrong: Wrong,
    pub name: String,
    pub form: ProviderForm,
}

/// What there is to say of a kind of provider.
#[derive(Clone, Debug)]
pub struct KindView {
    pub id: String,
    pub name: String,
    /// As the API writes it; empty where the kind is not known any more.
    pub dialect: String,
    /// The message of whether it was compared with what its provider publishes, and its class.
    pub verified: (&'static str, &'static str),
    pub note: Option<Described>,
    pub docs: Option<String>,
    /// Where people keep its key.
    pub env: Vec<String>,
    pub takes_key: bool,
    /// It has no list of models: to be tried, one has to be named.
    pub wants_model: bool,
    /// It answers chats.
    pub chats: bool,
}

impl KindView {
    fn of(data: &Provider, language: Language) -> Self {
        let verified = match (data.verified, data.dialect) {
            (true, _) => ("providers-verified", "good"),
            (false, Dialect::OpenaiChat | Dialect::OpenaiResponses) => {
                ("providers-unverified", "fair")
            }
            (false, _) => ("providers-unverified-other", "fair"),
        };
        Self {
            id: data.id.clone(),
            name: if data.id == ANY {
                language.plain("kinds-any", &[])
            } else {
                data.name.clone()
            },
            dialect: word(&json!(data.dialect)),
            verified,
            note: data.note.as_ref().map(|note| Described::of(note, language)),
            // What somebody described themselves may lead anywhere.
            docs: Some(&data.docs)
                .filter(|url| url.starts_with("https://"))
                .cloned(),
            env: data.env.clone(),
            takes_key: data.auth != Auth::None,
            wants_model: data.probe == Probe::Chat || !data.can(Capability::Models),
            chats: data.can(Capability::Chat),
        }
    }

    /// A kind that was compiled in once, and is not any more.
    fn unknown(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: id.to_owned(),
            dialect: String::new(),
            verified: ("providers-unknown", "bad"),
            note: None,
            docs: None,
            env: Vec::new(),
            takes_key: true,
            wants_model: true,
            chats: false,
        }
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A key, of which nobody is shown more than its ending.
#[derive(Clone, Debug)]
pub struct KeyView {
    pub name: String,
    pub ending: String,
    pub made: String,
    /// The address it was entered for, where the provider is at another one now.
    pub elsewhere: Option<String>,
}

/// A provider as the management API shows it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    name: String,
    kind: String,
    parameters: BTreeMap<String, String>,
    allow_upstream: Vec<String>,
    #[serde(default)]
    connect_timeout_ms: Option<u64>,
    pass_through: bool,
    files: bool,
    #[serde(default)]
    health: Option<HealthRule>,
    #[serde(default)]
    load: Option<LoadRule>,
    #[serde(default)]
    state: Option<ShownState>,
    origin: Option<String>,
    keys: Vec<ShownKey>,
    updated_at: Option<DateTime<Utc>>,
    #[serde(default)]
    definition: Option<Box<Provider>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShownKey {
    name: String,
    ending: String,
    origin: String,
    created_at: Option<DateTime<Utc>>,
    #[serde(default)]
    warning: Option<String>,
}

impl Shown {
    fn read(view: Value) -> Result<Self, Problem> {
        serde_json::from_value(view).map_err(|error| Problem::internal(&error))
    }

    /// What it is, as data.
    fn data(&self) -> Option<&Provider> {
        self.definition
            .as_deref()
            .or_else(|| provider::find(&self.kind))
    }

    fn kind(&self, language: Language) -> KindView {
        self.data().map_or_else(
            || KindView::unknown(&self.kind),
            |data| KindView::of(data, language),
        )
    }

    /// What is stored of it, without a definition.
    fn settings(&self) -> ProviderSettings {
        ProviderSettings {
            parameters: self.parameters.clone(),
            allow_upstream: self.allow_upstream.clone(),
            connect_timeout_ms: self.connect_timeout_ms,
            pass_through: self.pass_through,
            files: self.files,
            health: self.health,
            load: self.load,
            definition: None,
        }
    }

    /// What it is told apart by from what others make of it.
    fn revision(&self) -> String {
        let at = self.updated_at.map(|at| at.timestamp_micros());
        at.unwrap_or_default().to_string()
    }

    fn keys(&self) -> Vec<KeyView> {
        let keys = self.keys.iter().map(|key| KeyView {
            name: key.name.clone(),
            ending: key.ending.clone(),
            made: at(key.created_at),
            elsewhere: key.warning.as_ref().map(|_| key.origin.clone()),
        });
        keys.collect()
    }
}

fn at(time: Option<DateTime<Utc>>) -> String {
    time.map(|time| moment(time.timestamp_micros()))
        .unwrap_or_default()
}

pub(super) async fn list(
    State(market): State<Market>,
    headers: Visitor,
    Query(query): Query<Fields>,
) -> Response {
    let person = match reader(&headers, "/admin/providers") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let mut frame = frame(&market, &headers, "providers");
    frame.notice = notice(&query);
    let made = lines(&market, &person, frame.language).await;
    let made = made.map(|providers| (StatusCode::OK, ProvidersPage { frame, providers }));
    answered((&market, &headers), made)
}

async fn lines(
    market: &Market,
    person: &Person,
    language: Language,
) -> Result<Vec<ProviderLine>, Problem> {
    let views = api::all(market, person).await?.into_iter();
    let lines = views.map(|view| {
        let shown = Shown::read(view)?;
        Ok(ProviderLine {
            kind: shown.kind(language),
            keys: shown.keys(),
            changed: at(shown.updated_at),
            name: shown.name,
        })
    });
    lines.collect()
}

pub(super) async fn kinds(State(market): State<Market>, headers: Visitor) -> Response {
    if let Err(response) = reader(&headers, "/admin/provider-kinds") {
        return *response;
    }
    let frame = frame(&market, &headers, "providers");
    let kinds = provider::built_in().iter();
    let mut kinds: Vec<KindView> = kinds
        .map(|data| KindView::of(data, frame.language))
        .collect();
    kinds.sort_by_key(|kind| (kind.id == ANY, kind.name.to_lowercase()));
    answered(
        (&market, &headers),
        Ok((StatusCode::OK, KindsPage { frame, kinds })),
    )
}

fn kind_named(kind: &str) -> Result<&'static Provider, Problem> {
    provider::find(kind).ok_or_else(Problem::not_found)
}

pub(super) async fn new(
    State(market): State<Market>,
    headers: Visitor,
    Path(kind): Path<String>,
) -> Response {
    let person = match reader(&headers, "/admin/provider-kinds") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let made = async {
        let data = kind_named(&kind)?;
        let name = free_name(&market, &person, &kind).await?;
        let frame = frame(&market, &headers, "providers");
        let page = NewProviderPage {
            kind: KindView::of(data, frame.language),
            error: None,
            wrong: Wrong::default(),
            name,
            form: ProviderForm::fresh(data, frame.language),
            frame,
        };
        Ok((StatusCode::OK, page))
    };
    answered((&market, &headers), made.await)
}

/// The name of the kind, or what follows it where that is taken.
async fn free_name(market: &Market, person: &Person, kind: &str) -> Result<String, Problem> {
    let taken: Vec<String> = lines(market, person, Language::default())
        .await?
        .into_iter()
        .map(|line| line.name)
        .collect();
    let numbered = (2..).map(|number| format!("{kind}-{number}"));
    let mut names = std::iter::once(kind.to_owned()).chain(numbered);
    let free = names.find(|name| !taken.contains(name));
    Ok(free.unwrap_or_default())
}

/// Adds a provider of a kind, and leads to its page.
pub(super) async fn make(
    State(market): State<Market>,
    Path(kind): Path<String>,
    Submitted {
        visitor: headers,
        person,
        form,
    }: Submitted<Entered>,
) -> Response {
    let data = match kind_named(&kind) {
        Ok(data) => data,
        Err(problem) => return refused(&market, &headers, &problem),
    };
    let frame = frame(&market, &headers, "providers");
    let language = frame.language;
    let entered = ProviderForm::entered((data, language), &form);
    let name = text(&form, "name").to_owned();
    let (status, refused) = match add(&market, &person, (&name, data), &entered, language).await {
        Ok(()) => {
            return to(&format!("/admin/providers/{name}?done=provider-made"));
        }
        Err(refused) => refused,
    };
    let page = NewProviderPage {
        kind: KindView::of(data, language),
        error: Some(refused.text),
        wrong: refused.wrong,
        name,
        form: entered,
        frame,
    };
    answered((&market, &headers), Ok((status, page)))
}

/// A new provider does not take the place of one that there is.
async fn add(
    market: &Market,
    person: &Person,
    (name, data): (&str, &Provider),
    form: &ProviderForm,
    language: Language,
) -> Result<(), (StatusCode, Refused)> {
    let of_problem = |problem: Problem| {
        let said = labelled(&problem, language);
        (problem.kind.status(), Refused::whole(said))
    };
    let store = &market.0.parts.publisher.store;
    let there = store.provider(person.organization(), name).await;
    if there.map_err(|error| of_problem(error.into()))?.is_some() {
        let why = language.say("providers-rule-taken").with("name", name);
        let said = language.say("models-refused").with("why", why);
        let said = said.with("label", language.say("label-name"));
        return Err((StatusCode::CONFLICT, Refused::at("name", said.into())));
    }
    let given = form.given(&data.id, json!({})).map_err(of_problem)?;
    let given = checked(given, language);
    let given = given.map_err(|refused| (StatusCode::UNPROCESSABLE_ENTITY, refused))?;
    api::keep(market, person, (name, InsteadOf::Nothing), given)
        .await
        .map_err(of_problem)
}
