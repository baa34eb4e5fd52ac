//! How an API is treated when it fails, as a form has it.

use serde_json::{Value, json};

use crate::egress::Resilience;
use crate::market::language::{Html, Language};
use crate::market::pages::settings::{milliseconds, seconds, wrong};

/// Empty times are the process's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResilienceForm {
    pub connect_seconds: String,
    pub first_byte_seconds: String,
    pub retries: String,
    pub failures: String,
    pub pause_seconds: String,
}

impl ResilienceForm {
    /// As a server has it.
    pub fn of(settings: &Resilience) -> Self {
        let time = |ms: Option<u64>| ms.map(seconds).unwrap_or_default();
        Self {
            connect_seconds: time(settings.connect_timeout_ms),
            first_byte_seconds: time(settings.first_byte_timeout_ms),
            retries: settings.retries.to_string(),
            failures: settings.breaker.failures.to_string(),
            pause_seconds: seconds(settings.breaker.pause_ms),
        }
    }

    /// As it was entered; `text` gives a field's text.
    pub fn entered(text: impl Fn(&str) -> String) -> Self {
        Self {
            connect_seconds: text("connectSeconds"),
            first_byte_seconds: text("firstByteSeconds"),
            retries: text("retries"),
            failures: text("failures"),
            pause_seconds: text("pauseSeconds"),
        }
    }

    /// As the management API takes it.
    ///
    /// # Errors
    /// A sentence that names the field that is no number.
    pub fn change(&self, language: Language) -> Result<Value, Html> {
        let time = |label, text: &str| {
            milliseconds(text).ok_or_else(|| wrong(language, "settings-want-seconds", label))
        };
        let optional = |label, text: &str| match text {
            "" => Ok(None),
            text => time(label, text).map(Some),
        };
        let whole = |label, text: &str| {
            let number = text.parse::<u32>();
            number.map_err(|_| wrong(language, "settings-want-whole", label))
        };
        let mut change = json!({
            "retries": whole("label-retries", &self.retries)?,
            "breaker": {
                "failures": whole("label-failures", &self.failures)?,
                "pauseMs": time("label-pause", &self.pause_seconds)?,
            },
        });
        for (name, label, text) in [
            ("connectTimeoutMs", "label-connect", &self.connect_seconds),
            (
                "firstByteTimeoutMs",
                "label-first-byte",
                &self.first_byte_seconds,
            ),
        ] {
            if let Some(ms) = optional(label, text)? {
                change[name] = json!(ms);
            }
        }
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::resilience::BreakerRule;

    #[test]
    fn what_is_set_survives_the_form() {
        let set = Resilience {
            connect_timeout_ms: Some(1_500),
            first_byte_timeout_ms: None,
            retries: 0,
            breaker: BreakerRule {
                failures: 3,
                pause_ms: 2_000,
            },
        };
        for settings in [set, Resilience::default()] {
            let change = ResilienceForm::of(&settings)
                .change(Language::English)
                .unwrap();
            assert_eq!(
                serde_json::from_value::<Resilience>(change).unwrap(),
                settings
            );
        }
    }
}
