//! The page of one provider: its keys, whether it answers, how it is asked, where it is.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::extract::{Path, Visitor};
use crate::llm::live::StoredModel;
use crate::llm::route::Target;
use crate::llm::settings::ProviderSettings;
use crate::market::api::{Market, models as models_api, providers as api};
use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::consumers::segment;
use crate::market::pages::failure::Refusal;
use crate::market::pages::models::stored;
use crate::market::pages::providers::form::{ProviderForm, said, text};
use crate::market::pages::providers::snippets::{Snippet, snippets};
use crate::market::pages::providers::{KeyView, KindView, Shown};
use crate::market::pages::routes::{Fields, answered, frame, reader, to};
use crate::market::pages::submitted::Submitted;
use crate::market::pages::told::Told;
use crate::problem::{Problem, ProblemKind};

/// What a first key is called where nobody says otherwise.
const FIRST_KEY: &str = "main";
/// Parts of names of models that answer no chat: what is proposed is none of these, if there is another.
const NO_CHAT: [&str; 15] = [
    "audio",
    "dall-e",
    "davinci",
    "babbage",
    "embed",
    "image",
    "instruct",
    "moderation",
    "realtime",
    "rerank",
    "sora",
    "transcribe",
    "tts",
    "video",
    "whisper",
];

/// `GET /admin/providers/{name}?key=`, and again with what a form came to.
#[derive(Debug, Template)]
#[template(path = "provider.html")]
pub struct ProviderPage {
    pub frame: Frame,
    pub told: Option<Told>,
    pub name: String,
    pub kind: KindView,
    /// Where its keys go.
    pub origin: Option<String>,
    pub keys: Vec<KeyView>,
    /// The name in the form of a key.
    pub key_name: String,
    /// The model that is asked for a few words, where one was named.
    pub test_model: String,
    /// Models that lead here, and their pages below `/admin/models/`.
    pub models: Vec<(String, String)>,
    /// How it is asked; `None`: no model of it is known.
    pub usage: Option<Usage>,
    /// What it could be asked for under a name of its own.
    pub offer: Offer,
    pub form: ProviderForm,
}

/// A name that leads here, and texts that ask for it.
#[derive(Clone, Debug)]
pub struct Usage {
    pub model: String,
    pub snippets: Vec<Snippet>,
}

/// The form that makes a model of one of its own.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// As it lists them.
    pub listed: Vec<String>,
    pub model: String,
    pub name: String,
}

impl ProviderPage {
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
    let person = match reader(&headers, "/admin/providers") {
        Ok(person) => person,
        Err(response) => return *response,
    };
    let made = template(&market, (&headers, &person), &name).await;
    let made = made.map(|mut page| {
        page.told = Told::done(&query, page.frame.language);
        if page.told.is_none() {
            page.frame.notice = crate::market::pages::routes::notice(&query);
        }
        if let Some(key) = query.get("key") {
            page.key_name.clone_from(key);
        }
        (StatusCode::OK, page)
    });
    answered((&market, &headers), made)
}

async fn template(
    market: &Market,
    (headers, person): (&Visitor, &Person),
    name: &str,
) -> Result<ProviderPage, Problem> {
    let shown = Shown::read(api::shown(market, person, name).await?)?;
    let leading: Vec<(String, StoredModel)> = stored(market, person)
        .await?
        .into_iter()
        .filter(|(_, model)| leads_to(model, name).is_some())
        .collect();
    let settings = ProviderSettings {
        parameters: shown.parameters.clone(),
        allow_upstream: shown.allow_upstream.clone(),
        ..ProviderSettings::default()
    };
    let form = shown.data().map_or_else(
        || ProviderForm {
            parameters: Vec::new(),
            base: None,
            allow: String::new(),
            is_allow_wrong: false,
        },
        |data| ProviderForm::stored(data, &settings),
    );
    let (kind, keys) = (shown.kind(), shown.keys());
    let called = called(&leading, name).filter(|_| kind.chats);
    Ok(ProviderPage {
        frame: frame(market, headers, "providers"),
        told: None,
        key_name: if keys.is_empty() {
            FIRST_KEY.to_owned()
        } else {
            String::new()
        },
        test_model: String::new(),
        usage: called.map(|model| usage(market, headers, model)),
        offer: Offer::default(),
        models: leading
            .iter()
            .map(|(model, _)| (model.clone(), segment(model)))
            .collect(),
        name: shown.name,
        origin: shown.origin,
        kind,
        keys,
        form,
    })
}

fn usage(market: &Market, headers: &Visitor, model: &str) -> Usage {
    let url = market.0.parts.address.asked_by(headers);
    Usage {
        model: model.to_owned(),
        snippets: snippets(&url, model),
    }
}

/// The first target of a model that is at a provider.
fn leads_to<'m>(model: &'m StoredModel, provider: &str) -> Option<&'m Target> {
    let mut targets = model.settings.targets.iter();
    targets.find(|target| target.provider == provider)
}

/// A name that can be asked for as it is, of those that lead to a provider: one where it is asked first, if there is.
fn called<'m>(leading: &'m [(String, StoredModel)], provider: &str) -> Option<&'m str> {
    let exact = leading.iter().filter(|(name, _)| !name.ends_with('*'));
    let comes_late = |(_, model): &&(String, StoredModel)| {
        let targets = &model.settings.targets;
        let first = targets.iter().map(|target| target.tier).min();
        let here = leads_to(model, provider);
        !here.is_some_and(|here| here.weight > 0 && Some(here.tier) == first)
    };
    exact.min_by_key(comes_late).map(|(name, _)| name.as_str())
}

/// The first of some models that looks as if it answered chats, or else the first.
fn proposed(listed: &[String]) -> Option<&String> {
    let chats = |name: &&String| {
        let name = name.to_lowercase();
        !NO_CHAT.iter().any(|part| name.contains(part))
    };
    listed.iter().find(chats).or_else(|| listed.first())
}

/// What a provider said to its key.
struct Tested {
    is_ok: bool,
    text: Html,
    listed: Vec<String>,
}

async fn tested(
    market: &Market,
    person: &Person,
    (name, asked): (&str, (Option<&str>, Option<&str>)),
    language: Language,
) -> Tested {
    let answer = match api::tested(market, person, name, asked).await {
        Ok(answer) => answer,
        Err(problem) => {
            return Tested {
                is_ok: false,
                text: said(&problem, language),
                listed: Vec::new(),
            };
        }
    };
    let is_ok = answer["ok"] == true;
    let listed: Vec<String> = serde_json::from_value(answer["models"].clone()).unwrap_or_default();
    let number = |name: &str| answer[name].as_u64().unwrap_or_default();
    let message = answer["message"].as_str().unwrap_or_default();
    let text = if !is_ok {
        let said = language.say("providers-failed");
        said.with("message", message.to_owned()).into()
    } else if listed.is_empty() {
        let said = language.say("providers-answered");
        said.with("milliseconds", number("milliseconds")).into()
    } else {
        let said = language.say("providers-listed");
        said.with("milliseconds", number("milliseconds"))
            .with("count", listed.len())
            .into()
    };
    Tested {
        is_ok,
        text,
        listed,
    }
}

/// What a form came to that did not lead elsewhere.
enum Came {
    /// To an address.
    To(String),
    /// To the same page, with what the provider said.
    Said(Tested),
}

/// What is sent with each form, as the address and the page call the part it is in.
fn part(done: &str) -> &'static str {
    match done {
        "key" | "test-key" | "remove-key" => "keys",
        "test" => "test",
        "serve" => "use",
        "settings" => "settings",
        _ => "delete",
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
    let came = match carry_out(&market, &person, (&name, &form), language).await {
        Ok(Came::To(path)) => return to(&path),
        Ok(Came::Said(tested)) => Ok(tested),
        Err(refusal) => Err(refusal),
    };
    let made = template(&market, (&headers, &person), &name).await;
    let made = made.map(|mut page| {
        let status = match came {
            Ok(tested) => {
                page.hear(tested, (&market, &headers), &form);
                StatusCode::OK
            }
            Err(refusal) => {
                page.refuse(&refusal, &form);
                refusal.status()
            }
        };
        (status, page)
    });
    answered((&market, &headers), made)
}

impl ProviderPage {
    /// Takes in what the provider said.
    fn hear(&mut self, tested: Tested, (market, headers): (&Market, &Visitor), form: &Entered) {
        let done = text(form, "do");
        self.told = Some(Told {
            part: part(done).to_owned(),
            is_done: tested.is_ok,
            text: tested.text,
        });
        text(form, "model").clone_into(&mut self.test_model);
        self.offer.listed = tested.listed;
        let named = Some(&self.test_model).filter(|model| tested.is_ok && !model.is_empty());
        let Some(model) = proposed(&self.offer.listed).or(named).cloned() else {
            return;
        };
        if self.usage.is_none() && self.kind.chats {
            let called = format!("{}/{model}", self.name);
            self.usage = Some(usage(market, headers, &called));
        }
        self.offer.name.clone_from(&model);
        self.offer.model = model;
    }

    /// Says why a form did nothing, and keeps what was entered: of a key, its name.
    fn refuse(&mut self, refusal: &Refusal, form: &Entered) {
        let done = text(form, "do");
        let language = self.frame.language;
        let why = match refusal {
            Refusal::Problem(problem) => said(problem, language),
            Refusal::Page(..) => refusal.said(language),
        };
        self.told = Some(Told::refused(part(done), why));
        match done {
            "key" => text(form, "key").clone_into(&mut self.key_name),
            "test" => text(form, "model").clone_into(&mut self.test_model),
            "serve" => {
                text(form, "model").clone_into(&mut self.offer.model);
                text(form, "name").clone_into(&mut self.offer.name);
            }
            "settings" => self.form.enter(form, refusal),
            _ => {}
        }
    }
}

async fn carry_out(
    market: &Market,
    person: &Person,
    (name, form): (&str, &Entered),
    language: Language,
) -> Result<Came, Refusal> {
    let here = |done: &str| {
        let part = part(text(form, "do"));
        format!("/admin/providers/{name}?done={done}&in={part}#told")
    };
    match text(form, "do") {
        "key" => {
            let value = entered(form, "value").unwrap_or_default();
            api::keep_key(market, person, (name, text(form, "key")), value).await?;
            let mut tried = tried(market, person, (name, form), language).await?;
            let said = language.say("providers-key-tested");
            tried.text = said.with("said", tried.text).into();
            Ok(Came::Said(tried))
        }
        "test" => {
            let model = Some(text(form, "model")).filter(|model| !model.is_empty());
            let asked = (model, None);
            let tested = tested(market, person, (name, asked), language).await;
            Ok(Came::Said(tested))
        }
        "test-key" => {
            let tested = tried(market, person, (name, form), language).await?;
            Ok(Came::Said(tested))
        }
        "remove-key" => {
            api::end_key(market, person, (name, text(form, "key"))).await?;
            Ok(Came::To(here("provider-key-removed")))
        }
        "serve" => {
            let (model, called) = (text(form, "model"), text(form, "name"));
            serve(market, person, (name, model), called).await?;
            Ok(Came::To(here("model-made")))
        }
        "settings" => {
            edit(market, person, (name, form)).await?;
            Ok(Came::To(here("saved")))
        }
        "delete" => {
            if text(form, "confirm") != name {
                let said = language.say("providers-delete-confirm");
                return Err(Refusal::entry(said.with("name", name.to_owned())));
            }
            api::end(market, person, name).await?;
            Ok(Came::To(
                "/admin/providers?done=provider-removed".to_owned(),
            ))
        }
        _ => Err(Problem::not_found().into()),
    }
}

/// What the provider says to one of its keys: for the list of its models, or, where it has none, for one that is
/// known of it.
async fn tried(
    market: &Market,
    person: &Person,
    (name, form): (&str, &Entered),
    language: Language,
) -> Result<Tested, Problem> {
    let kind = Shown::read(api::shown(market, person, name).await?)?.kind();
    let models = stored(market, person).await?;
    let mut targets = models
        .iter()
        .filter_map(|(called, model)| Some((called, leads_to(model, name)?)));
    let known = targets.find_map(|(called, target)| {
        let same = Some(called).filter(|called| !called.ends_with('*'));
        target.model.as_ref().or(same)
    });
    let named = Some(text(form, "model")).filter(|model| !model.is_empty());
    let model = named.or(known.map(String::as_str));
    if kind.wants_model && model.is_none() {
        return Ok(Tested {
            is_ok: true,
            text: language.say("providers-untested").into(),
            listed: Vec::new(),
        });
    }
    let asked = (model.filter(|_| kind.wants_model), Some(text(form, "key")));
    Ok(tested(market, person, (name, asked), language).await)
}

/// Makes a model of one of the provider's own. A new one does not take the place of one that there is.
async fn serve(
    market: &Market,
    person: &Person,
    (provider, model): (&str, &str),
    name: &str,
) -> Result<(), Problem> {
    let name = if name.is_empty() { model } else { name };
    models_api::make(market, person, name, (provider, Some(model))).await
}

/// Changes where a provider is: what the form does not show stays.
async fn edit(
    market: &Market,
    person: &Person,
    (name, form): (&str, &Entered),
) -> Result<(), Problem> {
    let store = &market.0.parts.publisher.store;
    let row = store.provider(person.organization(), name).await?;
    let row = row.ok_or_else(Problem::not_found)?;
    let settings: Value =
        serde_json::from_str(&row.settings).map_err(|error| Problem::internal(&error))?;
    let shown = Shown::read(api::shown(market, person, name).await?)?;
    let data = shown.data().ok_or_else(|| {
        let detail = json!(row.kind);
        Problem::new(
            ProblemKind::Conflict,
            format!("there is no kind {detail} any more"),
        )
    })?;
    let given = ProviderForm::entered(data, form).given(&row.kind, settings)?;
    api::keep(market, person, name, given).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(all: &[(&str, Value)]) -> Vec<(String, StoredModel)> {
        let models = all.iter().map(|(name, targets)| {
            let stored = json!({ "targets": targets });
            ((*name).to_owned(), serde_json::from_value(stored).unwrap())
        });
        models.collect()
    }

    #[test]
    fn a_name_is_shown_that_really_leads_to_the_provider() {
        let here = json!({ "provider": "here" });
        let late = json!({ "provider": "here", "tier": 1 });
        let spare = json!({ "provider": "here", "weight": 0 });
        let other = json!({ "provider": "other" });
        for (all, expected) in [
            (models(&[]), None),
            (models(&[("claude-*", json!([here]))]), None),
            (models(&[("late", json!([other, late]))]), Some("late")),
            (
                models(&[
                    ("late", json!([other, late])),
                    ("spare", json!([other, spare])),
                    ("first", json!([other, here])),
                ]),
                Some("first"),
            ),
        ] {
            assert_eq!(called(&all, "here"), expected);
        }
    }

    #[test]
    fn what_is_proposed_answers_chats_if_anything_does() {
        let listed = |names: &[&str]| -> Vec<String> {
            names.iter().map(|name| (*name).to_owned()).collect()
        };
        let some = listed(&["text-embedding-3", "Whisper-1", "gpt-5", "gpt-6"]);
        assert_eq!(proposed(&some).unwrap(), "gpt-5");
        assert_eq!(proposed(&some[..2]).unwrap(), "text-embedding-3");
        assert_eq!(proposed(&[]), None);
    }
}
