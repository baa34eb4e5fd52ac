//! Why a model was not stored, in the words of the forms of its page, and which field of them it is about.

use crate::llm::live::ModelError;
use crate::llm::route::RouteError;
use crate::market::api::models::Unkept;
use crate::market::language::{Html, Language};
use crate::market::pages::models::targets::{TargetRow, Whose};
use crate::market::pages::settings::labelled;
use crate::market::pages::wrong::Refused;
use crate::problem::{Problem, ProblemKind};

/// A field of a form, its label, and the rule it has to keep.
struct Rule(&'static str, &'static str, &'static str);

/// What is said of a canary, by the field it begins with.
const OF_CANARY: [(&str, Rule); 7] = [
    (
        "name",
        Rule(
            "canary-name",
            "models-canary-name",
            "models-rule-canary-name",
        ),
    ),
    (
        "share",
        Rule("canary-share", "models-canary-share", "models-rule-share"),
    ),
    (
        "header",
        Rule(
            "canary-header",
            "models-canary-header",
            "models-rule-header",
        ),
    ),
    (
        "consumers",
        Rule(
            "canary-consumers",
            "models-canary-consumers",
            "models-rule-consumers",
        ),
    ),
    (
        "rollback.errors",
        Rule(
            "canary-errors",
            "models-canary-errors",
            "models-rule-errors",
        ),
    ),
    (
        "rollback.calls",
        Rule("canary-calls", "models-canary-calls", "models-rule-calls"),
    ),
    (
        "rollback.seconds",
        Rule(
            "canary-seconds",
            "models-canary-seconds",
            "models-rule-rollback-seconds",
        ),
    ),
];

/// A refusal of what the forms of a model's page sent, where `rows` are those of the one that was. What is not about
/// a field of theirs is said as the management API says it.
pub(in crate::market::pages) fn refused(
    unkept: &Unkept,
    rows: &[TargetRow],
    language: Language,
) -> Option<Refused> {
    let says = Says { rows, language };
    match unkept {
        Unkept::Model(ModelError::Route(error)) => says.of_route(error, Whose::Model),
        Unkept::Model(ModelError::Downgrade) => {
            Some(says.field(&Rule("exhaust", "models-exhaust", "models-rule-other")))
        }
        Unkept::Provider(place, name) => {
            let (whose, place) = place_of(place)?;
            let why = language.say("models-rule-provider").with("name", name);
            Some(says.row(whose, (place, "provider", "models-provider"), why.into()))
        }
        Unkept::Consumer(name) => {
            let why = language.say("models-rule-consumer").with("name", name);
            let field = ("canary-consumers", "models-canary-consumers");
            Some(says.why(field, why.into()))
        }
        Unkept::Downgrade(name) => {
            let why = language.say("models-rule-downgrade").with("name", name);
            Some(says.why(("exhaust", "models-exhaust"), why.into()))
        }
        Unkept::Model(_) | Unkept::Taken(_) | Unkept::Other(_) => None,
    }
}

/// A refusal of a new model, or of one whose form has no rows, in a sentence.
pub(in crate::market::pages) fn of_new(unkept: Unkept, language: Language) -> (ProblemKind, Html) {
    let rule = |label: &str, why: Html| -> Html {
        let label = language.say(label).to_string();
        let said = language.say("models-refused").with("label", label);
        said.with("why", why).into()
    };
    let text = match &unkept {
        Unkept::Taken(name) => rule(
            "models-name",
            language.say("models-rule-taken").with("name", name).into(),
        ),
        Unkept::Model(ModelError::Route(RouteError::Name)) => {
            rule("models-name", language.say("models-rule-name").into())
        }
        Unkept::Model(ModelError::Route(RouteError::TargetModel(_))) => {
            rule("models-model", language.say("models-rule-model").into())
        }
        Unkept::Provider(_, name) => rule(
            "models-provider",
            language
                .say("models-rule-provider")
                .with("name", name)
                .into(),
        ),
        _ => Html::default(),
    };
    let problem = Problem::from(unkept);
    if text == Html::default() {
        return (problem.kind, labelled(&problem, language));
    }
    (problem.kind, text)
}

/// Whose targets a place is among, and where.
fn place_of(place: &str) -> Option<(Whose, usize)> {
    if place == "shadow.target" {
        return Some((Whose::Shadow, 0));
    }
    let (list, at) = place.strip_suffix(']')?.split_once('[')?;
    let whose = match list {
        "targets" => Whose::Model,
        _ => Whose::Canary,
    };
    Some((whose, at.parse().ok()?))
}

/// What is said, of which rows, and in which language.
struct Says<'a> {
    rows: &'a [TargetRow],
    language: Language,
}

impl Says<'_> {
    fn of_route(&self, error: &RouteError, whose: Whose) -> Option<Refused> {
        let row = |place: usize, field: (&'static str, &'static str), rule: &str| {
            let why = self.language.say(rule).into();
            Some(self.row(whose, (place, field.0, field.1), why))
        };
        let field = |field, label, rule| Some(self.field(&Rule(field, label, rule)));
        match error {
            RouteError::Weight(place) => {
                row(*place, ("weight", "models-weight"), "models-rule-weight")
            }
            RouteError::Tier(place) => row(*place, ("tier", "models-tier"), "models-rule-tier"),
            RouteError::TargetModel(place) => {
                row(*place, ("model", "models-model"), "models-rule-model")
            }
            RouteError::OutputTokens(place) => {
                row(*place, ("output", "models-output"), "models-rule-output")
            }
            RouteError::Retries => field("retries", "models-retries", "models-rule-retries"),
            RouteError::Ttl => field("ttl", "models-ttl", "models-rule-ttl"),
            RouteError::Times("firstByteMs") => {
                field("firstByte", "models-first-byte", "models-rule-seconds")
            }
            RouteError::Times("idleMs") => field("idle", "models-idle", "models-rule-seconds"),
            RouteError::Times(_) => field("total", "models-total", "models-rule-seconds"),
            RouteError::ShadowShare => field(
                "shadow-share",
                "models-shadow-share",
                "models-rule-shadow-share",
            ),
            RouteError::ShadowConcurrency => field(
                "shadow-concurrency",
                "models-shadow-concurrency",
                "models-rule-concurrency",
            ),
            RouteError::Canary(said) => {
                let name = said.split('`').next().unwrap_or_default();
                let (_, rule) = OF_CANARY.iter().find(|(known, _)| *known == name)?;
                Some(self.field(rule))
            }
            RouteError::CanaryTargets(error) => self.of_route(error, Whose::Canary),
            RouteError::ShadowTarget(error) => self.of_route(error, Whose::Shadow),
            RouteError::Targets => Some(self.whole("models-wrong-targets")),
            RouteError::First => Some(self.whole("models-wrong-first")),
            RouteError::CanaryName => Some(self.whole("models-wrong-canary-name")),
            RouteError::Name | RouteError::Regex(_) | RouteError::OnlyOn(_) => None,
        }
    }

    /// Of a form as a whole.
    fn whole(&self, key: &str) -> Refused {
        Refused::whole(self.language.say(key).into())
    }

    fn field(&self, Rule(field, label, rule): &Rule) -> Refused {
        self.why((field, label), self.language.say(rule).into())
    }

    fn why(&self, (field, label): (&str, &str), why: Html) -> Refused {
        Refused::at(field, self.sentence(label, why))
    }

    fn sentence(&self, label: &str, why: Html) -> Html {
        let label = self.language.say(label).to_string();
        let said = self.language.say("models-refused").with("label", label);
        said.with("why", why).into()
    }

    /// Of a field of the row that one of the targets came from.
    fn row(
        &self,
        whose: Whose,
        (place, field, label): (usize, &'static str, &'static str),
        why: Html,
    ) -> Refused {
        let rows = self.rows.iter().enumerate();
        let mut targets = rows.filter(|(_, row)| row.is_target());
        let row = targets.nth(place).map_or(place, |(row, _)| row);
        let wrong = whose.wrong((row, field), self.sentence(label, why), self.language);
        Refused {
            text: wrong.text(),
            wrong,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::llm::live::StoredModel;

    fn row(provider: &str) -> TargetRow {
        TargetRow {
            provider: provider.to_owned(),
            ..TargetRow::default()
        }
    }

    fn of(unkept: &Unkept, language: Language) -> Refused {
        let rows = [row("a"), row(""), row("b")];
        refused(unkept, &rows, language).unwrap()
    }

    #[test]
    fn a_refusal_names_the_row_and_the_field() {
        let weight = Unkept::Model(RouteError::Weight(1).into());
        let said = of(&weight, Language::English);
        assert!(said.wrong.is_at("weight-2"), "{said:?}");
        assert_eq!(said.text.as_str(), "Row 3: “Weight” is 0 to 1000.");
        let tier = RouteError::CanaryTargets(Box::new(RouteError::Tier(0)));
        let said = of(&Unkept::Model(tier.into()), Language::Chinese);
        assert!(said.wrong.is_at("canary-tier-0"), "{said:?}");
        for (place, field) in [
            ("targets[1]", "provider-2"),
            ("canary.targets[0]", "canary-provider-0"),
            ("shadow.target", "shadow-provider-0"),
        ] {
            let gone = Unkept::Provider(place.to_owned(), "<gone>".to_owned());
            let said = of(&gone, Language::English);
            assert!(said.wrong.is_at(field), "{said:?}");
            assert!(said.text.as_str().contains("&#60;gone&#62;"), "{said:?}");
        }
        let gone = Unkept::Downgrade("<gone>".to_owned());
        let said = of(&gone, Language::English);
        assert!(said.wrong.is_at("exhaust"), "{said:?}");
        assert!(said.text.as_str().contains("&#60;gone&#62;"), "{said:?}");
    }

    /// A model of one target, with more.
    fn with(more: Value) -> StoredModel {
        let model = json!({ "targets": [{ "provider": "a" }] });
        serde_json::from_value(and(model, more)).unwrap()
    }

    fn and(mut value: Value, more: Value) -> Value {
        let members = value.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        value
    }

    fn canary(more: Value) -> StoredModel {
        let canary = json!({ "targets": [{ "provider": "a" }] });
        with(json!({ "canary": and(canary, more) }))
    }

    fn rule(more: Value) -> StoredModel {
        canary(json!({ "rollback": and(json!({ "errors": 1 }), more) }))
    }

    fn shadow(share: u32, concurrency: u32) -> StoredModel {
        let target = json!({ "provider": "a" });
        with(json!({ "shadow": { "target": target, "share": share, "concurrency": concurrency } }))
    }

    fn target(more: Value) -> StoredModel {
        with(json!({ "targets": [and(json!({ "provider": "a" }), more)] }))
    }

    /// Everything a form can get wrong is said in the reader's language, and beside the field it is about.
    #[test]
    fn no_rule_of_a_model_is_left_to_the_words_of_the_api() {
        let times = |name: &str| with(json!({ "times": { name: 1 } }));
        let header = json!({ "name": "a b", "value": "c" });
        for (model, field) in [
            (target(json!({ "model": "x y" })), "model-0"),
            (target(json!({ "maxOutputTokens": 0 })), "output-0"),
            (target(json!({ "weight": 1001 })), "weight-0"),
            (target(json!({ "tier": 16 })), "tier-0"),
            (with(json!({ "retries": 6 })), "retries"),
            (with(json!({ "affinityTtlSeconds": 1 })), "ttl"),
            (times("firstByteMs"), "firstByte"),
            (times("idleMs"), "idle"),
            (times("totalMs"), "total"),
            (
                with(json!({ "onExhaust": { "downgrade": "m" } })),
                "exhaust",
            ),
            (canary(json!({ "name": "stable" })), "canary-name"),
            (canary(json!({ "share": 10_001 })), "canary-share"),
            (canary(json!({ "header": header })), "canary-header"),
            (
                canary(json!({ "consumers": vec!["c"; 101] })),
                "canary-consumers",
            ),
            (rule(json!({ "errors": 10_000 })), "canary-errors"),
            (rule(json!({ "calls": 0 })), "canary-calls"),
            (rule(json!({ "seconds": 1 })), "canary-seconds"),
            (shadow(0, 1), "shadow-share"),
            (shadow(1, 65), "shadow-concurrency"),
        ] {
            let error = model.check("m").unwrap_err();
            for language in [Language::English, Language::Chinese] {
                let said = refused(&Unkept::Model(error.clone()), &[row("a")], language);
                let said = said.unwrap_or_else(|| panic!("{error}"));
                assert!(said.wrong.is_at(field), "{field}: {said:?}");
            }
        }
    }

    #[test]
    fn what_is_about_no_field_is_said_of_the_form() {
        for (model, name) in [
            (with(json!({ "targets": [] })), "m"),
            (target(json!({ "onlyOn": ["stall"] })), "m"),
            (canary(json!({})), "m*"),
        ] {
            let error = model.check(name).unwrap_err();
            let said = refused(&Unkept::Model(error.clone()), &[], Language::Chinese);
            let said = said.unwrap_or_else(|| panic!("{error}"));
            assert_eq!(said, Refused::whole(said.text.clone()));
            assert!(!said.text.as_str().is_ascii());
        }
    }
}
