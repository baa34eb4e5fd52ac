//! How requests are spread over the targets of a tier, as a form, and what else there is to say of a model.

use serde_json::{Value, json};

use crate::llm::live::StoredModel;
use crate::llm::names::REGEX;
use crate::llm::strategy::Strategy;
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::models::edit::{set, whole};
use crate::market::pages::wrong::Wrong;

/// The strategies: as the API writes them, in words, and what each does.
pub const STRATEGIES: [(Strategy, &str, &str, &str); 4] = [
    (
        Strategy::Weighted,
        "weighted",
        "models-weighted",
        "models-weighted-help",
    ),
    (
        Strategy::LeastBusy,
        "least-busy",
        "models-least-busy",
        "models-least-busy-help",
    ),
    (
        Strategy::Latency,
        "latency",
        "models-latency",
        "models-latency-help",
    ),
    (
        Strategy::PrefixAffinity,
        "prefix-affinity",
        "models-prefix-affinity",
        "models-prefix-affinity-help",
    ),
];

/// The message of a strategy.
pub fn in_words(strategy: Strategy) -> &'static str {
    let known = STRATEGIES.iter().find(|(known, ..)| *known == strategy);
    known.map_or("models-weighted", |(_, _, key, _)| key)
}

/// Which target is asked first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpreadForm {
    /// As the API writes it.
    pub strategy: String,
    /// For how many seconds it is remembered who was asked what.
    pub ttl: String,
}

impl SpreadForm {
    pub fn of(model: &StoredModel) -> Self {
        let word = json!(model.settings.strategy);
        Self {
            strategy: word.as_str().unwrap_or_default().to_owned(),
            ttl: model.settings.affinity_ttl_seconds.to_string(),
        }
    }

    pub fn entered(form: &Entered) -> Self {
        let text = |name: &str| entered(form, name).unwrap_or_default().trim().to_owned();
        Self {
            strategy: text("strategy"),
            ttl: text("ttl"),
        }
    }
}

/// Puts how requests are spread in the place of what is stored.
///
/// # Errors
/// The field that cannot be read.
pub fn spread(stored: &mut Value, form: &SpreadForm, language: Language) -> Result<(), Wrong> {
    let ttl = whole((&form.ttl, "ttl", "models-ttl"), language)?;
    stored["affinityTtlSeconds"] = ttl.into();
    stored["strategy"] = form.strategy.as_str().into();
    Ok(())
}

/// What is left: when an expression is tried, and whether bodies are logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherForm {
    /// The name is a regular expression, whose rank counts.
    pub is_expression: bool,
    pub rank: String,
    pub logs_bodies: bool,
}

impl OtherForm {
    pub fn of(name: &str, model: &StoredModel) -> Self {
        Self {
            is_expression: name.starts_with(REGEX),
            rank: model.settings.rank.to_string(),
            logs_bodies: model.log_bodies,
        }
    }

    /// What was entered; a name that is no expression has no field for its rank.
    pub fn enter(&mut self, form: &Entered) {
        if let Some(rank) = entered(form, "rank") {
            rank.trim().clone_into(&mut self.rank);
        }
        self.logs_bodies = entered(form, "logBodies").is_some();
    }

    /// What there is, in words.
    pub fn words(&self, language: Language) -> Html {
        let key = if self.logs_bodies {
            "models-logged"
        } else {
            "models-not-logged"
        };
        let logged = language.say(key);
        if !self.is_expression {
            return logged.into();
        }
        let said = language.say("models-ranked").with("rank", &self.rank);
        said.with("logged", logged).into()
    }
}

/// Puts what is left in the place of what is stored.
///
/// # Errors
/// The field that cannot be read.
pub fn others(stored: &mut Value, form: &OtherForm, language: Language) -> Result<(), Wrong> {
    if form.is_expression {
        stored["rank"] = whole((&form.rank, "rank", "models-rank"), language)?.into();
    }
    set(stored, "logBodies", form.logs_bodies.then(|| true.into()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_survives_these_forms() {
        let settings = json!({
            "targets": [{ "provider": "a" }], "strategy": "prefix-affinity", "affinityTtlSeconds": 60, "rank": 3,
            "logBodies": true, "later": 1,
        });
        let mut known = settings.clone();
        known.as_object_mut().unwrap().remove("later");
        let model: StoredModel = serde_json::from_value(known).unwrap();
        let mut again = settings.clone();
        spread(&mut again, &SpreadForm::of(&model), Language::English).unwrap();
        let form = OtherForm::of("re:a.*", &model);
        others(&mut again, &form, Language::English).unwrap();
        assert_eq!(again, settings);
        assert_eq!(in_words(model.settings.strategy), "models-prefix-affinity");
        let mut form = OtherForm::of("plain", &model);
        form.enter(&vec![("rank".to_owned(), "x".to_owned())]);
        others(&mut again, &form, Language::English).unwrap();
        assert_eq!((&again["rank"], again.get("logBodies")), (&json!(3), None));
    }
}
