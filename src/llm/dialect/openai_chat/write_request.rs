//! A provider's request.

use serde_json::{Map, Value, json};

use crate::llm::chat::{ChatRequest, Format, Function, Reasoning, Tool, ToolChoice};
use crate::llm::dialect::openai_chat::request::tool_name;
use crate::llm::dialect::openai_chat::{OWN, write_message};
use crate::llm::dialect::openai_responses::SHARED;
use crate::llm::dialect::{Dialect, Dropped, Encoded, TargetModel, dropped_rest, user, usual};
use crate::llm::fault::Fault;
use crate::llm::fields::put;

pub(crate) fn encode(request: &ChatRequest, model: &TargetModel) -> Result<Encoded, Fault> {
    let own = request.rest.dialect == Some(OWN);
    let (messages, mut dropped) = write_message::encode(request)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), model.name.as_str().into());
    body.insert("messages".to_owned(), messages.into());
    tools(request, own, &mut body, &mut dropped)?;
    put(
        &mut body,
        "response_format",
        request.format.as_ref().map(format),
    );
    sampling(request, own, &mut body, &mut dropped)?;
    if let Some(thinking) = &request.reasoning {
        reasoning(thinking, own, &mut body, &mut dropped);
    }
    if request.stream {
        body.insert("stream".to_owned(), true.into());
    }
    if request.stream && request.stream_usage {
        body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    put(&mut body, "user", user(request, OWN, &mut dropped));
    put(&mut body, "prompt_cache_key", request.cache_key.clone());
    dropped.extend(dropped_rest(request, OWN));
    adopt(request, &mut body, &mut dropped);
    let mut body = Value::Object(body);
    if own {
        for (path, value) in &request.rest.fields {
            if !put_back(&mut body, path, value) {
                dropped.push(Dropped::new(
                    path,
                    "what it was a field of is written differently",
                ));
            }
        }
    }
    Ok(Encoded { body, dropped })
}

/// Takes over the fields of Responses that mean the same here. One that says nothing is left to the provider, who may not
/// know it.
fn adopt(request: &ChatRequest, body: &mut Map<String, Value>, dropped: &mut Vec<Dropped>) {
    let dialect = request.rest.dialect;
    if dialect != Some(Dialect::OpenaiResponses) {
        return;
    }
    for (name, value) in &request.rest.fields {
        let here = match name.as_str() {
            "text.verbosity" => "verbosity",
            same if SHARED.contains(&same) => same,
            _ => continue,
        };
        if !usual::says_nothing(dialect, name, value) {
            body.insert(here.to_owned(), value.clone());
            dropped.retain(|one| one.field != *name);
        }
    }
}

fn tools(
    request: &ChatRequest,
    own: bool,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<Dropped>,
) -> Result<(), Fault> {
    let mut tools = Vec::new();
    for (at, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Opaque(tool) if tool.dialect == OWN => tools.push(tool.value.clone()),
            Tool::Opaque(tool) => {
                let what = format!("a tool of kind `{}`", tool.kind);
                return Err(OWN.cannot(format!("tools[{at}]"), &what));
            }
            Tool::Function(function) => {
                let mut tool = json!({"type": "function", "function": written(function)});
                match function.cache {
                    Some(mark) if own => {
                        let mark = write_message::cache_control(mark);
                        tool.as_object_mut()
                            .map(|tool| tool.insert("cache_control".to_owned(), mark));
                    }
                    Some(_) => dropped.push(Dropped::new(
                        format!("tools[{at}].cache"),
                        "prompts are cached without marks",
                    )),
                    None => {}
                }
                tools.push(tool);
            }
        }
    }
    if tools.is_empty() {
        // OpenAI refuses a choice among no tools; there is nothing to choose.
        let choice = request
            .tool_choice
            .as_ref()
            .filter(|choice| **choice != ToolChoice::None);
        if matches!(choice, Some(ToolChoice::Required | ToolChoice::Named(_))) {
            return Err(OWN.cannot("tool_choice", "a choice of a tool where there is none"));
        }
        return Ok(());
    }
    let choice = request.tool_choice.as_ref();
    let choice = choice.filter(|_| !own || !request.rest.fields.contains_key("tool_choice"));
    let choice = choice.map(|choice| written_choice(choice, &request.tools));
    body.insert("tools".to_owned(), tools.into());
    put(body, "tool_choice", choice);
    put(body, "parallel_tool_calls", request.parallel_tool_calls);
    Ok(())
}

fn written(function: &Function) -> Map<String, Value> {
    let mut written = Map::new();
    written.insert("name".to_owned(), function.name.as_str().into());
    put(&mut written, "description", function.description.clone());
    put(&mut written, "parameters", function.parameters.clone());
    put(&mut written, "strict", function.strict);
    written
}

fn written_choice(choice: &ToolChoice, tools: &[Tool]) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => {
            let custom = tools.iter().any(|tool| match tool {
                Tool::Opaque(tool) => {
                    tool.kind == "custom" && tool_name(&tool.value).as_ref() == Some(name)
                }
                Tool::Function(_) => false,
            });
            if custom {
                json!({"type": "custom", "custom": {"name": name}})
            } else {
                json!({"type": "function", "function": {"name": name}})
            }
        }
    }
}

/// <https://platform.openai.com/docs/guides/structured-outputs>; a schema has to have a name.
fn format(format: &Format) -> Value {
    let Format::Schema {
        name,
        description,
        schema,
        strict,
    } = format
    else {
        return json!({"type": "json_object"});
    };
    let mut inner = Map::new();
    inner.insert(
        "name".to_owned(),
        name.as_deref().unwrap_or("answer").into(),
    );
    put(&mut inner, "description", description.clone());
    put(&mut inner, "strict", *strict);
    inner.insert("schema".to_owned(), schema.clone());
    json!({"type": "json_schema", "json_schema": inner})
}

fn sampling(
    request: &ChatRequest,
    own: bool,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<Dropped>,
) -> Result<(), Fault> {
    let sampling = &request.sampling;
    if sampling.candidates.is_some_and(|number| number > 1) && !own {
        // The dialect can ask for them; what it answers would not reach the caller whole.
        return Err(Fault::invalid(
            "sampling.candidates",
            "several answers to one request cannot be translated; ask for one",
        ));
    }
    put(body, "max_completion_tokens", sampling.max_output_tokens);
    put(body, "temperature", sampling.temperature);
    put(body, "top_p", sampling.top_p);
    match sampling.top_k {
        Some(number) if own => put(body, "top_k", Some(number)),
        Some(_) => dropped.push(Dropped::new("sampling.top_k", "there is no such field")),
        None => {}
    }
    put(body, "frequency_penalty", sampling.frequency_penalty);
    put(body, "presence_penalty", sampling.presence_penalty);
    put(body, "seed", sampling.seed);
    let stop = (!sampling.stop.is_empty()).then(|| sampling.stop.clone());
    put(body, "stop", stop);
    put(body, "n", sampling.candidates.filter(|_| own));
    put(body, "logprobs", sampling.logprobs.then_some(true));
    put(body, "top_logprobs", sampling.top_logprobs);
    Ok(())
}

/// `reasoning_effort`, or the `reasoning` that a caller of the dialect wrote.
fn reasoning(
    reasoning: &Reasoning,
    own: bool,
    body: &mut Map<String, Value>,
    dropped: &mut Vec<Dropped>,
) {
    let mut effort = reasoning.effort.clone();
    if own && (reasoning.budget_tokens.is_some() || reasoning.shown.is_some()) {
        let mut inner = Map::new();
        put(&mut inner, "effort", effort);
        put(&mut inner, "max_tokens", reasoning.budget_tokens);
        put(&mut inner, "exclude", reasoning.shown.map(|shown| !shown));
        body.insert("reasoning".to_owned(), inner.into());
        return;
    }
    if let Some(budget) = reasoning.budget_tokens {
        let said = match budget {
            0 => "none",
            1..=2048 => "low",
            2049..=12_288 => "medium",
            _ => "high",
        };
        let said = effort.get_or_insert_with(|| said.to_owned());
        let reason = format!("there is only an effort, which is `{said}`");
        dropped.push(Dropped::new("reasoning.budget_tokens", reason));
    }
    if reasoning.shown.is_some() {
        let reason = "whether thoughts are shown is up to the provider";
        dropped.push(Dropped::new("reasoning.shown", reason));
    }
    put(body, "reasoning_effort", effort);
}

/// Puts a field that was kept back to where it was, where there is still such a place.
fn put_back(body: &mut Value, path: &str, value: &Value) -> bool {
    const HOLDERS: [&str; 6] = [
        "messages[",
        "instructions[",
        "tools[",
        "stream_options.",
        "response_format.",
        "reasoning.",
    ];
    if !HOLDERS.iter().any(|holder| path.starts_with(holder)) {
        return insert(body, path, value);
    }
    let steps = path.replace('[', ".[");
    let mut steps: Vec<&str> = steps.split('.').collect();
    let Some(last) = steps.pop() else {
        return false;
    };
    let mut place = body;
    for step in steps {
        let number = step
            .strip_prefix('[')
            .and_then(|step| step.strip_suffix(']'));
        let next = match number.map(str::parse::<usize>) {
            Some(Ok(number)) => {
                as_list(place);
                place.get_mut(number)
            }
            Some(Err(_)) => None,
            None if ["stream_options", "reasoning", "cache_control"].contains(&step) => {
                let holder = place.as_object_mut();
                holder.map(|holder| holder.entry(step).or_insert_with(|| Map::new().into()))
            }
            None => place.get_mut(step),
        };
        let Some(next) = next else {
            return false;
        };
        place = next;
    }
    insert(place, last, value)
}

/// A content that was shortened to a string becomes a list again.
fn as_list(content: &mut Value) {
    if let Value::String(text) = content {
        *content = json!([{"type": "text", "text": std::mem::take(text)}]);
    }
}

fn insert(holder: &mut Value, name: &str, value: &Value) -> bool {
    let Some(holder) = holder
        .as_object_mut()
        .filter(|holder| !holder.contains_key(name))
    else {
        return false;
    };
    holder.insert(name.to_owned(), value.clone());
    true
}
