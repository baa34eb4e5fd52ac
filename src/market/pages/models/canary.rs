//! The canary of a model as a form, in words, and beside the usual targets in figures.

use serde_json::{Value, json};

use crate::access::model_usage::By;
use crate::access::person::Person;
use crate::llm::canary::{Canary, Sticky};
use crate::llm::live::StoredModel;
use crate::llm::route::Target;
use crate::market::api::Market;
use crate::market::api::model_usage::{Asked, report};
use crate::market::api::usage::Names;
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::model_usage::ModelUsageTable;
use crate::market::pages::models::edit::{self, set};
use crate::market::pages::models::targets::{TargetRow, Whose, targets};
use crate::market::pages::settings::{decimal, fixed};
use crate::market::pages::wrong::Wrong;
use crate::problem::Problem;

/// Digits of a percentage: shares are stored in hundredths of a percent.
const DIGITS: usize = 2;
/// What is proposed where there is no canary yet.
const SHARE: &str = "5";
const CALLS: &str = "50";
const SECONDS: &str = "900";
/// How far back the arms are compared.
const COMPARED_HOURS: i64 = 24;
/// What stays with the arm it was sent to: as the API writes it, and in words.
pub const STICKY: [(&str, &str); 3] = [
    ("consumer", "models-sticky-consumer"),
    ("key", "models-sticky-key"),
    ("none", "models-sticky-none"),
];

/// The canary as it stands in the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CanaryForm {
    pub targets: Vec<TargetRow>,
    pub name: String,
    /// In percent.
    pub share: String,
    pub sticky: String,
    pub header: String,
    pub value: String,
    /// A name in each line.
    pub consumers: String,
    /// In percent; empty: it does not end by itself.
    pub errors: String,
    pub calls: String,
    pub seconds: String,
    pub is_paused: bool,
}

impl CanaryForm {
    pub fn of(model: &StoredModel) -> Self {
        let Some(canary) = &model.settings.canary else {
            return Self {
                targets: TargetRow::all(&[]),
                share: SHARE.to_owned(),
                sticky: STICKY[0].0.to_owned(),
                calls: CALLS.to_owned(),
                seconds: SECONDS.to_owned(),
                ..Self::default()
            };
        };
        let header = canary.header.clone();
        let (header, value) = header.map(|it| (it.name, it.value)).unwrap_or_default();
        let rule = canary.rollback;
        let number = |n: Option<u32>, usual: &str| n.map_or(usual.to_owned(), |n| n.to_string());
        Self {
            targets: TargetRow::all(&canary.targets),
            name: canary.name.clone(),
            share: percent(canary.share),
            sticky: json!(canary.sticky).as_str().unwrap_or_default().to_owned(),
            header,
            value,
            consumers: canary.consumers.join("\n"),
            errors: rule.map(|rule| percent(rule.errors)).unwrap_or_default(),
            calls: number(rule.map(|rule| rule.calls), CALLS),
            seconds: number(rule.map(|rule| rule.seconds), SECONDS),
            is_paused: canary.paused,
        }
    }

    pub fn entered(form: &Entered) -> Self {
        let text = |name: &str| {
            let text = entered(form, &format!("canary-{name}"));
            text.unwrap_or_default().trim().to_owned()
        };
        Self {
            targets: TargetRow::entered(Whose::Canary, form),
            name: text("name"),
            share: text("share"),
            sticky: text("sticky"),
            header: text("header"),
            value: text("value"),
            consumers: text("consumers"),
            errors: text("errors"),
            calls: text("calls"),
            seconds: text("seconds"),
            is_paused: entered(form, "canary-paused").is_some(),
        }
    }

    fn consumers(&self) -> Vec<&str> {
        // A name may have a comma in it.
        let names = self.consumers.lines().map(str::trim);
        names.filter(|name| !name.is_empty()).collect()
    }
}

/// Puts the canary of the form in the place of the one that is stored.
///
/// # Errors
/// The field that cannot be read.
pub fn canary(stored: &mut Value, form: &CanaryForm, language: Language) -> Result<(), Wrong> {
    let mut canary = match &stored["canary"] {
        Value::Object(members) => Value::Object(members.clone()),
        _ => json!({}),
    };
    targets(&mut canary, (Whose::Canary, &form.targets), language)?;
    let word = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    set(&mut canary, "name", word(&form.name).map(Value::from));
    let share = hundredths(
        (&form.share, "canary-share", "models-canary-share"),
        language,
    )?;
    set(&mut canary, "share", share.map(Value::from));
    set(&mut canary, "sticky", word(&form.sticky).map(Value::from));
    let has_header = !form.header.is_empty() || !form.value.is_empty();
    let header = has_header.then(|| json!({ "name": form.header, "value": form.value }));
    set(&mut canary, "header", header);
    let consumers = form.consumers();
    let named = Some(json!(consumers)).filter(|_| !consumers.is_empty());
    set(&mut canary, "consumers", named);
    set(&mut canary, "rollback", rollback(form, language)?);
    set(&mut canary, "paused", form.is_paused.then(|| true.into()));
    stored["canary"] = canary;
    Ok(())
}

fn rollback(form: &CanaryForm, language: Language) -> Result<Option<Value>, Wrong> {
    let errors = (
        form.errors.as_str(),
        "canary-errors",
        "models-canary-errors",
    );
    let Some(errors) = hundredths(errors, language)? else {
        return Ok(None);
    };
    let whole = |text: &str, field: &str, label: &str| match text {
        "" => Ok(None),
        text => edit::whole((text, field, label), language).map(Some),
    };
    let mut rule = json!({ "errors": errors });
    let calls = whole(&form.calls, "canary-calls", "models-canary-calls")?;
    set(&mut rule, "calls", calls.map(Value::from));
    let seconds = whole(&form.seconds, "canary-seconds", "models-canary-seconds")?;
    set(&mut rule, "seconds", seconds.map(Value::from));
    Ok(Some(rule))
}

/// Hundredths of a percent as a percentage.
pub fn percent(hundredths: u32) -> String {
    decimal(hundredths.into(), DIGITS)
}

/// The same back, of what was entered, in which field, and its label; `None`: nothing was.
///
/// # Errors
/// Where it is no percentage.
pub fn hundredths(
    (text, field, label): (&str, &str, &str),
    language: Language,
) -> Result<Option<u64>, Wrong> {
    let text = text.trim_end_matches(['%', '％']).trim_end();
    if text.is_empty() {
        return Ok(None);
    }
    let read = fixed(text, DIGITS).map(Some);
    read.ok_or_else(|| {
        let label = language.say(label).to_string();
        let said = language.say("models-want-percent").with("label", label);
        Wrong::at(field, said.into())
    })
}

/// A target as it is called: the first of some, and how many more there are.
pub fn first_of(targets: &[Target], language: Language) -> Html {
    let name = targets.first().map_or_else(String::new, |target| {
        let model = target.model.as_deref().unwrap_or("*");
        format!("{}/{model}", target.provider)
    });
    match targets.len() {
        0 | 1 => Html::from(name.as_str()),
        many => {
            let said = language.say("models-and-more").with("name", name);
            said.with("count", many - 1).into()
        }
    }
}

/// Who is sent to the canary, and where that is.
pub fn in_words(canary: Option<&Canary>, language: Language) -> Html {
    let Some(canary) = canary else {
        return language.say("models-canary-none").into();
    };
    let to = first_of(&canary.targets, language);
    if canary.paused {
        return language.say("models-canary-paused").with("to", to).into();
    }
    let said = language.say("models-canary-is").with("to", to);
    said.with("who", who(canary, language)).into()
}

/// Who is sent to a canary that is not paused.
pub fn who(canary: &Canary, language: Language) -> Html {
    let mut who = Vec::new();
    if canary.share > 0 {
        let said = language.say(match canary.sticky {
            Sticky::None => "models-canary-of-requests",
            Sticky::Consumer | Sticky::Key => "models-canary-of-callers",
        });
        who.push(said.with("share", percent(canary.share)).to_string());
    }
    if let Some(header) = &canary.header {
        let said = language.say("models-canary-of-header");
        who.push(said.with("name", &header.name).to_string());
    }
    if !canary.consumers.is_empty() {
        let said = language.say("models-canary-of-consumers");
        who.push(said.with("count", canary.consumers.len()).to_string());
    }
    if who.is_empty() {
        who.push(language.say("models-canary-of-nobody").to_string());
    }
    // Each is a message, whose arguments are escaped.
    Html::trusted(who.join(language.comma()))
}

/// The arms of a model's last day, in figures; rows that are none of an arm are left out.
///
/// # Errors
/// Where the figures cannot be read.
pub(super) async fn arms(
    market: &Market,
    person: &Person,
    name: &str,
) -> Result<ModelUsageTable, Problem> {
    let now = market.0.parts.publisher.clock.now();
    let asked = Asked {
        from: Some(now - chrono::TimeDelta::hours(COMPARED_HOURS)),
        to: Some(now),
        model: Some(name.to_owned()),
        ..Asked::default()
    };
    let report = report(market, person, &asked, &[By::Arm]).await?;
    let mut table = ModelUsageTable::of(&report, By::Arm, &Names::default());
    table.rows.retain(|row| row.name.is_some());
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Value {
        json!({
            "targets": [{ "provider": "a" }],
            "canary": {
                "name": "sonnet",
                "targets": [
                    { "provider": "b", "model": "m", "weight": 1, "tier": 0 },
                    { "provider": "c", "weight": 1, "tier": 1, "onlyOn": ["timeout"] },
                ],
                "share": 550, "sticky": "key", "header": { "name": "x-try", "value": "new" },
                "consumers": ["one", "Doe, Jane，开发"], "rollback": { "errors": 1, "calls": 7, "seconds": 60 }, "paused": true,
            },
        })
    }

    fn read(stored: &Value) -> StoredModel {
        serde_json::from_value(stored.clone()).unwrap()
    }

    #[test]
    fn a_canary_survives_its_form() {
        let mut again = stored();
        let form = CanaryForm::of(&read(&again));
        assert_eq!((&*form.share, &*form.errors), ("5.5", "0.01"));
        canary(&mut again, &form, Language::English).unwrap();
        assert_eq!(again, stored());
        // What a later version has stays.
        again["canary"]["later"] = 1.into();
        canary(&mut again, &form, Language::English).unwrap();
        assert_eq!(again["canary"]["later"], 1);
    }

    #[test]
    fn what_is_left_empty_is_not_there() {
        let mut again = stored();
        let form = CanaryForm {
            targets: CanaryForm::of(&read(&again)).targets,
            ..CanaryForm::default()
        };
        canary(&mut again, &form, Language::English).unwrap();
        let expected = json!({ "targets": stored()["canary"]["targets"] });
        assert_eq!(again["canary"], expected);
    }

    #[test]
    fn the_field_that_is_no_number_is_named() {
        for (field, change) in [
            (
                "share",
                (|it| it.share = "many".to_owned()) as fn(&mut CanaryForm),
            ),
            ("errors", |it| it.errors = "0.001".to_owned()),
            ("calls", |it| it.calls = "1.5".to_owned()),
            ("seconds", |it| it.seconds = "x".to_owned()),
        ] {
            let mut again = stored();
            let mut form = CanaryForm::of(&read(&again));
            change(&mut form);
            let wrong = canary(&mut again, &form, Language::English).unwrap_err();
            assert!(
                wrong.is_at(&format!("canary-{field}")),
                "{field}: {wrong:?}"
            );
            assert_eq!(again, stored(), "{field}");
        }
        let mut again = stored();
        let mut form = CanaryForm::of(&read(&again));
        form.share = "12 %".to_owned();
        canary(&mut again, &form, Language::English).unwrap();
        assert_eq!(again["canary"]["share"], 1_200);
    }

    #[test]
    fn its_state_is_told_in_words() {
        let said = |stored: &Value| {
            let model = read(stored);
            in_words(model.settings.canary.as_ref(), Language::English)
                .as_str()
                .to_owned()
        };
        let mut model = stored();
        assert_eq!(said(&model), "Paused: nobody is sent to b/m and 1 more");
        model["canary"]["paused"] = false.into();
        assert_eq!(
            said(&model),
            "To b/m and 1 more: 5.5 % of callers, requests with x-try, 2 consumers"
        );
        model["canary"] = json!({ "targets": [{ "provider": "b" }] });
        assert_eq!(said(&model), "To b/*: nobody yet");
        model["canary"] = Value::Null;
        assert_eq!(said(&model), "No canary");
    }
}
