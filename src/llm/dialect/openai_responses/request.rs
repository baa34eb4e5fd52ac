//! Requests, read and written
//! (<https://platform.openai.com/docs/api-reference/responses/create>).

use serde_json::{Map, Value, json};

use crate::llm::chat::{
    Allowed, ChatRequest, Format, Function, Opaque, Part, Reasoning, Rest, Sampling, Tool,
    ToolChoice,
};
use crate::llm::dialect::openai_responses::input::Items;
use crate::llm::dialect::openai_responses::parts::Beside;
use crate::llm::dialect::openai_responses::said;
use crate::llm::dialect::own_tools::{SEARCH, flat, search};
use crate::llm::dialect::{Dialect, Dropped, Encoded, TargetModel, bounds, dropped_rest, user};
use crate::llm::fault::Fault;
use crate::llm::fields::{Fields, put, wrong};

const DIALECT: Dialect = Dialect::OpenaiResponses;
pub(crate) const LOGPROBS: &str = "message.output_text.logprobs";
pub(crate) const ENCRYPTED: &str = "reasoning.encrypted_content";
/// Fields that mean the same in Chat Completions.
pub(crate) const SHARED: [&str; 6] = [
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_retention",
    "moderation",
    "prompt_cache_options",
];

/// Reads the body of a caller's request.
///
/// # Errors
/// Where a field is missing or of the wrong type.
pub fn decode_request(body: Value) -> Result<ChatRequest, Fault> {
    let mut fields = Fields::of(body, "")?;
    let mut items = Items::input(fields.take("input"))?;
    let beside = &mut items.beside;
    let tools = tools(&mut fields, beside)?;
    let (tool_choice, allowed) = tool_choice(&mut fields, beside)?;
    let format = text(&mut fields, beside)?;
    let reasoning = reasoning(&mut fields, beside)?;
    let include = fields.take("include");
    let sampling = sampling(&mut fields, include.as_ref())?;
    put(&mut beside.rest, "include", include);
    let instructions = fields.text("instructions")?;
    let mut request = ChatRequest {
        model: fields.need_text("model")?,
        system: instructions.into_iter().map(Part::text).collect(),
        turns: items.turns,
        tools,
        tool_choice,
        allowed,
        functions: false,
        parallel_tool_calls: fields.flag("parallel_tool_calls")?,
        format,
        sampling,
        reasoning,
        stream: fields.flag("stream")?.unwrap_or_default(),
        stream_usage: true,
        user: fields.text("user")?,
        cache_key: fields.text("prompt_cache_key")?,
        rest: Rest::default(),
    };
    let mut rest = fields.rest();
    rest.retain(|_, value| !value.is_null());
    rest.extend(items.beside.rest);
    request.rest = Rest {
        dialect: Some(DIALECT),
        fields: rest,
        places: items.places,
    };
    Ok(request)
}

/// Whether a request says all of itself, so that another dialect can say it too.
///
/// # Errors
/// Where it refers to what only OpenAI keeps: earlier answers, conversations, stored items and prompts, and work
/// in the background.
pub fn stateless(request: &ChatRequest) -> Result<(), Fault> {
    if request.rest.dialect != Some(DIALECT) {
        return Ok(());
    }
    let refused = |field: &str, what: &str| {
        let message = format!(
            "`{field}` needs {what}, which only OpenAI has; the model asked for is another provider's. \
             Send the whole conversation in `input`"
        );
        Err(Fault::invalid(field, message))
    };
    for (field, what) in [
        ("previous_response_id", "a stored response"),
        ("conversation", "a stored conversation"),
        ("prompt", "a stored prompt"),
    ] {
        if request.rest.fields.contains_key(field) {
            return refused(field, what);
        }
    }
    if request.rest.fields.get("background") == Some(&Value::Bool(true)) {
        return refused("background", "responses that are kept");
    }
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    if parts.any(|part| matches!(part, Part::Opaque(part) if part.kind == "item_reference")) {
        return refused("input", "the item that an `item_reference` names");
    }
    Ok(())
}

fn tools(fields: &mut Fields, beside: &mut Beside) -> Result<Vec<Tool>, Fault> {
    let place = fields.at("tools");
    let list = fields.list("tools")?.into_iter().enumerate();
    list.map(|(at, value)| tool(value, format!("{place}[{at}]"), beside))
        .collect()
}

fn tool(value: Value, place: String, beside: &mut Beside) -> Result<Tool, Fault> {
    let mut fields = Fields::of(value.clone(), place)?;
    let kind = fields.need_text("type")?;
    if kind != "function" {
        return Ok(Tool::Opaque(Opaque {
            dialect: DIALECT,
            kind,
            value,
        }));
    }
    let function = Function {
        name: fields.need_text("name")?,
        description: fields.text("description")?,
        parameters: fields.take("parameters"),
        strict: fields.flag("strict")?,
        cache: None,
    };
    beside.keep(fields);
    Ok(Tool::Function(function))
}

/// What is to be called, and which tools may be.
type Chosen = (Option<ToolChoice>, Option<Vec<Allowed>>);

/// What the neutral form cannot say in full stays in the rest, and comes out as it was.
fn tool_choice(fields: &mut Fields, beside: &mut Beside) -> Result<Chosen, Fault> {
    let choice = match fields.take("tool_choice") {
        None => return Ok((None, None)),
        Some(Value::String(word)) => {
            return match word.as_str() {
                "auto" => Ok((Some(ToolChoice::Auto), None)),
                "none" => Ok((Some(ToolChoice::None), None)),
                "required" => Ok((Some(ToolChoice::Required), None)),
                _ => {
                    let wanted = "`auto`, `none`, `required` or an object";
                    let message = format!("`tool_choice` is `{word}`; it has to be {wanted}");
                    Err(Fault::invalid("tool_choice", message))
                }
            };
        }
        Some(choice) => choice,
    };
    let mut fields = Fields::of(choice.clone(), "tool_choice")?;
    let kind = fields.need_text("type")?;
    if kind == "function" {
        return Ok((Some(ToolChoice::Named(fields.need_text("name")?)), None));
    }
    let allowed = (kind == "allowed_tools").then(|| fields.list("tools"));
    let allowed = allowed.transpose()?;
    let allowed = allowed.map(|tools| tools.iter().filter_map(self::allowed).collect());
    let meant = match kind.as_str() {
        "allowed_tools" if fields.peek("mode") == Some("auto") => ToolChoice::Auto,
        "custom" => ToolChoice::Named(fields.need_text("name")?),
        _ => ToolChoice::Required,
    };
    beside.rest.insert("tool_choice".to_owned(), choice);
    Ok((Some(meant), allowed))
}

/// A tool that may be called.
fn allowed(tool: &Value) -> Option<Allowed> {
    let text = |name: &str| Some(tool.get(name)?.as_str()?.to_owned());
    Some(Allowed {
        namespace: text("namespace"),
        name: text("name").or_else(|| text("type"))?,
    })
}

/// `text`: the format; its other fields go to the rest.
fn text(fields: &mut Fields, beside: &mut Beside) -> Result<Option<Format>, Fault> {
    let Some(mut text) = fields.object("text")? else {
        return Ok(None);
    };
    let format = text.object("format")?;
    beside.keep(text);
    let Some(mut format) = format else {
        return Ok(None);
    };
    let read = read_format(&mut format)?;
    beside.keep(format);
    Ok(read)
}

fn read_format(format: &mut Fields) -> Result<Option<Format>, Fault> {
    match format.need_text("type")?.as_str() {
        "text" => Ok(None),
        "json_object" => Ok(Some(Format::Json)),
        "json_schema" => Ok(Some(Format::Schema {
            name: format.text("name")?,
            description: format.text("description")?,
            schema: format
                .take("schema")
                .ok_or_else(|| format.missing("schema"))?,
            strict: format.flag("strict")?,
        })),
        other => {
            let wanted = "`text`, `json_object` or `json_schema`";
            let message = format!("`text.format.type` is `{other}`; it has to be {wanted}");
            Err(Fault::invalid("text.format.type", message))
        }
    }
}

/// `reasoning`; one that says nothing, as answers repeat it, asks for none.
fn reasoning(fields: &mut Fields, beside: &mut Beside) -> Result<Option<Reasoning>, Fault> {
    let Some(mut reasoning) = fields.object("reasoning")? else {
        return Ok(None);
    };
    let summary = reasoning.text("summary")?;
    let summary = summary.or(reasoning.text("generate_summary")?);
    let read = Reasoning {
        effort: reasoning.text("effort")?,
        budget_tokens: None,
        shown: summary.as_ref().map(|_| true),
    };
    if let Some(summary) = summary.filter(|summary| summary != "auto") {
        let summary = Value::String(summary);
        beside.rest.insert("reasoning.summary".to_owned(), summary);
    }
    beside.keep(reasoning);
    Ok((read != Reasoning::default()).then_some(read))
}

fn sampling(fields: &mut Fields, include: Option<&Value>) -> Result<Sampling, Fault> {
    let list = match include {
        None => None,
        Some(Value::Array(list)) => Some(list),
        Some(other) => return Err(wrong("include", "a list", other)),
    };
    Ok(Sampling {
        max_output_tokens: fields.count("max_output_tokens")?,
        temperature: fields.number("temperature")?,
        top_p: fields.number("top_p")?,
        logprobs: list.is_some_and(|list| list.iter().any(|name| name == LOGPROBS)),
        top_logprobs: fields.count("top_logprobs")?,
        ..Sampling::default()
    })
}

/// Writes a request for a provider.
///
/// # Errors
/// Where it asks for something that cannot be said here and that the answer depends on.
pub fn encode_request(request: &ChatRequest, model: &TargetModel) -> Result<Encoded, Fault> {
    let own = request.rest.dialect == Some(DIALECT);
    let mut dropped = unsaid(request)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(model.name.as_str()));
    put(
        &mut body,
        "instructions",
        said::instructions(request, &mut dropped)?,
    );
    let input = said::input(request, &mut dropped)?;
    body.insert("input".to_owned(), Value::Array(input));
    let mut tools = written_tools(request, &mut dropped)?;
    tools.extend(search(request));
    put(&mut body, "tools", Some(tools).filter(|it| !it.is_empty()));
    put(
        &mut body,
        "tool_choice",
        request.tool_choice.as_ref().map(|it| choice(it, request)),
    );
    put(
        &mut body,
        "parallel_tool_calls",
        request.parallel_tool_calls,
    );
    put(&mut body, "text", request.format.as_ref().map(format));
    put(
        &mut body,
        "reasoning",
        request.reasoning.as_ref().and_then(thinking),
    );
    let sampling = &request.sampling;
    put(&mut body, "max_output_tokens", sampling.max_output_tokens);
    put(&mut body, "temperature", sampling.temperature);
    put(&mut body, "top_p", sampling.top_p);
    put(&mut body, "top_logprobs", sampling.top_logprobs);
    if request.stream {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
    put(&mut body, "user", user(request, DIALECT, &mut dropped));
    put(&mut body, "prompt_cache_key", request.cache_key.as_deref());
    if own {
        restore(&mut body, request, &mut dropped);
    } else {
        adopt(&mut body, request, &mut dropped);
    }
    Ok(Encoded {
        body: Value::Object(body),
        dropped,
    })
}

/// Settings that have no field here: hints are named, the others refused.
fn unsaid(request: &ChatRequest) -> Result<Vec<Dropped>, Fault> {
    let sampling = &request.sampling;
    if sampling.candidates.is_some_and(|count| count > 1) {
        return Err(DIALECT.cannot("sampling.candidates", "several answers at once"));
    }
    if !sampling.stop.is_empty() {
        return Err(DIALECT.cannot("sampling.stop", "stop sequences"));
    }
    let budget = request
        .reasoning
        .as_ref()
        .and_then(|asked| asked.budget_tokens);
    let hints = [
        ("sampling.top_k", sampling.top_k.is_some()),
        ("sampling.seed", sampling.seed.is_some()),
        (
            "sampling.frequency_penalty",
            sampling.frequency_penalty.is_some(),
        ),
        (
            "sampling.presence_penalty",
            sampling.presence_penalty.is_some(),
        ),
        ("reasoning.budget_tokens", budget.is_some()),
    ];
    let hints = hints.into_iter().filter(|(_, given)| *given);
    let reason = format!("{} has no such field", DIALECT.name());
    Ok(hints
        .map(|(field, _)| Dropped::new(field, reason.clone()))
        .collect())
}

/// Fields of this dialect come out as they went in, where their place still exists.
fn restore(body: &mut Map<String, Value>, request: &ChatRequest, dropped: &mut Vec<Dropped>) {
    for (name, value) in &request.rest.fields {
        match name.split_once('.') {
            None => {
                body.insert(name.clone(), value.clone());
            }
            Some((within @ ("text" | "reasoning"), field)) => {
                put_within(body, within, field, value.clone());
            }
            Some(_) => {
                let reason = "the item it belongs to was written anew";
                dropped.push(Dropped::new(name.clone(), reason));
            }
        }
    }
}

/// What another dialect's request needs here: nothing is kept at the provider, and what was thought comes along.
fn adopt(body: &mut Map<String, Value>, request: &ChatRequest, dropped: &mut Vec<Dropped>) {
    let mut include = Vec::new();
    if request.sampling.logprobs {
        include.push(LOGPROBS);
    }
    let effort = body.get("reasoning").and_then(|asked| asked.get("effort"));
    let model = body.get("model").and_then(Value::as_str);
    let reasons = body.contains_key("reasoning") || model.is_some_and(bounds::reasons);
    if reasons && effort.is_none_or(|effort| effort != "none") {
        include.push(ENCRYPTED);
    }
    if !include.is_empty() {
        body.insert("include".to_owned(), json!(include));
    }
    body.insert("store".to_owned(), Value::Bool(false));
    let mut unknown = dropped_rest(request, DIALECT);
    if request.rest.dialect == Some(Dialect::OpenaiChat) {
        for (name, value) in &request.rest.fields {
            if SHARED.contains(&name.as_str()) {
                body.insert(name.clone(), value.clone());
            } else if name == "verbosity" {
                put_within(body, "text", name, value.clone());
            }
        }
        unknown.retain(|field| {
            let name = field.field.as_str();
            !["verbosity", SEARCH].contains(&name) && !SHARED.contains(&name)
        });
    }
    dropped.extend(unknown);
}

/// Puts a field into an object within, which may be a path.
fn put_within(body: &mut Map<String, Value>, object: &str, field: &str, value: Value) {
    let entry = body.entry(object).or_insert_with(|| json!({}));
    let Some(object) = entry.as_object_mut() else {
        return;
    };
    match field.split_once('.') {
        Some((within, field)) => put_within(object, within, field, value),
        None => {
            object.insert(field.to_owned(), value);
        }
    }
}

fn choice(choice: &ToolChoice, request: &ChatRequest) -> Value {
    let custom = |name: &str| {
        request.tools.iter().any(|tool| match tool {
            Tool::Opaque(tool) if tool.kind == "custom" => {
                let flat = tool.value.get("custom").unwrap_or(&tool.value);
                flat.get("name").is_some_and(|found| found == name)
            }
            _ => false,
        })
    };
    match choice {
        ToolChoice::Auto => json!("auto"),
        ToolChoice::None => json!("none"),
        ToolChoice::Required => json!("required"),
        ToolChoice::Named(name) if custom(name) => json!({"type": "custom", "name": name}),
        ToolChoice::Named(name) => json!({"type": "function", "name": name}),
    }
}

fn format(format: &Format) -> Value {
    let Format::Schema {
        name,
        description,
        schema,
        strict,
    } = format
    else {
        return json!({"format": {"type": "json_object"}});
    };
    let mut written = Map::new();
    written.insert("type".to_owned(), json!("json_schema"));
    let name = name.as_deref().unwrap_or("answer");
    written.insert("name".to_owned(), json!(name));
    put(&mut written, "description", description.as_deref());
    put(&mut written, "strict", *strict);
    written.insert("schema".to_owned(), schema.clone());
    json!({"format": written})
}

/// `reasoning`. A number of tokens becomes the effort that comes nearest.
fn thinking(asked: &Reasoning) -> Option<Value> {
    let nearest = asked.budget_tokens.map(|tokens| match tokens {
        0 => "none",
        1..=2048 => "low",
        2049..=8192 => "medium",
        _ => "high",
    });
    let mut written = Map::new();
    put(&mut written, "effort", asked.effort.as_deref().or(nearest));
    let summary = asked.shown.filter(|shown| *shown).map(|_| "auto");
    put(&mut written, "summary", summary);
    (!written.is_empty()).then_some(Value::Object(written))
}

fn written_tools(request: &ChatRequest, dropped: &mut Vec<Dropped>) -> Result<Vec<Value>, Fault> {
    let own = request.rest.dialect == Some(DIALECT);
    let mut written = Vec::new();
    for (at, tool) in request.tools.iter().enumerate() {
        written.push(match tool {
            Tool::Function(function) => {
                if function.cache.is_some() {
                    let reason = "a tool cannot be marked here";
                    dropped.push(Dropped::new(format!("tools[{at}].cache"), reason));
                }
                written_function(function, own)
            }
            Tool::Opaque(tool) if tool.dialect == DIALECT => tool.value.clone(),
            Tool::Opaque(tool) => flat(tool).ok_or_else(|| {
                DIALECT.cannot(
                    format!("tools[{at}]"),
                    &format!("a tool of type `{}`", tool.kind),
                )
            })?,
        });
    }
    Ok(written)
}

/// A function. Here it is strict unless it says otherwise, elsewhere it is not.
fn written_function(function: &Function, own: bool) -> Value {
    let mut tool = Map::new();
    tool.insert("type".to_owned(), json!("function"));
    tool.insert("name".to_owned(), json!(function.name));
    put(&mut tool, "description", function.description.as_deref());
    let none = || json!({"type": "object", "properties": {}});
    let parameters = function.parameters.clone().unwrap_or_else(none);
    tool.insert("parameters".to_owned(), parameters);
    put(
        &mut tool,
        "strict",
        function.strict.or((!own).then_some(false)),
    );
    Value::Object(tool)
}
