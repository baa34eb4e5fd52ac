//! Tools that only one dialect has, when a model of another is asked: those that the caller runs become functions, and
//! those that a provider runs are left out where the caller brings others.
//!
//! | of OpenAI Responses | to others |
//! |---|---|
//! | `namespace` | its functions, each named `{namespace}__{name}` |
//! | `custom` | a function with one text, `input` |
//!
//! | of Chat Completions | to others |
//! |---|---|
//! | `custom` | the same |
//! | `web_search_options` | `web_search` of Responses |
//!
//! | of Anthropic | to others |
//! |---|---|
//! | `tool_reference` in the result of a search for tools | the names of the tools in words |
//!
//! Their calls come back to the caller as it knows them, by [`OwnTools`]. Where only some tools may be called, others are
//! told of those alone.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Map, Value, json};

use crate::llm::chat::{Allowed, ChatRequest, Function, Opaque, Part, Tool, ToolCall, ToolChoice};
use crate::llm::dialect::{Dialect, Dropped, bedrock};
use crate::llm::fault::Fault;

/// Between a namespace and a name.
const BETWEEN: &str = "__";
/// The argument that holds the text of a custom tool.
const INPUT: &str = "input";
/// How Chat Completions asks for a search of the web.
pub(crate) const SEARCH: &str = "web_search_options";
/// The kind of what a search for tools answers.
const REFERENCE: &str = "tool_reference";

/// What an answer has to know of the tools in its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnTools {
    /// Tools of a caller's that were told as functions, by their names there.
    told: Vec<OwnTool>,
    /// The caller calls them functions, as OpenAI's chat did before it had tools (`functions`).
    functions: bool,
    /// The calls of the conversation so far, as a number that is another one after more of them.
    said: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnTool {
    told: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
    pub(crate) custom: bool,
}

impl OwnTools {
    /// The tools of a request that have other names or forms for other dialects.
    pub fn of(request: &ChatRequest) -> Self {
        let opaque = request.tools.iter().filter_map(|tool| match tool {
            Tool::Opaque(tool) => Some(tool),
            Tool::Function(_) => None,
        });
        let functions = opaque.filter_map(functions).flatten();
        Self {
            told: functions.map(|(own, _)| own).collect(),
            functions: request.functions,
            said: said(request),
        }
    }

    pub(crate) fn find(&self, told: &str) -> Option<&OwnTool> {
        self.told.iter().find(|tool| tool.told == told)
    }

    /// Whether a function stands for a custom tool, whose text comes within its arguments.
    pub(crate) fn wraps(&self, told: &str) -> bool {
        self.find(told).is_some_and(|own| own.custom)
    }

    /// A call as one of the custom tool that its function stands for.
    pub(crate) fn unwrapped<'a>(&self, call: &'a ToolCall) -> Cow<'a, ToolCall> {
        if call.custom || !self.wraps(&call.name) {
            return Cow::Borrowed(call);
        }
        Cow::Owned(ToolCall {
            arguments: input_of(&call.arguments),
            custom: true,
            ..call.clone()
        })
    }

    /// Whether calls are told as those of functions.
    pub(crate) fn are_functions(&self) -> bool {
        self.functions
    }

    /// What tells an answer apart from those before it in the same conversation.
    pub(crate) fn said(&self) -> u64 {
        self.said
    }
}

fn said(request: &ChatRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.turns.len().hash(&mut hasher);
    for part in request.turns.iter().flat_map(|turn| &turn.parts) {
        if let Part::ToolCall(call) = part {
            call.id.hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// A function's name where names have no namespaces.
pub(crate) fn joined(namespace: &str, name: &str) -> String {
    let namespace = namespace.strip_suffix(BETWEEN).unwrap_or(namespace);
    format!("{namespace}{BETWEEN}{name}")
}

/// The text that the arguments of a custom tool hold; what is no such object is the text itself.
pub(crate) fn input_of(arguments: &str) -> String {
    let read: Option<Value> = serde_json::from_str(arguments).ok();
    let input = read.as_ref().and_then(|read| read.get(INPUT)?.as_str());
    input.unwrap_or(arguments).to_owned()
}

/// A request in words that a dialect has, and what of it is left out.
pub(crate) struct Adapted<'a> {
    pub(crate) request: Cow<'a, ChatRequest>,
    pub(crate) dropped: Vec<Dropped>,
}

/// Makes functions of tools that only the caller's dialect has, and leaves out those that its provider runs: a model
/// may do without one of several. Where there is no other, or one has to be called, the codecs refuse them.
pub(crate) fn adapted(request: &ChatRequest, target: Dialect) -> Adapted<'_> {
    let mut dropped = Vec::new();
    let mut parts = request.turns.iter().flat_map(|turn| &turn.parts);
    let refers = target != Dialect::Anthropic && parts.any(|part| found(part).is_some());
    let is_own = request.rest.dialect == Some(target);
    let allowed = request.allowed.as_deref().filter(|_| !is_own);
    if !refers && allowed.is_none() && !request.tools.iter().any(|tool| is_foreign(tool, target)) {
        let request = Cow::Borrowed(request);
        return Adapted { request, dropped };
    }
    let mut told = request.clone();
    let tools = std::mem::take(&mut told.tools);
    for (at, tool) in tools.iter().enumerate() {
        dropped.extend(unsaid(at, tool, target));
    }
    let tools = tools.into_iter().enumerate();
    let mut tools: Vec<(usize, Tool)> = tools
        .flat_map(|(at, tool)| spelled(at, tool, target))
        .collect();
    let own = OwnTools::of(request);
    if let Some(allowed) = allowed {
        tools.retain(|(_, tool)| is_allowed(tool, &own, allowed));
        forget_choice(&mut told.rest.fields);
    }
    let has_function = tools
        .iter()
        .any(|(_, tool)| matches!(tool, Tool::Function(_)));
    let is_free = !matches!(
        told.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_))
    );
    for (at, tool) in tools {
        if has_function && is_free && is_foreign(&tool, target) {
            let reason = format!("{} has no such tool", target.name());
            dropped.push(Dropped::new(format!("tools[{at}]"), reason));
        } else {
            told.tools.push(tool);
        }
    }
    if refers {
        for part in told.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
            name_found(part);
        }
    }
    let foreign = request.tools.iter().filter(|tool| is_foreign(tool, target));
    if foreign.into_iter().any(has_custom) {
        told.turns
            .iter_mut()
            .for_each(|turn| turn.parts.iter_mut().for_each(plain_call));
    }
    Adapted {
        request: Cow::Owned(told),
        dropped,
    }
}

/// Servers of tools that the caller's provider would ask: a model may do without theirs where there are others.
pub(crate) fn served(request: &ChatRequest, target: Dialect) -> Result<(), Fault> {
    const SERVERS: &str = "mcp_servers";
    let own = request.rest.dialect;
    let servers = request.rest.fields.get(SERVERS).and_then(Value::as_array);
    let is_wanted = servers.is_some_and(|servers| !servers.is_empty());
    if own != Some(Dialect::Anthropic) || own == Some(target) || !is_wanted {
        return Ok(());
    }
    if request.tools.is_empty() {
        return Err(target.cannot(SERVERS, "what servers of tools offer"));
    }
    Ok(())
}

/// Whether only another dialect has this tool.
fn is_foreign(tool: &Tool, target: Dialect) -> bool {
    let Tool::Opaque(tool) = tool else {
        return false;
    };
    match (tool.dialect, target) {
        // These say some of each other's.
        (Dialect::OpenaiChat, Dialect::OpenaiResponses) => tool.kind != "custom",
        (Dialect::Anthropic, Dialect::Bedrock) => !bedrock::runs_at_callers(&tool.kind),
        (own, target) => own != target,
    }
}

/// The functions that stand for a tool, or the tool.
fn spelled(at: usize, tool: Tool, target: Dialect) -> Vec<(usize, Tool)> {
    let functions = match &tool {
        Tool::Opaque(own) if is_foreign(&tool, target) => functions(own),
        _ => None,
    };
    match functions {
        Some(functions) => functions
            .into_iter()
            .map(|(_, function)| (at, Tool::Function(function)))
            .collect(),
        None => vec![(at, tool)],
    }
}

/// Whether there is a custom tool among the functions that stand for a tool.
fn has_custom(tool: &Tool) -> bool {
    let Tool::Opaque(tool) = tool else {
        return false;
    };
    let functions = functions(tool).unwrap_or_default();
    functions.iter().any(|(own, _)| own.custom)
}

/// Whether a tool is one of those that may be called.
fn is_allowed(tool: &Tool, own: &OwnTools, allowed: &[Allowed]) -> bool {
    let (namespace, names) = match tool {
        Tool::Function(function) => match own.find(&function.name) {
            Some(own) => (own.namespace.as_deref(), [own.name.as_str(); 2]),
            None => (None, [function.name.as_str(); 2]),
        },
        Tool::Opaque(tool) => {
            let within = tool.value.get(&tool.kind).unwrap_or(&tool.value);
            let name = within.get("name").and_then(Value::as_str);
            (None, [name.unwrap_or_default(), tool.kind.as_str()])
        }
    };
    allowed.iter().any(|one| {
        let is_named = names.contains(&one.name.as_str());
        match &one.namespace {
            Some(_) => is_named && one.namespace.as_deref() == namespace,
            None => is_named || namespace == Some(one.name.as_str()),
        }
    })
}

/// How a caller said in its own words which tools may be called: that is kept to, and not left out.
fn forget_choice(rest: &mut Map<String, Value>) {
    const CONFIG: &str = "toolConfig";
    rest.shift_remove("tool_choice");
    let Some(Value::Object(config)) = rest.get_mut(CONFIG) else {
        return;
    };
    let calling = config.get("functionCallingConfig");
    if calling.is_some_and(|calling| calling["mode"] == "ANY") {
        config.shift_remove("functionCallingConfig");
    }
    if config.is_empty() {
        rest.shift_remove(CONFIG);
    }
}

/// What of a namespace is no function, and left out of those that stand for it.
fn unsaid(at: usize, tool: &Tool, target: Dialect) -> Vec<Dropped> {
    let Tool::Opaque(own) = tool else {
        return Vec::new();
    };
    if !is_foreign(tool, target) || functions(own).is_none() {
        return Vec::new();
    }
    let inner = own.value.get("tools").and_then(Value::as_array);
    let inner = inner.into_iter().flatten().enumerate();
    let lost = inner.filter(|(_, tool)| function(tool, Some("")).is_none());
    let reason = format!("{} has no such tool", target.name());
    lost.map(|(inner, _)| Dropped::new(format!("tools[{at}].tools[{inner}]"), reason.clone()))
        .collect()
}

/// A tool as functions; `None` where the caller runs nothing of it.
fn functions(tool: &Opaque) -> Option<Vec<(OwnTool, Function)>> {
    let functions: Vec<(OwnTool, Function)> = match (tool.dialect, tool.kind.as_str()) {
        (Dialect::OpenaiResponses, "custom") => function(&tool.value, None).into_iter().collect(),
        (Dialect::OpenaiChat, "custom") => function(&flat(tool)?, None).into_iter().collect(),
        (Dialect::OpenaiResponses, "namespace") => {
            let namespace = tool.value.get("name")?.as_str()?;
            let tools = tool.value.get("tools")?.as_array()?.iter();
            let functions = tools.filter_map(|tool| function(tool, Some(namespace)));
            functions.collect()
        }
        _ => return None,
    };
    (!functions.is_empty()).then_some(functions)
}

/// A custom tool of Chat Completions as Responses has it, which says the same without an object within.
pub(crate) fn flat(tool: &Opaque) -> Option<Value> {
    if tool.dialect != Dialect::OpenaiChat || tool.kind != "custom" {
        return None;
    }
    let mut written = Map::new();
    written.insert("type".to_owned(), json!("custom"));
    for (name, value) in tool.value.get("custom")?.as_object()? {
        let grammar = value.get("grammar").and_then(Value::as_object);
        let value = match grammar.filter(|_| name == "format") {
            Some(grammar) => {
                let mut flat = grammar.clone();
                flat.insert("type".to_owned(), json!("grammar"));
                Value::Object(flat)
            }
            None => value.clone(),
        };
        written.insert(name.clone(), value);
    }
    Some(Value::Object(written))
}

/// The search of the web that Chat Completions asks for, as the tool of Responses
/// (<https://platform.openai.com/docs/guides/tools-web-search>).
pub(crate) fn search(request: &ChatRequest) -> Option<Value> {
    let is_chat = request.rest.dialect == Some(Dialect::OpenaiChat);
    let options = request.rest.fields.get(SEARCH).filter(|_| is_chat)?;
    let mut written = Map::new();
    written.insert("type".to_owned(), json!("web_search"));
    for (name, value) in options.as_object()? {
        let place = value.get("approximate").and_then(Value::as_object);
        let value = match place.filter(|_| name == "user_location") {
            Some(place) => {
                let mut flat = place.clone();
                flat.insert("type".to_owned(), json!("approximate"));
                Value::Object(flat)
            }
            None => value.clone(),
        };
        written.insert(name.clone(), value);
    }
    Some(Value::Object(written))
}

fn function(tool: &Value, namespace: Option<&str>) -> Option<(OwnTool, Function)> {
    let text = |name: &str| tool.get(name).and_then(Value::as_str);
    let name = text("name")?;
    let custom = match text("type")? {
        "custom" => true,
        "function" => false,
        _ => return None,
    };
    let told = namespace.map_or_else(|| name.to_owned(), |namespace| joined(namespace, name));
    let mut function = Function {
        name: told.clone(),
        description: text("description").map(str::to_owned),
        parameters: tool.get("parameters").cloned(),
        strict: tool.get("strict").and_then(Value::as_bool),
        cache: None,
    };
    if custom {
        function.parameters = Some(json!({
            "type": "object",
            "properties": {INPUT: {"type": "string", "description": wanted(tool)}},
            "required": [INPUT],
            "additionalProperties": false,
        }));
    }
    let own = OwnTool {
        told,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        custom,
    };
    Some((own, function))
}

/// What the text of a custom tool has to be.
fn wanted(tool: &Value) -> String {
    let of = |name: &str| tool.get("format")?.get(name)?.as_str();
    match (of("syntax"), of("definition")) {
        (Some(syntax), Some(definition)) => {
            format!("The text of the call. It has to match this grammar ({syntax}):\n{definition}")
        }
        _ => "The text of the call.".to_owned(),
    }
}

/// The names of tools that a search for tools has found, where the result of one refers to them (Anthropic
/// `tool_reference`). They stand among the tools of the request.
fn found(part: &Part) -> Option<Vec<&str>> {
    let Part::ToolResult(result) = part else {
        return None;
    };
    let names = result.parts.iter().filter_map(|part| match part {
        Part::Opaque(part) if part.dialect == Dialect::Anthropic && part.kind == REFERENCE => {
            part.value.get("tool_name")?.as_str()
        }
        _ => None,
    });
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then_some(names)
}

/// Says in words which tools were found.
fn name_found(part: &mut Part) {
    let Some(names) = found(part) else {
        return;
    };
    let text = format!("Found, and can be called now: {}", names.join(", "));
    if let Part::ToolResult(result) = part {
        let is_reference =
            |part: &Part| matches!(part, Part::Opaque(part) if part.kind == REFERENCE);
        result.parts.retain(|part| !is_reference(part));
        result.parts.push(Part::text(text));
    }
}

/// A call of a custom tool as one of the function that stands for it.
fn plain_call(part: &mut Part) {
    if let Part::ToolCall(call) = part
        && std::mem::take(&mut call.custom)
    {
        call.arguments = json!({INPUT: call.arguments}).to_string();
    }
}
