//! What is stored of a model, changed by one of the forms of its page: what a form does not show stays as it is.

use serde_json::{Map, Value, json};

use crate::access::limit::Limit;
use crate::llm::live::StoredModel;
use crate::llm::route::FallbackOn;
use crate::market::language::Language;
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::settings::{decimal, fixed};
use crate::market::pages::wrong::Wrong;

/// What sends a request on, as the API writes it, and its message.
pub const FALLBACKS: [(FallbackOn, &str, &str); 7] = [
    (FallbackOn::RateLimit, "rate_limit", "models-on-rate-limit"),
    (
        FallbackOn::ServerError,
        "server_error",
        "models-on-server-error",
    ),
    (FallbackOn::Timeout, "timeout", "models-on-timeout"),
    (FallbackOn::Stall, "stall", "models-on-stall"),
    (
        FallbackOn::ContextLength,
        "context_length",
        "models-on-context-length",
    ),
    (FallbackOn::Credential, "credential", "models-on-credential"),
    (
        FallbackOn::ContentPolicy,
        "content_policy",
        "models-on-content-policy",
    ),
];
/// What limits of a model count, and what they tell apart: the words of servers do not fit.
pub const UNITS: [(&str, &str); 4] = [
    ("requests", "models-requests"),
    ("tokens", "models-tokens"),
    ("money", "limits-money"),
    ("concurrency", "models-concurrency"),
];
pub const SCOPES: [(&str, &str); 5] = [
    ("server", "models-everybody"),
    ("consumer", "limits-consumer"),
    ("user", "limits-user"),
    ("key", "limits-key"),
    ("address", "limits-address"),
];

/// The message of one of these, as it stands in a sentence.
fn word(all: &[(&str, &'static str)], value: &str) -> &'static str {
    let found = all.iter().find(|(known, _)| *known == value);
    found.map_or("", |(_, key)| *key)
}

/// So many of a unit, in a sentence.
const COUNTED: [(&str, &str); 4] = [
    ("requests", "models-some-requests"),
    ("tokens", "models-some-tokens"),
    ("money", "limits-some-money"),
    ("concurrency", "models-some-concurrency"),
];

/// What they tell apart, in a sentence.
const OF: [(&str, &str); 5] = [
    ("server", "models-of-all"),
    ("consumer", "models-of-consumer"),
    ("user", "models-of-user"),
    ("key", "models-of-key"),
    ("address", "models-of-address"),
];

/// The message of what a limit tells apart.
pub fn told_apart(scope: &str) -> &'static str {
    word(&OF, scope)
}

/// The message of so many of a unit.
pub fn counted(unit: &str) -> &'static str {
    word(&COUNTED, unit)
}

/// Puts a member in the place of the one there is, or takes it away.
pub(super) fn set(object: &mut Value, name: &str, value: Option<Value>) {
    match (object.as_object_mut(), value) {
        (Some(members), Some(value)) => {
            members.insert(name.to_owned(), value);
        }
        (Some(members), None) => {
            members.remove(name);
        }
        _ => {}
    }
}

/// Puts limits, and what takes over once they are used up, in the place of those that are stored.
pub fn limits(stored: &mut Value, limits: &[Limit], exhaust: &str) {
    set(
        stored,
        "limits",
        Some(json!(limits)).filter(|_| !limits.is_empty()),
    );
    let exhaust = Some(exhaust).filter(|name| !name.is_empty());
    match (exhaust, stored.get_mut("onExhaust")) {
        (Some(name), Some(Value::Object(there))) => {
            there.insert("downgrade".to_owned(), name.into());
        }
        (exhaust, _) => {
            let exhaust = exhaust.map(|name| json!({ "downgrade": name }));
            set(stored, "onExhaust", exhaust);
        }
    }
}

/// What is done where a target fails, as the form has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultForm {
    pub retries: String,
    /// Those that are chosen, as the API writes them.
    pub fallbacks: Vec<String>,
    /// In seconds.
    pub first_byte: String,
    pub idle: String,
    pub total: String,
    pub on_disconnect: String,
    pub on_loss: String,
}

/// The times of the form: its field, the API's, and the label.
const TIMES: [(&str, &str, &str); 3] = [
    ("firstByte", "firstByteMs", "models-first-byte"),
    ("idle", "idleMs", "models-idle"),
    ("total", "totalMs", "models-total"),
];

impl FaultForm {
    pub fn of(model: &StoredModel) -> Self {
        let settings = &model.settings;
        let usual = |class: FallbackOn| class != FallbackOn::ContentPolicy;
        let chosen = FALLBACKS.iter().filter(|(class, ..)| {
            let listed = settings.fallback_on.as_ref();
            listed.map_or_else(|| usual(*class), |listed| listed.contains(class))
        });
        let times = settings.times;
        let word = |value: Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            retries: settings.retries.to_string(),
            fallbacks: chosen.map(|(_, word, _)| (*word).to_owned()).collect(),
            first_byte: decimal(times.first_byte_ms, 3),
            idle: decimal(times.idle_ms, 3),
            total: decimal(times.total_ms, 3),
            on_disconnect: word(json!(settings.on_disconnect)),
            on_loss: word(json!(settings.on_loss)),
        }
    }

    pub fn entered(form: &Entered) -> Self {
        let text = |name: &str| entered(form, name).unwrap_or_default().trim().to_owned();
        let chosen = form.iter().filter(|(name, _)| name == "fallback");
        Self {
            retries: text("retries"),
            fallbacks: chosen.map(|(_, word)| word.clone()).collect(),
            first_byte: text("firstByte"),
            idle: text("idle"),
            total: text("total"),
            on_disconnect: text("onDisconnect"),
            on_loss: text("onLoss"),
        }
    }

    pub fn falls_back_on(&self, word: &str) -> bool {
        self.fallbacks.iter().any(|chosen| chosen == word)
    }
}

/// Puts what is done where a target fails in the place of what is stored.
///
/// # Errors
/// The field that cannot be read.
pub fn faults(stored: &mut Value, form: &FaultForm, language: Language) -> Result<(), Wrong> {
    let retries = whole((&form.retries, "retries", "models-retries"), language)?;
    stored["retries"] = retries.into();
    let mut times = stored["times"]
        .as_object()
        .cloned()
        .unwrap_or_else(Map::new);
    let entered = [&form.first_byte, &form.idle, &form.total];
    for ((field, name, label), text) in TIMES.iter().zip(entered) {
        let ms = fixed(text, 3).ok_or_else(|| {
            let label = language.say(label).to_string();
            let said = language.say("settings-want-seconds").with("label", label);
            Wrong::at(*field, said.into())
        })?;
        times.insert((*name).to_owned(), ms.into());
    }
    stored["times"] = times.into();
    // The usual ones are those that are told apart by nobody having chosen.
    let chosen = FALLBACKS
        .iter()
        .filter(|(_, word, _)| form.falls_back_on(word));
    let chosen: Vec<&str> = chosen.map(|(_, word, _)| *word).collect();
    let usual = FALLBACKS
        .iter()
        .map(|(_, word, _)| *word)
        .filter(|word| *word != "content_policy");
    let is_usual = chosen.iter().copied().eq(usual);
    set(
        stored,
        "fallbackOn",
        Some(json!(chosen)).filter(|_| !is_usual),
    );
    stored["onDisconnect"] = form.on_disconnect.as_str().into();
    stored["onLoss"] = form.on_loss.as_str().into();
    Ok(())
}

/// A whole number of a form: what was entered, in which field, and its label.
///
/// # Errors
/// Where it is none.
pub(super) fn whole(
    (text, field, label): (&str, &str, &str),
    language: Language,
) -> Result<u64, Wrong> {
    text.parse().map_err(|_| {
        let label = language.say(label).to_string();
        let said = language.say("settings-want-whole").with("label", label);
        Wrong::at(field, said.into())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::pages::models::targets::{TargetRow, Whose, targets};

    fn stored() -> Value {
        json!({
            "targets": [
                { "provider": "groq", "model": "llama", "weight": 9, "later": { "a": 1 } },
                { "provider": "openai", "tier": 1, "maxOutputTokens": 100 },
            ],
            "retries": 2,
            "times": { "idleMs": 1500, "later": 7 },
            "onExhaust": { "downgrade": "cheap", "later": true },
            "later": ["kept"],
        })
    }

    fn row(at: &str, provider: &str) -> TargetRow {
        TargetRow {
            at: at.to_owned(),
            provider: provider.to_owned(),
            ..TargetRow::default()
        }
    }

    #[test]
    fn what_the_form_does_not_show_stays() {
        let mut model = stored();
        let mut rows = vec![row("1", "openai"), row("0", "together"), row("", "")];
        rows[1].model = "llama".to_owned();
        rows[1].weight = "3".to_owned();
        targets(&mut model, (Whose::Model, &rows), Language::English).unwrap();
        limits(&mut model, &[], "dear");
        let mut expected = stored();
        expected["targets"] = json!([
            { "provider": "openai", "weight": 1, "tier": 0 },
            { "provider": "together", "model": "llama", "weight": 3, "tier": 0, "later": { "a": 1 } },
        ]);
        expected["onExhaust"]["downgrade"] = "dear".into();
        assert_eq!(model, expected);
        let form = FaultForm {
            retries: "0".to_owned(),
            fallbacks: vec!["timeout".to_owned()],
            first_byte: "0.5".to_owned(),
            idle: "60".to_owned(),
            total: "600".to_owned(),
            on_disconnect: "drain".to_owned(),
            on_loss: "drop".to_owned(),
        };
        faults(&mut model, &form, Language::English).unwrap();
        let times = json!({ "firstByteMs": 500, "idleMs": 60000, "totalMs": 600_000, "later": 7 });
        assert_eq!(model["times"], times);
        assert_eq!(model["fallbackOn"], json!(["timeout"]));
        assert_eq!(model["later"], json!(["kept"]));
        limits(&mut model, &[], "");
        assert_eq!(model.get("onExhaust"), None);
    }

    #[test]
    fn a_model_survives_its_forms() {
        let settings = json!({
            "targets": [
                { "provider": "groq", "model": "llama", "weight": 9 },
                { "provider": "openai", "tier": 1, "maxOutputTokens": 100 },
            ],
            "retries": 2, "fallbackOn": ["timeout", "content_policy"], "onDisconnect": "drain",
        });
        let read = |value: &Value| serde_json::from_value::<StoredModel>(value.clone()).unwrap();
        let model = read(&settings);
        let mut again = settings.clone();
        let rows = TargetRow::all(&model.settings.targets);
        targets(&mut again, (Whose::Model, &rows), Language::English).unwrap();
        faults(&mut again, &FaultForm::of(&model), Language::English).unwrap();
        assert_eq!(read(&again), model);
        // What nobody chose stays what nobody chose.
        let plain = read(&json!({ "targets": [{ "provider": "a" }] }));
        let mut again = json!({ "targets": [{ "provider": "a" }] });
        faults(&mut again, &FaultForm::of(&plain), Language::English).unwrap();
        assert_eq!(read(&again), plain);
    }
}
