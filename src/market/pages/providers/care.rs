//! How a provider is looked after, and what of it is open to callers, as forms and in words.

use serde::Deserialize;
use serde_json::{Value, json};

use chrono::{DateTime, Utc};

use crate::llm::settings::ProviderSettings;
use crate::llm::standing::{HealthRule, LoadRule};
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::providers::at;
use crate::market::pages::wrong::Refused;

/// How a provider is doing, as the management API shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownState {
    down: bool,
    left_alone: bool,
    running: u64,
    #[serde(default)]
    check: Option<ShownCheck>,
    #[serde(default)]
    load: Option<ShownLoad>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ShownCheck {
    at: Option<DateTime<Utc>>,
    ok: bool,
    in_a_row: u32,
    message: String,
}

#[derive(Clone, Debug, Deserialize)]
struct ShownLoad {
    at: Option<DateTime<Utc>>,
    #[serde(default)]
    running: Option<u64>,
    #[serde(default)]
    waiting: Option<u64>,
    #[serde(default)]
    message: Option<String>,
}

/// How a provider is doing, in words.
#[derive(Clone, Debug, Default)]
pub struct Doing {
    /// The message of it, and its class.
    pub badge: Option<(&'static str, &'static str)>,
    pub lines: Vec<Html>,
}

impl Doing {
    /// `None`: requests do not find it.
    pub fn of(state: Option<&ShownState>, language: Language) -> Self {
        let Some(state) = state else {
            return Self::default();
        };
        let badge = match state {
            ShownState { down: true, .. } => ("providers-down", "bad"),
            ShownState {
                left_alone: true, ..
            } => ("providers-left-alone", "fair"),
            _ => ("providers-well", "good"),
        };
        let running = language.say("providers-running");
        let mut lines = vec![running.with("count", state.running).into()];
        lines.extend(state.check.as_ref().map(|check| check.said(language)));
        lines.extend(state.load.as_ref().map(|load| load.said(language)));
        Self {
            badge: Some(badge),
            lines,
        }
    }
}

impl ShownCheck {
    fn said(&self, language: Language) -> Html {
        let key = if self.ok {
            "providers-checked"
        } else {
            "providers-check-failed"
        };
        let said = language.say(key).with("at", at(self.at));
        let said = said.with("count", self.in_a_row);
        said.with("message", &self.message).into()
    }
}

impl ShownLoad {
    fn said(&self, language: Language) -> Html {
        if let Some(message) = &self.message {
            let said = language
                .say("providers-load-failed")
                .with("at", at(self.at));
            return said.with("message", message).into();
        }
        let said = language.say("providers-load-told").with("at", at(self.at));
        let said = said.with("running", self.running.unwrap_or_default());
        said.with("waiting", self.waiting.unwrap_or_default())
            .into()
    }
}

/// How a provider is looked after, as it stands in the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CareForm {
    pub is_checked: bool,
    pub every: String,
    pub down: String,
    pub up: String,
    pub reads_load: bool,
    pub load_every: String,
}

impl CareForm {
    pub fn of(settings: &ProviderSettings) -> Self {
        let health = settings.health.unwrap_or_default();
        Self {
            is_checked: settings.health.is_some(),
            every: health.every_seconds.to_string(),
            down: health.down_after.to_string(),
            up: health.up_after.to_string(),
            reads_load: settings.load.is_some(),
            load_every: settings.load.unwrap_or_default().every_seconds.to_string(),
        }
    }

    pub fn entered(form: &Entered) -> Self {
        let text = |name: &str| entered(form, name).unwrap_or_default().trim().to_owned();
        Self {
            is_checked: entered(form, "health").is_some(),
            every: text("every"),
            down: text("down"),
            up: text("up"),
            reads_load: entered(form, "load").is_some(),
            load_every: text("loadEvery"),
        }
    }
}

/// How a provider is looked after now.
pub fn in_words(settings: &ProviderSettings, language: Language) -> Html {
    let health = match settings.health {
        Some(HealthRule { every_seconds, .. }) => language
            .say("providers-is-checked")
            .with("seconds", every_seconds),
        None => language.say("providers-not-checked"),
    };
    match settings.load {
        Some(LoadRule { every_seconds }) => {
            let said = language.say("providers-and-load").with("checked", health);
            said.with("seconds", every_seconds).into()
        }
        None => health.into(),
    }
}

/// Puts how a provider is looked after in the place of what is stored.
///
/// # Errors
/// The field that cannot be read.
pub fn care(stored: &mut Value, form: &CareForm, language: Language) -> Result<(), Refused> {
    let whole = |text: &str, field: &str, label: &str| {
        text.parse::<u32>().map_err(|_| {
            let label = language.say(label).to_string();
            let said = language.say("settings-want-whole").with("label", label);
            Refused::at(field, said.into())
        })
    };
    stored["health"] = if form.is_checked {
        json!({
            "everySeconds": whole(&form.every, "every", "providers-check-every")?,
            "downAfter": whole(&form.down, "down", "providers-down-after")?,
            "upAfter": whole(&form.up, "up", "providers-up-after")?,
        })
    } else {
        Value::Null
    };
    stored["load"] = if form.reads_load {
        json!({ "everySeconds": whole(&form.load_every, "loadEvery", "providers-load-every")? })
    } else {
        Value::Null
    };
    Ok(())
}

/// What of a provider is open to callers, as it stands in the form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenForm {
    pub passes_through: bool,
    pub keeps_files: bool,
}

impl OpenForm {
    pub fn of(settings: &ProviderSettings) -> Self {
        Self {
            passes_through: settings.pass_through,
            keeps_files: settings.files,
        }
    }

    pub fn entered(form: &Entered) -> Self {
        Self {
            passes_through: entered(form, "passThrough").is_some(),
            keeps_files: entered(form, "files").is_some(),
        }
    }

    /// Puts it in the place of what is stored.
    pub fn put(self, stored: &mut Value) {
        stored["passThrough"] = self.passes_through.into();
        stored["files"] = self.keeps_files.into();
    }

    /// The message of what is open.
    pub fn in_words(self) -> &'static str {
        match (self.passes_through, self.keeps_files) {
            (true, true) => "providers-open-both",
            (true, false) => "providers-open-all",
            (false, true) => "providers-open-files",
            (false, false) => "providers-open-none",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &Value) -> ProviderSettings {
        serde_json::from_value(settings.clone()).unwrap()
    }

    #[test]
    fn what_is_set_survives_its_forms() {
        let stored = json!({
            "parameters": { "region": "x" }, "passThrough": true, "files": false,
            "health": { "everySeconds": 7, "downAfter": 2, "upAfter": 4 }, "load": { "everySeconds": 9 },
        });
        let mut again = stored.clone();
        care(&mut again, &CareForm::of(&read(&stored)), Language::English).unwrap();
        OpenForm::of(&read(&stored)).put(&mut again);
        assert_eq!(again, stored);
        assert_eq!(
            in_words(&read(&stored), Language::English).as_str(),
            "Checked every 7 seconds; its load is read every 9 seconds"
        );
        let none = CareForm::entered(&Vec::new());
        care(&mut again, &none, Language::English).unwrap();
        OpenForm::entered(&Vec::new()).put(&mut again);
        let expected = ProviderSettings {
            parameters: read(&stored).parameters,
            ..ProviderSettings::default()
        };
        assert_eq!(read(&again), expected);
        assert_eq!(
            in_words(&expected, Language::English).as_str(),
            "Not checked"
        );
        let wrong = CareForm {
            is_checked: true,
            every: "often".to_owned(),
            ..none
        };
        let refused = care(&mut again, &wrong, Language::English).unwrap_err();
        assert!(refused.wrong.is_at("every"), "{refused:?}");
    }

    #[test]
    fn how_it_is_doing_is_told_in_words() {
        let said = |state: Value| {
            let state: ShownState = serde_json::from_value(state).unwrap();
            let doing = Doing::of(Some(&state), Language::English);
            let lines: Vec<String> = doing
                .lines
                .iter()
                .map(|it| it.as_str().to_owned())
                .collect();
            (doing.badge.unwrap().0, lines)
        };
        let at = "2026-01-02T03:04:05Z";
        let (badge, lines) = said(json!({
            "down": true, "leftAlone": true, "running": 2,
            "check": { "at": at, "ok": false, "inARow": 3, "message": "no <answer>" },
            "load": { "at": at, "running": 4, "waiting": 1 },
        }));
        assert_eq!(badge, "providers-down");
        assert_eq!(
            lines,
            [
                "2 requests of this process are under way.",
                "Its last check failed, the last 3 in a row, at 2026-01-02 03:04 UTC: no &#60;answer&#62;",
                "At 2026-01-02 03:04 UTC it had 4 requests under way and 1 waiting, as it said.",
            ]
        );
        let (badge, lines) = said(json!({
            "down": false, "leftAlone": false, "running": 0, "check": null,
            "load": { "at": at, "message": "404" },
        }));
        assert_eq!((badge, lines.len()), ("providers-well", 2));
    }
}
