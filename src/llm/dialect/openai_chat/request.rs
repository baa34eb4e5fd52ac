//! A caller's request: everything but its messages.

use serde_json::{Map, Value};

use crate::llm::chat::{
    Allowed, ChatRequest, Format, Function, Opaque, Reasoning, Sampling, Tool, ToolChoice,
};
use crate::llm::dialect::openai_chat::{OWN, message, parts};
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, wrong};

pub(crate) fn decode(body: Value) -> Result<ChatRequest, Fault> {
    let mut body = Fields::of(body, "")?;
    let mut rest = Map::new();
    let mut request = ChatRequest {
        model: body.need_text("model")?,
        ..ChatRequest::default()
    };
    if !body.has("messages") {
        return Err(body.missing("messages"));
    }
    message::decode(body.list("messages")?, &mut request, &mut rest)?;
    request.functions = body.has("functions") && !body.has("tools");
    request.tools = tools(&mut body, &mut rest)?;
    tool_choice(&mut body, &mut request, &mut rest)?;
    request.parallel_tool_calls = body.flag("parallel_tool_calls")?;
    if request.functions {
        // What answers them has room for one call.
        request.parallel_tool_calls = Some(false);
    }
    request.format = format(&mut body, &mut rest)?;
    request.sampling = sampling(&mut body)?;
    request.reasoning = reasoning(&mut body, &mut rest)?;
    request.stream = body.flag("stream")?.unwrap_or(false);
    if let Some(mut options) = body.object("stream_options")? {
        request.stream_usage = options.flag("include_usage")?.unwrap_or(false);
        keep(options, &mut rest);
    }
    request.user = body.text("user")?;
    request.cache_key = body.text("prompt_cache_key")?;
    rest.extend(body.rest());
    request.rest.dialect = Some(OWN);
    request.rest.fields = rest;
    Ok(request)
}

/// Keeps what nobody asked for within an object under its whole path, so that it can be put back or named.
pub(crate) fn keep(fields: Fields, rest: &mut Map<String, Value>) {
    let place = fields.place().to_owned();
    let left = fields.rest().into_iter();
    rest.extend(left.map(|(name, value)| (format!("{place}.{name}"), value)));
}

/// `tools`, and the `functions` that came before them.
fn tools(body: &mut Fields, rest: &mut Map<String, Value>) -> Result<Vec<Tool>, Fault> {
    let mut tools = Vec::new();
    for (at, value) in body.list("tools")?.into_iter().enumerate() {
        let place = format!("tools[{at}]");
        let mut tool = Fields::of(value.clone(), &place)?;
        let kind = tool.text("type")?.unwrap_or_else(|| "function".to_owned());
        if kind != "function" {
            tools.push(Tool::Opaque(Opaque {
                dialect: OWN,
                kind,
                value,
            }));
            continue;
        }
        let Some(inner) = tool.object("function")? else {
            return Err(tool.missing("function"));
        };
        let mut function = function(inner, rest)?;
        function.cache = parts::cache_mark(&mut tool, rest)?;
        keep(tool, rest);
        tools.push(Tool::Function(function));
    }
    for (at, value) in body.list("functions")?.into_iter().enumerate() {
        let fields = Fields::of(value, format!("functions[{at}]"))?;
        tools.push(Tool::Function(function(fields, rest)?));
    }
    Ok(tools)
}

fn function(mut fields: Fields, rest: &mut Map<String, Value>) -> Result<Function, Fault> {
    let function = Function {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        parameters: fields.take("parameters"),
        strict: fields.flag("strict")?,
        cache: None,
    };
    keep(fields, rest);
    Ok(function)
}

/// `tool_choice`, or the `function_call` that came before it.
fn tool_choice(
    body: &mut Fields,
    request: &mut ChatRequest,
    rest: &mut Map<String, Value>,
) -> Result<(), Fault> {
    let older = body.take("function_call");
    if let Some(choice) = body.take("tool_choice") {
        let whole = choice.clone();
        (request.tool_choice, request.allowed) = chosen(choice, "tool_choice")?;
        if request.allowed.is_some() {
            rest.insert("tool_choice".to_owned(), whole);
        }
    } else if let Some(choice) = older {
        request.tool_choice = match choice {
            Value::Object(_) => {
                let mut named = Fields::of(choice, "function_call")?;
                Some(ToolChoice::Named(named.need_text("name")?))
            }
            other => chosen(other, "function_call")?.0,
        };
    }
    Ok(())
}

/// What is to be called, and which tools may be.
type Chosen = (Option<ToolChoice>, Option<Vec<Allowed>>);

fn chosen(choice: Value, place: &str) -> Result<Chosen, Fault> {
    if let Some(word) = choice.as_str() {
        return Ok((Some(mode(word, place)?), None));
    }
    let mut choice = Fields::of(choice, place)?;
    let kind = choice
        .text("type")?
        .unwrap_or_else(|| "function".to_owned());
    let Some(mut inner) = choice.object(&kind)? else {
        return Err(choice.missing(&kind));
    };
    if kind != "allowed_tools" {
        return Ok((Some(ToolChoice::Named(inner.need_text("name")?)), None));
    }
    let word = inner.text("mode")?.unwrap_or_else(|| "auto".to_owned());
    let tools = inner.list("tools")?;
    let names = tools.iter().filter_map(tool_name);
    let allowed = names.map(Allowed::named).collect();
    Ok((Some(mode(&word, &inner.at("mode"))?), Some(allowed)))
}

fn mode(word: &str, place: &str) -> Result<ToolChoice, Fault> {
    match word {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" | "any" => Ok(ToolChoice::Required),
        other => Err(Fault::invalid(
            place,
            format!("`{place}` is `{other}`; it has to be `none`, `auto`, `required` or an object"),
        )),
    }
}

/// The name in `{"type": KIND, KIND: {"name": ...}}`.
pub(crate) fn tool_name(tool: &Value) -> Option<String> {
    let kind = tool.get("type").and_then(Value::as_str)?;
    let name = tool.get(kind)?.get("name")?;
    name.as_str().map(str::to_owned)
}

fn format(body: &mut Fields, rest: &mut Map<String, Value>) -> Result<Option<Format>, Fault> {
    let Some(value) = body.take("response_format") else {
        return Ok(None);
    };
    let mut fields = Fields::of(value.clone(), "response_format")?;
    match fields.need_text("type")?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => {
            let Some(mut schema) = fields.object("json_schema")? else {
                return Err(fields.missing("json_schema"));
            };
            let format = Format::Schema {
                name: schema.text("name")?,
                description: schema.text("description")?,
                schema: schema.take("schema").unwrap_or_else(|| Map::new().into()),
                strict: schema.flag("strict")?,
            };
            keep(schema, rest);
            Ok(Some(format))
        }
        _ => {
            rest.insert("response_format".to_owned(), value);
            Ok(None)
        }
    }
}

fn sampling(body: &mut Fields) -> Result<Sampling, Fault> {
    let newer = body.count("max_completion_tokens")?;
    let older = body.count("max_tokens")?;
    Ok(Sampling {
        max_output_tokens: newer.or(older),
        temperature: body.number("temperature")?,
        top_p: body.number("top_p")?,
        top_k: top_k(body),
        frequency_penalty: body.number("frequency_penalty")?,
        presence_penalty: body.number("presence_penalty")?,
        seed: body.integer("seed")?,
        stop: stop(body)?,
        candidates: body.count("n")?,
        logprobs: body.flag("logprobs")?.unwrap_or(false),
        top_logprobs: body.count("top_logprobs")?,
    })
}

/// `top_k` of many compatible providers, where no limit is `-1`.
fn top_k(body: &mut Fields) -> Option<u64> {
    body.take("top_k").and_then(|value| value.as_u64())
}

/// One text, or several.
fn stop(body: &mut Fields) -> Result<Vec<String>, Fault> {
    let texts = match body.take("stop") {
        None => Vec::new(),
        Some(Value::String(text)) => return Ok(vec![text]),
        Some(Value::Array(texts)) => texts,
        Some(other) => return Err(wrong("stop", "a string or a list of strings", &other)),
    };
    let texts = texts.into_iter().enumerate().map(|(at, text)| match text {
        Value::String(text) => Ok(text),
        other => Err(wrong(&format!("stop[{at}]"), "a string", &other)),
    });
    texts.collect()
}

/// `reasoning_effort`, or `reasoning` of OpenRouter
/// (<https://openrouter.ai/docs/use-cases/reasoning-tokens>).
fn reasoning(body: &mut Fields, rest: &mut Map<String, Value>) -> Result<Option<Reasoning>, Fault> {
    let mut reasoning = Reasoning {
        effort: body.text("reasoning_effort")?,
        ..Reasoning::default()
    };
    if let Some(mut fields) = body.object("reasoning")? {
        let effort = fields.text("effort")?;
        reasoning.effort = reasoning.effort.or(effort);
        reasoning.budget_tokens = fields.count("max_tokens")?;
        reasoning.shown = fields.flag("exclude")?.map(|exclude| !exclude);
        if fields.flag("enabled")? == Some(false) {
            reasoning.effort = Some("none".to_owned());
        }
        keep(fields, rest);
    }
    Ok((reasoning != Reasoning::default()).then_some(reasoning))
}
