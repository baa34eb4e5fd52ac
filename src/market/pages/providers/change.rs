//! What the forms of a provider's page do: each changes its own part of what is stored, and the rest stays.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use crate::access::person::Person;
use crate::extract::{Path, Visitor};
use crate::llm::route::REST;
use crate::market::api::models::{Unkept, make};
use crate::market::api::providers::key::is_name;
use crate::market::api::{Market, providers as api};
use crate::market::language::Language;
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::failure::Refusal;
use crate::market::pages::models::refusal::of_new;
use crate::market::pages::models::stored;
use crate::market::pages::providers::Shown;
use crate::market::pages::providers::care::{CareForm, OpenForm, care};
use crate::market::pages::providers::form::{ALLOW, ProviderForm, checked, given, text};
use crate::market::pages::providers::one::{
    ProviderPage, Tested, leads_to, proposed, template, tested, usage,
};
use crate::market::pages::routes::{answered, to};
use crate::market::pages::submitted::Submitted;
use crate::market::pages::told::Told;
use crate::market::pages::wrong::{Refused, Wrong};
use crate::problem::{Problem, ProblemKind};
use crate::store::StoreError;
use crate::store::models::InsteadOf;

/// What a form came to.
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
        "care" => "care",
        "open" => "open",
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
        Err(refusal) => Err(refusal.or_stale("providers-stale", language)),
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
        if let Some(why) = tested.allow {
            self.wrong = Wrong::at(ALLOW, why);
        }
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
        let why = refusal.said(self.frame.language);
        self.told = Some(Told::refused(part(done), why));
        self.wrong = refusal.wrong();
        // Whoever was told that something else is stored by now goes on from that.
        let is_stale = refusal.status() == StatusCode::PRECONDITION_FAILED;
        if matches!(done, "settings" | "care" | "open") && !is_stale {
            text(form, "revision").clone_into(&mut self.revision);
        }
        match done {
            "key" => text(form, "key").clone_into(&mut self.key_name),
            "test" => text(form, "model").clone_into(&mut self.test_model),
            "serve" => {
                text(form, "model").clone_into(&mut self.offer.model);
                text(form, "name").clone_into(&mut self.offer.name);
            }
            "settings" => self.form.enter(form),
            "care" => self.care = CareForm::entered(form),
            "open" => self.open = OpenForm::entered(form),
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
            check_key_name(text(form, "key"), language)?;
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
            serve(market, person, (name, model), called)
                .await
                .map_err(|unkept| {
                    let (kind, said) = of_new(unkept, language);
                    Refusal::Page(kind.status(), said)
                })?;
            Ok(Came::To(here("model-made")))
        }
        "settings" | "care" | "open" => {
            edit(market, person, (name, form), language).await?;
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

/// Whether a key may be called so, by the rule of the management API.
fn check_key_name(name: &str, language: Language) -> Result<(), Refused> {
    if is_name(name) {
        return Ok(());
    }
    let said = language.say("models-refused");
    let said = said.with("label", language.say("providers-key-name").to_string());
    let said = said.with("why", language.say("providers-rule-key-name"));
    Err(Refused::at("key", said.into()))
}

/// What the provider says to one of its keys: for the list of its models, or, where it has none, for one that is
/// known of it.
async fn tried(
    market: &Market,
    person: &Person,
    (name, form): (&str, &Entered),
    language: Language,
) -> Result<Tested, Problem> {
    let kind = Shown::read(api::shown(market, person, name).await?)?.kind(language);
    let models = stored(market, person).await?;
    let mut targets = models
        .iter()
        .filter_map(|(called, model)| Some((called, leads_to(model, name)?)));
    let known = targets.find_map(|(called, target)| {
        let same = Some(called).filter(|called| !called.ends_with('*'));
        let named = target.model.as_ref().filter(|model| *model != REST);
        named.or(same)
    });
    let named = Some(text(form, "model")).filter(|model| !model.is_empty());
    let model = named.or(known.map(String::as_str));
    if kind.wants_model && model.is_none() {
        return Ok(Tested {
            is_ok: true,
            text: language.say("providers-untested").into(),
            listed: Vec::new(),
            allow: None,
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
) -> Result<(), Unkept> {
    let name = if name.is_empty() { model } else { name };
    make(market, person, name, (provider, Some(model))).await
}

/// Changes what one of the forms says of a provider: what it does not show stays.
async fn edit(
    market: &Market,
    person: &Person,
    (name, form): (&str, &Entered),
    language: Language,
) -> Result<(), Refusal> {
    let store = &market.0.parts.publisher.store;
    let row = store.provider(person.organization(), name).await;
    let row = row.map_err(Problem::from)?.ok_or_else(Problem::not_found)?;
    if text(form, "revision") != row.updated_at.to_string() {
        return Err(Problem::from(StoreError::Stale).into());
    }
    let mut settings: Value =
        serde_json::from_str(&row.settings).map_err(|error| Problem::internal(&error))?;
    let given = match text(form, "do") {
        "care" => {
            care(&mut settings, &CareForm::entered(form), language)?;
            given(&row.kind, settings)?
        }
        "open" => {
            OpenForm::entered(form).put(&mut settings);
            given(&row.kind, settings)?
        }
        _ => {
            let shown = Shown::read(api::shown(market, person, name).await?)?;
            let data = shown.data().ok_or_else(|| {
                let detail = format!("there is no kind {} any more", json!(row.kind));
                Problem::new(ProblemKind::Conflict, detail)
            })?;
            let entered = ProviderForm::entered((data, language), form);
            entered.given(&row.kind, settings)?
        }
    };
    let given = checked(given, language)?;
    Ok(api::keep(
        market,
        person,
        (name, InsteadOf::StoredAt(row.updated_at)),
        given,
    )
    .await?)
}
