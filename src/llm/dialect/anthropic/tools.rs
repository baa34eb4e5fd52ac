//! Tools, and which of them are to be called
//! (<https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/implement-tool-use>).

use serde_json::{Map, Value, json};

use crate::llm::chat::{ChatRequest, Function, Tool, ToolChoice};
use crate::llm::dialect::Dialect;
use crate::llm::dialect::anthropic::block::{Reader, opaque};
use crate::llm::dialect::anthropic::turns::{Writer, cache_control};
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, put};

/// Reads `tools`. Those of another type than `custom` only Anthropic has.
pub(crate) fn decode(tools: Vec<Value>, reader: &mut Reader) -> Result<Vec<Tool>, Fault> {
    let mut read = Vec::with_capacity(tools.len());
    for (index, tool) in tools.into_iter().enumerate() {
        let place = format!("tools[{index}]");
        let mut fields = Fields::of(tool, &place)?;
        if let Some(kind) = fields.text("type")?.filter(|kind| kind != "custom") {
            read.push(Tool::Opaque(opaque(kind, fields.rest())));
            continue;
        }
        read.push(Tool::Function(Function {
            name: fields.need_text("name")?,
            description: fields.text("description")?,
            parameters: fields.take("input_schema"),
            strict: fields.flag("strict")?,
            cache: reader.cache(&mut fields, &place)?,
        }));
        reader.keep(&place, fields.rest());
    }
    Ok(read)
}

/// Reads `tool_choice`.
pub(crate) fn decode_choice(mut fields: Fields, request: &mut ChatRequest) -> Result<(), Fault> {
    let kind = fields.need_text("type")?;
    request.tool_choice = Some(match kind.as_str() {
        "auto" => ToolChoice::Auto,
        "any" => ToolChoice::Required,
        "none" => ToolChoice::None,
        "tool" => ToolChoice::Named(fields.need_text("name")?),
        other => {
            let message = format!("`{other}` is no choice; it has to be auto, any, tool or none");
            return Err(Fault::invalid(fields.at("type"), message));
        }
    });
    let one = fields.flag("disable_parallel_tool_use")?;
    request.parallel_tool_calls = one.map(|one| !one);
    Ok(())
}

/// Writes `tools` and `tool_choice`.
pub(crate) fn encode(writer: &mut Writer, body: &mut Map<String, Value>) -> Result<(), Fault> {
    let request = writer.request;
    let mut tools = Vec::with_capacity(request.tools.len());
    for (index, tool) in request.tools.iter().enumerate() {
        let place = format!("tools[{index}]");
        tools.push(match tool {
            Tool::Function(function) => function_of(function, &place, writer),
            Tool::Opaque(tool) if tool.dialect == Dialect::Anthropic => tool.value.clone(),
            Tool::Opaque(tool) => {
                let what = format!("A tool of the kind `{}`", tool.kind);
                return Err(Dialect::Anthropic.cannot(place, &what));
            }
        });
    }
    if !tools.is_empty() {
        body.insert("tools".to_owned(), Value::from(tools));
    }
    let one = request.parallel_tool_calls == Some(false);
    let choice = match &request.tool_choice {
        None | Some(ToolChoice::Auto) if request.tools.is_empty() => None,
        None if !one => None,
        None | Some(ToolChoice::Auto) => Some(json!({ "type": "auto" })),
        Some(ToolChoice::None) => Some(json!({ "type": "none" })),
        Some(ToolChoice::Required) => Some(json!({ "type": "any" })),
        Some(ToolChoice::Named(name)) => Some(json!({ "type": "tool", "name": name })),
    };
    if let Some(mut choice) = choice {
        if one && choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = Value::Bool(true);
        }
        body.insert("tool_choice".to_owned(), choice);
    }
    Ok(())
}

fn function_of(function: &Function, place: &str, writer: &Writer) -> Value {
    let mut tool = Map::new();
    tool.insert("name".to_owned(), Value::from(function.name.as_str()));
    put(&mut tool, "description", function.description.as_deref());
    let mut schema = match &function.parameters {
        Some(Value::Object(schema)) => schema.clone(),
        _ => Map::new(),
    };
    if !schema.contains_key("type") {
        schema.insert("type".to_owned(), Value::from("object"));
    }
    if schema.len() == 1 {
        schema.insert("properties".to_owned(), json!({}));
    }
    tool.insert("input_schema".to_owned(), Value::Object(schema));
    let strict = function.strict.filter(|strict| *strict || writer.own());
    put(&mut tool, "strict", strict);
    put(
        &mut tool,
        "cache_control",
        function.cache.map(cache_control),
    );
    writer.restore(place, &mut tool);
    Value::Object(tool)
}
