//! A curation held against the tool it is for, before it is stored.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::Value;

use crate::mcp::curation::arguments::argument_keys;
use crate::mcp::curation::{ArgumentCuration, Curation};
use crate::mcp::tool::{BodyArguments, ToolDef, validator_of};

/// What may be said in a title, a group and a description, in bytes.
const WORDS_BYTES_MAX: usize = 4_096;

/// Why a curation cannot be set for a tool. The texts name the field, and what would be valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CurationError {
    #[error("`arguments`: the tool has no argument `{name}`; it has {known}")]
    Argument { name: String, known: String },
    #[error("`arguments.{0}.fixed`: the whole body cannot be fixed")]
    WholeBody(String),
    #[error("`arguments.{name}.fixed`: the value does not fit the argument's schema: {reason}")]
    Value { name: String, reason: String },
    #[error("`security`: the operation has no such alternative; it has {known}")]
    Security { known: String },
    #[error("`server`: the operation has no such server; it has {known}")]
    Server { known: String },
    #[error("`{field}` may not be empty, and has at most {WORDS_BYTES_MAX} bytes")]
    Words { field: &'static str },
}

impl Curation {
    /// The curation as it is stored for `tool`, which is as the document gives it: arguments that were
    /// named as in the input schema get their keys.
    ///
    /// # Errors
    /// The first thing in it that does not fit the tool.
    pub fn for_tool(mut self, tool: &ToolDef) -> Result<Self, CurationError> {
        for (field, text) in [
            ("title", &self.title),
            ("description", &self.description),
            ("group", &self.group),
        ] {
            let fits = |text: &String| !text.trim().is_empty() && text.len() <= WORDS_BYTES_MAX;
            if !text.as_ref().is_none_or(fits) {
                return Err(CurationError::Words { field });
            }
        }
        self.arguments = keyed(tool, self.arguments)?;
        check_security(tool, self.security.as_ref())?;
        check_server(tool, self.server.as_deref())?;
        Ok(self)
    }
}

fn keyed(
    tool: &ToolDef,
    arguments: IndexMap<String, ArgumentCuration>,
) -> Result<IndexMap<String, ArgumentCuration>, CurationError> {
    let known = argument_keys(&tool.binding);
    let mut keyed = IndexMap::with_capacity(arguments.len());
    for (given, curation) in arguments {
        let found = known
            .iter()
            .find(|(key, argument)| *key == given || *argument == given);
        let Some((key, argument)) = found else {
            let names: Vec<&str> = known
                .iter()
                .map(|(_, argument)| argument.as_str())
                .collect();
            return Err(CurationError::Argument {
                name: given,
                known: listed(&names),
            });
        };
        if let Some(value) = &curation.fixed {
            check_value(tool, (key, argument), value)?;
        }
        keyed.insert(key.clone(), curation);
    }
    Ok(keyed)
}

fn check_value(
    tool: &ToolDef,
    (key, argument): (&str, &str),
    value: &Value,
) -> Result<(), CurationError> {
    let body = tool.binding.body.as_ref().map(|body| &body.arguments);
    if key == "body" && matches!(body, Some(BodyArguments::Whole(_))) {
        return Err(CurationError::WholeBody(argument.to_owned()));
    }
    let schema = &tool.input_schema;
    let Some(mut property) = schema
        .get("properties")
        .and_then(|p| p.get(argument))
        .cloned()
    else {
        return Ok(());
    };
    if let (Some(property), Some(definitions)) = (property.as_object_mut(), schema.get("$defs")) {
        property.insert("$defs".to_owned(), definitions.clone());
    }
    // A schema that cannot be compiled checks nothing in a call either.
    let Ok(validator) = validator_of(&property) else {
        return Ok(());
    };
    validator
        .validate(value)
        .map_err(|error| CurationError::Value {
            name: argument.to_owned(),
            reason: error.to_string().chars().take(300).collect(),
        })
}

fn check_security(tool: &ToolDef, chosen: Option<&BTreeSet<String>>) -> Result<(), CurationError> {
    let Some(chosen) = chosen else {
        return Ok(());
    };
    let alternatives = &tool.binding.security;
    let offered = alternatives.iter().any(|alternative| {
        alternative.0.keys().collect::<BTreeSet<_>>() == chosen.iter().collect()
    });
    if offered || (chosen.is_empty() && alternatives.is_empty()) {
        return Ok(());
    }
    let known: Vec<String> = alternatives
        .iter()
        .map(|alternative| {
            let names: Vec<&str> = alternative.0.keys().map(String::as_str).collect();
            format!("[{}]", names.join(", "))
        })
        .collect();
    Err(CurationError::Security {
        known: listed(&known.iter().map(String::as_str).collect::<Vec<_>>()),
    })
}

fn check_server(tool: &ToolDef, chosen: Option<&str>) -> Result<(), CurationError> {
    let servers = &tool.binding.servers;
    let offered = |url: &str| servers.iter().any(|server| server.url == url);
    if chosen.is_none_or(offered) {
        return Ok(());
    }
    let known: Vec<&str> = servers.iter().map(|server| server.url.as_str()).collect();
    Err(CurationError::Server {
        known: listed(&known),
    })
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
