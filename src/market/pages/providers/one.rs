//! The page of one provider: its keys, whether it answers, how it is asked, where it is.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde_json::Value;

use crate::access::person::Person;
use crate::extract::{Path, Visitor};
use crate::llm::live::StoredModel;
use crate::llm::route::Target;
use crate::market::api::{Market, providers as api};
use crate::market::language::{Html, Language};
use crate::market::pages::Frame;
use crate::market::pages::consumers::segment;
use crate::market::pages::models::stored;
use crate::market::pages::providers::care::{CareForm, Doing, OpenForm, in_words};
use crate::market::pages::providers::form::ProviderForm;
use crate::market::pages::providers::snippets::{Snippet, snippets};
use crate::market::pages::providers::{KeyView, KindView, Shown};
use crate::market::pages::routes::{Fields, answered, frame, reader};
use crate::market::pages::settings::labelled;
use crate::market::pages::told::Told;
use crate::market::pages::wrong::Wrong;
use crate::problem::Problem;

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
    /// What the forms of its settings were made from.
    pub revision: String,
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
    /// How it is doing, how it is looked after, and what of it is open to callers.
    pub doing: Doing,
    pub care: CareForm,
    pub care_now: Html,
    pub open: OpenForm,
    pub open_now: &'static str,
    /// The field that was refused.
    pub wrong: Wrong,
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

pub(super) async fn template(
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
    let frame = frame(market, headers, "providers");
    let language = frame.language;
    let settings = shown.settings();
    let form = shown.data().map_or_else(ProviderForm::unknown, |data| {
        ProviderForm::stored((data, language), &settings)
    });
    let (kind, keys) = (shown.kind(language), shown.keys());
    let called = called(&leading, name).filter(|_| kind.chats);
    Ok(ProviderPage {
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
        revision: shown.revision(),
        name: shown.name,
        origin: shown.origin,
        doing: Doing::of(shown.state.as_ref(), language),
        care: CareForm::of(&settings),
        care_now: in_words(&settings, language),
        open: OpenForm::of(&settings),
        open_now: OpenForm::of(&settings).in_words(),
        wrong: Wrong::default(),
        kind,
        keys,
        form,
        frame,
    })
}

pub(super) fn usage(market: &Market, headers: &Visitor, model: &str) -> Usage {
    let url = market.0.parts.address.asked_by(headers);
    Usage {
        model: model.to_owned(),
        snippets: snippets(&url, model),
    }
}

/// The first target of a model that is at a provider.
pub(super) fn leads_to<'m>(model: &'m StoredModel, provider: &str) -> Option<&'m Target> {
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
pub(super) fn proposed(listed: &[String]) -> Option<&String> {
    let chats = |name: &&String| {
        let name = name.to_lowercase();
        !NO_CHAT.iter().any(|part| name.contains(part))
    };
    listed.iter().find(chats).or_else(|| listed.first())
}

/// What a provider said to its key.
pub(super) struct Tested {
    pub(super) is_ok: bool,
    pub(super) text: Html,
    pub(super) listed: Vec<String>,
    /// What to do about its address, which has to be allowed first.
    pub(super) allow: Option<Html>,
}

pub(super) async fn tested(
    market: &Market,
    person: &Person,
    (name, asked): (&str, (Option<&str>, Option<&str>)),
    language: Language,
) -> Tested {
    let failed = |text: Html| Tested {
        is_ok: false,
        text,
        listed: Vec::new(),
        allow: None,
    };
    let answer = match api::tested(market, person, name, asked).await {
        Ok(answer) => answer,
        Err(problem) => return failed(labelled(&problem, language)),
    };
    if answer["ok"] != true {
        return Tested {
            allow: answer["allowUpstream"].as_str().map(|rule| {
                let said = language.say("providers-refused-here");
                said.with("rule", rule).into()
            }),
            ..failed(why(&answer, language))
        };
    }
    let listed: Vec<String> = serde_json::from_value(answer["models"].clone()).unwrap_or_default();
    let milliseconds = answer["milliseconds"].as_u64().unwrap_or_default();
    let said = if listed.is_empty() {
        language.say("providers-answered")
    } else {
        let said = language.say("providers-listed");
        said.with("count", listed.len())
    };
    Tested {
        is_ok: true,
        text: said.with("milliseconds", milliseconds).into(),
        listed,
        allow: None,
    }
}

/// Why a provider did not answer: of what the network says, in our words, and of what the provider says, in its own.
fn why(answer: &Value, language: Language) -> Html {
    let rule = answer["allowUpstream"].as_str();
    let key = match answer["cause"].as_str() {
        Some("refused") if rule.is_some() => {
            let said = language.say("providers-refused");
            let label = language.say("label-allow-upstream").to_string();
            let said = said.with("label", label);
            return said.with("rule", rule.unwrap_or_default()).into();
        }
        Some("unresolved") => "providers-unresolved",
        Some("unreachable") => "providers-unreachable",
        Some("timeout") => "providers-timed-out",
        _ => "providers-failed",
    };
    let message = answer["message"].as_str().unwrap_or_default();
    language.say(key).with("message", message).into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
