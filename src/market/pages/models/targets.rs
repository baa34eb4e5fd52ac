//! Targets as the rows of a form: those of a model, those of its canary, and the one of its shadow.

use serde_json::{Value, json};

use crate::llm::route::{TARGETS_MAX, Target};
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::models::edit::{FALLBACKS, set};
use crate::market::pages::wrong::Wrong;

/// Rows without a target that are there to be filled in.
const FREE_ROWS: usize = 2;

/// Whose targets they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Model,
    Canary,
    Shadow,
}

impl Whose {
    /// What the names of their fields begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Canary => "canary-",
            Self::Shadow => "shadow-",
        }
    }

    /// A refusal of a field of a row; a shadow has only one, which is not counted.
    pub fn wrong(self, (row, field): (usize, &str), why: Html, language: Language) -> Wrong {
        let prefix = self.prefix();
        let said = match self {
            Self::Shadow => why,
            _ => {
                let said = language.say("limits-row").with("row", row + 1);
                said.with("why", why).into()
            }
        };
        Wrong::at(format!("{prefix}{field}-{row}"), said)
    }
}

/// What sends a request on, in a list of a few words.
const IN_SHORT: [(&str, &str); 7] = [
    ("rate_limit", "models-only-rate-limit"),
    ("server_error", "models-only-server-error"),
    ("timeout", "models-only-timeout"),
    ("stall", "models-only-stall"),
    ("context_length", "models-only-context-length"),
    ("credential", "models-only-credential"),
    ("content_policy", "models-only-content-policy"),
];

/// A target as it stands in a form; without a provider it is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetRow {
    /// Which of the stored ones it is; empty: a new one.
    pub at: String,
    pub provider: String,
    pub model: String,
    pub weight: String,
    pub tier: String,
    pub output: String,
    /// What a request has to have failed with, as the API writes it; nothing: whatever.
    pub only: Vec<String>,
}

impl TargetRow {
    /// The row of a target.
    pub fn of(place: usize, target: &Target) -> Self {
        Self {
            at: place.to_string(),
            provider: target.provider.clone(),
            model: target.model.clone().unwrap_or_default(),
            weight: target.weight.to_string(),
            tier: target.tier.to_string(),
            output: target
                .max_output_tokens
                .map(|most| most.to_string())
                .unwrap_or_default(),
            only: words(target),
        }
    }

    /// Targets there are, and rows for more.
    pub fn all(targets: &[Target]) -> Vec<Self> {
        let rows = targets.iter().enumerate();
        let mut rows: Vec<Self> = rows.map(|(place, it)| Self::of(place, it)).collect();
        let length = TARGETS_MAX.min(rows.len() + FREE_ROWS).max(rows.len());
        rows.resize(length, Self::default());
        rows
    }

    /// The rows of a form, as they were entered.
    pub fn entered(whose: Whose, form: &Entered) -> Vec<Self> {
        let rows = (0..TARGETS_MAX).map_while(|row| {
            let named = |name: &str| format!("{}{name}-{row}", whose.prefix());
            let text = |name: &str| entered(form, &named(name));
            let line = |name: &str| text(name).unwrap_or_default().trim().to_owned();
            let only = named("only");
            let chosen = form.iter().filter(|(name, _)| *name == only);
            Some(Self {
                at: line("at"),
                provider: text("provider")?.to_owned(),
                model: line("model"),
                weight: line("weight"),
                tier: line("tier"),
                output: line("output"),
                only: chosen.map(|(_, word)| word.clone()).collect(),
            })
        });
        rows.collect()
    }

    pub fn is_target(&self) -> bool {
        !self.provider.is_empty()
    }

    pub fn is_only_on(&self, word: &str) -> bool {
        self.only.iter().any(|chosen| chosen == word)
    }

    /// When it is asked.
    pub fn when(&self, language: &Language) -> Html {
        when(&self.only, *language)
    }
}

/// What a target is for, as the API writes it.
fn words(target: &Target) -> Vec<String> {
    let only = target.only_on.iter().flatten();
    let words = only.filter_map(|class| {
        let known = FALLBACKS.iter().find(|(known, ..)| known == class);
        known.map(|(_, word, _)| (*word).to_owned())
    });
    words.collect()
}

/// When a target is asked that is for some faults only, or for none in particular.
fn when(only: &[String], language: Language) -> Html {
    let named = IN_SHORT
        .iter()
        .filter(|(word, _)| only.iter().any(|it| it == word));
    let named: Vec<String> = named
        .map(|(_, key)| language.say(key).to_string())
        .collect();
    if named.is_empty() {
        return language.say("models-only-always").into();
    }
    // Each is a message.
    let named = Html::trusted(named.join(language.comma()));
    language.say("models-only-after").with("what", named).into()
}

/// When a target is asked that is for some faults only; `None`: for none in particular.
pub fn only_after(target: &Target, language: Language) -> Option<Html> {
    let words = words(target);
    (!words.is_empty()).then(|| when(&words, language))
}

/// Puts the targets of the rows in the place of those that are stored among the `targets` of something.
///
/// # Errors
/// The row and field that cannot be read.
pub fn targets(
    stored: &mut Value,
    (whose, rows): (Whose, &[TargetRow]),
    language: Language,
) -> Result<(), Wrong> {
    let mut targets = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        if !row.is_target() {
            if row.at.is_empty() && !row.model.is_empty() {
                let why = language.say("models-wants-provider").into();
                return Err(whose.wrong((place, "provider"), why, language));
            }
            continue;
        }
        let before = row.at.parse::<usize>().ok();
        let before = before.and_then(|place| stored["targets"].get(place));
        targets.push(target(before, row).map_err(|(field, label)| {
            let label = language.say(label).to_string();
            let said = language.say("settings-want-whole").with("label", label);
            whose.wrong((place, field), said.into(), language)
        })?);
    }
    stored["targets"] = targets.into();
    Ok(())
}

/// A target of a row: the stored one it was, with what the row says in its place.
///
/// # Errors
/// The field that is no number, and its label.
pub fn target(
    before: Option<&Value>,
    row: &TargetRow,
) -> Result<Value, (&'static str, &'static str)> {
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
    let model = model.map(|model| model.as_str().into());
    set(&mut target, "model", model);
    let only = Some(json!(row.only)).filter(|_| !row.only.is_empty());
    set(&mut target, "onlyOn", only);
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_survive_their_rows() {
        let stored = json!([
            { "provider": "groq", "model": "llama", "weight": 9, "tier": 0 },
            { "provider": "long", "weight": 1, "tier": 2, "maxOutputTokens": 9, "onlyOn": ["context_length", "stall"] },
        ]);
        let read: Vec<Target> = serde_json::from_value(stored.clone()).unwrap();
        let rows = TargetRow::all(&read);
        assert_eq!(rows.len(), 4);
        let mut again = json!({ "targets": stored });
        targets(&mut again, (Whose::Model, &rows), Language::English).unwrap();
        assert_eq!(again["targets"], stored);
        assert_eq!(
            only_after(&read[1], Language::English).unwrap().as_str(),
            "only after: stall, too long"
        );
        assert_eq!(only_after(&read[0], Language::English), None);
    }

    #[test]
    fn rows_are_read_under_the_names_of_their_form() {
        let pairs = [
            ("provider-0", "own"),
            ("canary-provider-0", "other"),
            ("canary-only-0", "timeout"),
            ("canary-only-0", "stall"),
            ("canary-weight-0", "x"),
        ];
        let form = pairs
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .to_vec();
        assert_eq!(TargetRow::entered(Whose::Model, &form)[0].provider, "own");
        let rows = TargetRow::entered(Whose::Canary, &form);
        assert_eq!((rows.len(), &*rows[0].provider), (1, "other"));
        assert_eq!(rows[0].only, ["timeout", "stall"]);
        let mut canary = json!({});
        let wrong = targets(&mut canary, (Whose::Canary, &rows), Language::English);
        let wrong = wrong.unwrap_err();
        assert!(wrong.is_at("canary-weight-0"), "{wrong:?}");
        let lonely = TargetRow {
            model: "x".to_owned(),
            ..TargetRow::default()
        };
        let rows = [rows[0].clone(), lonely];
        let wrong = targets(&mut canary, (Whose::Model, &rows[1..]), Language::English);
        assert!(wrong.unwrap_err().is_at("provider-0"));
    }
}
