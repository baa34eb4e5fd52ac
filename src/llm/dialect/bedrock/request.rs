//! A provider's request
//! (<https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html>). The model and whether it
//! streams are said by the URL.

use serde_json::{Map, Value, json};

use crate::llm::chat::{ChatRequest, Format, Function, Opaque, Part, Tool, ToolChoice};
use crate::llm::dialect::bedrock::OWN;
use crate::llm::dialect::bedrock::family::Family;
use crate::llm::dialect::bedrock::message::{self, cache_point};
use crate::llm::dialect::bedrock::reasoning::{self, Thinking};
use crate::llm::dialect::{Dialect, Dropped, Encoded, TargetModel, dropped_rest};
use crate::llm::fault::Fault;
use crate::llm::fields::put;

const TOOL_NAME_CHARS_MAX: usize = 64;

/// A provider's body.
///
/// # Errors
/// Names what the dialect has no way to say.
pub fn encode_request(request: &ChatRequest, model: &TargetModel) -> Result<Encoded, Fault> {
    let family = Family::of(&model.name);
    refused(request)?;
    let said = message::encode(request, family)?;
    let mut writer = Writer {
        family,
        thinking: reasoning::encode(request, family),
        dropped: said.dropped,
    };
    let mut system = said.system;
    let output = writer.output(request, &mut system);
    let inference = writer.inference(request);
    let tools = writer.tools(request)?;
    writer.hints(request);
    let mut body = Map::new();
    body.insert("messages".to_owned(), said.messages.into());
    put(&mut body, "system", (!system.is_empty()).then_some(system));
    put(&mut body, "inferenceConfig", filled(inference));
    put(&mut body, "toolConfig", tools);
    put(&mut body, "outputConfig", filled(output));
    let fields = std::mem::take(&mut writer.thinking.fields);
    put(&mut body, "additionalModelRequestFields", filled(fields));
    if family.is_claude() && !request.sampling.stop.is_empty() {
        let paths = json!(["/stop_sequence"]);
        body.insert("additionalModelResponseFieldPaths".to_owned(), paths);
    }
    let mut dropped = writer.dropped;
    dropped.append(&mut writer.thinking.dropped);
    dropped.extend(dropped_rest(request, OWN));
    if request.rest.dialect == Some(OWN) {
        for (name, value) in &request.rest.fields {
            body.entry(name.as_str()).or_insert_with(|| value.clone());
        }
    }
    Ok(Encoded {
        body: body.into(),
        dropped,
    })
}

fn filled(map: Map<String, Value>) -> Option<Value> {
    (!map.is_empty()).then_some(Value::Object(map))
}

/// What an answer would lack.
fn refused(request: &ChatRequest) -> Result<(), Fault> {
    let sampling = &request.sampling;
    if sampling.candidates.is_some_and(|number| number > 1) {
        return Err(OWN.cannot("sampling.candidates", "a request for several answers"));
    }
    if sampling.logprobs || sampling.top_logprobs.is_some_and(|number| number > 0) {
        return Err(OWN.cannot("sampling.logprobs", "a request for log-probabilities"));
    }
    Ok(())
}

struct Writer {
    family: Family,
    thinking: Thinking,
    dropped: Vec<Dropped>,
}

impl Writer {
    fn drop(&mut self, field: impl Into<String>, reason: &str) {
        self.dropped.push(Dropped::new(field, reason));
    }

    /// `outputConfig`: a schema, and how much effort to make. Any JSON is asked for in words.
    fn output(&mut self, request: &ChatRequest, system: &mut Vec<Value>) -> Map<String, Value> {
        let mut output = Map::new();
        match &request.format {
            Some(Format::Schema {
                name,
                description,
                schema,
                strict,
            }) => {
                if *strict == Some(false) {
                    self.drop("format.strict", "a schema is always kept to");
                }
                let mut definition = Map::new();
                definition.insert("schema".to_owned(), schema.to_string().into());
                put(&mut definition, "name", name.clone());
                put(&mut definition, "description", description.clone());
                let format = json!({
                    "type": "json_schema",
                    "structure": {"jsonSchema": definition},
                });
                output.insert("textFormat".to_owned(), format);
            }
            Some(Format::Json) => {
                let text = "Answer with one JSON object and nothing else, without a code fence.";
                system.push(json!({"text": text}));
                self.drop(
                    "format",
                    "there is no such field; it is asked for in the instructions",
                );
            }
            None => {}
        }
        put(&mut output, "effort", self.thinking.effort.take());
        output
    }

    fn inference(&mut self, request: &ChatRequest) -> Map<String, Value> {
        let sampling = &request.sampling;
        let (mut temperature, mut top_p) = (sampling.temperature, sampling.top_p);
        let mut top_k = sampling.top_k;
        if self.family.fixed_sampling() || self.thinking.on {
            let reason = if self.thinking.on {
                "Claude takes none while it thinks"
            } else {
                "the model takes none"
            };
            let names = ["temperature", "top_p", "top_k"];
            let given = [temperature.is_some(), top_p.is_some(), top_k.is_some()];
            for (name, _) in names.into_iter().zip(given).filter(|(_, given)| *given) {
                self.drop(format!("sampling.{name}"), reason);
            }
            (temperature, top_p, top_k) = (None, None, None);
        }
        if temperature.is_some() && top_p.is_some() && self.family.one_of_sampling() {
            self.drop(
                "sampling.top_p",
                "the model takes either this or a temperature",
            );
            top_p = None;
        }
        if temperature.is_some_and(|number| number > 1.0) {
            self.drop("sampling.temperature", "the most there is is 1");
            temperature = Some(1.0);
        }
        self.top_k(top_k);
        let mut stop = sampling.stop.clone();
        if self.family.is_claude() {
            stop.retain(|text| !text.trim().is_empty());
            if stop.len() < sampling.stop.len() {
                self.drop("sampling.stop", "Claude does not stop at blank text");
            }
        }
        let mut config = Map::new();
        put(&mut config, "maxTokens", sampling.max_output_tokens);
        put(&mut config, "temperature", temperature);
        put(&mut config, "topP", top_p);
        put(
            &mut config,
            "stopSequences",
            (!stop.is_empty()).then_some(stop),
        );
        config
    }

    fn top_k(&mut self, number: Option<u64>) {
        let Some(number) = number else {
            return;
        };
        let fields = &mut self.thinking.fields;
        match self.family {
            Family::Claude(..) => {
                fields.insert("top_k".to_owned(), number.into());
            }
            Family::Nova(_) => {
                let config = json!({"topK": number});
                fields.insert("inferenceConfig".to_owned(), config);
            }
            _ => self.drop("sampling.top_k", "the model has no such field"),
        }
    }

    /// What has no place here.
    fn hints(&mut self, request: &ChatRequest) {
        let sampling = &request.sampling;
        let none = "there is no such field";
        for (given, field) in [
            (
                sampling.frequency_penalty.is_some(),
                "sampling.frequency_penalty",
            ),
            (
                sampling.presence_penalty.is_some(),
                "sampling.presence_penalty",
            ),
            (sampling.seed.is_some(), "sampling.seed"),
            (request.user.is_some(), "user"),
            (request.cache_key.is_some(), "cache_key"),
        ] {
            if given {
                self.drop(field, none);
            }
        }
        if request.asks_for_one_call() && !request.tools.is_empty() {
            self.drop("parallel_tool_calls", none);
        }
    }

    /// `toolConfig`. Bedrock wants one where earlier turns called tools, even if none may be called now.
    fn tools(&mut self, request: &ChatRequest) -> Result<Option<Value>, Fault> {
        let none = request.tool_choice == Some(ToolChoice::None);
        let mut tools = Vec::new();
        for (at, tool) in request.tools.iter().enumerate().filter(|_| !none) {
            let place = format!("tools[{at}]");
            match tool {
                Tool::Function(function) => self.function(function, &place, &mut tools)?,
                Tool::Opaque(tool) => self.opaque(tool, &place, &mut tools)?,
            }
        }
        let choice = match &request.tool_choice {
            Some(ToolChoice::Required) => Some(json!({"any": {}})),
            Some(ToolChoice::Named(name)) => Some(json!({"tool": {"name": name}})),
            Some(ToolChoice::Auto) => Some(json!({"auto": {}})),
            Some(ToolChoice::None) | None => None,
        };
        if tools.is_empty() {
            if matches!(
                request.tool_choice,
                Some(ToolChoice::Required | ToolChoice::Named(_))
            ) {
                return Err(OWN.cannot("tool_choice", "a choice of a tool where there is none"));
            }
            return Ok(called_before(request).then(|| json!({"tools": [placeholder()]})));
        }
        let mut config = Map::new();
        config.insert("tools".to_owned(), tools.into());
        put(&mut config, "toolChoice", choice);
        Ok(Some(config.into()))
    }

    fn function(
        &mut self,
        function: &Function,
        place: &str,
        tools: &mut Vec<Value>,
    ) -> Result<(), Fault> {
        let name = function.name.as_str();
        let allowed = |sign: char| sign.is_ascii_alphanumeric() || "_-".contains(sign);
        if name.is_empty() || name.len() > TOOL_NAME_CHARS_MAX || !name.chars().all(allowed) {
            let what =
                format!("the name `{name}` of a tool (letters, digits, `_` and `-`, 64 at most)");
            return Err(OWN.cannot(format!("{place}.name"), &what));
        }
        let mut spec = Map::new();
        spec.insert("name".to_owned(), name.into());
        let description = function.description.clone();
        put(
            &mut spec,
            "description",
            description.filter(|text| !text.is_empty()),
        );
        let parameters = function.parameters.clone();
        let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        spec.insert("inputSchema".to_owned(), json!({"json": parameters}));
        if function.strict == Some(true) {
            if self.family.is_strict() {
                spec.insert("strict".to_owned(), true.into());
            } else {
                let reason = "the model is not held to the parameters";
                self.drop(format!("{place}.strict"), reason);
            }
        }
        tools.push(json!({"toolSpec": spec}));
        if let Some(mark) = function.cache {
            let takes = !matches!(self.family, Family::Nova(_));
            match cache_point(mark, self.family).filter(|_| takes) {
                Some(point) => tools.push(point),
                None => self.drop(format!("{place}.cache"), "the model's tools are not cached"),
            }
        }
        Ok(())
    }

    /// Bedrock's own, or one that Claude knows by its type and the caller runs
    /// (<https://docs.aws.amazon.com/bedrock/latest/userguide/computer-use.html>).
    fn opaque(&mut self, tool: &Opaque, place: &str, tools: &mut Vec<Value>) -> Result<(), Fault> {
        let is_known = tool.dialect == Dialect::Anthropic && runs_at_callers(&tool.kind);
        if tool.dialect == OWN {
            tools.push(tool.value.clone());
        } else if is_known && self.family.is_claude() {
            let fields = &mut self.thinking.fields;
            add(fields, "tools", tool.value.clone());
            let beta = match tool.kind.rsplit_once('_') {
                Some((_, "20241022")) => Some("computer-use-2024-10-22"),
                Some((kind, "20250124")) if kind != "memory" => Some("computer-use-2025-01-24"),
                Some(("computer", "20251124")) => Some("computer-use-2025-11-24"),
                Some(("memory", _)) => Some("context-management-2025-06-27"),
                _ => None,
            };
            if let Some(beta) = beta {
                add(fields, "anthropic_beta", beta.into());
            }
        } else {
            let what = format!("a tool of kind `{}`", tool.kind);
            return Err(OWN.cannot(place, &what));
        }
        Ok(())
    }
}

/// Whether a tool that Claude knows by its type is run by the caller, and not by Anthropic.
pub(crate) fn runs_at_callers(kind: &str) -> bool {
    ["computer_", "bash_", "text_editor_", "memory_"]
        .iter()
        .any(|known| kind.starts_with(known))
}

/// A body with these betas among those it has, which a caller's `anthropic-beta` names.
pub(crate) fn with_betas(body: &[u8], betas: &str) -> Option<Vec<u8>> {
    let mut body: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let fields = body.entry("additionalModelRequestFields");
    let fields = fields.or_insert_with(|| json!({})).as_object_mut()?;
    let betas = betas.split(',').map(str::trim);
    for beta in betas.filter(|beta| !beta.is_empty()) {
        add(fields, "anthropic_beta", beta.into());
    }
    Some(Value::Object(body).to_string().into_bytes())
}

/// Adds to a list within, unless it is there.
fn add(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let list = fields.entry(name).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut()
        && !list.contains(&value)
    {
        list.push(value);
    }
}

fn called_before(request: &ChatRequest) -> bool {
    let parts = request.turns.iter().flat_map(|turn| &turn.parts);
    parts
        .into_iter()
        .any(|part| matches!(part, Part::ToolCall(_) | Part::ToolResult(_)))
}

fn placeholder() -> Value {
    json!({
        "toolSpec": {
            "name": "no_tool",
            "description": "There is no tool to call. Answer in words.",
            "inputSchema": {"json": {"type": "object", "properties": {}}},
        },
    })
}
