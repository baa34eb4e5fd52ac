//! A provider's request (<https://docs.cohere.com/reference/chat>).

use serde_json::{Map, Value, json};

use crate::llm::chat::{ChatRequest, Format, Function, Reasoning, Tool, ToolChoice};
use crate::llm::dialect::cohere::{OWN, message};
use crate::llm::dialect::{Dropped, Encoded, TargetModel, dropped_rest};
use crate::llm::fault::Fault;
use crate::llm::fields::put;

const STOP_SEQUENCES_MAX: usize = 5;
const TOP_K_MAX: u64 = 500;
/// Models from before thoughts were content; they plan before they call tools instead.
const PLANNERS: [&str; 6] = [
    "command-r",
    "command-a-03-",
    "command-a-translate-",
    "command-a-vision-",
    "c4ai-",
    "command-light",
];

/// A provider's body.
///
/// # Errors
/// Names what the dialect has no way to say.
pub fn encode_request(request: &ChatRequest, model: &TargetModel) -> Result<Encoded, Fault> {
    let thinks = !PLANNERS.iter().any(|name| model.name.starts_with(name));
    let said = message::encode(request, thinks)?;
    let mut writer = Writer {
        body: Map::new(),
        dropped: said.dropped,
    };
    writer.put("model", Some(model.name.as_str()));
    writer.put("messages", Some(said.messages));
    writer.put("stream", request.stream.then_some(true));
    writer.tools(request)?;
    let documents = said.documents;
    writer.put("documents", (!documents.is_empty()).then_some(documents));
    writer.format(request);
    writer.sampling(request)?;
    if let Some(wanted) = &request.reasoning {
        writer.thinking(wanted, thinks);
    }
    for (given, field) in [
        (request.user.is_some(), "user"),
        (request.cache_key.is_some(), "cache_key"),
    ] {
        if given {
            writer.drop(field, "there is no such field");
        }
    }
    writer.dropped.extend(dropped_rest(request, OWN));
    if request.rest.dialect == Some(OWN) {
        for (name, value) in &request.rest.fields {
            let slot = writer.body.entry(name.as_str());
            slot.or_insert_with(|| value.clone());
        }
    }
    Ok(Encoded {
        body: writer.body.into(),
        dropped: writer.dropped,
    })
}

struct Writer {
    body: Map<String, Value>,
    dropped: Vec<Dropped>,
}

impl Writer {
    fn put<T: Into<Value>>(&mut self, name: &str, value: Option<T>) {
        put(&mut self.body, name, value);
    }

    fn drop(&mut self, field: impl Into<String>, reason: &str) {
        self.dropped.push(Dropped::new(field, reason));
    }

    /// Tools, and whether one has to be called. Which one is said by leaving out the others.
    fn tools(&mut self, request: &ChatRequest) -> Result<(), Fault> {
        let mut functions = Vec::new();
        for (at, tool) in request.tools.iter().enumerate() {
            match tool {
                Tool::Function(function) => functions.push((at, function)),
                Tool::Opaque(tool) => {
                    let what = format!("a tool of kind `{}`", tool.kind);
                    return Err(OWN.cannot(format!("tools[{at}]"), &what));
                }
            }
        }
        if let Some(ToolChoice::Named(name)) = &request.tool_choice {
            functions.retain(|(_, function)| function.name == *name);
        }
        let choice = match &request.tool_choice {
            Some(ToolChoice::Required | ToolChoice::Named(_)) => Some("REQUIRED"),
            Some(ToolChoice::None) => Some("NONE"),
            Some(ToolChoice::Auto) | None => None,
        };
        if functions.is_empty() {
            if choice == Some("REQUIRED") {
                return Err(OWN.cannot("tool_choice", "a choice of a tool where there is none"));
            }
            return Ok(());
        }
        self.strict(&functions);
        let tools: Vec<Value> = functions
            .into_iter()
            .map(|(at, function)| self.function(function, at))
            .collect();
        self.put("tools", Some(tools));
        self.put("tool_choice", choice);
        if request.asks_for_one_call() {
            self.drop("parallel_tool_calls", "there is no such field");
        }
        Ok(())
    }

    /// All tools are held to their parameters, or none; and each has to need one
    /// (<https://docs.cohere.com/docs/structured-outputs#structured-outputs-tools>).
    fn strict(&mut self, functions: &[(usize, &Function)]) {
        let strict = |function: &Function| function.strict == Some(true);
        let needs = |function: &Function| {
            let required = function.parameters.as_ref()?.get("required")?.as_array()?;
            Some(!required.is_empty())
        };
        let mut all = functions.iter().map(|(_, function)| *function);
        if all.all(|function| strict(function) && needs(function) == Some(true)) {
            return self.put("strict_tools", Some(true));
        }
        for (at, _) in functions.iter().filter(|(_, function)| strict(function)) {
            let reason = "tools are strict all or none, and only with a required parameter";
            self.drop(format!("tools[{at}].strict"), reason);
        }
    }

    fn function(&mut self, function: &Function, at: usize) -> Value {
        if function.cache.is_some() {
            self.drop(
                format!("tools[{at}].cache"),
                "prompts are cached without marks",
            );
        }
        let mut written = Map::new();
        written.insert("name".to_owned(), function.name.as_str().into());
        put(&mut written, "description", function.description.clone());
        let parameters = function.parameters.clone();
        let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        written.insert("parameters".to_owned(), parameters);
        json!({"type": "function", "function": written})
    }

    /// <https://docs.cohere.com/docs/structured-outputs>; a schema has no name.
    fn format(&mut self, request: &ChatRequest) {
        let format = match &request.format {
            Some(Format::Json) => json!({"type": "json_object"}),
            Some(Format::Schema {
                description,
                schema,
                strict,
                ..
            }) => {
                if description.is_some() {
                    self.drop(
                        "format.description",
                        "a schema has no description of its own",
                    );
                }
                if *strict == Some(false) {
                    self.drop("format.strict", "a schema is always kept to");
                }
                json!({"type": "json_object", "json_schema": schema})
            }
            None => return,
        };
        self.put("response_format", Some(format));
    }

    fn sampling(&mut self, request: &ChatRequest) -> Result<(), Fault> {
        let sampling = &request.sampling;
        if sampling.candidates.is_some_and(|number| number > 1) {
            return Err(OWN.cannot("sampling.candidates", "a request for several answers"));
        }
        if sampling.top_logprobs.is_some_and(|number| number > 0) {
            let what = "a request for the log-probabilities of other tokens";
            return Err(OWN.cannot("sampling.top_logprobs", what));
        }
        if sampling.stop.len() > STOP_SEQUENCES_MAX {
            return Err(OWN.cannot("sampling.stop", "more than five texts to stop at"));
        }
        self.put("max_tokens", sampling.max_output_tokens);
        let stop = (!sampling.stop.is_empty()).then(|| sampling.stop.clone());
        self.put("stop_sequences", stop);
        self.put("temperature", sampling.temperature);
        match sampling.seed {
            Some(seed) if seed < 0 => self.drop("sampling.seed", "it may not be negative"),
            seed => self.put("seed", seed),
        }
        for (name, value) in [
            ("frequency_penalty", sampling.frequency_penalty),
            ("presence_penalty", sampling.presence_penalty),
        ] {
            let value = self.within(name, value, (0.0, 1.0));
            self.put(name, value);
        }
        let top_k = sampling.top_k.map(|number| number.min(TOP_K_MAX));
        if top_k != sampling.top_k {
            self.drop("sampling.top_k", "the most there is is 500");
        }
        self.put("k", top_k);
        let top_p = self.within("top_p", sampling.top_p, (0.01, 0.99));
        self.put("p", top_p);
        self.put("logprobs", sampling.logprobs.then_some(true));
        Ok(())
    }

    /// The nearest number that there is.
    fn within(&mut self, name: &str, value: Option<f64>, (least, most): (f64, f64)) -> Option<f64> {
        let value = value?;
        let near = value.clamp(least, most);
        if (near - value).abs() > f64::EPSILON {
            let reason = format!("the nearest there is is {near}");
            self.drop(format!("sampling.{name}"), &reason);
        }
        Some(near)
    }

    /// <https://docs.cohere.com/docs/reasoning>: models that think do so unless it is turned off.
    fn thinking(&mut self, wanted: &Reasoning, thinks: bool) {
        let (effort, budget) = (wanted.effort.as_deref(), wanted.budget_tokens);
        if wanted.shown.is_some() {
            self.drop("reasoning.shown", "thoughts are always shown");
        }
        if effort.is_none() && budget.is_none() {
            return;
        }
        if !thinks {
            return self.drop("reasoning.effort", "the model does not think");
        }
        if effort == Some("none") || budget == Some(0) {
            return self.put("thinking", Some(json!({"type": "disabled"})));
        }
        let said = budget.or(match effort {
            Some("minimal") => Some(1024),
            Some("low") => Some(2048),
            Some("medium") => Some(8192),
            _ => None,
        });
        if budget.is_none() {
            let reason = match said {
                Some(budget) => format!("said as a budget of {budget} tokens"),
                None => "said as thinking without a budget".to_owned(),
            };
            self.drop("reasoning.effort", &reason);
        }
        let mut thinking = Map::new();
        thinking.insert("type".to_owned(), "enabled".into());
        put(&mut thinking, "token_budget", said);
        self.put("thinking", Some(Value::Object(thinking)));
    }
}
