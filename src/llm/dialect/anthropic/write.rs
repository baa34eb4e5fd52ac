//! A request for a provider, written (<https://docs.anthropic.com/en/api/messages>).

use serde_json::{Map, Value, json};

use crate::llm::chat::{ChatRequest, Format};
use crate::llm::dialect::anthropic::effort::{self, Plan};
use crate::llm::dialect::anthropic::generation::Generation;
use crate::llm::dialect::anthropic::turns::{Writer, said};
use crate::llm::dialect::anthropic::{sampling, schema, tools};
use crate::llm::dialect::{Dialect, Dropped, Encoded, TargetModel, dropped_rest};
use crate::llm::fault::Fault;

/// What a request whose only text is instructions is left without.
const NO_MESSAGES: &str = "there is no message beside it, so it is said as the user's";

/// Writes the body of `POST /v1/messages`.
///
/// # Errors
/// What this dialect or the model cannot say, where the answer depends on it.
pub fn encode_request(request: &ChatRequest, model: &TargetModel) -> Result<Encoded, Fault> {
    let mut writer = Writer {
        request,
        dropped: dropped_rest(request, Dialect::Anthropic),
    };
    refuse_rest(request)?;
    let plan = effort::plan(request, model, &mut writer.dropped);
    let generation = Generation::of(&model.name);
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(model.name.as_str()));
    body.insert("max_tokens".to_owned(), Value::from(plan.max_tokens));
    let mut system = writer.system()?;
    let mut messages = writer.messages(&mut system)?;
    if messages.is_empty() && !system.is_empty() && !writer.own() {
        messages.push(json!({ "role": "user", "content": std::mem::take(&mut system) }));
        writer.drop("system", NO_MESSAGES);
    }
    let mut config = output_config(&mut writer, &plan, generation);
    if let Some(instruction) = config.instruction.take() {
        system.push(json!({ "type": "text", "text": instruction }));
    }
    if let Some(system) = said(system) {
        body.insert("system".to_owned(), system);
    }
    body.insert("messages".to_owned(), Value::from(messages));
    tools::encode(&mut writer, &mut body)?;
    let mut dropped = std::mem::take(&mut writer.dropped);
    sampling::encode(request, &plan, generation, (&mut body, &mut dropped))?;
    if let Some(thinking) = plan.thinking {
        body.insert("thinking".to_owned(), thinking);
    }
    if !config.fields.is_empty() {
        body.insert("output_config".to_owned(), Value::Object(config.fields));
    }
    let mut metadata = Map::new();
    if let Some(user) = &request.user {
        metadata.insert("user_id".to_owned(), Value::from(user.as_str()));
    }
    writer.restore("metadata", &mut metadata);
    if !metadata.is_empty() {
        body.insert("metadata".to_owned(), Value::Object(metadata));
    }
    if request.cache_key.is_some() {
        let reason = "Anthropic Messages finds cached prompts by their beginning";
        dropped.push(Dropped::new("cache_key", reason));
    }
    if request.stream {
        body.insert("stream".to_owned(), Value::Bool(true));
    }
    if writer.own() {
        restore_top(request, &mut body);
    }
    Ok(Encoded {
        body: Value::Object(body),
        dropped,
    })
}

/// `output_config`, or what is said in its stead.
struct Config {
    fields: Map<String, Value>,
    /// For models that know no format.
    instruction: Option<String>,
}

fn output_config(writer: &mut Writer, plan: &Plan, generation: Generation) -> Config {
    let mut config = Config {
        fields: Map::new(),
        instruction: None,
    };
    if let Some(effort) = plan.effort {
        config
            .fields
            .insert("effort".to_owned(), Value::from(effort));
    }
    let request = writer.request;
    match &request.format {
        None => {}
        Some(Format::Schema { schema, .. }) if writer.own() => {
            let format = json!({ "type": "json_schema", "schema": schema });
            config.fields.insert("format".to_owned(), format);
        }
        Some(Format::Schema {
            schema,
            name,
            description,
            strict,
        }) if generation.has_formats() => {
            let (schema, refused) = schema::strict(schema);
            for keyword in refused {
                let reason = "the model is told of it, and not held to it";
                writer.drop(format!("format.schema.{keyword}"), reason);
            }
            for (field, given) in [
                ("format.name", name.is_some()),
                ("format.description", description.is_some()),
            ] {
                if given {
                    writer.drop(field, "a schema has no name here");
                }
            }
            if *strict == Some(false) {
                writer.drop("format.strict", "schemas are always held to");
            }
            let format = json!({ "type": "json_schema", "schema": schema });
            config.fields.insert("format".to_owned(), format);
        }
        Some(format) => {
            writer.drop(
                "format",
                "the model is told of it in `system`, and not held to it",
            );
            config.instruction = Some(instruction(format));
        }
    }
    writer.restore("output_config", &mut config.fields);
    config
}

fn instruction(format: &Format) -> String {
    let what = "Answer with one JSON object and nothing else: no explanation, no code fence.";
    match format {
        Format::Json => what.to_owned(),
        Format::Schema { schema, .. } => {
            format!("{what} The object conforms to this JSON Schema:\n{schema}")
        }
    }
}

/// Fields of other dialects without which the request would be another: sound, and what a provider has stored.
fn refuse_rest(request: &ChatRequest) -> Result<(), Fault> {
    if request.rest.dialect == Some(Dialect::Anthropic) {
        return Ok(());
    }
    let fields = &request.rest.fields;
    let modalities = fields.get("modalities").and_then(Value::as_array);
    if modalities.is_some_and(|list| list.iter().any(|kind| kind == "audio")) {
        return Err(Dialect::Anthropic.cannot("modalities", "An answer of sound"));
    }
    for field in ["previous_response_id", "conversation", "prompt"] {
        if fields.contains_key(field) {
            return Err(Dialect::Anthropic.cannot(field, "What another provider has stored"));
        }
    }
    Ok(())
}

/// Puts back the top-level fields that the neutral form has no place for.
fn restore_top(request: &ChatRequest, body: &mut Map<String, Value>) {
    for (name, value) in &request.rest.fields {
        if name.contains(['.', '[']) {
            continue;
        }
        match (body.get_mut(name), value) {
            (Some(Value::Object(there)), Value::Object(more)) if name == "output_config" => {
                there.extend(more.clone());
            }
            _ => {
                body.insert(name.clone(), value.clone());
            }
        }
    }
}
