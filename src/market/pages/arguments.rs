//! The arguments of a tool as a form: one control per property, and back from what was entered to
//! the JSON that is sent.
//!
//! Numbers and JSON travel as the text that was entered, so that no digit is lost on the way.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::market::language::{Html, Language};
use crate::market::pages::tool::{kind, properties, required, text};
use crate::market::pages::trace::shown;
use crate::mcp::tool::ToolDef;

/// What stands before an argument's name in the form.
const PREFIX: &str = "a.";
/// The field that holds all arguments as one JSON object, and goes before the others.
pub const WHOLE: &str = "json";
const EXAMPLE_CHARS_MAX: usize = 120;
/// References between schemas that are followed to find out what to enter.
const HOPS_MAX: usize = 8;
const SAMPLE_BYTES_MAX: usize = 400;
const SAMPLE_DEPTH_MAX: usize = 3;
const SAMPLE_MEMBERS_MAX: usize = 8;

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// As the schema names it.
    pub label: String,
    /// In the form.
    pub name: String,
    /// In the page.
    pub id: String,
    pub control: Control,
    /// The schema in a few words.
    pub kind: Html,
    pub required: bool,
    pub description: String,
    /// What it may look like.
    pub example: String,
    /// What was entered.
    pub value: String,
    pub error: Option<Html>,
}

/// How an argument is entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// One of some values, each as JSON text and for people.
    Choice(Vec<(String, String)>),
    Number,
    Date,
    /// Text of one line.
    Line,
    /// Text of several lines.
    Text,
    Json,
}

/// What was entered, by field name, in the order of the form.
pub type Entered = Vec<(String, String)>;

/// The first value entered under a name.
pub fn entered<'e>(form: &'e Entered, name: &str) -> Option<&'e str> {
    let found = form.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

/// The controls for a tool's arguments; the required ones first.
pub fn fields(def: &ToolDef, language: Language) -> Vec<Field> {
    let schema = &def.input_schema;
    let required = required(schema);
    let mut fields: Vec<Field> = properties(schema)
        .enumerate()
        .map(|(index, (name, property))| {
            let resolved = resolve(schema, property);
            let one_line = def.binding.parameters.iter().any(|p| p.argument == *name);
            let control = control(resolved, one_line);
            let described = [property, resolved].map(|schema| text(schema, "description"));
            Field {
                label: name.clone(),
                name: format!("{PREFIX}{name}"),
                id: format!("argument-{index}"),
                example: example((schema, resolved), &control, language),
                control,
                kind: kind(resolved, language),
                required: required.contains(&name.as_str()),
                description: described
                    .into_iter()
                    .find(|d| !d.is_empty())
                    .unwrap_or_default()
                    .to_owned(),
                value: String::new(),
                error: None,
            }
        })
        .collect();
    fields.sort_by_key(|field| !field.required);
    fields
}

/// The schema behind local references, and behind "this or null".
fn resolve<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let mut schema = schema;
    for _ in 0..HOPS_MAX {
        if let Some(pointer) = schema.get("$ref").and_then(Value::as_str) {
            let target = pointer.strip_prefix('#').and_then(|at| root.pointer(at));
            let Some(target) = target else { break };
            schema = target;
            continue;
        }
        let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf"));
        let alternatives = alternatives.and_then(Value::as_array);
        let mut real = alternatives
            .into_iter()
            .flatten()
            .filter(|s| text(s, "type") != "null");
        match (real.next(), real.next()) {
            (Some(only), None) => schema = only,
            // A file, which may be given as an object too: its base64 is what is entered.
            (Some(file), Some(_)) if file.get("contentEncoding").is_some() => schema = file,
            _ => break,
        }
    }
    schema
}

fn control(schema: &Value, one_line: bool) -> Control {
    if let Some(choices) = schema.get("enum").and_then(Value::as_array)
        && choices
            .iter()
            .all(|choice| !choice.is_object() && !choice.is_array())
    {
        let choice = |choice: &Value| {
            let label = choice
                .as_str()
                .map_or_else(|| choice.to_string(), str::to_owned);
            (choice.to_string(), label)
        };
        return Control::Choice(choices.iter().map(choice).collect());
    }
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(only)) => vec![only],
        Some(Value::Array(names)) => {
            let names = names.iter().filter_map(Value::as_str);
            names.filter(|name| *name != "null").collect()
        }
        _ => Vec::new(),
    };
    let is = |key: &str| schema.get(key).is_some();
    match types.as_slice() {
        ["boolean"] => Control::Choice(
            ["true", "false"]
                .map(|t| (t.to_owned(), t.to_owned()))
                .into(),
        ),
        ["integer" | "number"] | ["integer", "number"] | ["number", "integer"] => Control::Number,
        ["string"] if text(schema, "format") == "date" => Control::Date,
        ["string"] if one_line || is("format") || is("pattern") => Control::Line,
        ["string"] => Control::Text,
        _ => Control::Json,
    }
}

/// A value the document gives, as it would be entered; or a sample of what is written as JSON.
fn example((root, schema): (&Value, &Value), control: &Control, language: Language) -> String {
    let given = given_example(schema);
    if !given.is_empty() || *control != Control::Json {
        return given;
    }
    let sample = sample(root, schema, 0).to_string();
    if sample.len() > SAMPLE_BYTES_MAX || sample == "null" {
        return "JSON".to_owned();
    }
    shown(&sample, language)
}

/// A value of a schema's shape, with what is required of it.
fn sample(root: &Value, schema: &Value, depth: usize) -> Value {
    let schema = resolve(root, schema);
    let given = schema.get("examples").and_then(|list| list.get(0));
    let given = given
        .or_else(|| schema.get("example"))
        .or_else(|| schema.get("default"));
    if let Some(given) = given.or_else(|| schema.get("enum").and_then(|list| list.get(0))) {
        return given.clone();
    }
    let kind = schema
        .get("type")
        .and_then(|kind| kind.get(0).unwrap_or(kind).as_str());
    let kind = kind.or_else(|| schema.get("properties").map(|_| "object"));
    match kind {
        Some("string") => json!("text"),
        Some("integer" | "number") => json!(0),
        Some("boolean") => json!(false),
        _ if depth >= SAMPLE_DEPTH_MAX => Value::Null,
        Some("array") => match schema.get("items") {
            Some(items) => json!([sample(root, items, depth + 1)]),
            None => json!([]),
        },
        Some("object") => {
            let required = required(schema);
            let wanted = |name: &str| required.is_empty() || required.contains(&name);
            let members = properties(schema).filter(|(name, _)| wanted(name));
            let members =
                members.map(|(name, property)| (name.clone(), sample(root, property, depth + 1)));
            Value::Object(members.take(SAMPLE_MEMBERS_MAX).collect())
        }
        _ => Value::Null,
    }
}

fn given_example(schema: &Value) -> String {
    let first = schema.get("examples").and_then(|list| list.get(0));
    let value = first
        .or_else(|| schema.get("example"))
        .or_else(|| schema.get("default"));
    let text = match value {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    if text.chars().count() > EXAMPLE_CHARS_MAX {
        String::new()
    } else {
        text
    }
}

/// Notes what was entered in each field, so that the form can be shown again.
pub fn fill(fields: &mut [Field], form: &Entered) {
    for field in fields {
        entered(form, &field.name)
            .unwrap_or_default()
            .clone_into(&mut field.value);
    }
}

/// The arguments as JSON. What is wrong is noted at its field.
///
/// # Errors
/// A sentence that names the fields to correct.
pub fn arguments(
    fields: &mut [Field],
    form: &Entered,
    language: Language,
) -> Result<Box<RawValue>, Html> {
    let whole = entered(form, WHOLE).unwrap_or_default().trim();
    let members = if whole.is_empty() {
        members(fields, language)?
    } else {
        whole.to_owned()
    };
    let raw: Box<RawValue> = serde_json::from_str(&members).map_err(|error| {
        let said = language.say("tool-json-wrong");
        said.with("reason", error.to_string())
    })?;
    if raw.get().starts_with('{') {
        return Ok(raw);
    }
    Err(language.say("tool-json-object").into())
}

fn members(fields: &mut [Field], language: Language) -> Result<String, Html> {
    let mut members = Vec::new();
    for field in fields.iter_mut() {
        match json(field, language) {
            Ok(Some(json)) => members.push(format!("{}:{json}", Value::from(field.label.as_str()))),
            Ok(None) => {}
            Err(fault) => field.error = Some(fault),
        }
    }
    let wrong: Vec<&str> = fields
        .iter()
        .filter(|f| f.error.is_some())
        .map(|f| f.label.as_str())
        .collect();
    if wrong.is_empty() {
        return Ok(format!("{{{}}}", members.join(",")));
    }
    let said = language.say("tool-correct");
    Err(said.with("names", wrong.join(", ")).into())
}

/// A field's value as JSON text; none where nothing was entered.
fn json(field: &Field, language: Language) -> Result<Option<String>, Html> {
    let trimmed = field.value.trim();
    if trimmed.is_empty()
        && (field.value.is_empty() || !matches!(field.control, Control::Line | Control::Text))
    {
        return if field.required {
            Err(language.say("tool-is-required").into())
        } else {
            Ok(None)
        };
    }
    let is_json = || serde_json::from_str::<&RawValue>(trimmed);
    match &field.control {
        Control::Choice(choices) => {
            let known = choices.iter().any(|(value, _)| value == trimmed);
            known
                .then(|| Some(trimmed.to_owned()))
                .ok_or_else(|| language.say("tool-choose-one").into())
        }
        Control::Number => {
            let begins = trimmed.starts_with(|c: char| c == '-' || c.is_ascii_digit());
            let number = begins && is_json().is_ok();
            number
                .then(|| Some(trimmed.to_owned()))
                .ok_or_else(|| language.say("tool-want-number").into())
        }
        Control::Date | Control::Line => Ok(Some(Value::from(field.value.as_str()).to_string())),
        // Browsers end the lines of a text area with CRLF (HTML, "form-data set").
        Control::Text => Ok(Some(
            Value::from(field.value.replace("\r\n", "\n")).to_string(),
        )),
        Control::Json => match is_json() {
            Ok(_) => Ok(Some(trimmed.to_owned())),
            Err(error) => {
                let said = language.say("tool-want-json");
                Err(said.with("reason", error.to_string()).into())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(schema: Value, value: &str) -> Field {
        Field {
            label: "x".into(),
            name: "a.x".into(),
            id: "argument-0".into(),
            control: control(&schema, false),
            kind: Html::default(),
            required: false,
            description: String::new(),
            example: String::new(),
            value: value.into(),
            error: None,
        }
    }

    #[test]
    fn what_is_entered_becomes_json_of_the_kind_the_schema_wants() {
        for (schema, entered, sent) in [
            (
                json!({"type": "integer"}),
                " 12345678901234567890123 ",
                r#"{"x":12345678901234567890123}"#,
            ),
            (
                json!({"type": ["number", "null"]}),
                "-1.50",
                r#"{"x":-1.50}"#,
            ),
            (json!({"type": "string"}), "12", r#"{"x":"12"}"#),
            (
                json!({"type": "string"}),
                "a\r\n\"b\"",
                r#"{"x":"a\n\"b\""}"#,
            ),
            (json!({"type": "string"}), " ", r#"{"x":" "}"#),
            (json!({"type": "boolean"}), "false", r#"{"x":false}"#),
            (json!({"enum": ["a", 1, null]}), "\"a\"", r#"{"x":"a"}"#),
            (json!({"enum": ["a", 1, null]}), "null", r#"{"x":null}"#),
            (json!({"type": "array"}), "[1, 1.0]", r#"{"x":[1, 1.0]}"#),
            (json!({}), "\"text\"", r#"{"x":"text"}"#),
            (json!({"type": "integer"}), "  ", "{}"),
            (json!({"type": "string"}), "", "{}"),
        ] {
            let mut fields = [field(schema, entered)];
            let arguments = arguments(&mut fields, &Vec::new(), Language::English).unwrap();
            assert_eq!(arguments.get(), sent);
        }
    }

    #[test]
    fn what_cannot_be_json_is_said_at_its_field() {
        for (schema, entered) in [
            (json!({"type": "integer"}), "twelve"),
            (json!({"type": "integer"}), "1,\"y\":2"),
            (json!({"type": "integer"}), "012"),
            (json!({"type": "object"}), "{\"a\":1},\"b\":{}"),
            (json!({"type": "object"}), "{'a': 1}"),
            (json!({"enum": ["a"]}), "a"),
            (json!({"type": "boolean"}), "yes"),
        ] {
            let mut fields = [field(schema, entered)];
            let error = arguments(&mut fields, &Vec::new(), Language::English).unwrap_err();
            assert!(error.as_str().ends_with("correct: x."), "{error}");
            assert!(fields[0].error.is_some(), "{entered}");
        }
    }

    #[test]
    fn a_required_field_is_asked_for_and_the_json_field_goes_first() {
        let mut fields = [Field {
            required: true,
            ..field(json!({"type": "string"}), "")
        }];
        assert!(arguments(&mut fields, &Vec::new(), Language::English).is_err());
        let form = |text: &str| vec![(WHOLE.to_owned(), text.to_owned())];
        assert_eq!(
            arguments(&mut fields, &form(" {\"y\": 1} "), Language::English)
                .unwrap()
                .get(),
            "{\"y\": 1}"
        );
        for wrong in ["[1]", "null", "{"] {
            let error = arguments(&mut fields, &form(wrong), Language::English).unwrap_err();
            assert!(error.as_str().starts_with("Arguments as JSON"), "{error}");
        }
    }

    #[test]
    fn json_is_asked_for_by_a_sample_of_its_shape() {
        let root = json!({"$defs": {"Line": {
            "type": "object", "required": ["id"],
            "properties": {"id": {"type": "integer"}, "note": {"type": "string"}, "next": {"$ref": "#/$defs/Line"}},
        }, "Deep": {"type": "array", "items": {"$ref": "#/$defs/Deep"}}}});
        for (schema, expected) in [
            (
                json!({"type": "array", "items": {"$ref": "#/$defs/Line"}}),
                "[\n  {\n    \"id\": 0\n  }\n]",
            ),
            (
                json!({"type": "array", "items": {"enum": ["a"]}}),
                "[\n  \"a\"\n]",
            ),
            (json!({"type": ["object", "null"]}), "{}"),
            (
                json!({"$ref": "#/$defs/Deep"}),
                "[\n  [\n    [\n      null\n    ]\n  ]\n]",
            ),
            (json!({}), "JSON"),
        ] {
            assert_eq!(
                example(
                    (&root, resolve(&root, &schema)),
                    &Control::Json,
                    Language::English
                ),
                expected,
                "{schema}"
            );
        }
        assert_eq!(
            example(
                (&root, &json!({"type": "string"})),
                &Control::Line,
                Language::English
            ),
            ""
        );
    }

    #[test]
    fn references_and_null_are_looked_through() {
        let root =
            json!({"$defs": {"Size": {"enum": ["s", "m"]}, "Loop": {"$ref": "#/$defs/Loop"}}});
        let nullable = json!({"anyOf": [{"$ref": "#/$defs/Size"}, {"type": "null"}]});
        let said = kind(resolve(&root, &nullable), Language::English);
        assert_eq!(said.as_str(), "one of s, m");
        let endless = json!({"$ref": "#/$defs/Loop"});
        assert_eq!(control(resolve(&root, &endless), false), Control::Json);
    }
}
