//! What a provider's URLs leave open, and where it may be, as a form: shown, entered, read back.

use serde_json::{Map, Value, json};

use crate::llm::provider::Provider;
use crate::llm::settings::{BASE, ProviderSettings};
use crate::market::api::providers::GivenProvider;
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::failure::Refusal;
use crate::market::pages::settings::labelled;
use crate::problem::{Problem, ProblemKind};

/// What stands before a parameter's name in the form.
const PREFIX: &str = "p.";

/// The parameters of a provider, and the private addresses it may be at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderForm {
    pub parameters: Vec<ParameterField>,
    /// Another base URL, where it is not a parameter of the kind.
    pub base: Option<ParameterField>,
    /// A rule in each line.
    pub allow: String,
    pub is_allow_wrong: bool,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterField {
    pub name: String,
    /// In the words of whoever described the provider.
    pub help: String,
    /// What it may look like.
    pub example: String,
    pub value: String,
    pub required: bool,
    pub is_wrong: bool,
}

/// What was entered in a field, without the space around it.
pub(in crate::market::pages) fn text<'e>(form: &'e Entered, name: &str) -> &'e str {
    entered(form, name).unwrap_or_default().trim()
}

impl ProviderForm {
    /// For a provider that is not there yet.
    pub(super) fn fresh(data: &Provider) -> Self {
        let default = |name: &str| {
            let mut parameters = data.parameters.iter();
            let known = parameters.find(|known| known.name == name)?;
            known.default.clone()
        };
        let mut form = Self::of(data, &default);
        // A service on this machine is a private address.
        let own = default(BASE).and_then(|base| url::Url::parse(&base).ok());
        let place = own.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port()?)));
        form.allow = place.unwrap_or_default();
        form
    }

    /// For one with these settings.
    pub(super) fn stored(data: &Provider, settings: &ProviderSettings) -> Self {
        let mut form = Self::of(data, &|name| settings.parameters.get(name).cloned());
        form.allow = settings.allow_upstream.join("\n");
        form
    }

    /// As somebody filled it in.
    pub(super) fn entered(data: &Provider, form: &Entered) -> Self {
        let given = |name: &str| Some(text(form, &format!("{PREFIX}{name}")).to_owned());
        let mut read = Self::of(data, &given);
        entered(form, "allow")
            .unwrap_or_default()
            .clone_into(&mut read.allow);
        read
    }

    fn of(data: &Provider, value: &dyn Fn(&str) -> Option<String>) -> Self {
        let field = |name: &str| ParameterField {
            name: name.to_owned(),
            help: String::new(),
            example: String::new(),
            value: value(name).unwrap_or_default(),
            required: false,
            is_wrong: false,
        };
        let parameters = data.parameters.iter().map(|known| {
            let example = known.default.as_ref().or(known.example.as_ref());
            ParameterField {
                help: known.help.clone(),
                example: example.cloned().unwrap_or_default(),
                required: !known.optional && known.default.is_none(),
                ..field(&known.name)
            }
        });
        let parameters: Vec<ParameterField> = parameters.collect();
        let is_known = parameters.iter().any(|known| known.name == BASE);
        Self {
            base: (!is_known).then(|| ParameterField {
                example: data.base_url.clone(),
                ..field(BASE)
            }),
            parameters,
            allow: String::new(),
            is_allow_wrong: false,
        }
    }

    /// Whether it says where the provider is, beyond what its kind wants to know.
    pub fn is_elsewhere(&self) -> bool {
        let base = self.base.as_ref();
        !self.allow.is_empty()
            || self.is_allow_wrong
            || base.is_some_and(|field| !field.value.is_empty() || field.is_wrong)
    }

    /// What the management API is given: the settings there are, with what the form says in their place.
    pub(super) fn given(&self, kind: &str, settings: Value) -> Result<GivenProvider, Problem> {
        let fields = self.parameters.iter().chain(&self.base);
        let parameters = fields.map(|field| (field.name.clone(), json!(field.value)));
        let rules = self.allow.split(['\n', ',', '，']).map(str::trim);
        let rules: Vec<&str> = rules.filter(|rule| !rule.is_empty()).collect();
        let mut given = settings;
        given["kind"] = kind.into();
        given["parameters"] = Value::Object(parameters.collect::<Map<_, _>>());
        given["allowUpstream"] = json!(rules);
        serde_json::from_value(given)
            .map_err(|error| Problem::new(ProblemKind::Unprocessable, error.to_string()))
    }

    /// What was entered in the place of what is stored, with what was refused marked.
    pub(super) fn enter(&mut self, form: &Entered, refusal: &Refusal) {
        for field in self.parameters.iter_mut().chain(&mut self.base) {
            text(form, &format!("{PREFIX}{}", field.name)).clone_into(&mut field.value);
        }
        entered(form, "allow")
            .unwrap_or_default()
            .clone_into(&mut self.allow);
        if let Refusal::Problem(problem) = refusal {
            *self = self.clone().refused(problem);
        }
    }

    /// The same, with what was refused marked.
    pub(super) fn refused(mut self, problem: &Problem) -> Self {
        let wrong = parameter(&problem.detail);
        for field in self.parameters.iter_mut().chain(&mut self.base) {
            field.is_wrong = wrong == Some(field.name.as_str());
        }
        self.is_allow_wrong = problem.detail.starts_with(RULE);
        self
    }
}

/// How a refusal begins that is about a parameter, and one about a rule.
const PARAMETER: &str = "`parameters.";
const RULE: &str = "`allowUpstream";

/// The parameter that a refusal is about.
fn parameter(detail: &str) -> Option<&str> {
    let (name, _) = detail.strip_prefix(PARAMETER)?.split_once('`')?;
    Some(name)
}

/// A refusal in the words of the form: a parameter is called by its name, a rule by its line.
pub(super) fn said(problem: &Problem, language: Language) -> Html {
    let detail = problem.detail.as_str();
    let rest = detail.strip_prefix(RULE);
    let line = rest.and_then(|rest| rest.strip_prefix('[')?.split_once("]`: "));
    let line = line.and_then(|(place, why)| Some((place.parse::<usize>().ok()? + 1, why)));
    if let Some((row, why)) = line {
        let label = language.say("label-allow-upstream").to_string();
        let said = language.say("providers-line").with("label", label);
        return said.with("row", row).with("why", why).into();
    }
    let named = Problem {
        kind: problem.kind,
        detail: detail.replacen(PARAMETER, "`", 1),
        extensions: None,
        terms: None,
    };
    labelled(&named, language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::provider;

    fn form(kind: &str, pairs: &[(&str, &str)]) -> ProviderForm {
        let pairs = pairs.iter();
        let pairs = pairs.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        ProviderForm::entered(provider::find(kind).unwrap(), &pairs.collect())
    }

    #[test]
    fn what_the_form_does_not_show_is_kept() {
        let azure = form(
            "azure",
            &[("p.resource", " east "), ("allow", "10.0.0.5\n\n ::1 ")],
        );
        let definition = json!({ "definition": provider::find("azure") });
        let given = azure.given("azure", definition.clone()).unwrap();
        let (kind, settings) = given.settings();
        assert_eq!(kind, "azure");
        let mut expected = definition;
        expected["parameters"] = json!({ "resource": "east" });
        expected["allowUpstream"] = json!(["10.0.0.5", "::1"]);
        assert_eq!(serde_json::to_value(&settings).unwrap(), expected);
        let data = provider::find("azure").unwrap();
        let again = ProviderForm::stored(data, &settings);
        assert_eq!(again.allow, "10.0.0.5\n::1");
        assert_eq!(again.parameters, azure.parameters);
    }

    #[test]
    fn every_kind_has_each_parameter_once_and_a_way_to_another_address() {
        for data in provider::built_in() {
            let form = ProviderForm::fresh(data);
            let fields = form.parameters.iter().chain(&form.base);
            let names: Vec<&str> = fields.map(|field| field.name.as_str()).collect();
            let bases = names.iter().filter(|name| **name == BASE).count();
            assert_eq!(bases, 1, "{}: {names:?}", data.id);
            let filled = form.parameters.iter().filter(|field| !field.required);
            for field in filled {
                let optional = data.parameters.iter().any(|known| known.optional);
                assert!(optional || !field.value.is_empty(), "{}", data.id);
            }
        }
        let ollama = ProviderForm::fresh(provider::find("ollama").unwrap());
        assert_eq!(ollama.allow, "localhost:11434");
    }

    #[test]
    fn a_refusal_names_the_field_it_is_about() {
        let refused = |detail: &str| {
            let problem = Problem::new(ProblemKind::Unprocessable, detail);
            let form = form("azure", &[]).refused(&problem);
            let fields = form.parameters.iter().chain(&form.base);
            let wrong = fields.filter(|field| field.is_wrong);
            let wrong: Vec<String> = wrong.map(|field| field.name.clone()).collect();
            let said = said(&problem, Language::English).as_str().to_owned();
            (wrong.join(" "), form.is_allow_wrong, said)
        };
        assert_eq!(
            refused("`parameters.resource`: it is not given"),
            (
                "resource".to_owned(),
                false,
                "<code>resource</code>: it is not given.".to_owned()
            )
        );
        let (wrong, allow, said) = refused("`allowUpstream[1]`: \"<b>\" is no address");
        assert_eq!((wrong.as_str(), allow), ("", true));
        assert!(
            said.contains("line 2") && said.contains("&#60;b&#62;"),
            "{said}"
        );
    }
}
