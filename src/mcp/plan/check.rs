//! Whether arguments fit their tool, and what is wrong with those that do not.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::mcp::plan::raw::Raw;
use crate::mcp::plan::{Given, PlanError, shape};
use crate::mcp::tool::Tool;
use crate::mcp::tool::effort::{Effort, effort};
use crate::mcp::tool::text::shorten;
use crate::openapi::pointer::unescape;

/// What a model is told of, and what is looked at.
const VIOLATIONS_MAX: usize = 8;
const ERRORS_MAX: usize = 1_000;

/// Checks the arguments; those that fail are looked at once more with stringified JSON unpacked.
/// Which arguments were unpacked comes back.
pub(super) fn validate(tool: &Tool, given: &mut Given) -> Result<Vec<String>, PlanError> {
    let Err(violations) = check(tool, given) else {
        return Ok(Vec::new());
    };
    // In the shape of a provider the list was written for?
    let restored = shape::restored(&tool.def, given);
    if check(tool, &restored).is_ok() {
        let packed = |name: &String| {
            let was_text = given.get(name).is_some_and(Raw::is_text);
            was_text && restored.get(name).is_some_and(|raw| !raw.is_text())
        };
        let healed = violations.arguments.into_iter().filter(packed).collect();
        *given = restored;
        return Ok(healed);
    }
    let mut unpacked = given.clone();
    let mut healed = violations.arguments;
    healed.retain(|name| unpacked.get_mut(name).is_some_and(Raw::unpack));
    if healed.is_empty() {
        return Err(PlanError::Schema(violations.lines.join("\n")));
    }
    match check(tool, &unpacked) {
        Ok(()) => {
            *given = unpacked;
            Ok(healed.into_iter().collect())
        }
        Err(violations) => Err(PlanError::Schema(violations.lines.join("\n"))),
    }
}

/// What is wrong with the arguments, and which of them are.
#[derive(Default)]
struct Violations {
    lines: Vec<String>,
    arguments: BTreeSet<String>,
}

fn check(tool: &Tool, given: &Given) -> Result<(), Violations> {
    let mut found = Violations {
        lines: unfit_names(&tool.def.input_schema, given),
        ..Violations::default()
    };
    if let Some(validator) = &tool.input {
        let bytes = given.values().map(|raw| raw.text().len()).sum();
        let instance = given.iter().map(|(name, raw)| (name.clone(), raw.value()));
        let instance = Value::Object(instance.collect());
        let effort = effort(&tool.def.input_schema, &instance, bytes);
        if effort == Effort::Excessive {
            let text = "- they are nested too deep for the alternatives their schema has";
            found.lines.push(text.to_owned());
        } else if found.lines.is_empty() && validator.is_valid(&instance) {
            return Ok(());
        } else if effort == Effort::Small {
            found.tell(validator, &instance);
        } else {
            let text = "- a value fits none of the alternatives its schema has";
            found.lines.push(text.to_owned());
        }
    }
    found.lines.truncate(VIOLATIONS_MAX);
    if found.lines.is_empty() {
        Ok(())
    } else {
        Err(found)
    }
}

/// Names that are missing, and names of no argument. Whatever a validator knows of the schema, nobody
/// gives what is not an argument.
fn unfit_names(schema: &Value, given: &Given) -> Vec<String> {
    let required = schema.get("required").and_then(Value::as_array);
    let required = required.into_iter().flatten().filter_map(Value::as_str);
    let missing = required
        .filter(|name| !given.contains_key(*name))
        .map(|name| format!("- `{name}` is required and missing"));
    let properties = schema.get("properties");
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let is_known = |name: &str| properties.is_some_and(|members| members.get(name).is_some());
    let unknown = given
        .keys()
        .filter(|name| closed && !is_known(name))
        .map(|name| format!("- `{}` is no argument of this tool", shorten(name, 100)));
    missing.chain(unknown).take(VIOLATIONS_MAX).collect()
}

impl Violations {
    /// Adds what a validator says, but for what is known of the names already.
    fn tell(&mut self, validator: &jsonschema::Validator, instance: &Value) {
        let of_names = |error: &jsonschema::ValidationError<'_>| {
            error.instance_path().as_str().is_empty()
                && matches!(error.kind().keyword(), "required" | "additionalProperties")
        };
        let errors = validator.iter_errors(instance);
        for error in errors.filter(|error| !of_names(error)).take(ERRORS_MAX) {
            let argument = error.instance_path().as_str().split('/').nth(1);
            self.arguments
                .extend(argument.map(|name| unescape(name).into_owned()));
            if self.lines.len() < VIOLATIONS_MAX {
                self.lines.push(violation(&error));
            }
        }
    }
}

fn violation(error: &jsonschema::ValidationError<'_>) -> String {
    let path = error
        .instance_path()
        .as_str()
        .trim_start_matches('/')
        .replace('/', ".");
    let text: String = error.to_string().chars().take(300).collect();
    if path.is_empty() {
        format!("- {text}")
    } else {
        format!("- `{path}`: {text}")
    }
}
