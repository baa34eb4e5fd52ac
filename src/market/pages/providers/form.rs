//! What a provider's URLs leave open, and where it may be, as a form: shown, entered, read back.

use serde_json::{Map, Value, json};

use crate::llm::provider::{Provider, UrlError};
use crate::llm::settings::{BASE, ProviderSettings, RulesError, SettingsError};
use crate::llm::standing::StandingError;
use crate::market::api::providers::GivenProvider;
use crate::market::language::{Html, Language};
use crate::market::pages::arguments::{Entered, entered};
use crate::market::pages::providers::words::Described;
use crate::market::pages::settings::{milliseconds, seconds, sentence};
use crate::market::pages::wrong::{Refused, Wrong};
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
    /// How long connecting may take, in seconds; empty: as long as the process says.
    pub connect: String,
}

/// The field of the private addresses.
pub(super) const ALLOW: &str = "allow";
/// The field of the time to connect.
const CONNECT: &str = "connectSeconds";

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParameterField {
    pub name: String,
    pub help: Option<Described>,
    /// What it may look like.
    pub example: String,
    pub value: String,
    pub required: bool,
}

impl ParameterField {
    /// As the form names it.
    pub fn field(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }
}

/// What was entered in a field, without the space around it.
pub(in crate::market::pages) fn text<'e>(form: &'e Entered, name: &str) -> &'e str {
    entered(form, name).unwrap_or_default().trim()
}

impl ProviderForm {
    /// For a provider that is not there yet.
    pub(super) fn fresh(data: &Provider, language: Language) -> Self {
        let default = |name: &str| {
            let mut parameters = data.parameters.iter();
            let known = parameters.find(|known| known.name == name)?;
            known.default.clone()
        };
        let mut form = Self::of((data, language), &default);
        // A service on this machine is a private address.
        let own = default(BASE).and_then(|base| url::Url::parse(&base).ok());
        let place = own.and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port()?)));
        form.allow = place.unwrap_or_default();
        form
    }

    /// For one with these settings.
    pub(super) fn stored(
        (data, language): (&Provider, Language),
        settings: &ProviderSettings,
    ) -> Self {
        let value = |name: &str| settings.parameters.get(name).cloned();
        let mut form = Self::of((data, language), &value);
        form.allow = settings.allow_upstream.join("\n");
        form.connect = settings.connect_timeout_ms.map(seconds).unwrap_or_default();
        form
    }

    /// As somebody filled it in.
    pub(super) fn entered((data, language): (&Provider, Language), form: &Entered) -> Self {
        let given = |name: &str| Some(text(form, &format!("{PREFIX}{name}")).to_owned());
        let mut read = Self::of((data, language), &given);
        entered(form, ALLOW)
            .unwrap_or_default()
            .clone_into(&mut read.allow);
        text(form, CONNECT).clone_into(&mut read.connect);
        read
    }

    fn of((data, language): (&Provider, Language), value: &dyn Fn(&str) -> Option<String>) -> Self {
        let field = |name: &str| ParameterField {
            name: name.to_owned(),
            help: None,
            example: String::new(),
            value: value(name).unwrap_or_default(),
            required: false,
        };
        let parameters = data.parameters.iter().map(|known| {
            let example = known.default.as_ref().or(known.example.as_ref());
            ParameterField {
                help: Some(Described::of(&known.help, language)),
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
            connect: String::new(),
        }
    }

    /// Of a kind that nobody knows any more.
    pub(super) fn unknown() -> Self {
        Self {
            parameters: Vec::new(),
            base: None,
            allow: String::new(),
            connect: String::new(),
        }
    }

    /// Whether it says where the provider is, beyond what its kind wants to know, or has to.
    pub fn is_elsewhere(&self, wrong: &Wrong) -> bool {
        let base = self.base.as_ref();
        !self.allow.is_empty()
            || wrong.is_at(ALLOW)
            || !self.connect.is_empty()
            || wrong.is_at(CONNECT)
            || base.is_some_and(|it| !it.value.is_empty() || wrong.is_at(&it.field()))
    }

    /// What the management API is given: the settings there are, with what the form says in their place.
    pub(super) fn given(&self, kind: &str, settings: Value) -> Result<GivenProvider, Problem> {
        let fields = self.parameters.iter().chain(&self.base);
        let parameters = fields.map(|field| (field.name.clone(), json!(field.value)));
        let rules = self.allow.split(['\n', ',', '，']).map(str::trim);
        let rules: Vec<&str> = rules.filter(|rule| !rule.is_empty()).collect();
        let mut settings = settings;
        settings["parameters"] = Value::Object(parameters.collect::<Map<_, _>>());
        settings["allowUpstream"] = json!(rules);
        settings["connectTimeoutMs"] = match self.connect.as_str() {
            "" => Value::Null,
            // What is no number of seconds is out of bounds, too.
            text => milliseconds(text).unwrap_or_default().into(),
        };
        given(kind, settings)
    }

    /// What was entered, in the place of what is stored.
    pub(super) fn enter(&mut self, form: &Entered) {
        for field in self.parameters.iter_mut().chain(&mut self.base) {
            let entered = text(form, &format!("{PREFIX}{}", field.name));
            entered.clone_into(&mut field.value);
        }
        let allow = entered(form, ALLOW).unwrap_or_default();
        allow.clone_into(&mut self.allow);
        text(form, CONNECT).clone_into(&mut self.connect);
    }
}

/// Settings as the management API is given them.
pub(super) fn given(kind: &str, settings: Value) -> Result<GivenProvider, Problem> {
    let mut given = settings;
    given["kind"] = kind.into();
    serde_json::from_value(given)
        .map_err(|error| Problem::new(ProblemKind::Unprocessable, error.to_string()))
}

/// What is given, where it means something by the rules of the management API.
///
/// # Errors
/// Why not, in the words of the page's forms.
pub(super) fn checked(given: GivenProvider, language: Language) -> Result<GivenProvider, Refused> {
    let (kind, settings) = given.clone().settings();
    match settings.check(&kind) {
        Ok(_) => Ok(given),
        Err(error) => Err(refused(&error, &settings, language)),
    }
}

fn refused(error: &SettingsError, settings: &ProviderSettings, language: Language) -> Refused {
    let of = |label: Html, why: Html| -> Html {
        let said = language.say("models-refused").with("label", label);
        said.with("why", why).into()
    };
    let parameter = |name: &str, why: Html| {
        let label = Html::with_code(&format!("`{name}`"));
        Refused::at(format!("{PREFIX}{name}"), of(label, why))
    };
    let field = |field: &str, label: &str, rule: &str| {
        Refused::at(
            field,
            of(language.say(label).into(), language.say(rule).into()),
        )
    };
    match error {
        SettingsError::ParameterText(name) => {
            parameter(name, language.say("providers-rule-text").into())
        }
        SettingsError::Base => parameter(BASE, language.say("providers-rule-base").into()),
        SettingsError::Url { name, source } => parameter(name, of_url(source, language)),
        SettingsError::Rules(RulesError::Many) => {
            field(ALLOW, "label-allow-upstream", "providers-rule-many")
        }
        SettingsError::Rules(RulesError::Rule(place, _)) => {
            let text = settings.allow_upstream.get(*place).cloned();
            let why = language.say("providers-rule-allow");
            let why = why.with("text", text.unwrap_or_default());
            let label = language.say("label-allow-upstream").to_string();
            let said = language.say("providers-line").with("label", label);
            Refused::at(ALLOW, said.with("row", place + 1).with("why", why).into())
        }
        SettingsError::ConnectTimeout => field(CONNECT, "label-connect", "providers-rule-connect"),
        SettingsError::Standing(StandingError::Every) => {
            field("every", "providers-check-every", "providers-rule-every")
        }
        SettingsError::Standing(StandingError::After) => {
            field("down", "providers-down-after", "providers-rule-after")
        }
        SettingsError::Standing(StandingError::LoadEvery) => field(
            "loadEvery",
            "providers-load-every",
            "providers-rule-load-every",
        ),
        SettingsError::Unlisted(_) => Refused::whole(language.say("providers-unlisted").into()),
        SettingsError::Kind(_)
        | SettingsError::Definition(_)
        | SettingsError::DefinitionKind(_)
        | SettingsError::DefinitionLength
        | SettingsError::DefinitionHeader(_)
        | SettingsError::Parameter { .. } => {
            Refused::whole(Html::with_code(&sentence(&error.to_string())))
        }
    }
}

fn of_url(error: &UrlError, language: Language) -> Html {
    match error {
        UrlError::Missing { help, .. } => {
            let said = language.say("providers-rule-missing");
            said.with("help", Described::of(help, language).text).into()
        }
        UrlError::Unfit { .. } => language.say("providers-rule-unfit").into(),
        UrlError::NoUrl { .. } | UrlError::Unsupported { .. } => {
            language.say("providers-rule-base").into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::provider;

    fn form(kind: &str, pairs: &[(&str, &str)]) -> ProviderForm {
        let pairs = pairs.iter();
        let pairs = pairs.map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        ProviderForm::entered(
            (provider::find(kind).unwrap(), Language::English),
            &pairs.collect(),
        )
    }

    #[test]
    fn what_the_form_does_not_show_is_kept() {
        let azure = form(
            "azure",
            &[
                ("p.resource", " east "),
                ("allow", "10.0.0.5\n\n ::1 "),
                ("connectSeconds", " 0.9 "),
            ],
        );
        let definition = json!({
            "definition": provider::find("azure"), "passThrough": true, "files": true,
            "health": { "everySeconds": 9, "downAfter": 2, "upAfter": 1 }, "load": { "everySeconds": 3 },
        });
        let given = azure.given("azure", definition.clone()).unwrap();
        let (kind, settings) = given.settings();
        assert_eq!(kind, "azure");
        let mut expected = definition;
        expected["parameters"] = json!({ "resource": "east" });
        expected["allowUpstream"] = json!(["10.0.0.5", "::1"]);
        expected["connectTimeoutMs"] = json!(900);
        assert_eq!(serde_json::to_value(&settings).unwrap(), expected);
        let data = provider::find("azure").unwrap();
        let again = ProviderForm::stored((data, Language::English), &settings);
        assert_eq!(again.allow, "10.0.0.5\n::1");
        assert_eq!(again.connect, "0.9");
        assert_eq!(again.parameters, azure.parameters);
    }

    #[test]
    fn every_kind_has_each_parameter_once_and_a_way_to_another_address() {
        for data in provider::built_in() {
            let form = ProviderForm::fresh(data, Language::English);
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
        let ollama = ProviderForm::fresh(provider::find("ollama").unwrap(), Language::English);
        assert_eq!(ollama.allow, "localhost:11434");
    }

    /// What is entered in the form of a kind, with these settings besides, is refused at a field, and says so.
    fn refuses(kind: &str, pairs: &[(&str, &str)], more: &Value, (field, said): (&str, &str)) {
        let of = |language| {
            let given = form(kind, pairs).given(kind, more.clone()).unwrap();
            checked(given, language).err().unwrap()
        };
        let refused = of(Language::English);
        assert!(refused.wrong.is_at(field), "{refused:?}");
        assert!(refused.text.as_str().contains(said), "{refused:?}");
        let chinese = of(Language::Chinese);
        assert!(chinese.wrong.is_at(field) && chinese.text != refused.text);
    }

    #[test]
    fn a_refusal_names_the_field_it_is_about() {
        let needed = "“<code>resource</code>” is needed: The name of";
        refuses("azure", &[], &json!({}), ("p.resource", needed));
        let unfit = ("p.resource", "cannot stand in an address");
        refuses("azure", &[("p.resource", "a/b")], &json!({}), unfit);
        for (field, text, said) in [
            ("p.base_url", "ftp://x", "is an address of http or https"),
            ("p.base_url", "http://x y", "no spaces"),
            ("allow", "::1\n<b>", "line 2: “&#60;b&#62;” is no"),
            ("connectSeconds", "a while", "0.1 to 60"),
            ("connectSeconds", "61", "0.1 to 60"),
        ] {
            refuses("openai", &[(field, text)], &json!({}), (field, said));
        }
        for (settings, field, said) in [
            (
                json!({ "health": { "everySeconds": 0 } }),
                "every",
                "is 1 to 3600",
            ),
            (json!({ "health": { "upAfter": 0 } }), "down", "1 to 100"),
            (
                json!({ "load": { "everySeconds": 61 } }),
                "loadEvery",
                "is 1 to 60",
            ),
        ] {
            refuses("openai", &[], &settings, (field, said));
        }
    }

    #[test]
    fn what_is_wrong_below_the_fold_stands_open() {
        let azure = form("azure", &[]);
        assert!(!azure.is_elsewhere(&Wrong::default()));
        assert!(azure.is_elsewhere(&Wrong::at(ALLOW, Html::default())));
        assert!(azure.is_elsewhere(&Wrong::at("p.base_url", Html::default())));
    }
}
