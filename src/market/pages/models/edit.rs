//! What is stored of a model, changed by one of the forms of its page: what a form does not show stays as it is.

use serde_json::{Map, Value, json};

use crate::access::limit::Limit;
use crate::llm::live::StoredModel;
use crate::llm::route::FallbackOn;
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::settings::{decimal, fixed, labelled};
use crate::problem::Problem;

/// Rows of the form; a model has no more targets.
const ROWS_MAX: usize = 32;
/// Rows without a target that are there to be filled in.
const FREE_ROWS: usize = 2;

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

/// A target as it stands in the form; without a provider it is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetRow {
    /// Which of the stored ones it is; empty: a new one.
    pub at: String,
    pub provider: String,
    pub model: String,
    pub weight: String,
    pub tier: String,
    pub output: String,
    /// The field that was refused.
    pub wrong: &'static str,
}

impl TargetRow {
    /// Targets there are, and rows for more.
    pub fn all(model: &StoredModel) -> Vec<Self> {
        let targets = model.settings.targets.iter().enumerate();
        let mut rows: Vec<Self> = targets
            .map(|(place, target)| Self {
                at: place.to_string(),
                provider: target.provider.clone(),
                model: target.model.clone().unwrap_or_default(),
                weight: target.weight.to_string(),
                tier: target.tier.to_string(),
                output: target
                    .max_output_tokens
                    .map(|most| most.to_string())
                    .unwrap_or_default(),
                wrong: "",
            })
            .collect();
        let length = ROWS_MAX.min(rows.len() + FREE_ROWS).max(rows.len());
        rows.resize(length, Self::default());
        rows
    }

    /// The rows of a form, as they were entered.
    pub fn entered(form: &Entered) -> Vec<Self> {
        let rows = (0..ROWS_MAX).map_while(|row| {
            let text = |name: &str| entered(form, &format!("{name}-{row}"));
            let line = |name: &str| text(name).unwrap_or_default().trim().to_owned();
            Some(Self {
                at: line("at"),
                provider: text("provider")?.to_owned(),
                model: line("model"),
                weight: line("weight"),
                tier: line("tier"),
                output: line("output"),
                wrong: "",
            })
        });
        rows.collect()
    }

    fn is_target(&self) -> bool {
        !self.provider.is_empty()
    }
}

/// The fields of a target: the API's names of them, the form's, and their labels.
const FIELDS: [(&str, &str, &str); 5] = [
    ("provider", "provider", "models-provider"),
    ("model", "model", "models-model"),
    ("weight", "weight", "models-weight"),
    ("tier", "tier", "models-tier"),
    ("maxOutputTokens", "output", "models-output"),
];

/// Which row was refused, by which field, and why.
pub type Refused = (usize, &'static str, Html);

fn in_row(row: usize, why: Html, language: Language) -> Html {
    let said = language.say("limits-row").with("row", row + 1);
    said.with("why", why).into()
}

/// Puts the targets of the rows in the place of those that are stored.
///
/// # Errors
/// The row and field that cannot be read.
pub fn targets(stored: &mut Value, rows: &[TargetRow], language: Language) -> Result<(), Refused> {
    let mut targets = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        if !row.is_target() {
            if row.at.is_empty() && !row.model.is_empty() {
                let why = language.say("models-wants-provider").into();
                return Err((place, "provider", in_row(place, why, language)));
            }
            continue;
        }
        targets.push(target(stored, row).map_err(|(field, label)| {
            let label = language.say(label).to_string();
            let said = language.say("settings-want-whole").with("label", label);
            (place, field, in_row(place, said.into(), language))
        })?);
    }
    stored["targets"] = targets.into();
    Ok(())
}

/// A target of a row: the stored one it was, with what the row says in its place.
fn target(stored: &Value, row: &TargetRow) -> Result<Value, (&'static str, &'static str)> {
    let place = row.at.parse::<usize>().ok();
    let before = place.and_then(|place| stored["targets"].get(place));
    let mut target = before.cloned().unwrap_or_else(|| json!({}));
    let number = |text: &str, usual: u32, field: (&'static str, &'static str)| match text {
        "" => Ok(usual),
        text => text.parse::<u32>().map_err(|_| field),
    };
    target["provider"] = row.provider.as_str().into();
    target["weight"] = number(&row.weight, 1, ("weight", "models-weight"))?.into();
    target["tier"] = number(&row.tier, 0, ("tier", "models-tier"))?.into();
    let output = match row.output.as_str() {
        "" => None,
        text => Some(
            text.parse::<u64>()
                .map_err(|_| ("output", "models-output"))?,
        ),
    };
    set(&mut target, "maxOutputTokens", output.map(Value::from));
    let model = Some(&row.model).filter(|model| !model.is_empty());
    set(
        &mut target,
        "model",
        model.map(|model| model.as_str().into()),
    );
    Ok(target)
}

fn set(object: &mut Value, name: &str, value: Option<Value>) {
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

/// A refusal of the management API about a target, in the words of the form.
pub fn refused(problem: &Problem, rows: &[TargetRow], language: Language) -> Option<Refused> {
    let (place, rest) = problem.detail.strip_prefix("`targets[")?.split_once("].")?;
    let (name, why) = rest.split_once('`')?;
    let mut kept = rows.iter().enumerate().filter(|(_, row)| row.is_target());
    let (row, _) = kept.nth(place.parse().ok()?)?;
    let (_, field, label) = FIELDS.iter().find(|(known, ..)| *known == name)?;
    let said = language
        .say("models-refused")
        .with("label", language.say(label).to_string());
    let said = said.with("why", why.trim_start_matches([':', ' ']).to_owned());
    Some((row, field, in_row(row, said.into(), language)))
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
/// A sentence that names the field that cannot be read.
pub fn faults(stored: &mut Value, form: &FaultForm, language: Language) -> Result<(), Html> {
    let wrong = |key: &str, label: &str| -> Html {
        let label = language.say(label).to_string();
        language.say(key).with("label", label).into()
    };
    let retries = form.retries.parse::<u32>();
    let retries = retries.map_err(|_| wrong("settings-want-whole", "models-retries"))?;
    stored["retries"] = retries.into();
    let mut times = stored["times"]
        .as_object()
        .cloned()
        .unwrap_or_else(Map::new);
    let entered = [&form.first_byte, &form.idle, &form.total];
    for ((_, name, label), text) in TIMES.iter().zip(entered) {
        let ms = fixed(text, 3).ok_or_else(|| wrong("settings-want-seconds", label))?;
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

/// A refusal about the model as a whole, or about its times and limits, in the words of the page.
pub fn said(problem: &Problem, language: Language) -> Html {
    let named = [
        ("retries", "models-retries"),
        ("times.firstByteMs", "models-first-byte"),
        ("times.idleMs", "models-idle"),
        ("times.totalMs", "models-total"),
        ("onExhaust.downgrade", "models-exhaust"),
        ("targets", "models-targets"),
    ];
    let mut detail = problem.detail.clone();
    for (name, label) in named {
        let label = format!("“{}”", language.plain(label, &[]));
        detail = detail.replace(&format!("`{name}`"), &label);
    }
    let said = Problem {
        kind: problem.kind,
        detail,
        extensions: None,
        terms: None,
    };
    labelled(&said, language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemKind;

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
        targets(&mut model, &rows, Language::English).unwrap();
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
        targets(&mut again, &TargetRow::all(&model), Language::English).unwrap();
        faults(&mut again, &FaultForm::of(&model), Language::English).unwrap();
        assert_eq!(read(&again), model);
        // What nobody chose stays what nobody chose.
        let plain = read(&json!({ "targets": [{ "provider": "a" }] }));
        let mut again = json!({ "targets": [{ "provider": "a" }] });
        faults(&mut again, &FaultForm::of(&plain), Language::English).unwrap();
        assert_eq!(read(&again), plain);
    }

    #[test]
    fn a_refusal_names_the_row_and_the_field() {
        let rows = [row("0", "groq"), row("1", ""), row("", "openai")];
        let problem = Problem::new(
            ProblemKind::Unprocessable,
            "`targets[1].weight` is 0 to 1000",
        );
        let (row_at, field, said) = refused(&problem, &rows, Language::English).unwrap();
        assert_eq!((row_at, field), (2, "weight"));
        assert_eq!(said.as_str(), "Row 3: “Weight” is 0 to 1000");
        let mut many = rows.clone();
        many[0].tier = "first".to_owned();
        let (row_at, field, said) = targets(&mut stored(), &many, Language::English).unwrap_err();
        assert_eq!((row_at, field), (0, "tier"));
        assert!(said.as_str().contains("“Tier”"), "{}", said.as_str());
        let lonely = TargetRow {
            model: "x".to_owned(),
            ..TargetRow::default()
        };
        let (_, field, _) = targets(&mut stored(), &[lonely], Language::English).unwrap_err();
        assert_eq!(field, "provider");
    }
}
