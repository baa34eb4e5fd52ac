//! What names lead to in an organization, as it is stored: whether there is a model by one, and which need another.

use std::collections::BTreeSet;

use crate::access::person::Person;
use crate::llm::live::{DEMO, OnExhaust, StoredModel};
use crate::llm::names::Pattern;
use crate::market::api::Market;
use crate::problem::Problem;
use crate::store::models::{MODELS_MAX, ModelRow, PROVIDERS_MAX};

/// The models and providers of an organization.
pub(super) struct Known {
    models: Vec<ModelRow>,
    providers: BTreeSet<String>,
    /// There is the provider in the process itself, and its model.
    has_demo: bool,
}

impl Known {
    pub(super) async fn of(market: &Market, person: &Person) -> Result<Self, Problem> {
        let parts = &market.0.parts;
        let organization = person.organization();
        let store = &parts.publisher.store;
        let models = store.models_after(organization, ("", MODELS_MAX)).await?;
        let providers = store.providers_after(organization, ("", PROVIDERS_MAX));
        let providers: BTreeSet<String> =
            providers.await?.into_iter().map(|row| row.name).collect();
        let demo = parts.llm.models.provider_of(organization, DEMO);
        Ok(Self {
            has_demo: demo.is_some() && !providers.contains(DEMO),
            models,
            providers,
        })
    }

    pub(super) fn has_provider(&self, name: &str) -> bool {
        self.providers.contains(name) || self.has_demo && name == DEMO
    }

    /// Whether a name leads somewhere, by other models than some: to one that is stored, also as a pattern, or to a provider
    /// that it names.
    pub(super) fn leads(&self, name: &str, but: &[&str]) -> bool {
        let others = || {
            let rows = self.models.iter();
            rows.filter(|row| !but.contains(&row.name.as_str()))
        };
        let by_provider = name
            .split_once('/')
            .is_some_and(|(provider, rest)| !rest.is_empty() && self.has_provider(provider));
        by_provider
            || self.has_demo && name == DEMO
            || others().any(|row| row.name == name)
            || others().any(|row| Pattern::read(&row.name).is_ok_and(|it| it.matches(name)))
    }

    /// Where a model's requests go now once its budgets are used up.
    pub(super) fn downgrade_of(&self, name: &str) -> Option<String> {
        let row = self.models.iter().find(|row| row.name == name)?;
        downgrade(row)
    }

    /// The names of models whose requests would go nowhere once their own budgets are used up, without this one.
    pub(super) fn downgrading_to(&self, name: &str) -> Vec<String> {
        let needs = |row: &&ModelRow| {
            downgrade(row).is_some_and(|downgrade| {
                row.name != name
                    && self.leads(&downgrade, &[&row.name])
                    && !self.leads(&downgrade, &[&row.name, name])
            })
        };
        let rows = self.models.iter().filter(needs);
        rows.map(|row| row.name.clone()).collect()
    }
}

fn downgrade(row: &ModelRow) -> Option<String> {
    let settings = serde_json::from_str::<StoredModel>(&row.settings).ok()?;
    let OnExhaust { downgrade } = settings.on_exhaust?;
    Some(downgrade)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(name: &str, downgrade: Option<&str>) -> ModelRow {
        let exhaust = downgrade.map(|name| json!({ "downgrade": name }));
        let settings = json!({ "targets": [{ "provider": "a" }], "onExhaust": exhaust });
        ModelRow {
            id: uuid::Uuid::nil(),
            organization_id: uuid::Uuid::nil(),
            name: name.to_owned(),
            settings: settings.to_string(),
            updated_at: 0,
        }
    }

    #[test]
    fn a_name_leads_to_models_patterns_and_providers() {
        let known = Known {
            models: vec![
                row("dear", Some("cheap")),
                row("cheap", None),
                row("small-*", Some("small-1")),
                row("other", Some("small-2")),
                row("re:gpt-[0-9]+", None),
            ],
            providers: BTreeSet::from(["openai".to_owned()]),
            has_demo: true,
        };
        for (name, leads) in [
            ("cheap", true),
            ("small-1", true),
            ("gpt-4", true),
            ("openai/anything", true),
            ("demo", true),
            ("openai/", false),
            ("openai", false),
            ("else/anything", false),
            ("gpt-4o", false),
            ("nowhere", false),
        ] {
            assert_eq!(known.leads(name, &[]), leads, "{name}");
        }
        // A pattern is no substitute for itself.
        assert!(!known.leads("small-1", &["small-*"]));
        assert_eq!(known.downgrade_of("dear").as_deref(), Some("cheap"));
        assert_eq!(known.downgrading_to("cheap"), ["dear"]);
        assert_eq!(known.downgrading_to("small-*"), ["other"]);
        assert!(known.downgrading_to("dear").is_empty());
    }
}
