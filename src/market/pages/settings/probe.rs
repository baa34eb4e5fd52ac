//! How an API is asked whether it is well, as a form has it.

use serde_json::{Value, json};

use crate::market::language::{Html, Language};
use crate::market::pages::settings::wrong;
use crate::mcp::server::{ProbeSettings, Server};
use crate::mcp::tool::ToolDef;

/// Operations that are proposed; any other can be typed.
const CHOICES_MAX: usize = 500;

/// An operation that is proposed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeChoice {
    /// As it is set.
    pub operation: String,
    /// As the document writes it.
    pub route: String,
}

impl ProbeChoice {
    fn of(tool: &ToolDef) -> Self {
        Self {
            operation: tool.operation.0.clone(),
            route: tool.route(),
        }
    }

    /// The operations of a server that only look, and can be called without an argument; and the one that is
    /// set, whatever it wants.
    pub fn all(server: &Server, set: &str) -> Vec<Self> {
        let tools = server.tools.values().map(|tool| &*tool.def);
        let free = tools.clone().filter(|tool| is_free(tool));
        let mut all: Vec<Self> = free.take(CHOICES_MAX).map(Self::of).collect();
        if !set.is_empty() && all.iter().all(|choice| choice.operation != set) {
            let known = tools.clone().find(|tool| tool.operation.0 == set);
            all.push(known.map_or_else(|| Self::unknown(set), Self::of));
        }
        all
    }

    /// What is set and no longer in the document.
    fn unknown(set: &str) -> Self {
        Self {
            operation: set.to_owned(),
            route: set.to_owned(),
        }
    }
}

fn is_free(tool: &ToolDef) -> bool {
    let required = tool.input_schema["required"].as_array();
    let reads = matches!(tool.binding.method.as_str(), "GET" | "HEAD");
    reads && required.is_none_or(Vec::is_empty)
}

/// An empty operation: it is not asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeForm {
    pub operation: String,
    /// A JSON object, or nothing.
    pub arguments: String,
    pub minutes: String,
}

impl ProbeForm {
    /// As a server has it.
    pub fn of(settings: Option<&ProbeSettings>) -> Self {
        let Some(probe) = settings else {
            return Self::default();
        };
        let arguments = Some(&probe.arguments).filter(|arguments| !arguments.is_empty());
        Self {
            operation: probe.operation.0.clone(),
            arguments: arguments.map_or_else(String::new, |it| json!(it).to_string()),
            minutes: probe.every_minutes.to_string(),
        }
    }

    /// As it was entered; `text` gives a field's text.
    pub fn entered(text: impl Fn(&str) -> String) -> Self {
        Self {
            operation: text("probeOperation"),
            arguments: text("probeArguments"),
            minutes: text("probeMinutes"),
        }
    }

    /// As the management API takes it.
    ///
    /// # Errors
    /// A sentence that names the field that is not understood.
    pub fn change(&self, language: Language) -> Result<Value, Html> {
        if self.operation.is_empty() {
            return Ok(Value::Null);
        }
        let minutes = match self.minutes.as_str() {
            "" => Ok(MINUTES_DEFAULT),
            text => text.parse::<u32>(),
        };
        let minutes =
            minutes.map_err(|_| wrong(language, "settings-want-whole", "label-probe-minutes"))?;
        let arguments = match self.arguments.as_str() {
            "" => Some(json!({})),
            text => serde_json::from_str(text).ok().filter(Value::is_object),
        };
        let arguments = arguments
            .ok_or_else(|| wrong(language, "settings-want-object", "label-probe-arguments"))?;
        Ok(json!({
            "operation": key(&self.operation), "arguments": arguments, "everyMinutes": minutes,
        }))
    }
}

/// The key of an operation that is written as its document writes it: what parameters of the path are called is no part
/// of it.
fn key(route: &str) -> String {
    let mut key = String::with_capacity(route.len());
    let mut rest = route;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((_, after)) = after.split_once('}') else {
            break;
        };
        key.push_str(before);
        key.push_str("{}");
        rest = after;
    }
    key.push_str(rest);
    key
}

/// Where nothing is entered.
const MINUTES_DEFAULT: u32 = 15;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openapi::OperationKey;

    #[test]
    fn an_operation_is_known_by_what_its_document_calls_it() {
        for (typed, expected) in [
            ("GET /look", "GET /look"),
            ("HEAD /a/{id}/b.{kind}", "HEAD /a/{}/b.{}"),
            ("GET /a/{}", "GET /a/{}"),
            ("GET /a/{id", "GET /a/{id"),
        ] {
            assert_eq!(key(typed), expected);
        }
    }

    #[test]
    fn what_is_set_survives_the_form() {
        let mut arguments = serde_json::Map::new();
        for _ in 0..2 {
            let set = ProbeSettings {
                operation: OperationKey("GET /health".to_owned()),
                arguments: arguments.clone(),
                every_minutes: 60,
            };
            let form = ProbeForm::of(Some(&set));
            let change = form.change(Language::English).unwrap();
            assert_eq!(
                serde_json::from_value::<ProbeSettings>(change).unwrap(),
                set
            );
            arguments.insert("deep".to_owned(), json!(true));
        }
        assert!(
            ProbeForm::of(None)
                .change(Language::English)
                .unwrap()
                .is_null()
        );
        for (arguments, minutes) in [("[]", "5"), ("{", "5"), ("{}", "often")] {
            let form = ProbeForm {
                operation: "GET /".to_owned(),
                arguments: arguments.to_owned(),
                minutes: minutes.to_owned(),
            };
            assert!(
                form.change(Language::English).is_err(),
                "{arguments} {minutes}"
            );
        }
    }
}
