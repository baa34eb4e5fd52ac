//! Tools, which of them to call, and what they gave (<https://ai.google.dev/api/caching#Tool>).

use serde_json::{Map, Value, json};

use crate::llm::chat::{Allowed, ChatRequest, Function, Opaque, Tool, ToolChoice};
use crate::llm::dialect::gemini::names::{camel_keys, fields, list, merge};
use crate::llm::dialect::gemini::schema::json_schema;
use crate::llm::dialect::{Dialect, Dropped};
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, put};

/// Reads an element of `tools`: declarations of functions, and tools that Google runs.
pub(crate) fn read(
    tool: Value,
    place: &str,
    tools: &mut Vec<Tool>,
    rest: &mut Map<String, Value>,
) -> Result<(), Fault> {
    let mut tool = fields(tool, place)?;
    let list = list(&mut tool, "functionDeclarations")?;
    for (index, value) in list.into_iter().enumerate() {
        let place = format!("{place}.functionDeclarations[{index}]");
        let (function, extra) = read_function(fields(value, place)?)?;
        if !extra.is_empty() {
            rest.insert(path(&function.name), Value::Object(extra));
        }
        tools.push(Tool::Function(function));
    }
    for (kind, value) in tool.rest() {
        let value = json!({ kind.as_str(): value });
        tools.push(Tool::Opaque(Opaque {
            dialect: Dialect::Gemini,
            kind,
            value,
        }));
    }
    Ok(())
}

fn read_function(mut function: Fields) -> Result<(Function, Map<String, Value>), Fault> {
    let name = function.need_text("name")?;
    let description = function.text("description")?;
    let schema = function.take("parameters").map(json_schema);
    let read = Function {
        name,
        description,
        parameters: function.take("parametersJsonSchema").or(schema),
        strict: None,
        cache: None,
    };
    Ok((read, function.rest()))
}

/// Where fields of a function are kept in `rest`.
fn path(function: &str) -> String {
    format!("functionDeclarations[{function}]")
}

/// Writes `tools`: all functions in one, as Google wants it, at the place of the first.
pub(crate) fn write(
    request: &ChatRequest,
    dropped: &mut Vec<Dropped>,
) -> Result<Vec<Value>, Fault> {
    let mut tools: Vec<Value> = Vec::new();
    let mut declarations = Vec::new();
    let mut first = None;
    for (index, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function(function) => {
                first.get_or_insert(tools.len());
                declarations.push(write_function(function, request));
                for (there, field, reason) in [
                    (
                        function.strict == Some(true),
                        "strict",
                        "Gemini has no strict tools",
                    ),
                    (function.cache.is_some(), "cache", "Gemini caches by itself"),
                ] {
                    if there {
                        dropped.push(Dropped::new(format!("tools[{index}].{field}"), reason));
                    }
                }
            }
            Tool::Opaque(opaque) if opaque.dialect == Dialect::Gemini => {
                tools.push(opaque.value.clone());
            }
            Tool::Opaque(opaque) => {
                let what = format!("the tool `{}`", opaque.kind);
                return Err(Dialect::Gemini.cannot(format!("tools[{index}]"), &what));
            }
        }
    }
    if let Some(at) = first {
        tools.insert(at, json!({"functionDeclarations": declarations}));
    }
    Ok(tools)
}

fn write_function(function: &Function, request: &ChatRequest) -> Value {
    let mut map = Map::new();
    map.insert("name".to_owned(), function.name.clone().into());
    put(&mut map, "description", function.description.clone());
    put(
        &mut map,
        "parametersJsonSchema",
        function.parameters.clone(),
    );
    if request.rest.dialect == Some(Dialect::Gemini)
        && let Some(Value::Object(extra)) = request.rest.fields.get(&path(&function.name))
    {
        merge(&mut map, extra);
    }
    Value::Object(map)
}

/// Reads `toolConfig`. What is more than a choice is kept whole.
pub(crate) fn read_choice(
    value: Value,
    request: &mut ChatRequest,
    rest: &mut Map<String, Value>,
) -> Result<(), Fault> {
    let mut whole = match value {
        Value::Object(map) => camel_keys(map),
        other => return Err(crate::llm::fields::wrong("toolConfig", "an object", &other)),
    };
    let Some(calling) = whole.get("functionCallingConfig") else {
        rest.insert("toolConfig".to_owned(), Value::Object(whole));
        return Ok(());
    };
    let mut config = fields(calling.clone(), "toolConfig.functionCallingConfig")?;
    let mode = config.text("mode")?.map(|mode| mode.to_ascii_uppercase());
    let names = config.list("allowedFunctionNames")?;
    let names: Vec<String> = names
        .into_iter()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    request.tool_choice = Some(match (mode.as_deref(), names.as_slice()) {
        (Some("NONE"), _) => ToolChoice::None,
        (Some("ANY"), [name]) => ToolChoice::Named(name.clone()),
        (Some("ANY"), _) => ToolChoice::Required,
        _ => ToolChoice::Auto,
    });
    let written = request.tool_choice.as_ref().map(write_mode);
    let restricts = matches!(
        request.tool_choice,
        Some(ToolChoice::Auto | ToolChoice::Required)
    );
    if restricts && !names.is_empty() {
        request.allowed = Some(names.into_iter().map(Allowed::named).collect());
    }
    if let Some(Value::Object(calling)) = whole.get_mut("functionCallingConfig") {
        *calling = camel_keys(std::mem::take(calling));
        if let Some(mode) = mode {
            calling.insert("mode".to_owned(), mode.into());
        }
    }
    let exact = json!({"functionCallingConfig": written});
    if Value::Object(whole.clone()) != exact {
        rest.insert("toolConfig".to_owned(), Value::Object(whole));
    }
    Ok(())
}

/// Writes `toolConfig`, on top of what the caller said in this dialect.
pub(crate) fn write_choice(request: &ChatRequest) -> Option<Value> {
    let own = (request.rest.dialect == Some(Dialect::Gemini))
        .then(|| request.rest.fields.get("toolConfig"))
        .flatten();
    let Some(Value::Object(own)) = own else {
        let choice = request.tool_choice.as_ref()?;
        return Some(json!({"functionCallingConfig": write_mode(choice)}));
    };
    let mut again = ChatRequest::default();
    let same = read_choice(Value::Object(own.clone()), &mut again, &mut Map::new()).is_ok()
        && again.tool_choice == request.tool_choice;
    let mut config = own.clone();
    if !same {
        config.shift_remove("functionCallingConfig");
        if let Some(choice) = &request.tool_choice {
            config.insert("functionCallingConfig".to_owned(), write_mode(choice));
        }
    }
    Some(Value::Object(config))
}

fn write_mode(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => json!({"mode": "AUTO"}),
        ToolChoice::None => json!({"mode": "NONE"}),
        ToolChoice::Required => json!({"mode": "ANY"}),
        ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    }
}

/// A tool's result as text, and whether it failed. Google's words for both are `output` and `error`; any other
/// object is a result as a whole.
pub(crate) fn result_text(response: Map<String, Value>) -> (String, bool) {
    if response.len() == 1 {
        for (name, failed) in [("output", false), ("error", true)] {
            if let Some(Value::String(text)) = response.get(name)
                && as_object(text).is_none()
            {
                return (text.clone(), failed);
            }
        }
    }
    let failed = has_error(&response);
    (Value::Object(response).to_string(), failed)
}

/// The `response` that says the same: the other way round.
pub(crate) fn result_object(text: &str, failed: bool) -> Map<String, Value> {
    let object = as_object(text).filter(|object| !failed || has_error(object));
    object.unwrap_or_else(|| {
        let name = if failed { "error" } else { "output" };
        Map::from_iter([(name.to_owned(), Value::from(text))])
    })
}

fn as_object(text: &str) -> Option<Map<String, Value>> {
    let looks = text.trim_start().starts_with('{');
    looks.then(|| serde_json::from_str(text).ok()).flatten()
}

fn has_error(response: &Map<String, Value>) -> bool {
    !matches!(
        response.get("error"),
        None | Some(Value::Null | Value::Bool(false))
    )
}
