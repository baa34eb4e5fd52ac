//! Limits as the rows of a form: shown, entered, and read back. Money stands in dollars.

use serde_json::{Value, json};

use crate::access::limit::{Limit, LimitError, Unit, check};
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::settings::{decimal, fixed};

/// Rows of a form; whoever has limits has no more of them.
pub const ROWS_MAX: usize = 16;
/// Rows without a limit that are there to be filled in.
const FREE_ROWS: usize = 2;

/// As the form sends them, and their messages.
pub const UNITS: [(&str, &str); 4] = [
    ("requests", "limits-requests"),
    ("tokens", "limits-tokens"),
    ("money", "limits-money"),
    ("concurrency", "limits-concurrency"),
];
/// The same for all a consumer does: of what it asks models, prompts count, too.
pub const CONSUMER_UNITS: [(&str, &str); 4] =
    [UNITS[0], ("tokens", WITH_PROMPTS.0), UNITS[2], UNITS[3]];
/// Tokens of prompts and of answers, and so many of them in a sentence.
const WITH_PROMPTS: (&str, &str) = ("models-tokens", "models-some-tokens");
/// So many of a unit, in a sentence.
const COUNTED: [(&str, &str); 4] = [
    ("requests", "limits-some-requests"),
    ("tokens", "limits-some-tokens"),
    ("money", "limits-some-money"),
    ("concurrency", "limits-some-concurrency"),
];
pub const WINDOWS: [(&str, &str); 5] = [
    ("second", "limits-second"),
    ("minute", "limits-minute"),
    ("hour", "limits-hour"),
    ("day", "limits-day"),
    ("month", "limits-month"),
];
pub const SCOPES: [(&str, &str); 6] = [
    ("consumer", "limits-consumer"),
    ("user", "limits-user"),
    ("key", "limits-key"),
    ("server", "limits-server"),
    ("tool", "limits-tool"),
    ("address", "limits-address"),
];

/// What is one server for limits of servers, for those of models: no form sends it.
const MODEL: (&str, &str) = ("model", "limits-model");

/// A limit as it stands in a form; without an amount it is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRow {
    pub unit: String,
    pub amount: String,
    pub window: String,
    pub scope: String,
    pub burst: String,
    pub day: String,
    /// Requests for models count, with their prompts.
    with_prompts: bool,
}

impl LimitRow {
    pub fn of(limit: &Limit) -> Self {
        let money = limit.unit == Unit::Money;
        Self {
            unit: word(&json!(limit.unit)),
            amount: if money {
                decimal(limit.amount, 6)
            } else {
                limit.amount.to_string()
            },
            window: word(&json!(limit.window)),
            scope: word(&json!(limit.scope)),
            burst: shown(limit.burst),
            day: shown(limit.reset_day),
            with_prompts: false,
        }
    }

    /// Limits there are, and rows for more.
    pub fn all(limits: &[Limit]) -> Vec<Self> {
        let mut rows: Vec<Self> = limits.iter().map(Self::of).collect();
        let length = ROWS_MAX.min(rows.len() + FREE_ROWS);
        rows.resize(length.max(rows.len()), Self::blank());
        rows
    }

    fn blank() -> Self {
        let text = str::to_owned;
        Self {
            unit: text("requests"),
            amount: String::new(),
            window: text("minute"),
            scope: text("consumer"),
            burst: String::new(),
            day: String::new(),
            with_prompts: false,
        }
    }

    /// The rows of a form, as they were entered.
    pub fn entered(form: &Entered) -> Vec<Self> {
        let rows = (0..ROWS_MAX).map_while(|at| {
            let text = |name: &str| entered(form, &format!("{name}-{at}"));
            let line = |name: &str| text(name).unwrap_or_default().trim().to_owned();
            Some(Self {
                unit: text("unit")?.to_owned(),
                amount: line("amount"),
                window: line("window"),
                scope: line("scope"),
                burst: line("burst"),
                day: line("day"),
                with_prompts: false,
            })
        });
        rows.collect()
    }

    /// The limit it says; whether that can be kept, the management API says.
    fn limit(&self, language: Language) -> Result<Limit, Html> {
        let money = self.unit == "money";
        let amount = if money {
            fixed(&self.amount, 6)
        } else {
            self.amount.parse().ok()
        };
        let key = if money {
            "settings-want-dollars"
        } else {
            "settings-want-whole"
        };
        let wrong = |key: &str, label: &str| -> Html {
            let label = language.say(label);
            language.say(key).with("label", label).into()
        };
        let amount = amount.ok_or_else(|| wrong(key, "limits-amount"))?;
        let whole = |text: &str, label: &str| match text {
            "" => Ok(None),
            text => text
                .parse::<u64>()
                .map(Some)
                .map_err(|_| wrong("settings-want-whole", label)),
        };
        let window = Some(&self.window).filter(|_| self.unit != "concurrency");
        let limit = json!({
            "unit": self.unit, "amount": amount, "window": window, "scope": self.scope,
            "burst": whole(&self.burst, "limits-burst")?, "resetDay": whole(&self.day, "limits-reset-day")?,
        });
        serde_json::from_value(limit).map_err(|error| Html::from(error.to_string().as_str()))
    }

    /// A limit of all that a consumer does, for people to read.
    pub fn of_consumer(limit: &Limit) -> Self {
        Self {
            with_prompts: true,
            ..Self::of(limit)
        }
    }

    /// A limit of a model, for people to read.
    pub fn of_model(limit: &Limit) -> Self {
        let mut row = Self::of_consumer(limit);
        if row.scope == "server" {
            MODEL.0.clone_into(&mut row.scope);
        }
        row
    }

    /// What the plural forms of its amount go by; of a part of a dollar, many.
    pub fn count(&self) -> u64 {
        self.amount.parse().unwrap_or(u64::MAX)
    }

    /// The message of so many of its unit, of its window where it has one, and of what it tells apart.
    pub fn words(&self) -> (&'static str, Option<&'static str>, &'static str) {
        let of = |all: &[(&str, &'static str)], word: &str| {
            let found = all.iter().find(|(known, _)| *known == word);
            found.map(|(_, key)| *key)
        };
        let counted = match self.unit.as_str() {
            "tokens" if self.with_prompts => WITH_PROMPTS.1,
            unit => of(&COUNTED, unit).unwrap_or(COUNTED[0].1),
        };
        (
            counted,
            of(&WINDOWS, &self.window),
            of(&SCOPES, &self.scope)
                .or_else(|| of(&[MODEL], &self.scope))
                .unwrap_or(SCOPES[0].1),
        )
    }
}

/// The limits of the rows that have an amount.
///
/// # Errors
/// A sentence that names the row, and what is wrong with it.
pub fn limits_of(rows: &[LimitRow], language: Language) -> Result<Vec<Limit>, Html> {
    let said = rows.iter().enumerate();
    let said: Vec<_> = said.filter(|(_, row)| !row.amount.is_empty()).collect();
    let in_row = |place: usize, why: Html| -> Html {
        let row = said.get(place).map_or(place, |(at, _)| *at) + 1;
        let sentence = language.say("limits-row").with("row", row);
        sentence.with("why", why).into()
    };
    let limits = said.iter().enumerate().map(|(place, (_, row))| {
        let limit = row.limit(language);
        limit.map_err(|why| in_row(place, why))
    });
    let limits: Vec<Limit> = limits.collect::<Result<_, _>>()?;
    check(&limits).map_err(|(place, error)| in_row(place, language.say(why(&error)).into()))?;
    Ok(limits)
}

/// The message of what a limit lacks.
fn why(error: &LimitError) -> &'static str {
    match error {
        LimitError::Amount => "limits-wrong-amount",
        LimitError::NoWindow => "limits-wrong-window",
        LimitError::Concurrency => "limits-wrong-concurrency",
        LimitError::Money => "limits-wrong-money",
        LimitError::Burst => "limits-wrong-burst",
        LimitError::ResetDay => "limits-wrong-day",
        LimitError::Twice => "limits-wrong-twice",
        LimitError::TooMany => "limits-wrong-many",
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn shown(number: Option<impl ToString>) -> String {
    number.map(|number| number.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Vec<Limit> {
        let limits = json!([
            {"unit": "requests", "amount": 60, "window": "minute", "scope": "consumer", "burst": 10},
            {"unit": "requests", "amount": 10_000, "window": "month", "scope": "key", "resetDay": 15},
            {"unit": "concurrency", "amount": 4, "scope": "key"},
            {"unit": "money", "amount": 5_250_000, "window": "month", "scope": "consumer"},
        ]);
        serde_json::from_value(limits).unwrap()
    }

    #[test]
    fn limits_survive_the_form() {
        let rows = LimitRow::all(&limits());
        assert_eq!(rows.len(), 6);
        assert_eq!(rows[3].amount, "5.25");
        assert_eq!(limits_of(&rows, Language::English), Ok(limits()));
        let sixteen = vec![limits()[0].clone(); ROWS_MAX];
        assert_eq!(LimitRow::all(&sixteen).len(), ROWS_MAX);
    }

    #[test]
    fn tokens_are_those_of_answers_only_where_no_model_is_asked() {
        let limit = json!({"unit": "tokens", "amount": 200, "window": "day", "scope": "server"});
        let limit: Limit = serde_json::from_value(limit).unwrap();
        let day = Some("limits-day");
        for (row, words) in [
            (
                LimitRow::of(&limit),
                ("limits-some-tokens", day, "limits-server"),
            ),
            (
                LimitRow::of_consumer(&limit),
                ("models-some-tokens", day, "limits-server"),
            ),
            (
                LimitRow::of_model(&limit),
                ("models-some-tokens", day, "limits-model"),
            ),
        ] {
            assert_eq!(row.words(), words);
        }
        assert_eq!(CONSUMER_UNITS[1], ("tokens", "models-tokens"));
        assert_eq!(UNITS[1], ("tokens", "limits-tokens"));
    }

    #[test]
    fn a_row_that_is_no_number_says_which_field() {
        for (field, text, said) in [
            ("amount", "many", "Amount"),
            ("burst", "1.5", "At once"),
            ("day", "x", "Day"),
        ] {
            let mut row = LimitRow::of(&limits()[0]);
            match field {
                "amount" => row.amount = text.to_owned(),
                "burst" => row.burst = text.to_owned(),
                _ => row.day = text.to_owned(),
            }
            let error = limits_of(&[row], Language::English).unwrap_err();
            assert!(error.as_str().contains(said), "{}", error.as_str());
        }
    }
}
