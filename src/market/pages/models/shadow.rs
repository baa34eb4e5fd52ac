//! The shadow of a model, as a form and in words.

use serde_json::{Value, json};

use crate::llm::live::StoredModel;
use crate::llm::route::Shadow;
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::models::canary::{first_of, hundredths, percent};
use crate::market::pages::models::edit::{set, whole};
use crate::market::pages::models::targets::{TargetRow, Whose, target};
use crate::market::pages::wrong::Wrong;

/// What is proposed where there is none yet.
const SHARE: &str = "5";
const CONCURRENCY: &str = "4";

/// The shadow as it stands in the form; without a provider it is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShadowForm {
    pub target: TargetRow,
    /// In percent.
    pub share: String,
    pub concurrency: String,
}

impl ShadowForm {
    pub fn of(model: &StoredModel) -> Self {
        match &model.settings.shadow {
            Some(shadow) => Self {
                target: TargetRow::of(0, &shadow.target),
                share: percent(shadow.share),
                concurrency: shadow.concurrency.to_string(),
            },
            None => Self {
                target: TargetRow::default(),
                share: SHARE.to_owned(),
                concurrency: CONCURRENCY.to_owned(),
            },
        }
    }

    pub fn entered(form: &Entered) -> Self {
        let text = |name: &str| entered(form, name).unwrap_or_default().trim().to_owned();
        let rows = TargetRow::entered(Whose::Shadow, form);
        Self {
            target: rows.into_iter().next().unwrap_or_default(),
            share: text("shadow-share"),
            concurrency: text("shadow-concurrency"),
        }
    }
}

/// Puts the shadow of the form in the place of the one that is stored, or takes that away.
///
/// # Errors
/// The field that cannot be read.
pub fn shadow(stored: &mut Value, form: &ShadowForm, language: Language) -> Result<(), Wrong> {
    if !form.target.is_target() {
        set(stored, "shadow", None);
        return Ok(());
    }
    let mut shadow = match &stored["shadow"] {
        Value::Object(members) => Value::Object(members.clone()),
        _ => json!({}),
    };
    let before = shadow.get("target").cloned();
    let target = target(before.as_ref(), &form.target).map_err(|(field, label)| {
        let label = language.say(label).to_string();
        let said = language.say("settings-want-whole").with("label", label);
        Whose::Shadow.wrong((0, field), said.into(), language)
    })?;
    shadow["target"] = target;
    let share = (form.share.as_str(), "shadow-share", "models-shadow-share");
    shadow["share"] = hundredths(share, language)?.unwrap_or_default().into();
    let concurrency = (
        form.concurrency.as_str(),
        "shadow-concurrency",
        "models-shadow-concurrency",
    );
    shadow["concurrency"] = whole(concurrency, language)?.into();
    stored["shadow"] = shadow;
    Ok(())
}

/// What a shadow gets, and where it is.
pub fn in_words(shadow: Option<&Shadow>, language: Language) -> Html {
    let Some(shadow) = shadow else {
        return language.say("models-shadow-none").into();
    };
    let to = first_of(std::slice::from_ref(&shadow.target), language);
    let said = language.say("models-shadow-is").with("to", to);
    said.with("share", percent(shadow.share)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_survives_its_form_and_goes_with_its_provider() {
        let stored = json!({
            "targets": [{ "provider": "a" }],
            "shadow": {
                "target": { "provider": "b", "model": "m", "weight": 2, "tier": 1 },
                "share": 1_050, "concurrency": 9,
            },
        });
        let model: StoredModel = serde_json::from_value(stored.clone()).unwrap();
        let said = in_words(model.settings.shadow.as_ref(), Language::English);
        assert_eq!(said.as_str(), "10.5 % of requests also to b/m");
        let mut again = stored.clone();
        let mut form = ShadowForm::of(&model);
        shadow(&mut again, &form, Language::English).unwrap();
        assert_eq!(again, stored);
        form.target.output = "long".to_owned();
        let wrong = shadow(&mut again, &form, Language::English).unwrap_err();
        assert!(wrong.is_at("shadow-output-0"), "{wrong:?}");
        form.target.provider.clear();
        shadow(&mut again, &form, Language::English).unwrap();
        assert_eq!(again, json!({ "targets": [{ "provider": "a" }] }));
    }
}
