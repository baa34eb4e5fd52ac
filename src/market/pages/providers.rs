//! Providers of models: those there are, the kinds one can be of, and the form that adds one.

mod form;
pub mod one;
pub mod snippets;

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
use crate::market::api::{Market, providers as api};
use crate::market::language::Html;
use crate::market::pages::Frame;
use crate::market::pages::arguments::Entered;
use crate::market::pages::key_routes::moment;
pub(in crate::market::pages) use crate::market::pages::providers::form::text;
use crate::market::pages::providers::form::{ProviderForm, said};
use crate::market::pages::routes::{Fields, answered, frame, notice, reader, refused, to};
use crate::market::pages::submitted::Submitted;
use crate::problem::{Problem, ProblemKind};

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
    pub note: Option<String>,
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
    fn of(data: &Provider) -> Self {
        let verified = match (data.verified, data.dialect) {
            (true, _) => ("providers-verified", "good"),
            (false, Dialect::OpenaiChat | Dialect::OpenaiResponses) => {
                ("providers-unverified", "fair")
            }
            (false, _) => ("providers-unverified-other", "fair"),
        };
        Self {
            id: data.id.clone(),
            name: data.name.clone(),
            dialect: word(&json!(data.dialect)),
            verified,
            note: data.note.clone(),
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

    fn kind(&self) -> KindView {
        self.data()
            .map_or_else(|| KindView::unknown(&self.kind), KindView::of)
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
    let made = lines(&market, &person).await.map(|providers| {
        let mut frame = frame(&market, &headers, "providers");
        frame.notice = notice(&query);
        (StatusCode::OK, ProvidersPage { frame, providers })
    });
    answered((&market, &headers), made)
}

async fn lines(market: &Market, person: &Person) -> Result<Vec<ProviderLine>, Problem> {
    let views = api::all(market, person).await?.into_iter();
    let lines = views.map(|view| {
        let shown = Shown::read(view)?;
        Ok(ProviderLine {
            kind: shown.kind(),
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
    let mut kinds: Vec<KindView> = provider::built_in().iter().map(KindView::of).collect();
    kinds.sort_by_key(|kind| (kind.id == ANY, kind.name.to_lowercase()));
    let frame = frame(&market, &headers, "providers");
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
        let page = NewProviderPage {
            frame: frame(&market, &headers, "providers"),
            kind: KindView::of(data),
            error: None,
            name,
            form: ProviderForm::fresh(data),
        };
        Ok((StatusCode::OK, page))
    };
    answered((&market, &headers), made.await)
}

/// The name of the kind, or what follows it where that is taken.
async fn free_name(market: &Market, person: &Person, kind: &str) -> Result<String, Problem> {
    let taken: Vec<String> = lines(market, person)
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
    let entered = ProviderForm::entered(data, &form);
    let name = text(&form, "name").to_owned();
    let refusal = match add(&market, &person, (&name, data), &entered).await {
        Ok(()) => {
            return to(&format!("/admin/providers/{name}?done=provider-made"));
        }
        Err(problem) => problem,
    };
    let frame = frame(&market, &headers, "providers");
    let status = refusal.kind.status();
    let page = NewProviderPage {
        kind: KindView::of(data),
        error: Some(said(&refusal, frame.language)),
        name,
        form: entered.refused(&refusal),
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
) -> Result<(), Problem> {
    let store = &market.0.parts.publisher.store;
    if store.provider(person.organization(), name).await?.is_some() {
        let detail = format!("`name`: there is a provider {name} already");
        return Err(Problem::new(ProblemKind::Conflict, detail));
    }
    let given = form.given(&data.id, json!({}))?;
    api::keep(market, person, name, given).await
}
