//! The configuration of LiteLLM's proxy (<https://docs.litellm.ai/docs/proxy/config_settings>), as a catalog. Pure: the
//! environment comes in as a function, and is asked for addresses and regions, never for keys.

mod deployment;
mod fallback;
mod known;
mod routing;
mod vendor;

use indexmap::IndexMap;
use serde_json::{Map, Value, json};

use crate::cli::adopt::Adopted;
use crate::cli::adopt::draft::Draft;
use crate::cli::adopt::litellm::deployment::Deployment;
use crate::cli::adopt::litellm::routing::Routing;
use crate::cli::adopt::litellm::vendor::variable;
use crate::cli::adopt::section::{Section, text};

/// Entries of `model_list` that are read.
const DEPLOYMENTS_MAX: usize = 5_000;

/// Why a file is no configuration of LiteLLM.
#[derive(Debug, thiserror::Error)]
#[error("there is no `model_list` in it, with which a configuration of LiteLLM's proxy begins")]
pub(crate) struct NoModels;

/// What is read, and what it becomes.
pub(super) struct Reading<'a> {
    environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) draft: Draft,
    /// Picodollars by price list and model.
    pub(super) prices: IndexMap<&'static str, Map<String, Value>>,
    /// Variables that LiteLLM reads although nothing names them.
    assumed: Vec<String>,
}

/// Reads a configuration.
///
/// # Errors
/// Where it is none of LiteLLM's.
pub(crate) fn adopt(
    config: &Value,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Adopted, NoModels> {
    let mut top = Section::of("", config);
    if !top.names().any(|name| name == "model_list") {
        return Err(NoModels);
    }
    let mut reading = Reading {
        environment,
        draft: Draft::default(),
        prices: IndexMap::new(),
        assumed: Vec::new(),
    };
    let credentials = reading.credentials(&mut top);
    let mut entries = top.list("model_list");
    if entries.len() > DEPLOYMENTS_MAX {
        let place = ("model_list", &json!([]));
        let why = format!("only its first {DEPLOYMENTS_MAX} entries are read");
        reading
            .draft
            .report
            .left(place, &why, "read the rest from a file of its own");
        entries.truncate(DEPLOYMENTS_MAX);
    }
    // Providers that a wildcard names come first: callers say their names.
    let (wild, plain): (Vec<_>, Vec<_>) = entries
        .into_iter()
        .partition(|(_, entry)| deployment::is_provider(entry));
    let mut groups: IndexMap<String, Vec<Deployment>> = IndexMap::new();
    for (path, entry) in wild.into_iter().chain(plain) {
        if let Some((name, deployment)) =
            deployment::read(&mut reading, &path, &entry, &credentials)
        {
            groups.entry(name).or_default().push(deployment);
        }
    }
    let routing = Routing::read(&mut reading, &mut top);
    routing.models(&mut reading, &groups);
    top.section("general_settings")
        .rest("general_settings", &mut reading.draft.report);
    top.rest("litellm", &mut reading.draft.report);
    Ok(reading.finish())
}

impl Reading<'_> {
    pub(super) fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// A member that is a text, or the variable that holds it.
    ///
    /// # Errors
    /// Where the variable is not set here; what to do.
    pub(super) fn text(
        &self,
        section: &mut Section,
        name: &str,
    ) -> Result<Option<String>, (String, String)> {
        let Some(given) = section.take(name).and_then(|(_, value)| text(&value)) else {
            return Ok(None);
        };
        let Some(variable) = variable(&given) else {
            return Ok(Some(given));
        };
        let value = self.environment(variable);
        value.map(Some).ok_or_else(|| {
            let why = format!("`{name}` is in the variable {variable}, which is not set here");
            (
                why,
                format!("set {variable} where you read it, and read it again"),
            )
        })
    }

    /// Notes that a variable holds a key that the configuration says nothing of.
    pub(super) fn assumed(&mut self, variable: &str) {
        if !self.assumed.iter().any(|known| known == variable) {
            self.assumed.push(variable.to_owned());
        }
    }

    /// `credential_list`, by name.
    fn credentials(&mut self, top: &mut Section) -> IndexMap<String, Section> {
        let mut credentials = IndexMap::new();
        for (path, entry) in top.list("credential_list") {
            let mut entry = Section::of(path, &entry);
            let name = entry.take("credential_name").and_then(|(_, it)| text(&it));
            let values = entry.section("credential_values");
            entry.take("credential_info");
            credentials.extend(name.map(|name| (name, values)));
            entry.rest("credential_list", &mut self.draft.report);
        }
        credentials
    }

    fn finish(self) -> Adopted {
        let prices = (!self.prices.is_empty()).then(|| json!(self.prices));
        let (catalog, report) = self.draft.finish();
        Adopted {
            catalog,
            report,
            prices,
            assumed: self.assumed,
        }
    }
}
